// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lives of a guest with a balloon, one a seed: `simulation` lives the kept seeds
 * and then VBP_SEEDS others from VBP_FIRST_SEED on, until VBP_FAILURES of them
 * have failed; `VBP_SEED=N simulation` lives that one alone and tells what
 * happens.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number_from.h"
#include "simulation_worlds.h"
#include "simulation_seeds.h"

#define DEFAULT_SEEDS	2000

static u64 looked[PROPERTY_COUNT];
static u64 lives, lived_ms;

/* Returns false if it failed. */
static bool live_seed(u64 seed, bool trace)
{
	struct simulation s = { .seed = seed, .trace = trace };
	int i;

	/* Neighbours must not live alike. */
	s.chance = (seed + 1) * 0x9e3779b97f4a7c15ull;
	for (i = 0; i < 4; i++)
		any(&s.chance);
	live(&s);
	for (i = 0; i < PROPERTY_COUNT; i++)
		looked[i] += s.looked[i];
	lives++;
	lived_ms += s.ms;
	if (s.t.failed)
		printf("VBP_SEED=%llu: %s\n", (unsigned long long)seed,
		       s.t.why);
	return !s.t.failed;
}

int main(void)
{
	u64 first = number_from("VBP_FIRST_SEED", 1);
	u64 count = number_from("VBP_SEEDS", DEFAULT_SEEDS);
	u64 alone = number_from("VBP_SEED", NEVER);
	u64 most = number_from("VBP_FAILURES", 1);
	u64 failures = 0;
	u64 i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (alone != NEVER)
		return !live_seed(alone, true);
	for (i = 0; i < ARRAY_SIZE(kept_seeds); i++) {
		if (live_seed(kept_seeds[i].seed, false))
			continue;
		printf("kept, because: %s\n", kept_seeds[i].why);
		failures++;
	}
	for (i = first; i < first + count && failures < most; i++)
		failures += !live_seed(i, false);
	if (failures)
		return 1;
	for (i = 0; i < PROPERTY_COUNT; i++) {
		if (looked[i])
			continue;
		printf("nobody looked whether %s\n", property_texts[i]);
		return 1;
	}
	printf("%llu lives of %llu hours\n", (unsigned long long)lives,
	       (unsigned long long)lived_ms / 3600000);
	return 0;
}
