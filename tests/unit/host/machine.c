// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lives of whole hosts, one a seed: `host_simulation` lives the kept seeds and
 * then VBP_SEEDS others from VBP_FIRST_SEED on, until VBP_FAILURES of them have
 * failed; `VBP_SEED=N host_simulation` lives that one alone and tells what
 * happens. VBP_GUESTS=N says how many guests there are. `host_simulation
 * ten|many FILE` writes the figures of a host whose life is drawn, and
 * `host_simulation shifts` prints those of machine_shifts.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number_from.h"
#include "machine_worlds.h"
#include "machine_plot.h"
#include "machine_shifts.h"
#include "machine_seeds.h"

#define DEFAULT_SEEDS	1000
#define GUESTS_MOST	50

static struct {
	u64 looked[VERDICT_COUNT];
	u64 lives, guests, ms, short_ms, outs, kills, wants_ms;
	double jain_least;
} sum = { .jain_least = 1 };

/* Returns false if it failed. */
static bool live_seed(u64 seed, u64 guests, u64 world, bool trace)
{
	struct machine m = { .seed = seed, .trace = trace, .jain = 1 };
	u32 i, most;

	m.only = number_from("VBP_VERDICT", NEVER);
	m.chance = (seed + 1) * 0x9e3779b97f4a7c15ull;
	for (i = 0; i < 4; i++)
		any(&m.chance);
	/* Half of all hosts have no more than eight. */
	most = one_in(&m.chance, 2) ? 8 : GUESTS_MOST;
	m.count = guests != NEVER ? (u32)guests : 1 + below(&m.chance, most);
	i = below(&m.chance, ARRAY_SIZE(host_worlds));
	if (world != NEVER)
		i = (u32)world % ARRAY_SIZE(host_worlds);
	m.world = host_worlds[i].name;
	host_worlds[i].live(&m);
	for (i = 0; i < VERDICT_COUNT; i++)
		sum.looked[i] += m.looked[i];
	for (i = 0; i < m.count; i++)
		sum.kills += m.vms[i].kills;
	sum.lives++;
	sum.guests += m.count;
	sum.ms += m.ms;
	sum.short_ms += m.short_ms;
	sum.outs += m.outs;
	sum.wants_ms += m.wants_ms;
	if (m.jain < sum.jain_least)
		sum.jain_least = m.jain;
	if (m.failed)
		printf("VBP_SEED=%llu: %s\n", (unsigned long long)seed, m.why);
	free(m.vms);
	return !m.failed;
}

static void report(void)
{
	printf("%llu hosts, %llu guests, %.1f hours, %.1f %% of them short; "
	       "ran out %llu times; %llu kills; guests short for %llu s; "
	       "Jain's index %.3f at least\n",
	       (unsigned long long)sum.lives, (unsigned long long)sum.guests,
	       sum.ms / 3600000.0,
	       100.0 * sum.short_ms / sum.ms, (unsigned long long)sum.outs,
	       (unsigned long long)sum.kills,
	       (unsigned long long)sum.wants_ms / 1000,
	       sum.jain_least);
}

int main(int argc, char **argv)
{
	u64 first = number_from("VBP_FIRST_SEED", 1);
	u64 count = number_from("VBP_SEEDS", DEFAULT_SEEDS);
	u64 alone = number_from("VBP_SEED", NEVER);
	u64 guests = number_from("VBP_GUESTS", NEVER);
	u64 world = number_from("VBP_WORLD", NEVER);
	u64 most = number_from("VBP_FAILURES", 1);
	u64 failures = 0, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2)
		return plot_host(argv[1], argv[2]);
	if (argc > 1 && !strcmp(argv[1], "shifts"))
		return print_shifts();
	if (alone != NEVER)
		return !live_seed(alone, guests, world, true);
	for (i = 0; guests == NEVER && i < ARRAY_SIZE(kept_hosts); i++) {
		if (live_seed(kept_hosts[i].seed, NEVER, NEVER, false))
			continue;
		printf("kept, because: %s\n", kept_hosts[i].why);
		failures++;
	}
	for (i = first; i < first + count && failures < most; i++)
		failures += !live_seed(i, guests, world, false);
	if (failures) {
		report();
		return 1;
	}
	/* A few seeds of one kind don't look at everything. */
	for (i = 0; guests == NEVER && world == NEVER && i < VERDICT_COUNT; i++) {
		if (sum.looked[i])
			continue;
		printf("nobody looked whether %s\n", verdict_texts[i]);
		return 1;
	}
	report();
	return 0;
}
