// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads the kernel that takes over when this one crashes, as `kexec -p` does:
 *
 *	crashload KERNEL INITRD PARAMETERS
 *
 * The kernel adds what tells the other one that it is a crash kernel (elfcorehdr=), and where its memory is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc != 4) {
		fprintf(stderr, "usage: crashload KERNEL INITRD PARAMETERS\n");
		return 2;
	}
	kernel = open(argv[1], O_RDONLY | O_CLOEXEC);
	initrd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (kernel < 0 || initrd < 0) {
		fprintf(stderr, "crashload: %s: %s\n", argv[kernel < 0 ? 1 : 2], strerror(errno));
		return 1;
	}
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], KEXEC_FILE_ON_CRASH)) {
		fprintf(stderr, "crashload: kexec_file_load: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
