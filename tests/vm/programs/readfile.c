// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads files or block devices through the page cache, once or several times over.
 *
 *	readfile [--loops N] [--mib LIMIT] PATH...
 *
 * Prints "loop N seconds=S mib=M" after each time round and "result ok seconds=S mib=M worst_ms=W" at the end; worst_ms is the
 * longest time that one read of at most one MiB took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024)

static char buffer[MIB];
static double worst;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Returns the bytes read, or -1. */
static int64_t read_once(const char *path, uint64_t limit)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t total = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	while (total < limit) {
		double start = now(), took;

		n = read(fd, buffer, sizeof(buffer));
		if (n <= 0)
			break;
		total += n;
		took = now() - start;
		if (took > worst)
			worst = took;
	}
	close(fd);
	return n < 0 ? -1 : (int64_t)total;
}

int main(int argc, char **argv)
{
	unsigned long loops = 1;
	uint64_t limit = UINT64_MAX, total = 0;
	double start, mark;
	int i;

	for (i = 1; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (!strcmp(argv[i], "--loops"))
			loops = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--mib"))
			limit = strtoul(argv[i + 1], NULL, 10) * MIB;
		else
			break;
	}
	if (i >= argc || !loops || !limit || !strncmp(argv[i], "--", 2)) {
		fprintf(stderr, "usage: readfile [--loops N] [--mib LIMIT] PATH...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);

	start = mark = now();
	for (unsigned long loop = 1; loop <= loops; loop++) {
		uint64_t bytes = 0;

		for (int file = i; file < argc; file++) {
			int64_t n = read_once(argv[file], limit);

			if (n < 0) {
				printf("result failed path=%s why=%s\n", argv[file], strerror(errno));
				return 1;
			}
			bytes += n;
		}
		total += bytes;
		printf("loop %lu seconds=%.3f mib=%llu\n", loop, now() - mark, (unsigned long long)bytes / MIB);
		mark = now();
	}
	printf("result ok seconds=%.3f mib=%llu worst_ms=%.1f\n", mark - start, (unsigned long long)total / MIB, worst * 1000);
	return 0;
}
