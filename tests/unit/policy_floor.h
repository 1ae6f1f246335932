/* SPDX-License-Identifier: GPL-2.0-only */
/* What the policy promises about the floor as far as it counts for MemTotal. */
#ifndef VBP_POLICY_FLOOR_H
#define VBP_POLICY_FLOOR_H

#include "policy_check.h"

POLICY_CASE(the_higher_of_two_floors_holds)
{
	struct guest g = new_guest(t);
	u64 held = g.s.held_pages;

	g.s.available_pages = 0;
	g.s.reclaim = true;
	g.s.floor_pages = held - 100;
	g.s.floor_now_pages = held - 10;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 10);
	expect_gt(t, g.d.wanted_pages, 90);
	apply(&g);
	/* Lifted: what was refused comes at once, without another sign of need. */
	g.s.floor_now_pages = 0;
	g.s.reclaim = false;
	ask_at(&g, g.s.now_ms + 1);
	expect_eq(t, g.d.relief_pages, 90);
}

POLICY_CASE(a_floor_for_the_moment_asks_for_nothing)
{
	struct guest g = new_guest(t);

	/* It neither keeps the balloon from the target nor makes it grow. */
	g.s.floor_now_pages = ~(u64)0;
	g.s.target_pages = g.s.held_pages / 2;
	ask(&g);
	expect_eq(t, g.d.deflate_pages, g.s.held_pages - g.s.target_pages);
	expect_eq(t, g.d.inflate_pages, 0);
	press(&g);
	g.s.held_pages = g.s.target_pages / 2;
	ask(&g);
	expect_eq(t, g.d.relief_pages + g.d.inflate_pages, 0);
}

POLICY_CASE(a_floor_counts_when_it_has_stood_for_a_minute)
{
	struct vbp_policy_floor floor = {};

	expect_eq(t, vbp_size_stand(&floor, 0, START_MS), 0);
	expect_eq(t, vbp_size_stand(&floor, 1000, START_MS), 60000);
	expect_eq(t, vbp_size_stand(&floor, 1000, START_MS + 59999), 1);
	expect_eq(t, floor.standing_pages, 0);
	expect_eq(t, vbp_size_stand(&floor, 1000, START_MS + 60000), 0);
	expect_eq(t, floor.standing_pages, 1000);
}

POLICY_CASE(a_floor_that_sinks_counts_at_once)
{
	struct vbp_policy_floor floor = { .standing_pages = 1000 };

	expect_eq(t, vbp_size_stand(&floor, 400, START_MS), 0);
	expect_eq(t, floor.standing_pages, 400);
	/* What it was before is forgotten: it has to stand anew. */
	vbp_size_stand(&floor, 1000, START_MS + 1);
	expect_eq(t, floor.standing_pages, 400);
	/* A dip to what stands, and the wait begins again. */
	vbp_size_stand(&floor, 400, START_MS + 59000);
	expect_eq(t, vbp_size_stand(&floor, 1000, START_MS + 59500), 60000);
	vbp_size_stand(&floor, 1000, START_MS + 61000);
	expect_eq(t, floor.standing_pages, 400);
}

POLICY_CASE(of_a_floor_that_moves_the_least_has_stood)
{
	struct vbp_policy_floor floor = {};

	vbp_size_stand(&floor, 1000, START_MS);
	vbp_size_stand(&floor, 600, START_MS + 30000);
	vbp_size_stand(&floor, 2000, START_MS + 50000);
	/* What came on top waits from when it is seen to be there. */
	expect_eq(t, vbp_size_stand(&floor, 2000, START_MS + 60000), 60000);
	expect_eq(t, floor.standing_pages, 600);
	expect_eq(t, vbp_size_stand(&floor, 2000, START_MS + 120000), 0);
	expect_eq(t, floor.standing_pages, 2000);
}

POLICY_CASE(a_floor_survives_a_clock_that_goes_backwards)
{
	struct vbp_policy_floor floor = {};

	vbp_size_stand(&floor, 1000, START_MS);
	expect_eq(t, vbp_size_stand(&floor, 1000, START_MS - 1), 60000);
	expect_eq(t, floor.standing_pages, 0);
	vbp_size_stand(&floor, 1000, START_MS - 1 + 60000);
	expect_eq(t, floor.standing_pages, 1000);
}

#define POLICY_FLOOR_CASES(X)						\
	X(the_higher_of_two_floors_holds)				\
	X(a_floor_for_the_moment_asks_for_nothing)			\
	X(a_floor_counts_when_it_has_stood_for_a_minute)		\
	X(a_floor_that_sinks_counts_at_once)				\
	X(of_a_floor_that_moves_the_least_has_stood)			\
	X(a_floor_survives_a_clock_that_goes_backwards)

#endif /* VBP_POLICY_FLOOR_H */
