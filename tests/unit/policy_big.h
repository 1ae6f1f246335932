/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises about big guests: shares of memory have ends, and
 * what a hook may give at once is not taken for relief that did not suffice.
 */
#ifndef VBP_POLICY_BIG_H
#define VBP_POLICY_BIG_H

#include "policy_check.h"

#define GIB_PAGES	(1024ull * MIB_PAGES)

/* @gib of memory, half of them in the balloon. */
static struct guest new_big_guest(struct policy_test *t, u64 gib)
{
	struct guest g = new_guest(t);

	g.s.total_pages = gib * GIB_PAGES;
	g.s.held_pages = g.s.total_pages / 2;
	g.s.target_pages = g.s.held_pages;
	calm(&g);
	return g;
}

POLICY_CASE(the_reserve_has_an_end)
{
	struct guest g = new_big_guest(t, 1024);

	expect_eq(t, guest_reserve(&g), g.config.reserve_max_pages);
	g = new_big_guest(t, 16);
	expect_lt(t, guest_reserve(&g), g.config.reserve_max_pages);
}

POLICY_CASE(a_pool_is_no_part_of_what_the_reserve_is_a_share_of)
{
	struct guest g = new_big_guest(t, 64);
	u64 pool = 60 * GIB_PAGES;
	struct guest small;

	g.s.held_pages = 0;
	g.s.unnamed_pages = pool;
	g.s.target_pages = GIB_PAGES;
	g.s.available_pages = 3 * GIB_PAGES;
	/* As if the pool were not there. */
	small = g;
	small.s.total_pages -= pool;
	small.s.unnamed_pages = 0;
	expect_eq(t, guest_reserve(&g), guest_reserve(&small));
	ask(&g);
	expect_eq(t, g.d.inflate_pages, GIB_PAGES);
	apply(&g);
	expect_le(t, guest_reserve(&g), 3 * GIB_PAGES / 4);
	/* It is read through a device, and nothing else. */
	g.s.reclaim = true;
	ask_at(&g, g.s.now_ms + 1);
	expect_eq(t, g.d.relief_pages, 0);
	/* Whatever the counters say. */
	g.s.unnamed_pages = ~(u64)0;
	expect_eq(t, guest_reserve(&g), 0);
	ask_at(&g, g.s.now_ms + 1);
}

POLICY_CASE(a_step_has_an_end)
{
	struct guest g = new_big_guest(t, 1024);
	u64 lacking;

	press(&g);
	lacking = guest_reserve(&g) - g.s.available_pages;
	ask(&g);
	expect_le(t, g.d.relief_pages,
		  lacking + g.config.step_max_pages + BLOCK_PAGES);
	expect_ge(t, g.d.relief_pages, lacking + g.config.step_max_pages);
	/* The way back goes by half of it. */
	apply(&g);
	calm(&g);
	measure_wait(&g);
	expect_le(t, g.d.inflate_pages, g.config.step_max_pages / 2);
	/* Nor is an end of less than a block kept to. */
	g = new_big_guest(t, 16);
	g.config.step_max_pages = 1;
	press(&g);
	ask(&g);
	expect_ge(t, g.d.relief_pages, guest_reserve(&g) -
		  g.s.available_pages + BLOCK_PAGES);
}

POLICY_CASE(what_a_hook_could_not_give_is_no_failure)
{
	struct guest g = new_big_guest(t, 16);
	u64 step = guest_step(&g);
	int i;

	/* A program takes all that hooks give, as quickly. */
	g.s.reclaim = true;
	g.s.available_pages = 0;
	g.s.limit_pages = 128 * MIB_PAGES;
	for (i = 0; i < 20; i++) {
		ask_at(&g, g.s.now_ms + 1);
		expect_eq(t, g.d.relief_pages, g.s.limit_pages);
		apply(&g);
		g.s.available_pages = 0;
	}
	/* Then the work comes, and gives what is lacking and one step. */
	g.s.limit_pages = ~(u64)0;
	ask_at(&g, g.s.now_ms + 1);
	expect_le(t, g.d.relief_pages,
		  guest_reserve(&g) + step + BLOCK_PAGES);
	/* And it is not told as missing: the next look gives it. */
	g = new_big_guest(t, 16);
	press(&g);
	g.s.limit_pages = 128 * MIB_PAGES;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 128 * MIB_PAGES);
	expect_eq(t, g.d.wanted_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
	/* What did not suffice though it was given is one. */
	g = new_big_guest(t, 16);
	press(&g);
	ask(&g);
	step = g.d.relief_pages;
	g.s.available_pages = 0;
	ask(&g);
	expect_gt(t, g.d.relief_pages, step);
}

POLICY_CASE(a_limit_below_a_block_gives_what_it_may)
{
	struct guest g = new_big_guest(t, 16);

	press(&g);
	g.s.limit_pages = BLOCK_PAGES / 2;
	ask(&g);
	expect_eq(t, g.d.relief_pages, BLOCK_PAGES / 2);
	/* Nothing is no relief: no hold-off begins. */
	g = new_big_guest(t, 16);
	press(&g);
	g.s.limit_pages = 0;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	calm(&g);
	g.s.target_pages += BLOCK_PAGES;
	expect_le(t, measure_wait(&g), CALM_MS);
}

#define POLICY_BIG_CASES(X)						\
	X(the_reserve_has_an_end)					\
	X(a_pool_is_no_part_of_what_the_reserve_is_a_share_of)		\
	X(a_step_has_an_end)						\
	X(what_a_hook_could_not_give_is_no_failure)			\
	X(a_limit_below_a_block_gives_what_it_may)

#endif /* VBP_POLICY_BIG_H */
