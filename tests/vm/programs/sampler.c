// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the guest's memory ten times a second, also while there is none left: its files are open, its memory is locked and
 * the OOM killer leaves it alone before the first line.
 *
 *	sampler [MILLISECONDS]
 *
 * Each line: "sample GUEST_MS available_kb=N free_kb=N cached_kb=N total_kb=N" and then /proc/vmstat's
 * "oom_kill= allocstall= pswpout= refault=" (sums over zones and over anon and file). GUEST_MS is CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char text[32 * 1024];

static void read_all(int fd)
{
	ssize_t n, used = 0;

	while ((n = pread(fd, text + used, sizeof(text) - 1 - used, used)) > 0)
		used += n;
	text[used] = '\0';
}

/* The sum of all lines whose name starts with name; "name " for an exact match. */
static unsigned long long sum(const char *name)
{
	unsigned long long total = 0;
	size_t len = strlen(name);

	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, name, len)) {
			const char *value = line + strcspn(line, " ");

			total += strtoull(value, NULL, 10);
		}
	return total;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	unsigned long period_ms = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	int meminfo = open_or_die("/proc/meminfo", O_RDONLY), vmstat = open_or_die("/proc/vmstat", O_RDONLY);
	int adj = open_or_die("/proc/self/oom_score_adj", O_WRONLY);
	struct timespec next;

	if (!period_ms || write(adj, "-1000", 5) != 5 || mlockall(MCL_CURRENT | MCL_FUTURE)) {
		perror("sampler");
		return 1;
	}
	setpriority(PRIO_PROCESS, 0, -20);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		read_all(meminfo);
		dprintf(STDOUT_FILENO, "sample %llu available_kb=%llu free_kb=%llu cached_kb=%llu total_kb=%llu ",
			ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000, sum("MemAvailable:"), sum("MemFree:"), sum("Cached:"),
			sum("MemTotal:"));
		read_all(vmstat);
		dprintf(STDOUT_FILENO, "oom_kill=%llu allocstall=%llu pswpout=%llu refault=%llu\n", sum("oom_kill "),
			sum("allocstall_"), sum("pswpout "), sum("workingset_refault_"));

		next.tv_nsec += period_ms % 1000 * 1000000;
		next.tv_sec += period_ms / 1000 + next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		/* A starved guest skips samples rather than catching up with a burst of them. */
		clock_gettime(CLOCK_MONOTONIC, &ts);
		if (ts.tv_sec > next.tv_sec || (ts.tv_sec == next.tv_sec && ts.tv_nsec > next.tv_nsec))
			next = ts;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
	}
}
