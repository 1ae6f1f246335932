/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises about memory that is plainly free: a host that asks
 * for a larger balloon gets it soon, even inside the hold-off.
 */
#ifndef VBP_POLICY_HANDED_H
#define VBP_POLICY_HANDED_H

#include "policy_check.h"

/* As promised: the first wait, and until when all of it is to be on its way. */
#define HANDED_FIRST_MS		2000u

/* The program is gone: all that is left is free. */
static void set_free(struct guest *g)
{
	calm(g);
	g->s.free_pages = g->s.available_pages;
	g->s.headroom_pages = g->s.available_pages;
}

/* As apply(), and the pages come from those that are free. */
static void apply_free(struct guest *g)
{
	apply(g);
	set_free(g);
}

/* A program took all that the balloon had, and has ended. */
static struct guest new_finished(struct policy_test *t)
{
	struct guest g = new_guest(t);

	/* At its target: what was asked before is answered. */
	ask(&g);
	relieve_wholly(&g);
	set_free(&g);
	return g;
}

/* The host asks for a little more; how long until the balloon grows. */
static u64 measure_handed(struct guest *g)
{
	g->s.target_pages += BLOCK_PAGES;
	return measure_wait(g);
}

POLICY_CASE(what_is_plainly_free_is_handed_over_within_the_hold_off)
{
	struct guest g = new_finished(t);
	u64 start = g.s.now_ms;

	expect_eq(t, measure_handed(&g), HANDED_FIRST_MS);
	/* All of it, without steps. */
	expect_eq(t, g.d.inflate_pages, g.s.target_pages);
	/* It comes in by pieces. */
	while (g.s.held_pages < g.s.target_pages && !t->failed) {
		expect_gt(t, g.d.inflate_pages, 0);
		g.d.inflate_pages = min(g.d.inflate_pages,
					64ull * MIB_PAGES);
		apply_free(&g);
		ask_at(&g, g.s.now_ms + 1);
	}
	expect_lt(t, g.s.now_ms - start, 10000);
	expect_eq(t, g.s.held_pages, g.s.target_pages);
}

POLICY_CASE(what_nobody_asked_for_waits_for_the_hold_off)
{
	struct guest g = new_finished(t);

	/* The host has not moved: it is the load that comes and goes. */
	expect_ge(t, measure_wait(&g), g.config.holdoff_ms);
	/* Nor is a smaller balloon a larger one. */
	g = new_finished(t);
	g.s.target_pages -= BLOCK_PAGES;
	expect_ge(t, measure_wait(&g), g.config.holdoff_ms);
	/* Asked for and taken back is asked for no more. */
	g = new_finished(t);
	g.s.target_pages += BLOCK_PAGES;
	ask(&g);
	g.s.target_pages -= 2 * BLOCK_PAGES;
	expect_ge(t, measure_wait(&g), g.config.holdoff_ms);
}

POLICY_CASE(page_cache_is_not_handed_over)
{
	struct guest g = new_finished(t);

	/* Available, all of it, but somebody has just read it. */
	g.s.cache_pages = g.s.available_pages;
	g.s.free_pages = guest_reserve(&g);
	g.s.headroom_pages = g.s.free_pages;
	expect_ge(t, measure_handed(&g), g.config.holdoff_ms);
	/* Free in zones that must not go below their watermarks. */
	g = new_finished(t);
	g.s.headroom_pages = guest_reserve(&g);
	expect_ge(t, measure_handed(&g), g.config.holdoff_ms);
	/* More than the reserve is: what is beyond it. */
	g = new_finished(t);
	g.s.free_pages = 4 * guest_reserve(&g);
	g.s.headroom_pages = g.s.free_pages;
	expect_eq(t, measure_handed(&g), HANDED_FIRST_MS);
	expect_ge(t, g.s.free_pages - g.d.inflate_pages,
		  guest_reserve(&g) / 4 * 5);
	expect_gt(t, g.d.inflate_pages, 2 * guest_reserve(&g));
}

POLICY_CASE(what_becomes_free_later_is_handed_over_too)
{
	struct guest g = new_finished(t);
	u64 start = g.s.now_ms;

	/* The job ends 5 s after the host has asked. */
	g.s.free_pages = 0;
	g.s.target_pages += BLOCK_PAGES;
	while (!g.d.inflate_pages && g.s.now_ms < start + 60000 && !t->failed) {
		if (g.s.now_ms >= start + 5000)
			set_free(&g);
		ask(&g);
		g.s.now_ms += g.d.wake_ms;
	}
	expect_le(t, g.s.now_ms - start, 5000 + 10000);
}

/* A job that takes what was handed over, and ends @busy_ms later. */
static u64 chase(struct guest *g, u64 idle_ms)
{
	while (g->s.held_pages < g->s.target_pages && !g->t->failed) {
		apply_free(g);
		ask_at(g, g->s.now_ms + 1);
		if (g->s.held_pages < g->s.target_pages)
			expect_gt(g->t, g->d.inflate_pages, 0);
	}
	g->s.now_ms += idle_ms;
	g->s.free_pages = 0;
	g->s.headroom_pages = 0;
	relieve_wholly(g);
	set_free(g);
	return measure_handed(g);
}

POLICY_CASE(what_was_needed_again_waits_twice_as_long)
{
	struct guest g = new_finished(t);
	u64 wait = measure_handed(&g);
	int i;

	for (i = 0; i < 8 && !t->failed; i++) {
		u64 next = chase(&g, 100);

		expect_eq(t, next, min(2 * wait, (u64)g.config.holdoff_ms));
		wait = next;
	}
	expect_eq(t, wait, g.config.holdoff_ms);
	/* Quiet for more than two hold-offs. */
	expect_eq(t, chase(&g, 3 * (u64)g.config.holdoff_ms), HANDED_FIRST_MS);
}

POLICY_CASE(what_was_asked_once_is_handed_over_once)
{
	struct guest g = new_finished(t);

	measure_handed(&g);
	/* A part of it. */
	g.d.inflate_pages /= 2;
	apply_free(&g);
	expect_gt(t, g.s.held_pages, 0);
	/* It was needed again. The host says nothing new. */
	g.s.free_pages = 0;
	g.s.headroom_pages = 0;
	relieve_wholly(&g);
	set_free(&g);
	expect_ge(t, measure_wait(&g), g.config.holdoff_ms);
}

POLICY_CASE(a_relief_between_does_not_undo_what_was_asked)
{
	struct guest g = new_finished(t);

	/* Asked while the job was still at work. */
	g.s.target_pages += BLOCK_PAGES;
	g.s.free_pages = 0;
	g.s.headroom_pages = 0;
	ask(&g);
	g.s.now_ms += 1000;
	g.s.held_pages += 4 * BLOCK_PAGES;
	relieve(&g);
	set_free(&g);
	expect_eq(t, measure_wait(&g), HANDED_FIRST_MS);
}

POLICY_CASE(no_hurry_of_the_host_shortens_the_wait_for_what_is_free)
{
	struct guest g = new_finished(t);

	g.s.host_pressure = VBP_LEVEL_CRITICAL;
	expect_ge(t, measure_handed(&g), HANDED_FIRST_MS);
	g = new_finished(t);
	g.config.holdoff_ms = 0;
	expect_ge(t, measure_handed(&g), HANDED_FIRST_MS);
}

#define POLICY_HANDED_CASES(X)						\
	X(what_is_plainly_free_is_handed_over_within_the_hold_off)	\
	X(what_nobody_asked_for_waits_for_the_hold_off)			\
	X(page_cache_is_not_handed_over)				\
	X(what_becomes_free_later_is_handed_over_too)			\
	X(what_was_needed_again_waits_twice_as_long)			\
	X(what_was_asked_once_is_handed_over_once)			\
	X(a_relief_between_does_not_undo_what_was_asked)		\
	X(no_hurry_of_the_host_shortens_the_wait_for_what_is_free)

#endif /* VBP_POLICY_HANDED_H */
