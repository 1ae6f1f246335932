/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises about growing the balloon: when it waits, how far
 * it goes, when it stops asking. See policy_relief.h for how cases are written.
 */
#ifndef VBP_POLICY_INFLATE_H
#define VBP_POLICY_INFLATE_H

#include "policy_check.h"

POLICY_CASE(a_calm_guest_goes_to_its_target_at_once)
{
	struct guest g = new_guest(t);

	g.s.held_pages = 0;
	calm(&g);
	ask(&g);
	expect_eq(t, g.d.inflate_pages, g.s.target_pages);
	apply(&g);
	ask(&g);
	expect_eq(t, g.d.inflate_pages, 0);
	expect_eq(t, g.d.wake_ms, 0);

	/* Whatever the host asks for, never more than the guest has. */
	g.s.target_pages = ~(u64)0;
	g.s.available_pages = ~(u64)0 / 2;
	ask(&g);
	expect_le(t, g.d.inflate_pages, g.s.total_pages - g.s.held_pages);
}

POLICY_CASE(inflation_passes_through_once_read_cache)
{
	struct guest g = new_guest(t);

	/* Reclaim runs, because the balloon or a reader makes it run. */
	g.s.held_pages = 0;
	calm(&g);
	g.s.reclaim = true;
	ask(&g);
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(inflation_stops_before_the_guest_is_short)
{
	struct guest g = new_guest(t);
	unsigned int reached = 0, unreached = 0;
	u64 all = g.s.total_pages;
	u64 i;

	for (i = 0; i <= 128; i++) {
		g = new_guest(t);
		g.s.held_pages = 0;
		g.s.target_pages = all;
		g.s.available_pages = all / 128 * i;
		ask(&g);
		if (g.d.inflate_pages)
			reached++;
		if (g.d.unreached)
			unreached++;
		apply(&g);
		/* Reclaim, which inflating causes, must not undo it. */
		g.s.reclaim = true;
		ask(&g);
		if (reached)
			expect_eq(t, g.d.relief_pages, 0);
	}
	expect_gt(t, reached, 0);
	expect_gt(t, unreached, 0);
}

POLICY_CASE(a_target_out_of_reach_is_said_and_tried_again)
{
	struct guest g = new_guest(t);

	g.s.held_pages = 0;
	g.s.available_pages = guest_reserve(&g);
	ask(&g);
	expect_true(t, g.d.unreached);
	expect_eq(t, g.d.inflate_pages, 0);
	expect_ge(t, g.d.wake_ms, 100);		/* no busy loop */
	calm(&g);
	ask_at(&g, g.s.now_ms + g.d.wake_ms);
	expect_gt(t, g.d.inflate_pages, 0);
	expect_false(t, g.d.unreached);
}

POLICY_CASE(what_comes_and_goes_is_not_inflated_by)
{
	struct guest g = new_guest(t);
	u64 little = g.s.total_pages / 128;
	u64 keep = 0;
	int i;

	/* As far as it goes, beside programs that have a quarter of it all. */
	g.s.target_pages = g.s.total_pages;
	g.s.available_pages = g.s.total_pages / 4;
	for (i = 0; i < 100 && !g.d.unreached; i++) {
		ask_at(&g, g.s.now_ms + 1);
		keep = g.s.available_pages;
		apply(&g);
	}
	expect_true(t, g.d.unreached);
	for (i = 0; i < 10; i++) {
		g.s.available_pages = keep + (i % 2 ? little : 0);
		ask_at(&g, g.s.now_ms + g.d.wake_ms);
		expect_eq(t, g.d.inflate_pages, 0);
		expect_true(t, g.d.unreached);
	}
	/* What is left behind for good is. */
	g.s.available_pages = keep + 8 * little;
	ask_at(&g, g.s.now_ms + g.d.wake_ms);
	expect_gt(t, g.d.inflate_pages, 0);
	expect_false(t, g.d.unreached);
	/* All of it, though it comes in by pieces. */
	g.d.inflate_pages -= little;
	apply(&g);
	ask(&g);
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(a_quiet_guest_at_its_target_has_no_timer)
{
	struct guest g = new_guest(t);

	ask(&g);
	expect_eq(t, g.d.wake_ms, 0);
	/* Also when it was pressed once, and has grown back since. */
	relieve(&g);
	measure_wait(&g);
	while (g.s.held_pages < g.s.target_pages && !t->failed) {
		ask(&g);
		apply(&g);
		expect_gt(t, g.d.wake_ms, 0);
		g.s.now_ms += g.d.wake_ms;
	}
	ask(&g);
	expect_eq(t, g.d.wake_ms, 0);
	expect_eq(t, g.d.level, 0);
	expect_eq(t, g.d.inflate_pages, 0);
	/* And was it pressed with nothing to give, the level ends by itself. */
	g.s.floor_pages = g.s.held_pages;
	press(&g);
	ask(&g);
	expect_gt(t, g.d.level, 0);
	calm(&g);
	ask_at(&g, g.s.now_ms + g.d.wake_ms);
	expect_eq(t, g.d.wake_ms, 0);
}

POLICY_CASE(nothing_grows_within_the_hold_off)
{
	struct guest g = new_guest(t);
	u64 start = g.s.now_ms;
	u64 i;

	relieve(&g);
	for (i = 0; i < 100; i++) {
		/* Whatever the host does with its numbers meanwhile. */
		g.s.target_pages = i % 3 ? g.s.total_pages :
					   1024 * MIB_PAGES;
		g.s.floor_pages = i % 5 ? 0 : g.s.target_pages;
		ask_at(&g, start + g.config.holdoff_ms * i / 100);
		expect_eq(t, g.d.inflate_pages, 0);
		expect_gt(t, g.d.wake_ms, 0);
	}
	ask_at(&g, start + 2 * g.config.holdoff_ms);
	expect_gt(t, g.d.inflate_pages, 0);
}

/* The host lowers its target to @target at @dip_ms, and raises it afterwards. */
static void run_dip(struct policy_test *t, u64 dip_ms, bool below)
{
	struct guest g = new_guest(t);
	u64 start = g.s.now_ms;
	u64 target = g.s.target_pages;

	relieve(&g);
	g.s.target_pages = below ? g.s.held_pages / 2 : g.s.held_pages;
	ask_at(&g, start + dip_ms);
	expect_eq(t, g.d.inflate_pages, 0);
	apply(&g);
	calm(&g);
	ask_at(&g, start + dip_ms);
	g.s.target_pages = target;
	ask_at(&g, start + dip_ms + 1);
	expect_eq(t, g.d.inflate_pages, 0);
	ask_at(&g, start + g.config.holdoff_ms - 1);
	expect_eq(t, g.d.inflate_pages, 0);
	ask_at(&g, start + 2 * g.config.holdoff_ms);
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(a_target_that_dips_does_not_end_the_hold_off)
{
	u64 holdoff = new_guest(t).config.holdoff_ms;
	int below;

	for (below = 0; below <= 1; below++) {
		run_dip(t, 0, below);
		run_dip(t, 1, below);
		run_dip(t, holdoff / 2, below);
		run_dip(t, holdoff - 2, below);
	}
}

POLICY_CASE(after_relief_the_balloon_grows_in_steps)
{
	struct guest g = new_guest(t);
	unsigned int steps = 0;
	u64 held, missing;

	/* Down to nothing, so that there is far to go. */
	relieve_wholly(&g);
	missing = g.s.target_pages - g.s.held_pages;
	measure_wait(&g);
	while (g.s.held_pages < g.s.target_pages && !t->failed) {
		u64 now = g.s.now_ms;

		held = g.s.held_pages;
		expect_le(t, g.d.inflate_pages, missing / 4);
		apply(&g);
		/* Its effect is waited for: not again at the same moment. */
		ask_at(&g, now);
		expect_eq(t, g.d.inflate_pages, 0);
		if (g.s.held_pages < g.s.target_pages)
			measure_wait(&g);
		steps++;
		if (!t->failed)
			expect_gt(t, g.s.held_pages, held);
	}
	expect_gt(t, steps, 4);
	/* Grown back in peace: now it is a guest as any other. */
	ask_at(&g, g.s.now_ms + 24 * 3600 * 1000);
	g.s.target_pages += g.s.total_pages / 4;
	ask(&g);
	expect_eq(t, g.d.inflate_pages, g.s.total_pages / 4);
}

POLICY_CASE(a_step_may_be_taken_in_pieces)
{
	struct guest g = new_guest(t);
	u64 step, start, now;

	relieve_wholly(&g);
	measure_wait(&g);
	step = g.d.inflate_pages;
	start = g.s.held_pages;
	now = g.s.now_ms;
	expect_gt(t, step, 4 * BLOCK_PAGES);
	/* The mechanism inflates block by block and asks between them. */
	while (g.d.inflate_pages && !t->failed) {
		expect_eq(t, g.d.inflate_pages, start + step - g.s.held_pages);
		g.s.held_pages += g.d.inflate_pages < BLOCK_PAGES ?
				  g.d.inflate_pages : BLOCK_PAGES;
		ask_at(&g, now += 10);
	}
	expect_eq(t, g.s.held_pages, start + step);
}

POLICY_CASE(a_step_ends_with_a_relief)
{
	struct guest g = new_guest(t);
	u64 step;

	relieve_wholly(&g);
	measure_wait(&g);
	step = g.d.inflate_pages;
	expect_gt(t, step, 2 * BLOCK_PAGES);
	g.s.held_pages += 2 * BLOCK_PAGES;
	relieve(&g);
	/* The rest of that step would be the very pages just given back. */
	measure_wait(&g);
	expect_eq(t, g.d.inflate_pages, step);
}

/* One relief, the hold-off that follows, and the first step after it. */
static u64 cycle(struct guest *g)
{
	u64 wait;

	relieve(g);
	wait = measure_wait(g);
	apply(g);
	return wait;
}

static void run_cycles(struct policy_test *t, u32 holdoff_ms, u64 factor)
{
	struct guest g = new_guest(t);
	u64 first, last;
	int i;

	g.config.holdoff_ms = holdoff_ms;
	first = cycle(&g);
	last = first;
	expect_ge(t, first, holdoff_ms);
	for (i = 0; i < 20 && !t->failed; i++) {
		u64 wait;

		g.s.now_ms += 2000;
		/* Room for one more relief, wherever the last ones ended. */
		g.s.held_pages = g.s.target_pages;
		wait = cycle(&g);
		expect_ge(t, wait, last);
		if (!i && factor > 1)
			expect_gt(t, wait, first);
		expect_le(t, wait, VBP_HOLDOFF_MS_MAX);
		last = wait;
	}
	/* Bounded, but many times what it was: an alternating load settles. */
	expect_ge(t, last, factor * first);

	/* A long calm after it has grown, and it is forgotten. */
	g.s.now_ms += 2000;
	g.s.held_pages = g.s.target_pages;
	ask(&g);
	g.s.now_ms += 7 * 24 * (u64)VBP_HOLDOFF_MS_MAX;
	expect_eq(t, cycle(&g), first);
}

POLICY_CASE(pressure_that_returns_makes_the_hold_off_longer)
{
	run_cycles(t, VBP_HOLDOFF_MS_DEFAULT, 8);
	run_cycles(t, 2000, 8);
	run_cycles(t, VBP_HOLDOFF_MS_MAX, 1);
}

POLICY_CASE(a_calm_of_two_hold_offs_is_not_yet_calm)
{
	struct guest g = new_guest(t);
	u64 wait = 0;
	int i;

	/* Each as long after the last as the hold-off has become. */
	for (i = 0; i < 5; i++) {
		u64 last = wait;

		g.s.held_pages = g.s.target_pages;
		wait = cycle(&g);
		expect_gt(t, wait, last);
		g.s.now_ms += 2 * wait;
	}
}

POLICY_CASE(growing_slowly_is_no_calm)
{
	struct guest g = new_guest(t);
	u64 first, start;

	/* Pressure returns as soon as all has grown back, however long it took. */
	g.config.holdoff_ms = 2000;
	g.config.step_pct = VBP_STEP_PCT_MIN;
	relieve_wholly(&g);
	start = g.s.now_ms;
	first = measure_wait(&g);
	while (g.s.held_pages < g.s.target_pages && !t->failed) {
		apply(&g);
		if (g.s.held_pages < g.s.target_pages)
			measure_wait(&g);
	}
	expect_gt(t, g.s.now_ms - start, 10 * first);
	g.s.now_ms += 1000;
	relieve(&g);
	expect_gt(t, measure_wait(&g), first);
}

POLICY_CASE(one_slow_climb_is_one_episode)
{
	struct guest g = new_guest(t);
	u64 wait = cycle(&g);
	int i;

	g = new_guest(t);
	g.config.reserve_pct = 1;
	/*
	 * A program that grows slowly is relieved again and again. The balloon
	 * never grew between: nothing has returned, nothing was chased.
	 */
	for (i = 0; i < 5; i++) {
		relieve(&g);
		g.s.now_ms += g.config.holdoff_ms / 10;
		ask(&g);
		expect_eq(t, g.d.inflate_pages, 0);
	}
	relieve(&g);
	expect_eq(t, measure_wait(&g), wait);
}

POLICY_CASE(host_pressure_shortens_the_wait_and_enlarges_the_step)
{
	const u32 levels[] = { 0, 1, 2, 3, 4, 255, 1u << 31, ~0u };
	u64 wait = ~(u64)0;
	u64 step = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		struct guest g = new_guest(t);
		u64 now;

		g.s.host_pressure = levels[i];
		relieve_wholly(&g);
		now = measure_wait(&g);
		expect_le(t, now, wait);
		expect_ge(t, g.d.inflate_pages, step);
		if (levels[i] && levels[i] <= VBP_LEVEL_CRITICAL) {
			expect_lt(t, now, wait);
			expect_gt(t, g.d.inflate_pages, step);
		}
		wait = now;
		step = g.d.inflate_pages;
		/* A hint only: it never ends the wait altogether. */
		expect_gt(t, wait, 0);
		expect_lt(t, step, g.s.target_pages - g.s.held_pages);
	}
}

POLICY_CASE(host_pressure_does_not_touch_relief)
{
	struct guest g = new_guest(t);
	u64 relief;

	press(&g);
	ask(&g);
	relief = g.d.relief_pages;
	vbp_policy_init(&g.state);
	g.s.host_pressure = ~0u;
	ask(&g);
	expect_eq(t, g.d.relief_pages, relief);
}

POLICY_CASE(time_may_stand_still)
{
	struct guest g = new_guest(t);
	int i;

	relieve(&g);
	for (i = 0; i < 1000; i++) {
		ask(&g);
		expect_eq(t, g.d.inflate_pages, 0);
	}
	measure_wait(&g);
	apply(&g);
	for (i = 0; i < 1000; i++) {
		ask(&g);
		expect_eq(t, g.d.inflate_pages, 0);
	}
}

POLICY_CASE(time_may_go_backwards)
{
	struct guest g = new_guest(t);
	u64 wait = cycle(&g);
	const u64 jumps[] = { 1, 100, 20000, START_MS };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jumps); i++) {
		/* In the hold-off: repeated at worst, neither cut nor endless. */
		g = new_guest(t);
		relieve(&g);
		g.s.now_ms -= jumps[i];
		expect_eq(t, measure_wait(&g), wait);
		/* Between two steps. */
		g = new_guest(t);
		cycle(&g);
		g.s.now_ms -= jumps[i];
		expect_le(t, measure_wait(&g), wait);
		/* With a level up, which still ends. */
		g = new_guest(t);
		g.s.floor_pages = g.s.held_pages;
		press(&g);
		ask(&g);
		expect_gt(t, g.d.level, 0);
		g.s.reclaim = false;
		ask_at(&g, g.s.now_ms - jumps[i]);
		if (g.d.level)
			ask_at(&g, g.s.now_ms + g.d.wake_ms);
		expect_eq(t, g.d.level, 0);
	}
}

POLICY_CASE(time_may_be_anywhere)
{
	const u64 starts[] = { 0, 1, ~0u, ~(u64)0 - 1, ~(u64)0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct guest g = new_guest(t);

		/* Relief works at the first moment as at the last one. */
		g.s.now_ms = starts[i];
		relieve(&g);
		ask(&g);
		expect_eq(t, g.d.inflate_pages, 0);
		/* So do steps: one at a time. */
		if (starts[i] > ~(u64)0 - 2 * g.config.holdoff_ms)
			continue;
		measure_wait(&g);
		apply(&g);
		ask(&g);
		expect_eq(t, g.d.inflate_pages, 0);
	}
}

POLICY_CASE(a_hold_off_is_two_seconds_at_least)
{
	const u32 holdoffs[] = { 0, 1, 1999, HOLDOFF_LEAST_MS, 5000 };
	const u32 levels[] = { 0, 1, 2, 3, 255, ~0u };
	unsigned int i, j;

	expect_eq(t, VBP_HOLDOFF_MS_MIN, HOLDOFF_LEAST_MS);
	for (i = 0; i < ARRAY_SIZE(holdoffs); i++) {
		for (j = 0; j < ARRAY_SIZE(levels); j++) {
			struct guest g = new_guest(t);

			g.config.holdoff_ms = holdoffs[i];
			g.s.host_pressure = levels[j];
			relieve_wholly(&g);
			expect_ge(t, measure_wait(&g), HOLDOFF_LEAST_MS);
			/* And then in steps, however short it is. */
			expect_lt(t, g.d.inflate_pages,
				  g.s.target_pages - g.s.held_pages);
		}
	}
}

#define POLICY_INFLATE_CASES(X)						\
	X(a_calm_guest_goes_to_its_target_at_once)			\
	X(inflation_passes_through_once_read_cache)			\
	X(inflation_stops_before_the_guest_is_short)			\
	X(a_target_out_of_reach_is_said_and_tried_again)		\
	X(what_comes_and_goes_is_not_inflated_by)			\
	X(a_quiet_guest_at_its_target_has_no_timer)			\
	X(nothing_grows_within_the_hold_off)				\
	X(a_target_that_dips_does_not_end_the_hold_off)			\
	X(after_relief_the_balloon_grows_in_steps)			\
	X(a_step_may_be_taken_in_pieces)				\
	X(a_step_ends_with_a_relief)					\
	X(pressure_that_returns_makes_the_hold_off_longer)		\
	X(a_calm_of_two_hold_offs_is_not_yet_calm)			\
	X(growing_slowly_is_no_calm)					\
	X(one_slow_climb_is_one_episode)				\
	X(host_pressure_shortens_the_wait_and_enlarges_the_step)	\
	X(host_pressure_does_not_touch_relief)				\
	X(time_may_stand_still)						\
	X(time_may_go_backwards)					\
	X(time_may_be_anywhere)						\
	X(a_hold_off_is_two_seconds_at_least)

#endif /* VBP_POLICY_INFLATE_H */
