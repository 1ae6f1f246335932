// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's end of the control channel: process 1 of the test guest, serving commands that arrive on a serial port of
 * their own (the console is another one, and nothing under test is in the path).
 *
 * It has to answer while the guest is starved of memory: everything is allocated at start and locked, the OOM killer
 * leaves it alone, and reading and writing files works without starting a process.
 *
 * Requests from the host, answers from the guest (ID is chosen by the host, LEN counts the bytes that follow the newline):
 *
 *	run ID LEN\n<command>	run `sh -c command`: any number of "out", then one "end"
 *	kill ID SIGNAL\n	signal that command's process group; no answer of its own
 *	get ID LEN\n<path>	the file's content as "out", then "end" with 0 or an errno
 *	put ID LEN\n<path>\0<data>	write data to the file in one write(); "end" with 0 or an errno
 *
 *	hello VERSION\n		once, when ready
 *	out ID LEN\n<bytes>	output of a command, stdout and stderr as they come
 *	end ID STATUS\n		exit status; 128 + signal if killed by one
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PROTOCOL_VERSION 1
#define MAX_JOBS 32
#define MAX_REQUEST (64 * 1024)
#define MAX_HEADER 64

struct job {
	bool used;
	unsigned int id;
	pid_t pid;
	int fd;			/* its output; -1 once it has ended */
	bool exited;
	int status;
};

static struct job jobs[MAX_JOBS];
static char request[MAX_REQUEST + 1];
static char copy[16 * 1024];
static int tty_in, tty_out;

/* Nothing can be reported without the channel, and process 1 must not end: say it on the console and let the host time out. */
static void fatal(const char *what)
{
	dprintf(STDERR_FILENO, "vbp-agent: fatal: %s: %s\n", what, strerror(errno));
	for (;;)
		pause();
}

static void send_all(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(tty_out, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fatal("write to the control port");
		data += n;
		len -= n;
	}
}

static void __attribute__((format(printf, 1, 2))) send_line(const char *format, ...)
{
	char line[MAX_HEADER];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	send_all(line, strlen(line));
}

static void send_output(unsigned int id, const char *data, size_t len)
{
	send_line("out %u %zu\n", id, len);
	send_all(data, len);
}

static void read_exactly(char *data, size_t len)
{
	while (len) {
		ssize_t n = read(tty_in, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fatal("read from the control port");
		data += n;
		len -= n;
	}
}

static void start_job(unsigned int id, char *command)
{
	static char arg_sh[] = "sh", arg_c[] = "-c";
	char *argv[] = { arg_sh, arg_c, command, NULL };
	sigset_t none;
	struct job *job = NULL;
	int fds[2];
	pid_t pid;

	for (int i = 0; i < MAX_JOBS && !job; i++)
		if (!jobs[i].used)
			job = &jobs[i];
	if (!job || pipe2(fds, O_CLOEXEC)) {
		send_output(id, "vbp-agent: too many commands\n", 29);
		send_line("end %u 126\n", id);
		return;
	}
	sigemptyset(&none);
	/*
	 * vfork: no page tables to copy when there is no memory for them. The child makes only system calls, all on
	 * memory that it does not change.
	 */
	pid = vfork();
	if (pid == 0) {
		int adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

		/* The program must be an ordinary one again: neither spared by the OOM killer nor favoured. */
		if (adj < 0 || write(adj, "0", 1) != 1 || setpriority(PRIO_PROCESS, 0, 0))
			_exit(126);
		setsid();
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv("/bin/sh", argv);
		_exit(127);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		send_output(id, "vbp-agent: fork failed\n", 23);
		send_line("end %u 126\n", id);
		return;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*job = (struct job){ .used = true, .id = id, .pid = pid, .fd = fds[0] };
}

/* Returns false when there is nothing (more) to read now or ever. */
static bool forward_output(struct job *job)
{
	ssize_t n = read(job->fd, copy, sizeof(copy));

	if (n > 0) {
		send_output(job->id, copy, n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(job->fd);
		job->fd = -1;
	}
	return false;
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MAX_JOBS; i++)
			if (jobs[i].used && jobs[i].pid == pid) {
				jobs[i].exited = true;
				jobs[i].status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
								     : WEXITSTATUS(status);
			}

	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];

		if (!job->used || !job->exited)
			continue;
		/* What it wrote before it ended; a child it left behind may hold the pipe open, and is not waited for. */
		while (job->fd >= 0 && forward_output(job))
			;
		if (job->fd >= 0)
			close(job->fd);
		send_line("end %u %d\n", job->id, job->status);
		job->used = false;
	}
}

static void get_file(unsigned int id, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		while ((n = read(fd, copy, sizeof(copy))) > 0)
			send_output(id, copy, n);
	}
	send_line("end %u %d\n", id, n < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

static void put_file(unsigned int id, const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int error = 0;

	if (fd < 0)
		error = errno;
	else if (write(fd, data, len) != (ssize_t)len)
		error = errno ? errno : EIO;
	if (fd >= 0 && close(fd) && !error)
		error = errno;
	send_line("end %u %d\n", id, error);
}

static void serve_request(void)
{
	char header[MAX_HEADER], verb[8];
	unsigned int id, number;
	size_t used = 0;

	do {
		if (used == sizeof(header) - 1) {
			errno = EMSGSIZE;
			fatal("request header");
		}
		read_exactly(&header[used], 1);
	} while (header[used++] != '\n');
	header[used] = '\0';
	if (sscanf(header, "%7s %u %u\n", verb, &id, &number) != 3) {
		errno = EBADMSG;
		fatal("request header");
	}

	if (!strcmp(verb, "kill")) {
		for (int i = 0; i < MAX_JOBS; i++)
			if (jobs[i].used && jobs[i].id == id)
				kill(-jobs[i].pid, number);
		return;
	}
	if (number > MAX_REQUEST) {
		errno = EMSGSIZE;
		fatal("request");
	}
	read_exactly(request, number);
	request[number] = '\0';
	errno = 0;
	if (!strcmp(verb, "run")) {
		start_job(id, request);
	} else if (!strcmp(verb, "get")) {
		get_file(id, request);
	} else if (!strcmp(verb, "put")) {
		size_t path = strlen(request) + 1;

		if (path > number) {
			errno = EBADMSG;
			fatal("put");
		}
		put_file(id, request, request + path, number - path);
	} else {
		errno = EBADMSG;
		fatal(verb);
	}
}

static void on_child(int signal)
{
	(void)signal;	/* only has to interrupt ppoll() */
}

static void open_port(const char *path)
{
	struct termios raw;

	tty_in = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty_in < 0)
		fatal(path);
	/* A virtio-serial port is no terminal, and nobody can open it twice. */
	if (!isatty(tty_in)) {
		tty_out = tty_in;
		return;
	}
	tty_out = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (tty_out < 0 || tcgetattr(tty_in, &raw))
		fatal(path);
	cfmakeraw(&raw);
	raw.c_cflag |= CLOCAL | CREAD;
	cfsetspeed(&raw, B115200);
	if (tcsetattr(tty_in, TCSANOW, &raw))
		fatal(path);
}

/*
 * Lets the kernel believe that its random numbers are good, now, while nothing else runs. Otherwise that happens a minute later,
 * and it then patches getrandom() while programs are in it, in which QEMU's emulation was seen to turn in circles for ever.
 */
static void end_crng_init(void)
{
	struct {
		struct rand_pool_info info;
		char seed[32];
	} pool = { .info = { .entropy_count = 256, .buf_size = sizeof(pool.seed) } };
	int fd = open("/dev/random", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool))
		fatal("/dev/random");
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction child = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP };
	sigset_t blocked, waiting;
	int adj;

	if (argc != 2) {
		errno = EINVAL;
		fatal("usage: vbp-agent SERIAL-PORT");
	}
	adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (adj < 0 || write(adj, "-1000", 5) != 5)
		fatal("oom_score_adj");
	close(adj);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		fatal("mlockall");
	setpriority(PRIO_PROCESS, 0, -20);
	end_crng_init();

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	sigaction(SIGCHLD, &child, NULL);
	signal(SIGPIPE, SIG_IGN);

	open_port(argv[1]);
	send_line("hello %d\n", PROTOCOL_VERSION);

	for (;;) {
		struct pollfd fds[MAX_JOBS + 1] = { { .fd = tty_in, .events = POLLIN } };

		for (int i = 0; i < MAX_JOBS; i++) {
			fds[i + 1].fd = jobs[i].used ? jobs[i].fd : -1;
			fds[i + 1].events = POLLIN;
		}
		if (ppoll(fds, MAX_JOBS + 1, NULL, &waiting) < 0 && errno != EINTR)
			fatal("ppoll");
		for (int i = 0; i < MAX_JOBS; i++)
			if (fds[i + 1].revents && jobs[i].used && jobs[i].fd >= 0)
				forward_output(&jobs[i]);
		reap();
		if (fds[0].revents & POLLIN)
			serve_request();
	}
}
