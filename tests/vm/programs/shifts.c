// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small working day, over and over: a pause, then work on memory, then work on a file that is read again and again.
 *
 *	shifts PAUSE_S MEMORY_S FILE_S MEMORY_MIB FILE_MIB PATH START_S
 *
 * START_S is where in the day it begins, so that several guests take turns. PATH may be a block device. Work on one MiB is to read
 * and change every word of it. Twice a second it prints
 *
 *	shift GUEST_MS PHASE MEMORY_DONE FILE_DONE KILLED
 *
 * PHASE is pause, memory or file; MEMORY_DONE and FILE_DONE are MiB worked on since it began. The work on memory is done by a child:
 * if that is killed it is counted, and another one begins.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024UL)
#define REPORT_NS 500000000ULL
#define SECOND_NS 1000000000ULL

enum phase { PAUSE, MEMORY, FILES };

static const char * const names[] = { "pause", "memory", "file" };
/* In memory that the children share: what a killed one had done counts. */
static struct done {
	uint64_t memory, file, killed;
} *done;
static uint64_t lengths[3], day, begun;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static enum phase phase_now(void)
{
	uint64_t at = (now_ns() - begun) % day;

	if (at < lengths[PAUSE])
		return PAUSE;
	return at < lengths[PAUSE] + lengths[MEMORY] ? MEMORY : FILES;
}

static void nap(uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS };

	nanosleep(&ts, NULL);
}

static void work(uint64_t *words)
{
	for (size_t i = 0; i < MIB / sizeof(*words); i++)
		words[i] = words[i] * 0x9e3779b97f4a7c15ULL + i;
}

/* Ends with its phase, or with the parent. */
static void work_on_memory(unsigned long mib)
{
	char *memory = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(2);
	for (;;)
		for (unsigned long at = 0; at < mib; at++) {
			if (phase_now() != MEMORY)
				_exit(0);
			work((uint64_t *)(memory + at * MIB));
			done->memory++;
		}
}

static int work_on_file(const char *path, unsigned long mib)
{
	static uint64_t buffer[MIB / sizeof(uint64_t)];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (phase_now() == FILES)
		for (unsigned long at = 0; at < mib && phase_now() == FILES; at++) {
			if (pread(fd, buffer, MIB, at * MIB) != (ssize_t)MIB) {
				close(fd);
				return -1;
			}
			work(buffer);
			done->file++;
		}
	return close(fd);
}

/* In a child of its own, so that what is slow does not keep the lines back. */
static void reporter(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		printf("shift %llu %s %llu %llu %llu\n", (unsigned long long)now_ns() / 1000000, names[phase_now()],
		       (unsigned long long)done->memory, (unsigned long long)done->file, (unsigned long long)done->killed);
		nap(REPORT_NS);
	}
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("shifts: fork");
		exit(2);
	}
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* The children are what the kernel is to kill, not whoever counts them. */
static void spare(const char *how)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, how, strlen(how)) < 0)
		perror("shifts: oom_score_adj");
	close(fd);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end) {
		fprintf(stderr, "shifts: no number: %s\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		fprintf(stderr, "usage: shifts PAUSE_S MEMORY_S FILE_S MEMORY_MIB FILE_MIB PATH START_S\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 3; i++)
		day += lengths[i] = number(argv[1 + i]) * SECOND_NS;
	if (!day) {
		fprintf(stderr, "shifts: a day needs a length\n");
		return 2;
	}
	begun = now_ns() - number(argv[7]) * SECOND_NS;
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (done == MAP_FAILED) {
		perror("shifts: mmap");
		return 2;
	}
	spare("-1000");
	if (!child())
		reporter();
	for (;;) {
		enum phase phase = phase_now();
		int status;

		if (phase == PAUSE) {
			nap(SECOND_NS / 50);
		} else if (phase == FILES) {
			if (work_on_file(argv[6], number(argv[5]))) {
				perror("shifts: the file");
				return 1;
			}
		} else {
			pid_t pid = child();

			if (!pid) {
				spare("0");
				work_on_memory(number(argv[4]));
			}
			waitpid(pid, &status, 0);
			if (WIFSIGNALED(status))
				done->killed++;
			else if (WEXITSTATUS(status))
				nap(SECOND_NS / 50);
		}
	}
}
