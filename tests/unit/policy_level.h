/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises about what it tells the host: the level, and what is
 * wanted. Documentation/protocol.rst says what they mean.
 */
#ifndef VBP_POLICY_LEVEL_H
#define VBP_POLICY_LEVEL_H

#include "policy_check.h"

POLICY_CASE(reclaim_of_a_moment_ago_takes_nothing_but_keeps_the_level)
{
	struct guest g = new_guest(t);
	u64 until = g.s.now_ms + 60000;

	press(&g);
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.wanted_pages, 0);
	/* Not applied: the guest stays short, but its reclaim has ended. */
	g.s.reclaim = false;
	g.s.target_pages = g.s.total_pages;
	ask_at(&g, g.s.now_ms + 1);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.inflate_pages, 0);
	expect_gt(t, g.d.level, 0);
	expect_gt(t, g.d.wanted_pages, 0);
	while (g.d.level && g.s.now_ms < until)
		ask_at(&g, g.s.now_ms + g.d.wake_ms);
	expect_eq(t, g.d.level, 0);
	expect_eq(t, g.d.wanted_pages, 0);
}

POLICY_CASE(relief_that_sufficed_is_told_for_a_moment)
{
	struct guest g = new_guest(t);

	press(&g);
	ask(&g);
	apply(&g);
	expect_ge(t, g.s.available_pages, guest_reserve(&g));
	/* The work that tells the host asks anew, and must have what to tell. */
	g.s.reclaim = false;
	ask(&g);
	expect_gt(t, g.d.level, 0);
	expect_eq(t, g.d.wanted_pages, 0);
	ask_at(&g, g.s.now_ms + g.d.wake_ms);
	expect_eq(t, g.d.level, 0);
}

POLICY_CASE(level_and_wanted_grow_with_the_shortage)
{
	struct guest g = new_guest(t);
	u64 reserve = guest_reserve(&g);
	unsigned int seen = 0;
	u64 wanted = 0;
	u32 level = 0;
	u64 i;

	g.s.reclaim = true;
	g.s.floor_pages = g.s.held_pages;	/* nothing may be given back */
	for (i = 0; i <= 64; i++) {
		g.s.available_pages = reserve - reserve * i / 64;
		ask_at(&g, g.s.now_ms + 5);
		if (!i)
			expect_eq(t, g.d.level, 0);
		else
			expect_ge(t, g.d.level, VBP_LEVEL_MEDIUM);
		expect_ge(t, g.d.level, level);
		expect_ge(t, g.d.wanted_pages, wanted);
		expect_ge(t, g.d.wanted_pages, reserve - g.s.available_pages);
		level = g.d.level;
		wanted = g.d.wanted_pages;
		seen |= 1u << level;
	}
	expect_eq(t, level, VBP_LEVEL_CRITICAL);
	/* Without relief there is no "low". */
	expect_eq(t, seen, 1u << VBP_LEVEL_NONE | 1u << VBP_LEVEL_MEDIUM |
			   1u << VBP_LEVEL_CRITICAL);

	/* What the floor lets it have, it does not want any more. */
	g.s.floor_pages -= wanted / 3;
	ask(&g);
	expect_eq(t, g.d.relief_pages, wanted / 3);
	expect_eq(t, g.d.wanted_pages, wanted - wanted / 3);
}

POLICY_CASE(the_level_is_about_what_is_left_after_relief)
{
	struct guest g = new_guest(t);
	u64 all;

	/* However short it was: it has what it needs. */
	g.s.available_pages = 0;
	g.s.reclaim = true;
	ask(&g);
	all = g.d.relief_pages;
	expect_gt(t, all, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
	/* Also if the kernel was about to kill: it gets what it asked for. */
	vbp_policy_init(&g.state);
	g.s.oom = true;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
	/* Most of it, but the floor keeps the rest. */
	vbp_policy_init(&g.state);
	g.s.oom = false;
	g.s.floor_pages = g.s.held_pages - all / 2;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_MEDIUM);
	/* With the kernel about to kill that is critical... */
	vbp_policy_init(&g.state);
	g.s.oom = true;
	ask(&g);
	expect_eq(t, g.d.level, VBP_LEVEL_CRITICAL);
	/* ...and so is next to nothing. */
	vbp_policy_init(&g.state);
	g.s.oom = false;
	g.s.floor_pages = g.s.held_pages - 1;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 1);
	expect_eq(t, g.d.level, VBP_LEVEL_CRITICAL);
	/* What the host gives back by itself counts like relief. */
	vbp_policy_init(&g.state);
	g.s.target_pages = g.s.held_pages - all;
	ask(&g);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
}

POLICY_CASE(a_guest_is_calm_a_second_after_the_last_need)
{
	struct guest g = new_guest(t);
	u64 start = g.s.now_ms;
	u64 since;

	/* Nothing may be given back, and the need ends at once. */
	g.s.floor_pages = g.s.held_pages;
	g.s.target_pages = g.s.total_pages / 4 * 3;
	press(&g);
	ask(&g);
	expect_gt(t, g.d.level, 0);
	calm(&g);
	for (since = 1; since < CALM_MS; since += 111) {
		ask_at(&g, start + since);
		expect_eq(t, g.d.level, VBP_LEVEL_LOW);
		expect_eq(t, g.d.inflate_pages, 0);
		expect_le(t, g.d.wake_ms, CALM_MS - since);
	}
	ask_at(&g, start + CALM_MS);
	expect_eq(t, g.d.level, 0);
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(a_level_that_was_relieved_ends_a_second_later)
{
	struct guest g = new_guest(t);
	u64 start = g.s.now_ms;

	relieve(&g);
	ask_at(&g, start + 600);
	expect_gt(t, g.d.level, 0);
	expect_gt(t, g.d.wake_ms, 0);
	expect_le(t, g.d.wake_ms, 400);
	ask_at(&g, start + 600 + g.d.wake_ms);
	expect_eq(t, g.d.level, 0);
}

POLICY_CASE(a_guest_that_was_never_short_has_no_level)
{
	const u64 moments[] = { 0, 1, 500, 999, 5000 };
	struct guest g = new_guest(t);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(moments); i++) {
		vbp_policy_init(&g.state);
		ask_at(&g, moments[i]);
		expect_eq(t, g.d.level, 0);
		expect_eq(t, g.d.wake_ms, 0);
	}
}

#define POLICY_LEVEL_CASES(X)						\
	X(reclaim_of_a_moment_ago_takes_nothing_but_keeps_the_level)	\
	X(relief_that_sufficed_is_told_for_a_moment)			\
	X(level_and_wanted_grow_with_the_shortage)			\
	X(the_level_is_about_what_is_left_after_relief)			\
	X(a_guest_is_calm_a_second_after_the_last_need)			\
	X(a_level_that_was_relieved_ends_a_second_later)		\
	X(a_guest_that_was_never_short_has_no_level)

#endif /* VBP_POLICY_LEVEL_H */
