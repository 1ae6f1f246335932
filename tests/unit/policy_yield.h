/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises of memory that no counter names: if it gives way, the
 * balloon grows as if it were page cache; if not, little is lost by trying.
 */
#ifndef VBP_POLICY_YIELD_H
#define VBP_POLICY_YIELD_H

#include "policy_check.h"

#define YIELD_LOOKS	10
#define YIELD_LEFT	(8 * MIB_PAGES)

/* Nothing reclaims, and so much is free that nothing has to. */
static void run_calm(struct guest *g)
{
	g->s.reclaim = false;
	g->s.available_pages = guest_reserve(g);
	g->s.headroom_pages = g->s.available_pages;
}

/* Nearly all of the guest is in a cache that nobody knows of. */
static struct guest new_hoard(struct policy_test *t)
{
	struct guest g = new_guest(t);

	g.s.held_pages = 0;
	g.s.target_pages = g.s.total_pages / 2;
	g.s.unnamed_pages = g.s.total_pages / 4 * 3;
	g.s.swap_pages = g.s.total_pages;
	run_calm(&g);
	return g;
}

/* The balloon gets what it asked for, @gives of it from the cache. */
static void grow_hoard_balloon(struct guest *g, u64 gives)
{
	u64 took = g->d.inflate_pages;

	g->s.held_pages += took;
	g->s.unnamed_pages -= gives;
	g->s.available_pages += gives;
	g->s.available_pages -= min(g->s.available_pages, took);
	g->s.headroom_pages = g->s.available_pages;
}

static void run_short(struct guest *g)
{
	g->s.available_pages = YIELD_LEFT;
	g->s.reclaim = true;
}

/* So many looks, reclaim runs before each of them, and nothing gives way. */
static void reclaim_in_vain(struct guest *g, u32 looks)
{
	run_short(g);
	while (looks-- && !g->d.relief_pages)
		ask_at(g, g->s.now_ms + 20);
}

/* It has given way, does so no more, and the balloon gives pages back. */
static struct guest new_emptied_hoard(struct policy_test *t)
{
	struct guest g = new_hoard(t);

	ask(&g);
	grow_hoard_balloon(&g, 20 * g.config.block_pages);
	g.s.held_pages = g.s.total_pages / 4;
	g.s.unnamed_pages = g.s.total_pages / 2;
	ask_at(&g, g.s.now_ms + 20);
	reclaim_in_vain(&g, 2 * YIELD_LOOKS);
	expect_gt(t, g.d.relief_pages, 0);
	expect_false(t, g.state.yield.yields);
	return g;
}

/* What the balloon has given back, the cache takes, and more is needed. */
static void take_relief(struct guest *g)
{
	g->s.held_pages -= g->d.relief_pages;
	g->s.unnamed_pages += g->d.relief_pages;
	run_short(g);
	ask_at(g, g->s.now_ms + 100);
}

POLICY_CASE(what_gives_way_lets_the_balloon_grow)
{
	struct guest g = new_hoard(t);
	u32 i;

	for (i = 0; i < 200 && g.s.held_pages < g.s.target_pages; i++) {
		ask_at(&g, g.s.now_ms + 20);
		expect_false(t, g.d.unreached);
		expect_eq(t, g.d.relief_pages, 0);
		g.s.reclaim = g.d.inflate_pages > g.s.available_pages / 2;
		grow_hoard_balloon(&g, min(g.d.inflate_pages,
					   g.s.unnamed_pages));
	}
	expect_eq(t, g.s.held_pages, g.s.target_pages);
}

POLICY_CASE(what_does_not_give_way_is_found_out_soon)
{
	struct guest g = new_hoard(t);

	ask(&g);
	expect_gt(t, g.d.inflate_pages, 0);
	expect_eq(t, g.d.wake_ms, 20);
	grow_hoard_balloon(&g, 0);
	reclaim_in_vain(&g, YIELD_LOOKS);
	expect_eq(t, g.d.relief_pages, 0);
	reclaim_in_vain(&g, 1);
	expect_gt(t, g.d.relief_pages, 0);
	/* It went too far. Nobody's need has returned. */
	expect_eq(t, g.state.backoff, 0);
}

POLICY_CASE(a_trial_in_vain_is_repeated_less_and_less)
{
	u64 last = 0, gap, before = 0;
	struct guest g = new_hoard(t);
	u32 trials = 0;
	bool yields;

	/* Nobody reclaims, so a trial ends after two seconds; they are counted. */
	while (trials < 5 && g.s.now_ms < 4000000 && !t->failed) {
		yields = g.state.yield.yields;
		ask_at(&g, g.s.now_ms + 20);
		if (yields || !g.state.yield.yields)
			continue;
		gap = g.s.now_ms - last;
		if (trials > 1)
			expect_ge(t, gap, 2 * before - 3000);
		before = gap;
		last = g.s.now_ms;
		trials++;
	}
	expect_eq(t, trials, 5);
}

POLICY_CASE(a_trial_goes_no_further_than_reclaim)
{
	struct guest g = new_hoard(t);
	u64 spare = g.s.headroom_pages, took = 0;
	u32 i;

	for (i = 0; i < 9; i++) {
		ask_at(&g, g.s.now_ms + 20);
		took += g.d.inflate_pages;
		grow_hoard_balloon(&g, 0);
	}
	/* There it begins, but as surely no sooner. */
	expect_gt(t, took, spare);
	expect_le(t, took, spare + guest_step(&g));
}

POLICY_CASE(what_gives_way_lets_the_balloon_go_on_before_it_is_free)
{
	struct guest g = new_hoard(t);

	ask(&g);
	g.s.held_pages = g.state.yield.limit_pages;
	run_short(&g);
	g.s.headroom_pages = 0;
	ask_at(&g, g.s.now_ms + 20);
	expect_eq(t, g.d.inflate_pages, 0);
	g.s.unnamed_pages -= g.config.block_pages;
	ask_at(&g, g.s.now_ms + 20);
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(who_may_take_what_became_free_is_not_refused)
{
	struct guest g = new_hoard(t);
	u32 i;

	/* It is as large as it may be, and then a program ends. */
	ask(&g);
	g.s.held_pages = g.state.yield.limit_pages;
	g.s.headroom_pages = guest_reserve(&g);
	for (i = 0; i < 12 * YIELD_LOOKS; i++) {
		ask_at(&g, g.s.now_ms + 20);
		expect_true(t, g.state.yield.yields);
		expect_gt(t, g.d.inflate_pages, 0);
		expect_le(t, g.d.inflate_pages, g.s.headroom_pages);
		/* The cache is faster. */
		g.s.headroom_pages -= g.s.headroom_pages / 32;
		g.s.held_pages++;
	}
}

POLICY_CASE(a_little_that_nobody_names_is_not_tried)
{
	struct guest g = new_hoard(t);

	g.s.unnamed_pages = g.s.total_pages / 8 - 1;
	ask(&g);
	expect_true(t, g.d.unreached);
	expect_eq(t, g.d.inflate_pages, 0);
	g.s.unnamed_pages++;
	ask_at(&g, g.s.now_ms + 5000);
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(what_would_be_swapped_out_instead_does_not_give_way)
{
	struct guest g = new_hoard(t);

	ask(&g);
	grow_hoard_balloon(&g, 0);
	run_short(&g);
	g.s.swap_pages -= g.config.block_pages;
	ask_at(&g, g.s.now_ms + 20);
	expect_eq(t, g.d.relief_pages, 0);
	g.s.swap_pages--;
	ask_at(&g, g.s.now_ms + 20);
	ask_at(&g, g.s.now_ms + 20);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(a_quarter_may_be_swapped_out_beside_what_gives_way)
{
	struct guest g = new_hoard(t);
	u64 gives = 12 * g.config.block_pages;

	ask(&g);
	grow_hoard_balloon(&g, gives);
	run_short(&g);
	g.s.swap_pages -= gives / 4;
	ask_at(&g, g.s.now_ms + 20);
	ask_at(&g, g.s.now_ms + 20);
	expect_eq(t, g.d.relief_pages, 0);
	g.s.swap_pages -= g.config.block_pages + 1;
	ask_at(&g, g.s.now_ms + 20);
	ask_at(&g, g.s.now_ms + 20);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(who_is_about_to_be_killed_does_not_wait_for_what_gives_way)
{
	struct guest g = new_hoard(t);

	ask(&g);
	grow_hoard_balloon(&g, 10 * g.config.block_pages);
	g.s.oom = true;
	ask_at(&g, g.s.now_ms + 20);
	expect_gt(t, g.d.relief_pages, 0);
	expect_false(t, g.state.yield.yields);
}

POLICY_CASE(what_gave_way_is_not_needed_back_at_once)
{
	struct guest g = new_hoard(t);

	ask(&g);
	grow_hoard_balloon(&g, 20 * g.config.block_pages);
	/* For long nothing asks it for more. Then it still has its time. */
	g.s.target_pages = g.s.held_pages;
	ask_at(&g, g.s.now_ms + 20);
	ask_at(&g, g.s.now_ms + 600000);
	run_short(&g);
	ask_at(&g, g.s.now_ms + 20);
	expect_eq(t, g.d.relief_pages, 0);
	/* It grew meanwhile, and falls again. */
	g.s.unnamed_pages += 8 * g.config.block_pages;
	ask_at(&g, g.s.now_ms + 150);
	g.s.unnamed_pages -= g.config.block_pages;
	ask_at(&g, g.s.now_ms + 20);
	ask_at(&g, g.s.now_ms + 150);
	expect_eq(t, g.d.relief_pages, 0);
}

/* Pages of it come and go, but not so many that it gives way. */
POLICY_CASE(what_grows_or_is_a_few_pages_does_not_give_way)
{
	struct guest g;
	u32 grows, i;

	for (grows = 0; grows < 2; grows++) {
		g = new_hoard(t);
		ask(&g);
		grow_hoard_balloon(&g, 0);
		run_short(&g);
		for (i = 0; i < 20 && !g.d.relief_pages; i++) {
			g.s.unnamed_pages += grows ? 2 * BLOCK_PAGES : (u64)-1;
			ask_at(&g, g.s.now_ms + 20);
		}
		expect_gt(t, g.d.relief_pages, 0);
	}
}

POLICY_CASE(a_trial_in_vain_makes_no_hold_off_longer)
{
	struct guest g = new_hoard(t);

	g.s.held_pages = g.s.total_pages / 8;
	g.s.available_pages = 0;
	g.s.reclaim = true;
	ask(&g);
	apply(&g);
	run_calm(&g);
	ask_at(&g, g.s.now_ms + g.config.holdoff_ms);
	expect_gt(t, g.d.inflate_pages, 0);
	grow_hoard_balloon(&g, 0);
	reclaim_in_vain(&g, 2 * YIELD_LOOKS);
	expect_gt(t, g.d.relief_pages, 0);
	expect_eq(t, g.state.backoff, 0);
}

POLICY_CASE(what_is_missed_does_not_wait_for_what_gives_way)
{
	struct guest g = new_hoard(t);
	u32 i;

	g.s.headroom_pages = 0;
	g.s.cache_pages = g.s.available_pages;
	g.s.reclaim = true;
	ask(&g);
	g.s.reclaim = false;
	g.s.held_pages = g.s.total_pages / 8;
	ask_at(&g, g.s.now_ms + 5000);
	expect_true(t, g.state.yield.yields);
	g.s.reclaim = true;
	for (i = 0; i < 3; i++) {
		g.s.reclaimed += 5000;
		g.s.refaults += 5000;
		ask_at(&g, g.s.now_ms + 20);
	}
	expect_true(t, g.state.refault.thrash);
	expect_false(t, g.state.yield.yields);
}

POLICY_CASE(a_short_place_gets_nothing_of_what_gives_way)
{
	struct guest g = new_hoard(t);

	g.s.bound_pages = g.s.available_pages;
	ask(&g);
	expect_true(t, g.d.unreached);
}

POLICY_CASE(a_guest_without_a_cpu_has_not_asked)
{
	struct guest g = new_hoard(t);
	u32 i;

	ask(&g);
	grow_hoard_balloon(&g, 0);
	run_short(&g);
	for (i = 1; i < YIELD_LOOKS; i++) {
		ask_at(&g, g.s.now_ms + 500);
		expect_eq(t, g.d.relief_pages, 0);
	}
	expect_true(t, g.state.yield.yields);
}

POLICY_CASE(who_looks_at_one_moment_asks_once)
{
	struct guest g = new_hoard(t);
	u32 i;

	ask(&g);
	grow_hoard_balloon(&g, 0);
	run_short(&g);
	g.s.now_ms += 100;
	for (i = 0; i < 3 * YIELD_LOOKS; i++)
		ask_at(&g, g.s.now_ms + i % 2);
	expect_true(t, g.state.yield.yields);
}

POLICY_CASE(who_has_enough_asks_for_nothing)
{
	struct guest g = new_hoard(t);
	u32 i;

	ask(&g);
	grow_hoard_balloon(&g, 20 * g.config.block_pages);
	g.s.target_pages = g.s.held_pages;
	run_short(&g);
	ask_at(&g, g.s.now_ms + 20);
	/* kswapd has done what it had to. */
	g.s.reclaim = false;
	for (i = 0; i < 2 * YIELD_LOOKS; i++)
		ask_at(&g, g.s.now_ms + 40);
	expect_true(t, g.state.yield.yields);
	/* It is asked again, not often enough, and that is forgotten. */
	g.s.reclaim = true;
	for (i = 2; i < YIELD_LOOKS; i++)
		ask_at(&g, g.s.now_ms + 20);
	g.s.available_pages = guest_reserve(&g);
	g.s.reclaim = false;
	ask_at(&g, g.s.now_ms + 2000);
	run_short(&g);
	ask_at(&g, g.s.now_ms + 20);
	expect_true(t, g.state.yield.yields);
}

POLICY_CASE(a_cache_that_gave_way_gives_first_what_it_took_since)
{
	struct guest g = new_emptied_hoard(t);
	u64 took = g.d.relief_pages;

	take_relief(&g);
	expect_eq(t, g.d.relief_pages, 0);
	g.s.unnamed_pages -= g.config.block_pages;
	ask_at(&g, g.s.now_ms + 20);
	expect_eq(t, g.d.relief_pages, 0);
	/* Somebody has all of that now, and needs more. */
	g.s.unnamed_pages -= took - g.config.block_pages;
	ask_at(&g, g.s.now_ms + 20);
	ask_at(&g, g.s.now_ms + 20);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_it_took_and_does_not_give_counts_no_more)
{
	struct guest g = new_emptied_hoard(t);

	take_relief(&g);
	reclaim_in_vain(&g, YIELD_LOOKS - 2);
	expect_eq(t, g.d.relief_pages, 0);
	reclaim_in_vain(&g, 3);
	expect_gt(t, g.d.relief_pages, 0);
	take_relief(&g);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_it_has_beside_that_counts_no_more)
{
	struct guest g = new_emptied_hoard(t);
	u32 i;

	/* It goes on falling, and what it takes later counts from there. */
	g.s.held_pages -= g.d.relief_pages;
	g.s.unnamed_pages /= 2;
	run_short(&g);
	for (i = 0; i < 2 * YIELD_LOOKS; i++) {
		ask_at(&g, g.s.now_ms + 100);
		expect_gt(t, g.d.relief_pages, 0);
	}
	g.s.unnamed_pages += guest_reserve(&g);
	ask_at(&g, g.s.now_ms + 100);
	expect_eq(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_never_gave_way_may_grow_and_counts_for_nothing)
{
	struct guest g = new_hoard(t);

	ask(&g);
	grow_hoard_balloon(&g, 0);
	g.s.held_pages = g.s.total_pages / 8;
	ask_at(&g, g.s.now_ms + 20);
	reclaim_in_vain(&g, 2 * YIELD_LOOKS);
	take_relief(&g);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(who_would_be_killed_does_not_wait_for_what_it_took)
{
	struct guest g = new_emptied_hoard(t);

	take_relief(&g);
	expect_eq(t, g.d.relief_pages, 0);
	g.s.oom = true;
	ask_at(&g, g.s.now_ms + 20);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_gave_way_long_ago_does_not_excuse_swapping)
{
	struct guest g = new_hoard(t);
	u32 i;

	ask(&g);
	g.s.held_pages += g.d.inflate_pages;
	run_short(&g);
	for (i = 0; i < 32; i++) {
		g.s.unnamed_pages -= 8 * g.config.block_pages;
		ask_at(&g, g.s.now_ms + 20);
		g.s.unnamed_pages += 8 * g.config.block_pages;
		ask_at(&g, g.s.now_ms + 20);
	}
	expect_true(t, g.state.yield.yields);
	g.s.swap_pages -= 6 * g.config.block_pages;
	ask_at(&g, g.s.now_ms + 20);
	expect_false(t, g.state.yield.yields);
}

/* The balloon takes what the cache gives, and programs lose what they need. */
POLICY_CASE(what_gives_way_to_the_balloon_does_not_hide_what_is_missed)
{
	struct guest g = new_hoard(t);
	u32 i;

	ask(&g);
	run_short(&g);
	for (i = 0; i < 100 && !g.state.refault.thrash; i++) {
		g.s.unnamed_pages -= g.config.block_pages;
		g.s.held_pages += g.config.block_pages;
		g.s.reclaimed += 20;
		g.s.refaults += 20;
		ask_at(&g, g.s.now_ms + 20);
	}
	expect_true(t, g.state.refault.thrash);
	expect_false(t, g.state.yield.yields);
}

/* The worker or kswapd has no CPU, or the pages are on their way to the host. */
POLICY_CASE(a_balloon_that_gets_nothing_is_refused_later_than_by_reclaim)
{
	struct guest g = new_hoard(t);
	u32 i;

	ask(&g);
	run_short(&g);
	g.s.reclaim = false;
	for (i = 0; i < 9 * YIELD_LOOKS; i++) {
		ask_at(&g, g.s.now_ms + 20);
		expect_true(t, g.state.yield.yields);
	}
	for (i = 0; i < 2 * YIELD_LOOKS; i++)
		ask_at(&g, g.s.now_ms + 20);
	expect_false(t, g.state.yield.yields);
}

POLICY_CASE(a_balloon_that_grows_slowly_is_not_refused)
{
	struct guest g = new_hoard(t);
	u32 i;

	ask(&g);
	for (i = 0; i < 12 * YIELD_LOOKS; i++) {
		g.s.held_pages++;
		ask_at(&g, g.s.now_ms + 20);
		expect_true(t, g.state.yield.yields);
	}
}

/* From a trial's end until the next begins, if @kept of what it took is kept. */
static u64 measure_pause(struct guest *g, u64 kept)
{
	u64 held = g->s.held_pages, start;

	ask_at(g, g->s.now_ms + 20);
	grow_hoard_balloon(g, 20 * g->config.block_pages);
	ask_at(g, g->s.now_ms + 20);
	reclaim_in_vain(g, 2 * YIELD_LOOKS);
	expect_false(g->t, g->state.yield.yields);
	start = g->s.now_ms;
	g->s.held_pages = held + kept;
	run_calm(g);
	while (!g->state.yield.yields && g->s.now_ms < start + 10000000)
		ask_at(g, g->s.now_ms + 100);
	return g->s.now_ms - start;
}

POLICY_CASE(what_gave_way_and_went_back_was_tried_in_vain)
{
	struct guest g = new_hoard(t);
	u64 first = measure_pause(&g, 0), second = measure_pause(&g, 0);

	expect_ge(t, second, 2 * first - 1000);
	expect_lt(t, measure_pause(&g, guest_step(&g) + 1), first);
}

#define POLICY_YIELD_CASES(X)						\
	X(what_gives_way_lets_the_balloon_grow)				\
	X(what_does_not_give_way_is_found_out_soon)			\
	X(a_trial_in_vain_is_repeated_less_and_less)			\
	X(a_trial_goes_no_further_than_reclaim)				\
	X(what_gives_way_lets_the_balloon_go_on_before_it_is_free)	\
	X(who_may_take_what_became_free_is_not_refused)			\
	X(a_little_that_nobody_names_is_not_tried)			\
	X(what_would_be_swapped_out_instead_does_not_give_way)		\
	X(a_quarter_may_be_swapped_out_beside_what_gives_way)		\
	X(who_is_about_to_be_killed_does_not_wait_for_what_gives_way)	\
	X(what_gave_way_is_not_needed_back_at_once)			\
	X(what_grows_or_is_a_few_pages_does_not_give_way)		\
	X(a_trial_in_vain_makes_no_hold_off_longer)			\
	X(what_is_missed_does_not_wait_for_what_gives_way)		\
	X(a_short_place_gets_nothing_of_what_gives_way)			\
	X(a_guest_without_a_cpu_has_not_asked)				\
	X(who_looks_at_one_moment_asks_once)				\
	X(who_has_enough_asks_for_nothing)				\
	X(a_cache_that_gave_way_gives_first_what_it_took_since)		\
	X(what_it_took_and_does_not_give_counts_no_more)		\
	X(what_it_has_beside_that_counts_no_more)			\
	X(what_never_gave_way_may_grow_and_counts_for_nothing)		\
	X(who_would_be_killed_does_not_wait_for_what_it_took)		\
	X(what_gave_way_long_ago_does_not_excuse_swapping)		\
	X(what_gives_way_to_the_balloon_does_not_hide_what_is_missed)	\
	X(a_balloon_that_gets_nothing_is_refused_later_than_by_reclaim)	\
	X(a_balloon_that_grows_slowly_is_not_refused)			\
	X(what_gave_way_and_went_back_was_tried_in_vain)

#endif /* VBP_POLICY_YIELD_H */
