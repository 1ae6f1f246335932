/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises about memory that is missed again: the second trial
 * and the tenth, what is forgotten, and over what time things are counted. The
 * first trial is in policy_missed.h, and so are the readers.
 */
#ifndef VBP_POLICY_TRIALS_H
#define VBP_POLICY_TRIALS_H

#include "policy_missed.h"

POLICY_CASE(counters_of_before_the_first_look_are_no_sign)
{
	struct guest g = new_guest(t);

	/* The driver was loaded one second after boot. */
	g.s.held_pages = 0;
	g.s.reclaim = true;
	g.s.headroom_pages = 0;
	g.s.cache_pages = g.s.available_pages;
	g.s.refaults = 10 * MANY;
	g.s.reclaimed = 10 * MANY;
	ask_at(&g, 1000);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, 0);
}

/* Nobody looked for ten seconds, in which nothing happened. */
static void look_away(struct guest *g)
{
	ask_at(g, g->s.now_ms + 10000);
	expect_eq(g->t, g->d.relief_pages, 0);
	expect_eq(g->t, g->d.level, 0);
}

POLICY_CASE(nothing_from_before_a_gap_counts)
{
	struct guest g = new_reader(t);

	/* A lot of it, and then a stream beside a few. */
	read_on(&g, 20 * MANY, 20 * MANY);
	apply(&g);
	look_away(&g);
	read_on(&g, 100 * MANY, MANY / 10);
	expect_eq(t, g.d.level, 0);
	/* A stream, and then a cgroup's refaults. */
	g = new_reader(t);
	read_on(&g, 100 * MANY, MANY / 10);
	expect_eq(t, g.d.level, 0);
	g.s.free_pages = 20 * MANY;
	look_away(&g);
	g.s.free_pages = 0;
	read_on(&g, 0, 20 * MANY);
	expect_eq(t, g.d.level, 0);
	/* What was missed is over. */
	g = new_reader(t);
	read_on(&g, MANY, MANY);
	expect_gt(t, g.d.level, 0);
	look_away(&g);
}

POLICY_CASE(a_long_stream_hides_nothing)
{
	struct guest g = new_reader(t);
	u64 end;

	for (end = g.s.now_ms + 60000; g.s.now_ms < end;)
		read_on(&g, 100 * MANY, 3);
	end = g.s.now_ms + 10000;
	do {
		read_on(&g, MANY, MANY);
	} while (!g.d.relief_pages && g.s.now_ms < end);
	expect_gt(t, g.d.relief_pages, 0);
}

/* Steps are small beside the page cache, and that beside the balloon. */
static struct guest new_patient_reader(struct policy_test *t)
{
	struct guest g = new_reader(t);

	g.config.step_pct = 1;
	g.s.cache_pages = 100 * MIB_PAGES;
	return g;
}

static u64 step_of(const struct guest *g)
{
	return guest_step(g) + BLOCK_PAGES;
}

/* Misses pages until a trial has failed; what that gave. */
static u64 miss_until_failed(struct guest *g)
{
	u64 end = g->s.now_ms + 3600000;
	u64 given = 0;

	while ((!given || !g->state.refault.failed) && g->s.now_ms < end &&
	       !g->t->failed)
		given += miss_for(g, LOOK_MS);
	expect_true(g->t, g->state.refault.failed);
	return given;
}

/* Misses pages until a trial begins; how long that took. */
static u64 miss_until_tried(struct guest *g)
{
	u64 start = g->s.now_ms;

	while (!miss_for(g, LOOK_MS) && g->s.now_ms < start + 3600000 &&
	       !g->t->failed)
		;
	return g->s.now_ms - start;
}

POLICY_CASE(the_second_trial_takes_more_than_the_first)
{
	struct guest g = new_patient_reader(t);
	u64 first = miss_until_failed(&g);

	expect_ge(t, miss_until_failed(&g), first + first / 2);
}

POLICY_CASE(half_of_the_balloon_stays_if_it_is_no_help)
{
	struct guest g = new_patient_reader(t);
	u64 held = g.s.held_pages;
	u64 steps = held / guest_step(&g);
	u64 given;

	/* So much cache that twice as much is more than the balloon. */
	g.s.cache_pages = 4 * held;
	given = miss_until_failed(&g);
	expect_ge(t, given + step_of(&g), held / 2);
	/* A step is counted as what it is, and given in whole blocks. */
	expect_le(t, given, (steps / 2 + 1) * step_of(&g));
	/* A set may fit without all of it only: the next takes more. */
	g.s.held_pages = held;
	given = miss_until_failed(&g);
	expect_ge(t, given + step_of(&g), held / 4 * 3);
	expect_le(t, given, (steps * 3 / 4 + 1) * step_of(&g));
}

POLICY_CASE(failures_of_long_ago_are_forgotten)
{
	struct guest g = new_patient_reader(t);
	u64 first, last = 0;
	int i;

	miss_until_failed(&g);
	first = miss_until_tried(&g);
	for (i = 0; i < 3; i++) {
		miss_until_failed(&g);
		last = miss_until_tried(&g);
	}
	expect_gt(t, last, 2 * first);
	/* A week of quiet; then all is as it was at first. */
	miss_until_failed(&g);
	g.s.held_pages = g.s.target_pages;
	ask_at(&g, g.s.now_ms + 7 * 24 * 3600 * (u64)1000);
	miss_until_failed(&g);
	expect_eq(t, miss_until_tried(&g), first);
}

POLICY_CASE(what_a_trial_could_not_give_at_once_is_not_counted)
{
	struct guest g = new_patient_reader(t);
	u64 whole = miss_until_failed(&g);

	g = new_patient_reader(t);
	g.s.limit_pages = BLOCK_PAGES;
	expect_ge(t, miss_until_failed(&g) + step_of(&g), whole);
}

/* Misses pages until half of what a trial may take is given. */
static struct guest new_reader_half_tried(struct policy_test *t)
{
	struct guest g = new_patient_reader(t);
	u64 half = g.s.cache_pages;
	u64 given = 0;

	while (given < half && !t->failed)
		given += miss_for(&g, LOOK_MS);
	expect_false(t, g.state.refault.failed);
	return g;
}

POLICY_CASE(a_trial_that_was_interrupted_is_none)
{
	struct guest g = new_patient_reader(t);
	u64 whole = miss_until_failed(&g);
	u64 end;

	g = new_reader_half_tried(t);
	look_away(&g);
	expect_ge(t, miss_until_failed(&g), whole);
	/* Looked at all the time, but nothing was missed. */
	g = new_reader_half_tried(t);
	g.s.headroom_pages = g.s.total_pages / 4;
	for (end = g.s.now_ms + 2000; g.s.now_ms < end;)
		read_on(&g, 0, 0);
	g.s.headroom_pages = 0;
	expect_ge(t, miss_until_failed(&g), whole);
}

POLICY_CASE(what_is_missed_is_counted_by_the_second)
{
	struct guest g = new_patient_reader(t);
	u64 whole = miss_until_failed(&g);
	u64 given = 0;
	int i;

	/* As many at each look, and looks ten times as far apart: it helps. */
	g = new_reader_half_tried(t);
	for (i = 0; i < 50 && given < whole && !t->failed; i++) {
		g.s.now_ms += 9 * LOOK_MS;
		read_on(&g, MANY, MANY);
		given += g.d.relief_pages;
		apply(&g);
	}
	expect_ge(t, given, whole);
	expect_false(t, g.state.refault.failed);
}

POLICY_CASE(what_helped_once_and_no_more_fails)
{
	struct guest g = new_reader_half_tried(t);
	u64 held = g.s.held_pages;
	u64 cache = g.s.cache_pages;
	u64 end = g.s.now_ms + 10000;
	u64 step = step_of(&g);
	u64 round;

	/* From now on half as much, however much is given. */
	g.s.cache_pages = cache / 2 * 3;
	while (!g.state.refault.failed && g.s.now_ms < end && !t->failed) {
		read_on(&g, MANY / 2, MANY / 2);
		apply(&g);
	}
	expect_true(t, g.state.refault.failed);
	/* The other half; then as much again as there is page cache by now. */
	round = held - g.s.held_pages - cache;
	expect_ge(t, round + 2 * step, 2 * g.s.cache_pages);
	/* A step is counted as what it is, and given in whole blocks. */
	expect_le(t, round, (2 * g.s.cache_pages / (step - BLOCK_PAGES) + 2) *
			    step);
}

POLICY_CASE(small_steps_that_help_a_little_each_go_on)
{
	struct guest g = new_patient_reader(t);
	u64 held = g.s.held_pages;
	u64 needs = held / 10 * 8;
	u64 end = g.s.now_ms + g.config.holdoff_ms;

	g.s.cache_pages = 120 * MIB_PAGES;
	while (held - g.s.held_pages < needs && g.s.now_ms < end &&
	       !t->failed) {
		u64 part = needs - (held - g.s.held_pages);

		read_on(&g, MANY, MANY * part / needs + 300);
		g.s.cache_pages += g.d.relief_pages;
		apply(&g);
	}
	expect_ge(t, held - g.s.held_pages, needs);
	expect_false(t, g.state.refault.failed);
}

POLICY_CASE(a_trial_goes_on_while_what_it_gave_is_not_used_up)
{
	struct guest g = new_reader(t);
	u64 refaults = FEW / 2 * 3;
	u64 end;

	/* A slow disk from the start: what is given changes nothing yet. */
	g.config.step_pct = VBP_STEP_PCT_MAX;
	while (guest_elastic(&g) && !t->failed) {
		read_on(&g, refaults, refaults);
		g.s.free_pages += g.d.relief_pages;
		apply(&g);
	}
	g.s.reclaim = false;
	for (end = g.s.now_ms + g.config.holdoff_ms / 2 * 3; g.s.now_ms < end;) {
		g.s.free_pages -= refaults;
		g.s.headroom_pages = g.s.free_pages;
		read_on(&g, 0, refaults);
		expect_eq(t, g.d.inflate_pages, 0);
	}
}

#define POLICY_TRIALS_CASES(X)						\
	X(half_of_the_balloon_stays_if_it_is_no_help)			\
	X(a_trial_goes_on_while_what_it_gave_is_not_used_up)		\
	X(counters_of_before_the_first_look_are_no_sign)		\
	X(nothing_from_before_a_gap_counts)				\
	X(a_long_stream_hides_nothing)					\
	X(the_second_trial_takes_more_than_the_first)			\
	X(failures_of_long_ago_are_forgotten)				\
	X(a_trial_that_was_interrupted_is_none)				\
	X(what_a_trial_could_not_give_at_once_is_not_counted)		\
	X(what_is_missed_is_counted_by_the_second)			\
	X(what_helped_once_and_no_more_fails)				\
	X(small_steps_that_help_a_little_each_go_on)

#endif /* VBP_POLICY_TRIALS_H */
