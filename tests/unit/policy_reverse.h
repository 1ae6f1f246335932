/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises where memory is missed and nothing can be given back:
 * the balloon is empty, or at its floor. Then it is tried the other way.
 */
#ifndef VBP_POLICY_REVERSE_H
#define VBP_POLICY_REVERSE_H

#include "policy_missed.h"

/* Page cache is missed, and the balloon is empty, though the host wants one. */
static struct guest new_bare_reader(struct policy_test *t)
{
	struct guest g = new_reader(t);

	g.s.held_pages = 0;
	g.s.available_pages = g.s.total_pages / 16 * 15;
	g.s.cache_pages = g.s.available_pages;
	return g;
}

/* Misses @refaults at each look. Ends after @ms, or when it is to grow. */
static void miss_so_many(struct guest *g, u64 ms, u64 refaults)
{
	u64 end = g->s.now_ms + ms;

	do {
		read_on(g, MANY, refaults);
	} while (!g->d.inflate_pages && g->s.now_ms < end && !g->t->failed);
}

/* Misses @before at each look until a step is to go in, which it does at once. */
static u64 take_step(struct guest *g, u64 before)
{
	u64 step;

	miss_so_many(g, 3600000, before);
	step = g->d.inflate_pages;
	expect_gt(g->t, step, 0);
	expect_eq(g->t, g->d.level, 0);
	apply(g);
	return step;
}

POLICY_CASE(a_guest_that_misses_what_never_fits_is_ballooned)
{
	struct guest g = new_bare_reader(t);
	u64 end = g.s.now_ms + 20 * (u64)g.config.holdoff_ms;
	u64 level_ends = g.s.now_ms + 2 * (u64)g.config.holdoff_ms;

	while (g.s.held_pages < g.s.target_pages && g.s.now_ms < end &&
	       !t->failed) {
		miss_so_many(&g, LOOK_MS, MANY);
		expect_eq(t, g.d.relief_pages, 0);
		apply(&g);
		if (g.s.now_ms > level_ends)
			expect_eq(t, g.d.level, 0);
	}
	expect_eq(t, g.s.held_pages, g.s.target_pages);
	/* As good as tried. */
	for (end = g.s.now_ms + 2 * g.config.holdoff_ms; g.s.now_ms < end;) {
		miss_so_many(&g, LOOK_MS, MANY);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
	}
	/* From then on, as if it had been inflated before. */
	end = g.s.now_ms + 2 * g.config.holdoff_ms;
	while (!g.d.relief_pages && g.s.now_ms < end)
		miss_so_many(&g, LOOK_MS, MANY);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_is_missed_more_for_a_step_gets_it_back)
{
	struct guest g = new_bare_reader(t);
	u64 end, grown;

	take_step(&g, MANY / 2);
	grown = g.s.now_ms;
	/* More by half. */
	while (g.s.held_pages && g.s.now_ms < grown + 3600000 && !t->failed) {
		miss_so_many(&g, LOOK_MS, MANY / 4 * 3);
		expect_eq(t, g.d.inflate_pages, 0);
		apply(&g);
	}
	expect_le(t, g.s.now_ms - grown, g.config.holdoff_ms + 1000);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
	expect_true(t, g.d.refault);
	/* Then as after a trial that failed, the hold-off no longer for it. */
	expect_eq(t, g.state.backoff, 0);
	for (end = g.s.now_ms + 2 * g.config.holdoff_ms; g.s.now_ms < end;) {
		miss_so_many(&g, LOOK_MS, MANY / 2);
		expect_eq(t, g.d.inflate_pages, 0);
		expect_true(t, g.d.unreached || g.d.level == VBP_LEVEL_LOW);
		expect_eq(t, g.d.wanted_pages, 0);
	}
	/* And it is tried again. */
	take_step(&g, MANY / 2);
	expect_le(t, g.s.now_ms - end, 2 * g.config.holdoff_ms);
}

POLICY_CASE(what_is_missed_a_little_more_keeps_nothing)
{
	struct guest g = new_bare_reader(t);
	u64 first = take_step(&g, MANY / 2);

	/* By a tenth. */
	expect_gt(t, take_step(&g, MANY / 20 * 11), first);
	expect_gt(t, g.s.held_pages, first);
}

POLICY_CASE(a_step_is_twice_the_one_before)
{
	struct guest g = new_bare_reader(t);
	u64 step = take_step(&g, MANY);

	expect_eq(t, step, guest_growth(&g));
	expect_eq(t, take_step(&g, MANY), 2 * step);
	expect_eq(t, take_step(&g, MANY), 4 * step);
}

POLICY_CASE(tried_the_other_way_it_grows_no_faster_than_by_steps)
{
	struct guest g = new_bare_reader(t);
	u64 start, most;

	g.config.holdoff_ms = HOLDOFF_LEAST_MS;
	take_step(&g, MANY);
	for (start = g.s.now_ms; g.s.now_ms < start + 60000 && !t->failed;) {
		most = (2 + (g.s.now_ms - start) / 1000) * guest_growth(&g);
		expect_le(t, g.s.held_pages, most);
		miss_so_many(&g, LOOK_MS, MANY);
		apply(&g);
	}
}

POLICY_CASE(small_rises_add_up)
{
	struct guest g = new_bare_reader(t);
	u64 refaults = MANY / 4;
	int i;

	/* By a fifth for each step: the second one is too much. */
	for (i = 0; i < 5 && !g.d.relief_pages && !t->failed; i++) {
		take_step(&g, refaults);
		refaults += refaults / 5;
		miss_so_many(&g, g.config.holdoff_ms / 2, refaults);
		while (!g.d.relief_pages && !g.d.inflate_pages && !t->failed)
			miss_so_many(&g, LOOK_MS, refaults);
		if (g.d.inflate_pages)
			g.d.inflate_pages = 0;	/* as take_step() sees it */
	}
	expect_eq(t, i, 2);
}

POLICY_CASE(a_step_that_goes_in_slowly_is_not_its_own_sign)
{
	struct guest g = new_bare_reader(t);
	u64 end, step;

	miss_so_many(&g, 3600000, MANY / 4);
	step = g.d.inflate_pages;
	expect_gt(t, step, 0);
	/* It evicts what is then missed, until all of it is in. */
	for (end = g.s.now_ms + g.config.holdoff_ms / 2; g.s.now_ms < end;) {
		g.s.held_pages = min(g.s.held_pages + 1, step - 1);
		miss_so_many(&g, LOOK_MS, MANY);
		expect_eq(t, g.d.relief_pages, 0);
	}
	g.s.held_pages = step;
	expect_gt(t, take_step(&g, MANY / 4), 0);
	expect_eq(t, g.state.refault.fails, 0);
}

POLICY_CASE(a_step_that_never_goes_in_ends)
{
	struct guest g = new_bare_reader(t);
	u64 end;

	miss_so_many(&g, 3600000, MANY);
	expect_gt(t, g.d.inflate_pages, 0);
	/* No page is to be had. */
	for (end = g.s.now_ms + g.config.holdoff_ms / 2 * 3; g.s.now_ms < end;)
		read_on(&g, MANY, MANY);
	expect_eq(t, g.d.inflate_pages, 0);
	expect_eq(t, g.d.level, 0);
	/* What is missed the more from then on is not the balloon's doing. */
	for (end = g.s.now_ms + 2 * g.config.holdoff_ms; g.s.now_ms < end;) {
		read_on(&g, 2 * MANY, 2 * MANY);
		expect_eq(t, g.d.relief_pages, 0);
	}
}

POLICY_CASE(nothing_is_tried_the_other_way_within_the_hold_off)
{
	struct guest g = new_guest(t);
	u64 relieved;

	/* All given back twice, so that the hold-off is twice as long. */
	relieve_wholly(&g);
	measure_wait(&g);
	apply(&g);
	relieve_wholly(&g);
	relieved = g.s.now_ms;
	g.s.headroom_pages = 0;
	g.s.cache_pages = g.s.available_pages;
	g.s.reclaim = true;
	while (!g.d.inflate_pages && g.s.now_ms < relieved + 3600000) {
		miss_so_many(&g, LOOK_MS, MANY);
		/* The host is not told of it for so long. */
		if (g.s.now_ms - relieved > g.config.holdoff_ms / 2 * 3)
			expect_eq(t, g.d.level, 0);
	}
	expect_gt(t, g.d.inflate_pages, 0);
	expect_ge(t, g.s.now_ms - relieved, 2 * g.config.holdoff_ms);
}

/* From now on there is room: what is missed takes nothing from the balloon. */
static void expect_nothing_back(struct guest *g)
{
	u64 end = g->s.now_ms + 2 * g->config.holdoff_ms;

	g->s.headroom_pages = g->s.total_pages / 4;
	while (g->s.now_ms < end && !g->t->failed) {
		read_on(g, 2 * MANY, 2 * MANY);
		expect_eq(g->t, g->d.relief_pages, 0);
	}
}

POLICY_CASE(a_trial_the_other_way_that_was_interrupted_is_none)
{
	struct guest g = new_bare_reader(t);
	u64 end;

	take_step(&g, MANY / 4);
	read_on(&g, MANY, MANY / 4);
	ask_at(&g, g.s.now_ms + 10000);
	expect_nothing_back(&g);
	/* Looked at all the time, but nothing was missed. */
	g = new_bare_reader(t);
	take_step(&g, MANY / 4);
	read_on(&g, MANY, MANY / 4);
	for (end = g.s.now_ms + 2000; g.s.now_ms < end;)
		read_on(&g, 0, 0);
	expect_nothing_back(&g);
}

/* Tries the other way, and loses. */
static void lose(struct guest *g)
{
	u64 end;

	take_step(g, MANY / 4);
	for (end = g->s.now_ms + 2 * g->config.holdoff_ms;
	     g->s.held_pages && g->s.now_ms < end && !g->t->failed;) {
		read_on(g, MANY, MANY);
		apply(g);
	}
	expect_eq(g->t, g->s.held_pages, 0);
}

POLICY_CASE(what_is_lost_the_other_way_makes_no_hold_off_longer)
{
	struct guest g = new_bare_reader(t);

	lose(&g);
	lose(&g);
	expect_eq(t, g.state.backoff, 0);
}

POLICY_CASE(what_is_missed_no_more_denies_nothing)
{
	struct guest g = new_bare_reader(t);
	u64 end;

	lose(&g);
	for (end = g.s.now_ms + 300000; g.s.now_ms < end && !t->failed;) {
		read_on(&g, MANY, 0);
		apply(&g);
	}
	expect_eq(t, g.s.held_pages, g.s.target_pages);
	/* And another trial's failure is not this one's. */
	g.s.cache_pages = g.s.total_pages / 16;
	miss_for(&g, 5000);
	expect_lt(t, g.s.held_pages, g.s.target_pages);
	miss_for(&g, g.config.holdoff_ms + 1000);
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(nothing_is_tried_the_other_way_while_pages_are_free)
{
	struct guest g = new_bare_reader(t);
	u64 end;

	g.s.headroom_pages = g.s.total_pages / 4;
	g.s.free_pages = g.s.headroom_pages;
	for (end = g.s.now_ms + 3 * g.config.holdoff_ms; g.s.now_ms < end;) {
		read_on(&g, MANY, MANY);
		expect_eq(t, g.d.inflate_pages, 0);
	}
	/* A measure of then says nothing of now. */
	g.s.headroom_pages = 0;
	miss_so_many(&g, g.config.holdoff_ms / 2, MANY);
	expect_eq(t, g.d.inflate_pages, 0);
}

POLICY_CASE(nothing_is_tried_the_other_way_below_the_reserve)
{
	struct guest g = new_bare_reader(t);
	u64 end;

	g.s.available_pages = guest_reserve(&g);
	for (end = g.s.now_ms + 3 * g.config.holdoff_ms; g.s.now_ms < end;) {
		read_on(&g, MANY, MANY);
		expect_eq(t, g.d.inflate_pages, 0);
	}
	expect_true(t, g.d.unreached);
	/* Nor in the first seconds of a guest. */
	g = new_bare_reader(t);
	g.config.boot_ms = START_MS + 4 * g.config.holdoff_ms;
	miss_so_many(&g, 3600000, MANY);
	expect_ge(t, g.s.now_ms, g.config.boot_ms);
}

POLICY_CASE(need_ends_a_trial_the_other_way)
{
	struct guest g = new_bare_reader(t);
	u64 available = g.s.available_pages;

	take_step(&g, MANY / 2);
	read_on(&g, MANY, MANY / 2);
	press(&g);
	read_on(&g, MANY, MANY / 2);
	expect_gt(t, g.d.relief_pages, 0);
	g.s.held_pages -= BLOCK_PAGES;		/* a part of it only */
	g.s.available_pages = available;
	/* No second relief for the same. */
	expect_nothing_back(&g);
}

POLICY_CASE(a_hook_gives_no_part_of_a_step_back)
{
	struct guest g = new_bare_reader(t);
	u64 end, step;

	step = take_step(&g, MANY / 4);
	read_on(&g, MANY, MANY);
	g.s.limit_pages = step - 1;
	for (end = g.s.now_ms + g.config.holdoff_ms; g.s.now_ms < end;) {
		read_on(&g, MANY, MANY);
		expect_eq(t, g.d.relief_pages, 0);
	}
	g.s.limit_pages = ~(u64)0;
	read_on(&g, MANY, MANY);
	expect_eq(t, g.d.relief_pages, step);
}

POLICY_CASE(a_floor_that_denies_what_is_missed_is_not_told_of_for_ever)
{
	struct guest g = new_reader(t);
	u64 end, start = g.s.now_ms;

	/* No more is wanted either: nothing can be tried. */
	g.s.floor_pages = g.s.held_pages;
	read_on(&g, MANY, MANY);
	expect_eq(t, g.d.level, VBP_LEVEL_MEDIUM);
	for (end = start + 40 * (u64)g.config.holdoff_ms; g.s.now_ms < end;) {
		read_on(&g, MANY, MANY);
		expect_eq(t, g.d.inflate_pages, 0);
		if (g.s.now_ms - start > 2 * g.config.holdoff_ms)
			expect_eq(t, g.d.level, 0);
	}
	/* More is wanted: it is tried. */
	g = new_reader(t);
	g.s.floor_pages = g.s.held_pages;
	g.s.target_pages = g.s.total_pages;
	start = g.s.now_ms;
	take_step(&g, MANY);
	expect_le(t, g.s.now_ms - start, 2 * g.config.holdoff_ms);
}

POLICY_CASE(a_floor_that_sinks_gives_what_was_missed)
{
	struct guest g = new_reader(t);

	g.s.floor_pages = g.s.held_pages;
	read_on(&g, MANY, MANY);
	expect_eq(t, g.d.relief_pages, 0);
	g.s.floor_pages = 0;
	read_on(&g, MANY, MANY);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(a_step_below_a_floor_that_rose_is_not_given_back)
{
	struct guest g = new_bare_reader(t);
	u64 step = take_step(&g, MANY / 4);
	u64 end;

	read_on(&g, MANY, MANY / 4);
	g.s.floor_pages = step - BLOCK_PAGES;
	for (end = g.s.now_ms + g.config.holdoff_ms; g.s.now_ms < end;) {
		read_on(&g, MANY, MANY);
		expect_le(t, g.d.relief_pages, BLOCK_PAGES);
		apply(&g);
	}
	expect_eq(t, g.s.held_pages, g.s.floor_pages);
}

#define POLICY_REVERSE_CASES(X)						\
	X(a_guest_that_misses_what_never_fits_is_ballooned)		\
	X(what_is_missed_more_for_a_step_gets_it_back)			\
	X(what_is_missed_a_little_more_keeps_nothing)			\
	X(a_step_is_twice_the_one_before)				\
	X(tried_the_other_way_it_grows_no_faster_than_by_steps)		\
	X(small_rises_add_up)						\
	X(a_step_that_goes_in_slowly_is_not_its_own_sign)		\
	X(a_step_that_never_goes_in_ends)				\
	X(nothing_is_tried_the_other_way_within_the_hold_off)		\
	X(a_trial_the_other_way_that_was_interrupted_is_none)		\
	X(what_is_lost_the_other_way_makes_no_hold_off_longer)		\
	X(what_is_missed_no_more_denies_nothing)			\
	X(nothing_is_tried_the_other_way_while_pages_are_free)		\
	X(nothing_is_tried_the_other_way_below_the_reserve)		\
	X(need_ends_a_trial_the_other_way)				\
	X(a_hook_gives_no_part_of_a_step_back)				\
	X(a_floor_that_denies_what_is_missed_is_not_told_of_for_ever)	\
	X(a_floor_that_sinks_gives_what_was_missed)			\
	X(a_step_below_a_floor_that_rose_is_not_given_back)

#endif /* VBP_POLICY_REVERSE_H */
