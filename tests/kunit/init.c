// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only program in the KUnit guest: loads the suite, which runs it, says
 * whether that worked, and restarts, on which the emulator ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SUITE	"/policy_kunit.ko"

int main(void)
{
	int fd = open(SUITE, O_RDONLY | O_CLOEXEC);
	int status = -1;

	if (fd >= 0)
		status = syscall(SYS_finit_module, fd, "", 0);
	if (status)
		printf("kunit-init: cannot load the suite: %s\n",
		       strerror(errno));
	else if (syscall(SYS_delete_module, "policy_kunit", O_NONBLOCK))
		printf("kunit-init: cannot unload the suite: %s\n",
		       strerror(errno));
	else
		printf("kunit-init: done\n");
	fflush(stdout);
	reboot(RB_AUTOBOOT);
	return 1;
}
