// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts pages by what the kernel says of each in /proc/kpageflags:
 *
 *	pageflags [FIRST COUNT]
 *
 * All of them, or those of a range of page frame numbers. Prints "offline N free N": pages whose content belongs to nobody (the balloon's, here), and pages in the buddy allocator,
 * of which the kernel marks the first of each piece only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KPF_BUDDY	10
#define KPF_OFFLINE	23

static uint64_t flags[64 * 1024];

int main(int argc, char **argv)
{
	uint64_t first = argc == 3 ? strtoull(argv[1], NULL, 0) : 0;
	uint64_t end = argc == 3 ? first + strtoull(argv[2], NULL, 0) : UINT64_MAX / sizeof(flags[0]);
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	unsigned long offline = 0, pieces = 0;
	ssize_t n = -1;

	while (fd >= 0 && (n = pread(fd, flags, sizeof(flags), first * sizeof(flags[0]))) > 0) {
		size_t count = n / sizeof(flags[0]);

		for (size_t i = 0; i < count && first + i < end; i++) {
			offline += flags[i] >> KPF_OFFLINE & 1;
			pieces += flags[i] >> KPF_BUDDY & 1;
		}
		first += count;
		if (first >= end)
			break;
	}
	if (n < 0) {
		fprintf(stderr, "pageflags: /proc/kpageflags: %s\n", strerror(errno));
		return 1;
	}
	printf("offline %lu free %lu\n", offline, pieces);
	return 0;
}
