// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts pages by what the kernel says of each in /proc/kpageflags:
 *
 *	pageflags
 *
 * Prints "offline N free N": pages whose content belongs to nobody (the balloon's, here), and pages in the buddy allocator,
 * of which the kernel marks the first of each piece only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KPF_BUDDY	10
#define KPF_OFFLINE	23

static uint64_t flags[64 * 1024];

int main(void)
{
	unsigned long offline = 0, pieces = 0;
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, flags, sizeof(flags))) > 0)
		for (size_t i = 0; i < n / sizeof(flags[0]); i++) {
			offline += flags[i] >> KPF_OFFLINE & 1;
			pieces += flags[i] >> KPF_BUDDY & 1;
		}
	if (n < 0) {
		fprintf(stderr, "pageflags: /proc/kpageflags: %s\n", strerror(errno));
		return 1;
	}
	printf("offline %lu free %lu\n", offline, pieces);
	return 0;
}
