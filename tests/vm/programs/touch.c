// SPDX-License-Identifier: GPL-2.0-only
/*
 * The load: takes anonymous memory and writes to every page of it, as a program does that needs more than it has.
 *
 *	touch MIB [--rate MIB_PER_S] [--hold SECONDS] [--verify] [--loops N] [--quiet] [--small] [--fifo] [--slowest N] [--node N]
 *
 * Prints "progress MIB GUEST_MS" about ten times a second, and at the end one line of results:
 *
 *	result ok mib=N seconds=S worst_ms=W worst_at=MIB
 *	result refused mib=N why=ERROR		the kernel would not promise the memory
 *	result corrupt at=MIB			--verify: a page did not hold what had been written
 *
 * worst_ms is the longest time that touching one MiB took. Killed by the OOM killer it prints no result; the caller sees the
 * exit status. Huge pages come or not as the guest's settings say; --small refuses them. --fifo: nothing of
 * less than real-time priority runs on this CPU meanwhile. --node: all of it on this NUMA node. --slowest prints, before the result,
 * "slowest US US ...": the N longest times, of all that there were, for touching one MiB, in microseconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define MIB (1024 * 1024)
#define PROGRESS_NS 100000000ULL
#define MAX_SLOWEST 256
#define BIND 2		/* MPOL_BIND of linux/mempolicy.h */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void sleep_until(uint64_t when)
{
	struct timespec ts = { .tv_sec = when / 1000000000, .tv_nsec = when % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static uint64_t pattern(size_t page, unsigned int loop)
{
	return (page + 1) * 0x9e3779b97f4a7c15ULL + loop;
}

static unsigned long number(const char *text, const char *what)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end) {
		fprintf(stderr, "touch: %s is not a number: %s\n", what, text);
		exit(2);
	}
	return value;
}

/* The N longest times so far, the longest first. */
static void keep_slowest(uint64_t *slowest, unsigned long n, uint64_t took)
{
	while (n && took > slowest[n - 1]) {
		if (n > 1 && took > slowest[n - 2]) {
			slowest[n - 1] = slowest[n - 2];
			n--;
			continue;
		}
		slowest[n - 1] = took;
		return;
	}
}

int main(int argc, char **argv)
{
	unsigned long mib = 0, rate = 0, hold = 0, loops = 1, keep = 0;
	const struct sched_param realtime = { .sched_priority = 1 };
	static uint64_t slowest[MAX_SLOWEST];
	bool verify = false, quiet = false, small = false, fifo = false;
	uint64_t start, mark, worst = 0, shown = 0;
	unsigned long worst_at = 0;
	unsigned long nodes = 0;
	char *memory;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--verify"))
			verify = true;
		else if (!strcmp(argv[i], "--quiet"))
			quiet = true;
		else if (!strcmp(argv[i], "--small"))
			small = true;
		else if (!strcmp(argv[i], "--fifo"))
			fifo = true;
		else if (!strcmp(argv[i], "--rate") && i + 1 < argc)
			rate = number(argv[++i], "--rate");
		else if (!strcmp(argv[i], "--hold") && i + 1 < argc)
			hold = number(argv[++i], "--hold");
		else if (!strcmp(argv[i], "--loops") && i + 1 < argc)
			loops = number(argv[++i], "--loops");
		else if (!strcmp(argv[i], "--slowest") && i + 1 < argc)
			keep = number(argv[++i], "--slowest");
		else if (!strcmp(argv[i], "--node") && i + 1 < argc)
			nodes = 1UL << number(argv[++i], "--node") % 64;
		else
			mib = number(argv[i], "the amount");
	}
	if (!mib || !loops || keep > MAX_SLOWEST) {
		fprintf(stderr,
			"usage: touch MIB [--rate MIB_PER_S] [--hold S] [--verify] [--loops N] [--quiet] [--small] [--fifo] [--slowest N] [--node N]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);

	memory = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		printf("result refused mib=%lu why=%s\n", mib, errno == ENOMEM ? "ENOMEM" : strerror(errno));
		return 1;
	}
	if (small && madvise(memory, mib * MIB, MADV_NOHUGEPAGE)) {
		printf("result failed why=%s\n", strerror(errno));
		return 1;
	}

	/* The kernel takes the number of bits to be one less than is said. */
	if (nodes && syscall(SYS_mbind, memory, mib * MIB, BIND, &nodes, 8 * sizeof(nodes) + 1, 0)) {
		printf("result failed why=%s\n", strerror(errno));
		return 1;
	}

	if (fifo && sched_setscheduler(0, SCHED_FIFO, &realtime)) {
		printf("result failed why=%s\n", strerror(errno));
		return 1;
	}

	start = mark = now_ns();
	for (unsigned int loop = 0; loop < loops; loop++)
		for (unsigned long m = 0; m < mib; m++) {
			uint64_t end;

			for (size_t page = m * (MIB / PAGE); page < (m + 1) * (MIB / PAGE); page++)
				*(volatile uint64_t *)(memory + page * PAGE) = pattern(page, loop);
			end = now_ns();
			if (end - mark > worst) {
				worst = end - mark;
				worst_at = m;
			}
			keep_slowest(slowest, keep, end - mark);
			if (!quiet && end - shown >= PROGRESS_NS) {
				printf("progress %lu %llu\n", m + 1, (unsigned long long)end / 1000000);
				shown = end;
			}
			if (rate) {
				uint64_t due = start + (loop * mib + m + 1) * 1000000000ULL / rate;

				if (due > end)
					sleep_until(due);
			}
			mark = now_ns();
		}
	if (!quiet)
		printf("progress %lu %llu\n", mib, (unsigned long long)now_ns() / 1000000);
	mark -= start;
	if (keep) {
		printf("slowest");
		for (unsigned long i = 0; i < keep && slowest[i]; i++)
			printf(" %llu", (unsigned long long)slowest[i] / 1000);
		printf("\n");
	}

	/* The result first: a program held in memory afterwards may yet be killed. */
	if (!verify)
		printf("result ok mib=%lu seconds=%.3f worst_ms=%.1f worst_at=%lu\n", mib, mark / 1e9, worst / 1e6, worst_at);
	if (hold)
		sleep_until(now_ns() + hold * 1000000000ULL);
	if (!verify)
		return 0;
	for (size_t page = 0; page < mib * (MIB / PAGE); page++)
		if (*(volatile uint64_t *)(memory + page * PAGE) != pattern(page, loops - 1)) {
			printf("result corrupt at=%zu\n", page / (MIB / PAGE));
			return 1;
		}
	printf("result ok mib=%lu seconds=%.3f worst_ms=%.1f worst_at=%lu\n", mib, mark / 1e9, worst / 1e6, worst_at);
	return 0;
}
