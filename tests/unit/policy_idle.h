/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises a host that is critical: a guest that has nothing to
 * do gives what it does not need soon, however often it needed it again before.
 */
#ifndef VBP_POLICY_IDLE_H
#define VBP_POLICY_IDLE_H

#include "policy_check.h"

/* It has needed its memory again and again, and is calm now. */
static struct guest new_needed(struct policy_test *t, u32 level, bool idle)
{
	struct guest g = new_guest(t);

	g.s.host_pressure = level;
	relieve_wholly(&g);
	g.state.backoff = 3;
	g.s.idle = idle;
	return g;
}

POLICY_CASE(an_idle_guest_waits_for_one_hold_off_while_the_host_is_critical)
{
	struct guest busy = new_needed(t, VBP_LEVEL_CRITICAL, false);
	struct guest idle = new_needed(t, VBP_LEVEL_CRITICAL, true);

	expect_eq(t, measure_wait(&idle), guest_holdoff(&idle));
	expect_eq(t, measure_wait(&busy), 8 * guest_holdoff(&busy));
}

POLICY_CASE(an_idle_guest_waits_as_any_other_while_the_host_is_not_critical)
{
	u32 level;

	for (level = VBP_LEVEL_NONE; level < VBP_LEVEL_CRITICAL; level++) {
		struct guest busy = new_needed(t, level, false);
		struct guest idle = new_needed(t, level, true);

		expect_eq(t, measure_wait(&idle), measure_wait(&busy));
	}
}

/* Nobody but the balloon needed it: each time it went too far, for it tries. */
POLICY_CASE(an_idle_guest_waits_as_any_other_while_its_balloon_tries)
{
	struct guest busy = new_needed(t, VBP_LEVEL_CRITICAL, false);
	struct guest idle = new_needed(t, VBP_LEVEL_CRITICAL, true);

	busy.state.yield.yields = true;
	idle.state.yield.yields = true;
	expect_eq(t, measure_wait(&idle), measure_wait(&busy));
}

POLICY_CASE(a_guest_that_has_become_idle_is_seen_soon)
{
	struct guest g = new_needed(t, VBP_LEVEL_CRITICAL, false);
	u64 end = g.s.now_ms + 2 * guest_holdoff(&g);

	while (g.s.now_ms < end) {
		ask(&g);
		expect_eq(t, g.d.inflate_pages, 0);
		expect_le(t, g.d.wake_ms, IDLE_LOOK_MS);
		g.s.now_ms += g.d.wake_ms;
	}
	g.s.idle = true;
	expect_le(t, measure_wait(&g), IDLE_LOOK_MS);
}

POLICY_CASE(nobody_is_woken_in_vain_to_see_whether_a_guest_is_idle)
{
	struct guest g = new_needed(t, VBP_LEVEL_MEDIUM, false);

	ask_at(&g, g.s.now_ms + 2 * CALM_MS);
	expect_gt(t, g.d.wake_ms, 2 * IDLE_LOOK_MS);
	/* It needed it once: an idle guest waits as long. */
	g = new_needed(t, VBP_LEVEL_CRITICAL, false);
	g.config.holdoff_ms *= 8;
	g.state.backoff = 0;
	ask_at(&g, g.s.now_ms + 2 * CALM_MS);
	expect_gt(t, g.d.wake_ms, 2 * IDLE_LOOK_MS);
}

#define POLICY_IDLE_CASES(X)						\
	X(an_idle_guest_waits_for_one_hold_off_while_the_host_is_critical) \
	X(an_idle_guest_waits_as_any_other_while_the_host_is_not_critical) \
	X(an_idle_guest_waits_as_any_other_while_its_balloon_tries)	\
	X(a_guest_that_has_become_idle_is_seen_soon)			\
	X(nobody_is_woken_in_vain_to_see_whether_a_guest_is_idle)

#endif /* VBP_POLICY_IDLE_H */
