// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of kernels that oops with a gap among the queues, which Debian no
 * longer has: the releases on both sides of each edge. Without a word if all are
 * as they should be.
 */
#include <stdbool.h>
#include <stdio.h>

typedef unsigned int u32;
#define OPTIMIZER_HIDE_VAR(variable)	((void)(variable))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
/* What else is in there is the kernel's business. */
#define VBP_HAVE_RESET_DEVICE
#define VBP_HAVE_VIRTQUEUE_INFO
#include <linux/virtio_config.h>

static const struct {
	unsigned int a, b, c;
	bool oopses;
} kernels[] = {
	{ 5, 10, 262, false },
	{ 6, 1, 192, false },
	{ 6, 10, 14, false },
	{ 6, 11, 0, true },
	{ 6, 12, 0, true },
	{ 6, 12, 95, true },
	{ 6, 12, 96, false },
	{ 6, 12, 255, false },
	{ 6, 13, 0, true },
	{ 6, 17, 13, true },
	{ 6, 18, 38, true },
	{ 6, 18, 39, false },
	{ 6, 19, 0, true },
	{ 7, 1, 3, true },
	{ 7, 1, 4, false },
	{ 7, 2, 0, false },
	{ 7, 3, 4, false },
};

int main(void)
{
	int failed = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		u32 version = KERNEL_VERSION(kernels[i].a, kernels[i].b,
					     kernels[i].c);

		if (vbp_compat_gap_oopses_in(version) == kernels[i].oopses)
			continue;
		printf("%u.%u.%u\n", kernels[i].a, kernels[i].b, kernels[i].c);
		failed = 1;
	}
	return failed;
}
