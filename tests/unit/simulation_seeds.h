/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Seeds that failed once: lived first in each run. (Those of places, with a
 * mutant only: the rules are older than these lives.) A change of the model makes
 * other lives of them; then look with the fault put back (simulation_mutants.py)
 * for a seed that shows it.
 */
#ifndef VBP_SIMULATION_SEEDS_H
#define VBP_SIMULATION_SEEDS_H

static const struct {
	u64 seed;
	const char *why;
} kept_seeds[] = {
	{ 8, "a trial that had given all could not fail: kept for ever" },
	{ 1156, "growing back took long and counted as calm: no backoff" },
	{ 1472, "kswapd's bursts beside a stream: all of it given back" },
	{ 3237, "what was not yet written was available: swapped out" },
	{ 5617, "after a trial the other way it grew to where an old step ended" },
	{ 253, "a node was short, and got what lay in the other" },
	{ 1801, "the kernel's zones were taken until they were short" },
	{ 15203, "an idle guest tried every four seconds what does not give way" },
	{ 622, "a cgroup looked at while the balloon grew: level 2" },
};

#endif /* VBP_SIMULATION_SEEDS_H */
