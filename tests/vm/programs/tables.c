// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses memory of the kernel itself, which it can have from some zones only: page tables, one for each 2 MiB of an empty mapping.
 *
 *	tables MIB [SECONDS]
 *
 * Prints "used MIB" when it has them, and keeps them for so long.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096ul
#define COVERED	(512 * PAGE)	/* by the page tables in one page */

int main(int argc, char **argv)
{
	unsigned long tables = argc > 1 ? strtoul(argv[1], NULL, 10) * 1024 * 1024 / PAGE : 0;
	volatile char *memory;

	if (!tables) {
		fprintf(stderr, "usage: tables MIB [SECONDS]\n");
		return 2;
	}
	memory = mmap(NULL, tables * COVERED, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED || madvise((void *)memory, tables * COVERED, MADV_NOHUGEPAGE)) {
		printf("failed: %s\n", strerror(errno));
		return 1;
	}
	/* To read takes no page of one's own. */
	for (unsigned long i = 0; i < tables; i++)
		(void)memory[i * COVERED];
	printf("used %lu\n", tables * PAGE / 1024 / 1024);
	fflush(stdout);
	if (argc > 2)
		sleep(atoi(argv[2]));
	return 0;
}
