// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fragments memory: takes MIB of it in single pages, gives one of each two back, says "fragmented" and stays. What is left
 * are holes of one page, so that no block of 2 MiB is free in what it had.
 *
 * Either one of the two, by chance: where only every second page was free and the others the balloon's, compaction's free scanner,
 * which looks at every 32nd page once some blocks held nothing, could miss all of them and end before it came to a page of ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL

int main(int argc, char **argv)
{
	unsigned long size, i;
	char *memory;

	if (argc != 2 || atol(argv[1]) <= 0) {
		fprintf(stderr, "usage: vbp-fragment MIB\n");
		return 2;
	}
	size = strtoul(argv[1], NULL, 10) << 20;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	/* Huge pages would be taken and given back whole. */
	madvise(memory, size, MADV_NOHUGEPAGE);
	memset(memory, 1, size);
	/* One by one: a range that goes back whole leaves no holes. */
	for (i = 0; i < size; i += 2 * PAGE)
		if (madvise(memory + i + (rand() & 1) * PAGE, PAGE, MADV_DONTNEED)) {
			perror("madvise");
			return 1;
		}
	puts("fragmented");
	fflush(stdout);
	pause();
	return 0;
}
