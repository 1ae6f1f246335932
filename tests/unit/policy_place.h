/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises where memory is not the same everywhere: a node, or
 * what the kernel itself can use, may be short while the guest is not.
 */
#ifndef VBP_POLICY_PLACE_H
#define VBP_POLICY_PLACE_H

#include "policy_chance.h"
#include "policy_check.h"

/* A guest with plenty, of which one half is shortest, and has plenty, too. */
static struct guest new_guest_of_two(struct policy_test *t)
{
	struct guest g = new_guest(t);

	g.s.place = (struct vbp_policy_place) {
		.total_pages = g.s.total_pages / 2,
		.available_pages = g.s.available_pages / 2,
		.headroom_pages = g.s.headroom_pages / 2,
		.held_pages = g.s.held_pages / 2,
	};
	return g;
}

static u64 place_reserve(const struct guest *g)
{
	return vbp_place_reserve(&g->config, &g->s, &g->s.place);
}

static void use_up_the_place(struct guest *g)
{
	g->s.available_pages -= g->s.place.available_pages;
	g->s.place.available_pages = 0;
	g->s.place.headroom_pages = 0;
	g->s.reclaim = true;
}

POLICY_CASE(a_short_place_is_given_what_it_lacks)
{
	struct guest g = new_guest_of_two(t);

	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	use_up_the_place(&g);
	expect_gt(t, vbp_size_gate(&g.config, &g.s), 0);
	ask(&g);
	expect_true(t, g.d.place);
	expect_ge(t, g.d.relief_pages, place_reserve(&g));
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
	/* No more than a step of that part comes on top. */
	expect_le(t, g.d.relief_pages,
		  place_reserve(&g) + guest_step(&g) / 2 + BLOCK_PAGES);
}

POLICY_CASE(a_place_without_reclaim_is_left_alone)
{
	struct guest g = new_guest_of_two(t);

	use_up_the_place(&g);
	g.s.reclaim = false;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, 0);
}

POLICY_CASE(a_place_of_which_nothing_is_held_is_not_short)
{
	struct guest g = new_guest_of_two(t);

	use_up_the_place(&g);
	g.s.place.held_pages = 0;
	expect_eq(t, vbp_size_gate(&g.config, &g.s), 0);
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, 0);
	expect_false(t, g.d.place);
}

POLICY_CASE(a_place_is_given_no_more_than_is_held_of_it)
{
	struct guest g = new_guest_of_two(t);

	use_up_the_place(&g);
	g.s.place.held_pages = 3 * BLOCK_PAGES;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 3 * BLOCK_PAGES);
	/* What the whole guest lacks is given besides, and from there first. */
	g = new_guest_of_two(t);
	use_up_the_place(&g);
	g.s.place.held_pages = 3 * BLOCK_PAGES;
	g.s.available_pages = 0;
	ask(&g);
	expect_true(t, g.d.place);
	expect_ge(t, g.d.relief_pages, guest_reserve(&g));
	/* The larger need counts: one page that the guest lacks hides none. */
	g = new_guest_of_two(t);
	use_up_the_place(&g);
	g.s.available_pages = guest_reserve(&g) - 1;
	ask(&g);
	expect_ge(t, g.d.relief_pages, place_reserve(&g) + guest_step(&g) / 2 -
				       BLOCK_PAGES);
}

POLICY_CASE(a_small_place_keeps_its_own_part)
{
	struct guest g = new_guest(t);
	u64 whole;

	whole = guest_reserve(&g);
	g.s.place.total_pages = g.s.total_pages / 10;
	expect_le(t, place_reserve(&g), whole / 10);
	expect_ge(t, place_reserve(&g), whole / 10 - 16);
	/* However much of it is held: none is ever taken wholly. */
	g.s.place.held_pages = g.s.place.total_pages;
	expect_ge(t, place_reserve(&g), whole / 10 - 16);
	/* Where the whole has an end, so have its parts. */
	g.s.total_pages *= 1024;
	whole = guest_reserve(&g);
	expect_eq(t, whole, g.config.reserve_max_pages);
	g.s.place.total_pages = g.s.total_pages / 2;
	expect_eq(t, place_reserve(&g), whole / 2);
	/* Nor can one be larger than the guest. */
	g.s.place.total_pages = g.s.total_pages * 2;
	expect_eq(t, place_reserve(&g), whole);
	g.s.place.total_pages = (u64)1 << 48;
	expect_eq(t, place_reserve(&g), whole);
}

POLICY_CASE(relief_goes_ahead_in_a_place_that_runs_out)
{
	struct guest g = new_guest_of_two(t);

	use_up_the_place(&g);
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
	apply(&g);
	/* It is used up there, and free pages elsewhere are of no help. */
	g.s.reclaim = false;
	g.s.now_ms += 500;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
	/* While some are free there, nothing has to be done. */
	g.s.place.headroom_pages = g.s.place.total_pages / 8;
	g.s.now_ms += 500;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_is_bound_is_not_taken)
{
	struct guest g = new_guest_of_two(t);
	u64 spare = 50 * BLOCK_PAGES;

	g.s.target_pages = g.s.total_pages;
	g.s.bound_pages = g.s.available_pages - spare;
	ask(&g);
	expect_eq(t, g.d.inflate_pages, spare);
	apply(&g);
	ask(&g);
	expect_eq(t, g.d.inflate_pages, 0);
	expect_true(t, g.d.unreached);
	expect_gt(t, g.d.wake_ms, 0);
	/* It never makes up for the reserve. */
	g.s.bound_pages = 1;
	g.s.available_pages = guest_reserve(&g);
	ask(&g);
	expect_eq(t, g.d.inflate_pages, 0);
}

POLICY_CASE(a_place_about_to_stall_at_the_floor_is_critical)
{
	struct guest g = new_guest_of_two(t);

	g.s.floor_pages = g.s.held_pages;
	use_up_the_place(&g);
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_CRITICAL);
	expect_ge(t, g.d.wanted_pages, place_reserve(&g));
	g.s.place.available_pages = place_reserve(&g) / 2;
	ask(&g);
	expect_eq(t, g.d.level, VBP_LEVEL_MEDIUM);
	/* Nor if the floor lets it have half of what it lacks. */
	g.s.place.available_pages = 0;
	g.s.floor_pages = g.s.held_pages - place_reserve(&g) / 2;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_MEDIUM);
}

POLICY_CASE(who_is_killed_in_a_place_gets_what_is_held_there_first)
{
	struct guest g = new_guest_of_two(t);

	g.s.oom = true;
	ask(&g);
	expect_true(t, g.d.place);
	expect_ge(t, g.d.relief_pages, g.config.oom_step_pages);
}

/* Two nodes, and a program that is bound to the second. */
struct two_nodes {
	u64 total[2];
	u64 held[2];
	u64 used[2];
	u64 room[2];	/* what the balloon may take of each */
};

static u64 node_free(const struct two_nodes *nodes, int i)
{
	return nodes->total[i] - nodes->held[i] - nodes->used[i];
}

static struct vbp_policy_place node_place(const struct two_nodes *nodes, int i)
{
	return (struct vbp_policy_place) {
		.total_pages = nodes->total[i],
		.available_pages = node_free(nodes, i),
		.headroom_pages = node_free(nodes, i),
		.held_pages = nodes->held[i],
	};
}

/* As balloon/places.c has it. */
static void look_at_nodes(struct guest *g, struct two_nodes *nodes)
{
	u64 reserve, most = 0, free = 0;
	struct vbp_policy_place place;
	int i;

	g->s.held_pages = nodes->held[0] + nodes->held[1];
	g->s.total_pages = nodes->total[0] + nodes->total[1];
	g->s.place = (struct vbp_policy_place){};
	for (i = 0; i < 2; i++) {
		place = node_place(nodes, i);
		reserve = vbp_place_reserve(&g->config, &g->s, &place);
		free += place.available_pages;
		nodes->room[i] = place.available_pages -
				 min(place.available_pages,
				     reserve + reserve / 4);
		reserve += g->s.total_pages - place.available_pages;
		if (!place.held_pages || reserve <= most)
			continue;
		most = reserve;
		g->s.place = place;
	}
	g->s.available_pages = free;
	g->s.headroom_pages = free;
	g->s.free_pages = free;
	g->s.bound_pages = free - nodes->room[0] - nodes->room[1];
}

/* Relief for the place comes from there first; growth is shared. */
static void apply_to_nodes(struct guest *g, struct two_nodes *nodes)
{
	u64 give = g->d.relief_pages + g->d.deflate_pages;
	u64 take = g->d.inflate_pages, all = g->s.available_pages;
	int first = g->d.place &&
		    g->s.place.total_pages == nodes->total[1];
	u64 part = min(give, nodes->held[first]);

	nodes->held[first] -= part;
	nodes->held[!first] -= give - part;
	if (!take)
		return;
	part = min(take * node_free(nodes, 0) / all, nodes->room[0]);
	part = max(part, take - min(take, nodes->room[1]));
	nodes->held[0] += part;
	nodes->held[1] += take - part;
}

POLICY_CASE(what_cpus_keep_hides_no_shortage)
{
	expect_eq(t, vbp_size_kept(4000, 0), 0);
	expect_eq(t, vbp_size_kept(4000, 500), 1500);
	expect_eq(t, vbp_size_kept(4000, 2000), 4000);
	expect_eq(t, vbp_size_kept(0, 2000), 0);
	/* More than is kept is not made of it. */
	expect_eq(t, vbp_size_kept(4000, 3000), 4000);
}

POLICY_CASE(a_bound_program_gets_what_is_held_where_it_is)
{
	struct guest g = new_guest(t);
	u64 seed = t->seed, goal = 0, grow, before, i;
	struct two_nodes nodes = {
		.total = { 1024 * MIB_PAGES, 1000 * MIB_PAGES },
		.used = { 100 * MIB_PAGES, 0 },
	};
	bool ended = false;

	/* One a tenth of the other, too. */
	if (one_in(&seed, 2))
		nodes.total[1] /= 10;
	g.s.target_pages = 600 * MIB_PAGES;
	for (i = 0; i < t->steps && i < 20000 && !t->failed; i++) {
		if (one_in(&seed, 2000)) {
			goal = one_in(&seed, 2) ? 0 : nodes.total[1] -
			       below(&seed, (u32)nodes.total[1] / 2) -
			       nodes.total[1] / 50;
			ended = !goal;
		}
		if (ended)
			nodes.used[1] = 0;
		/* Up to a 200th of the node in 10 ms. */
		grow = min_t(u64, goal - min(goal, nodes.used[1]),
			     below(&seed, (u32)nodes.total[1] / 200));
		g.s.reclaim = node_free(&nodes, 1) < grow +
			      nodes.total[1] / 100;
		look_at_nodes(&g, &nodes);
		before = nodes.held[0];
		ask_at(&g, g.s.now_ms + 10);
		apply_to_nodes(&g, &nodes);
		/* Else pages of the other node are of no help. */
		if (g.s.available_pages >= guest_reserve(&g) &&
		    nodes.held[1])
			expect_ge(t, nodes.held[0], before);
		if (nodes.held[1])
			expect_ge(t, node_free(&nodes, 1), grow);
		nodes.used[1] += min(grow, node_free(&nodes, 1));
	}
	/* A quiet guest comes to rest, at its target or as near as it may. */
	nodes.used[1] = 0;
	g.s.reclaim = false;
	for (i = 0; i < 20000 && !t->failed; i++) {
		look_at_nodes(&g, &nodes);
		ask_at(&g, g.s.now_ms + 1000);
		apply_to_nodes(&g, &nodes);
		expect_eq(t, g.d.relief_pages, 0);
	}
	if (!g.d.unreached)
		expect_eq(t, nodes.held[0] + nodes.held[1], g.s.target_pages);
}

/* A program is bound to a place of which the balloon has nothing (any more). */
static struct guest new_bound_guest(struct policy_test *t)
{
	struct guest g = new_guest_of_two(t);

	use_up_the_place(&g);
	g.s.place.held_pages = 0;
	g.s.oom = true;
	ask(&g);
	expect_ge(t, g.d.relief_pages, g.config.oom_step_pages);
	apply(&g);
	g.s.headroom_pages = g.config.oom_step_pages + 1;
	return g;
}

POLICY_CASE(what_helps_nobody_who_is_killed_stays)
{
	struct guest g = new_bound_guest(t);
	u32 i;

	for (i = 0; i < 10; i++) {
		ask_at(&g, g.s.now_ms + 100);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, VBP_LEVEL_CRITICAL);
	}
	/* Much later it is another need. */
	ask_at(&g, g.s.now_ms + g.config.holdoff_ms);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_is_used_up_by_who_would_be_killed_is_given_again)
{
	struct guest g = new_bound_guest(t);

	g.s.headroom_pages--;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_is_on_its_way_to_who_would_be_killed_is_no_help_yet)
{
	struct guest g = new_bound_guest(t);

	g.s.moving_pages = 1;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(who_would_be_killed_though_little_is_available_is_given_more)
{
	struct guest g = new_bound_guest(t);

	g.s.available_pages = guest_reserve(&g) - 1;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(who_would_be_killed_gets_all_of_a_place)
{
	struct guest g = new_bound_guest(t);

	g.s.place.held_pages = BLOCK_PAGES;
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
}

#define POLICY_PLACE_CASES(X)						\
	X(a_short_place_is_given_what_it_lacks)				\
	X(a_place_without_reclaim_is_left_alone)			\
	X(a_place_of_which_nothing_is_held_is_not_short)		\
	X(a_place_is_given_no_more_than_is_held_of_it)			\
	X(a_small_place_keeps_its_own_part)				\
	X(relief_goes_ahead_in_a_place_that_runs_out)			\
	X(what_is_bound_is_not_taken)					\
	X(a_place_about_to_stall_at_the_floor_is_critical)		\
	X(who_is_killed_in_a_place_gets_what_is_held_there_first)	\
	X(what_cpus_keep_hides_no_shortage)				\
	X(a_bound_program_gets_what_is_held_where_it_is)		\
	X(what_helps_nobody_who_is_killed_stays)			\
	X(what_is_used_up_by_who_would_be_killed_is_given_again)	\
	X(what_is_on_its_way_to_who_would_be_killed_is_no_help_yet)	\
	X(who_would_be_killed_though_little_is_available_is_given_more)	\
	X(who_would_be_killed_gets_all_of_a_place)

#endif /* VBP_POLICY_PLACE_H */
