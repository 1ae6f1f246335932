/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises about taking pages back, one case a promise. They
 * assert directions and bounds, so a tunable or a constant may change without
 * them. What it promises about growing is in policy_inflate.h, and about
 * sequences nobody thought of in policy_random.h.
 */
#ifndef VBP_POLICY_RELIEF_H
#define VBP_POLICY_RELIEF_H

#include "policy_check.h"

POLICY_CASE(reading_through_a_disk_gives_nothing_back)
{
	struct guest g = new_guest(t);
	u64 step = g.s.total_pages / 64;

	/* Reclaim all the time, and never less than the reserve available. */
	for (g.s.available_pages = guest_reserve(&g);
	     g.s.available_pages <= g.s.total_pages - g.s.held_pages;
	     g.s.available_pages += step) {
		g.s.reclaim = true;
		g.s.now_ms += 10;
		expect_eq(t, vbp_size_gate(&g.config, &g.s), 0);
		ask(&g);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
		expect_eq(t, g.d.wanted_pages, 0);
		expect_eq(t, g.d.wake_ms, 0);
	}
}

POLICY_CASE(shortage_without_reclaim_gives_nothing_back)
{
	struct guest g = new_guest(t);

	g.s.available_pages = 0;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, 0);
	expect_eq(t, g.d.wake_ms, 0);
}

POLICY_CASE(what_the_floor_refused_is_given_when_it_sinks)
{
	struct guest g = new_guest(t);
	u64 wanted;

	g.s.floor_pages = g.s.held_pages;
	press(&g);
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	wanted = g.d.wanted_pages;
	expect_gt(t, wanted, 0);
	/* The host reads that, and lets the guest have it: no sign needed. */
	g.s.reclaim = false;
	g.s.floor_pages = 0;
	ask_at(&g, g.s.now_ms + 100);
	expect_ge(t, g.d.relief_pages, wanted);
	expect_eq(t, g.d.wanted_pages, 0);
	/* Once, though: given, nothing is refused any more. */
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	/* And that is told, although the last sign is a second old. */
	calm(&g);
	ask_at(&g, g.s.now_ms + CALM_MS - 50);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
}

POLICY_CASE(what_was_refused_long_ago_is_not_given)
{
	struct guest g = new_guest(t);

	g.s.floor_pages = g.s.held_pages;
	press(&g);
	ask(&g);
	g.s.reclaim = false;
	g.s.floor_pages = 0;
	ask_at(&g, g.s.now_ms + 60000);
	expect_eq(t, g.d.relief_pages, 0);
	/* Nor after the guest had enough in between. */
	g.s.floor_pages = g.s.held_pages;
	press(&g);
	ask(&g);
	g.s.available_pages = g.s.total_pages / 2;
	ask(&g);
	g.s.reclaim = false;
	g.s.available_pages = 0;
	g.s.floor_pages = 0;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
}

POLICY_CASE(shortage_with_reclaim_gives_back_at_once)
{
	struct guest g = new_guest(t);
	u64 lacking;

	g.s.available_pages = guest_reserve(&g) - 1;
	g.s.reclaim = true;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);

	g = new_guest(t);
	press(&g);
	lacking = guest_reserve(&g) - g.s.available_pages;
	ask(&g);
	expect_ge(t, g.d.relief_pages, lacking);
	expect_eq(t, g.d.wanted_pages, 0);
	/* It helped, so the next question is answered with nothing more. */
	apply(&g);
	ask_at(&g, g.s.now_ms + 1);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.wanted_pages, 0);
}

POLICY_CASE(a_larger_shortage_gives_no_less_back)
{
	struct guest g = new_guest(t);
	u64 relief = 0;
	u64 gate = 0;
	int i;

	for (i = 64; i >= 0; i--) {
		g.s.reclaim = true;
		g.s.available_pages = guest_reserve(&g) / 64 * i;
		vbp_policy_init(&g.state);
		ask(&g);
		expect_ge(t, g.d.relief_pages, relief);
		expect_ge(t, vbp_size_gate(&g.config, &g.s), gate);
		relief = g.d.relief_pages;
		gate = vbp_size_gate(&g.config, &g.s);
	}
	expect_gt(t, relief, 0);
}

/* Pressure that nothing helps against, asked about every @gap_ms. */
static void run_to_floor(struct policy_test *t, u64 floor, u64 gap_ms)
{
	struct guest g = new_guest(t);
	int left = 100 / (int)g.config.step_pct + 2;

	g.s.floor_pages = floor;
	while (g.s.held_pages > guest_floor(&g) && left-- && !t->failed) {
		g.s.available_pages = 0;
		g.s.reclaim = true;
		ask(&g);
		expect_gt(t, g.d.relief_pages, 0);
		apply(&g);
		g.s.now_ms += gap_ms;
	}
	expect_eq(t, g.s.held_pages, guest_floor(&g));
	g.s.available_pages = 0;
	g.s.reclaim = true;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_CRITICAL);
	expect_gt(t, g.d.wanted_pages, 0);
	g.s.oom = true;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
}

POLICY_CASE(lasting_pressure_reaches_the_floor_and_stops_there)
{
	u64 held = new_guest(t).s.held_pages;
	const u64 floors[] = { 0, 1, 777, held / 2, held - 1, held, held + 1 };
	const u64 gaps[] = { 0, 1, 40, 100, 1000, 2500, 60000 };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(floors); i++)
		for (j = 0; j < ARRAY_SIZE(gaps); j++)
			run_to_floor(t, floors[i], gaps[j]);
}

POLICY_CASE(a_floor_above_the_target_is_the_target)
{
	struct guest g = new_guest(t);

	g.s.floor_pages = g.s.total_pages;
	press(&g);
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	/* Such a floor does not keep the host's own target from being met. */
	g.s.target_pages /= 2;
	ask(&g);
	expect_eq(t, g.d.deflate_pages, g.s.held_pages - g.s.target_pages);
	expect_eq(t, g.d.relief_pages, 0);
	/* Nor a task in reclaim from taking what is to be given back anyway. */
	expect_gt(t, vbp_size_gate(&g.config, &g.s), 0);
	/* And never forces inflation against pressure. */
	g = new_guest(t);
	g.s.target_pages = g.s.total_pages;
	g.s.floor_pages = g.s.total_pages;
	press(&g);
	ask(&g);
	expect_eq(t, g.d.inflate_pages, 0);
}

POLICY_CASE(without_an_elastic_range_only_the_target_counts)
{
	struct guest g = new_guest(t);

	g.s.elastic = false;
	press(&g);
	g.s.oom = true;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, vbp_size_gate(&g.config, &g.s), 0);
	g.s.target_pages = g.s.held_pages / 2;
	ask(&g);
	expect_eq(t, g.d.deflate_pages, g.s.held_pages - g.s.target_pages);
	expect_eq(t, g.d.relief_pages, 0);
	g.s.target_pages = g.s.total_pages;
	ask(&g);
	expect_eq(t, g.d.inflate_pages, g.s.total_pages - g.s.held_pages);
}

POLICY_CASE(a_lowered_target_counts_towards_relief)
{
	struct guest g = new_guest(t);
	u64 relief;

	press(&g);
	ask(&g);
	relief = g.d.relief_pages;
	/* The host gives back a little: the rest is still relief. */
	vbp_policy_init(&g.state);
	g.s.target_pages = g.s.held_pages - relief / 2;
	ask(&g);
	expect_eq(t, g.d.deflate_pages, relief / 2);
	expect_gt(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.deflate_pages + g.d.relief_pages, relief);
	/* The host gives back more than is needed: nothing to add. */
	vbp_policy_init(&g.state);
	g.s.target_pages = g.s.held_pages - 2 * relief;
	ask(&g);
	expect_eq(t, g.d.deflate_pages, 2 * relief);
	expect_eq(t, g.d.relief_pages, 0);
	/* And what it gives back need not be asked for. */
	g.s.target_pages = 0;
	g.s.reclaim = false;
	ask_at(&g, g.s.now_ms + 1);
	expect_eq(t, g.d.deflate_pages, g.s.held_pages);
	expect_eq(t, g.d.wanted_pages, 0);
}

POLICY_CASE(a_failed_allocation_gets_a_big_step)
{
	struct guest g = new_guest(t);
	u64 plain;

	/* Even where memory seems to be available: the kernel knows better. */
	g.s.oom = true;
	ask(&g);
	expect_ge(t, g.d.relief_pages, g.config.oom_step_pages);
	expect_ge(t, vbp_size_gate(&g.config, &g.s),
		  g.config.oom_step_pages);
	/* Less than the step left: all of it, if that was not enough. */
	g.s.headroom_pages = 0;
	g.s.floor_pages = g.s.held_pages - 5;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 5);
	/* Never less than what reclaim alone would get. */
	g = new_guest(t);
	g.config.oom_step_pages = 1;
	press(&g);
	ask(&g);
	plain = g.d.relief_pages;
	vbp_policy_init(&g.state);
	g.s.oom = true;
	ask(&g);
	expect_ge(t, g.d.relief_pages, plain);
	/* A failed allocation without reclaim is pressure all the same. */
	g.s.reclaim = false;
	vbp_policy_init(&g.state);
	ask(&g);
	expect_ge(t, g.d.relief_pages, plain);
}

POLICY_CASE(relief_that_did_not_suffice_takes_a_larger_step)
{
	struct guest g = new_guest(t);
	u64 first = 0;
	u64 relief = 0;
	int i;

	for (i = 0; i < 4; i++) {
		press(&g);
		ask_at(&g, g.s.now_ms + 1);
		expect_ge(t, g.d.relief_pages, relief);
		relief = g.d.relief_pages;
		if (!i)
			first = relief;
		/* Not applied: each is asked with the same balloon. */
	}
	expect_gt(t, relief, first);

	/* That was one emergency: the next, much later, starts afresh. */
	calm(&g);
	ask_at(&g, g.s.now_ms + 24 * 3600 * 1000);
	press(&g);
	ask_at(&g, g.s.now_ms + 1);
	expect_eq(t, g.d.relief_pages, first);
}

POLICY_CASE(the_gate_opens_exactly_when_relief_would_be_given)
{
	const u64 floors[] = { 0, 1000, 1024 * MIB_PAGES };
	struct guest g;
	unsigned int i;
	u64 gate;
	int j;

	for (i = 0; i < ARRAY_SIZE(floors); i++) {
		for (j = 0; j <= 80; j++) {
			g = new_guest(t);
			g.s.floor_pages = floors[i];
			g.s.available_pages = guest_reserve(&g) * j / 64;
			g.s.reclaim = true;
			gate = vbp_size_gate(&g.config, &g.s);
			ask(&g);
			expect_eq(t, g.d.relief_pages, gate);
		}
	}
}

POLICY_CASE(the_reserve_follows_the_guest_and_what_the_balloon_leaves)
{
	struct guest g = new_guest(t);
	u64 last;
	int i;

	expect_gt(t, guest_reserve(&g), 0);
	for (i = 0, last = g.s.total_pages; i <= 100; i++) {
		g.s.held_pages = g.s.total_pages / 100 * i;
		expect_le(t, guest_reserve(&g), last);
		/* Or a guest with all its memory free would be short. */
		expect_le(t, guest_reserve(&g),
			  (g.s.total_pages - g.s.held_pages) / 2);
		last = guest_reserve(&g);
	}
	g.s.held_pages = g.s.total_pages;
	expect_eq(t, guest_reserve(&g), 0);
	g.s.held_pages = g.s.total_pages + 1;
	expect_eq(t, guest_reserve(&g), 0);
	g.s.held_pages = 0;
	for (i = VBP_RESERVE_PCT_MIN, last = 0; i <= VBP_RESERVE_PCT_MAX; i++) {
		g.config.reserve_pct = (u32)i;
		expect_ge(t, guest_reserve(&g), last);
		last = guest_reserve(&g);
	}
}

POLICY_CASE(relief_is_no_more_than_the_shortage_and_a_step)
{
	struct guest g = new_guest(t);
	u64 step = guest_step(&g);
	u64 reserve = guest_reserve(&g);
	u64 i;

	for (i = 0; i < 64; i++) {
		vbp_policy_init(&g.state);
		g.s.available_pages = reserve * i / 64;
		g.s.reclaim = true;
		ask(&g);
		expect_le(t, g.d.relief_pages, reserve - g.s.available_pages +
					       step + BLOCK_PAGES);
	}
}

POLICY_CASE(a_guest_that_may_take_nothing_is_not_watched)
{
	struct guest g = new_guest(t);

	g.s.elastic = false;
	press(&g);
	ask(&g);
	expect_false(t, g.d.watch);
}

POLICY_CASE(the_reserve_is_at_most_a_quarter_of_what_the_balloon_leaves)
{
	struct guest g = new_guest(t);

	g.config.reserve_pct = VBP_RESERVE_PCT_MAX;
	for (g.s.held_pages = g.s.total_pages / 2;
	     g.s.held_pages <= g.s.total_pages;
	     g.s.held_pages += g.s.total_pages / 64)
		expect_eq(t, guest_reserve(&g),
			  (g.s.total_pages - g.s.held_pages) / 4);
}

POLICY_CASE(init_forgets_everything)
{
	struct guest g = new_guest(t);

	relieve(&g);
	vbp_policy_init(&g.state);
	ask(&g);
	expect_gt(t, g.d.inflate_pages, 0);
	expect_eq(t, g.d.inflate_pages, g.s.target_pages - g.s.held_pages);
}

POLICY_CASE(a_huge_page_pool_gets_whole_blocks_down_to_the_floor)
{
	struct guest g = new_guest(t);

	/* Plenty is available, and none of it in one piece. */
	g.s.floor_pages = g.s.held_pages - 2 * BLOCK_PAGES - 1;
	g.s.pool_pages = BLOCK_PAGES;
	ask(&g);
	expect_eq(t, g.d.relief_pages, BLOCK_PAGES);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
	apply(&g);
	ask(&g);
	expect_eq(t, g.d.relief_pages, BLOCK_PAGES);
	apply(&g);
	/* What is left above the floor is no block. */
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	/* Nor is there any where nothing is elastic. */
	g.s.floor_pages = 0;
	g.s.elastic = false;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_a_huge_page_pool_got_is_kept_for_the_hold_off)
{
	struct guest g = new_guest(t);

	g.s.pool_pages = BLOCK_PAGES;
	ask(&g);
	apply(&g);
	g.s.pool_pages = 0;
	expect_ge(t, measure_wait(&g), guest_holdoff(&g));
}

POLICY_CASE(a_huge_page_pool_that_asks_again_and_again_is_no_streak)
{
	struct guest g = new_guest(t);
	struct guest other = new_guest(t);
	int i;

	for (i = 0; i < 16; i++) {
		g.s.pool_pages = BLOCK_PAGES;
		ask(&g);
		apply(&g);
	}
	/* The next need that is another is met as if there had been no pool. */
	g.s.pool_pages = 0;
	other.s.held_pages = g.s.held_pages;
	press(&g);
	press(&other);
	ask(&g);
	ask(&other);
	expect_eq(t, g.d.relief_pages, other.d.relief_pages);
}

#define POLICY_RELIEF_CASES(X)						\
	X(reading_through_a_disk_gives_nothing_back)			\
	X(shortage_without_reclaim_gives_nothing_back)			\
	X(what_the_floor_refused_is_given_when_it_sinks)		\
	X(what_was_refused_long_ago_is_not_given)			\
	X(shortage_with_reclaim_gives_back_at_once)			\
	X(a_larger_shortage_gives_no_less_back)				\
	X(lasting_pressure_reaches_the_floor_and_stops_there)		\
	X(a_floor_above_the_target_is_the_target)			\
	X(without_an_elastic_range_only_the_target_counts)		\
	X(a_lowered_target_counts_towards_relief)			\
	X(a_failed_allocation_gets_a_big_step)				\
	X(relief_that_did_not_suffice_takes_a_larger_step)		\
	X(the_gate_opens_exactly_when_relief_would_be_given)		\
	X(the_reserve_follows_the_guest_and_what_the_balloon_leaves)	\
	X(relief_is_no_more_than_the_shortage_and_a_step)		\
	X(a_guest_that_may_take_nothing_is_not_watched)			\
	X(the_reserve_is_at_most_a_quarter_of_what_the_balloon_leaves)	\
	X(a_huge_page_pool_gets_whole_blocks_down_to_the_floor)		\
	X(what_a_huge_page_pool_got_is_kept_for_the_hold_off)		\
	X(a_huge_page_pool_that_asks_again_and_again_is_no_streak)	\
	X(init_forgets_everything)

#endif /* VBP_POLICY_RELIEF_H */
