/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Seeds that failed once: lived first in each run. A change of the model makes
 * other lives of them; see ../simulation_seeds.h.
 */
#ifndef VBP_HOST_MACHINE_SEEDS_H
#define VBP_HOST_MACHINE_SEEDS_H

static const struct {
	u64 seed;
	const char *why;
} kept_hosts[] = {
	{ 529, "promised beyond its size, a guest also used what it had never used" },
	{ 2021, "a 32nd of its RAM was promised to each, however little was left" },
};

#endif /* VBP_HOST_MACHINE_SEEDS_H */
