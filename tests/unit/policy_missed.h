/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy promises about memory that is missed: page cache that is read
 * again, and pages that are swapped in again. In all of these there is more
 * available than the reserve, so the gate stays shut: only the counters speak.
 */
#ifndef VBP_POLICY_MISSED_H
#define VBP_POLICY_MISSED_H

#include "policy_check.h"

#define LOOK_MS		20u
#define MANY		5000u	/* pages in that time: far from nothing */
#define FEW		50u

/* A guest full of page cache, all of it available, while kswapd works. */
static struct guest new_reader(struct policy_test *t)
{
	struct guest g = new_guest(t);

	g.s.headroom_pages = 0;
	g.s.cache_pages = g.s.available_pages;
	g.s.reclaim = true;
	ask(&g);
	expect_eq(t, g.d.relief_pages, 0);
	return g;
}

/* One look later, so much has been reclaimed and refaulted. */
static void read_on(struct guest *g, u64 reclaimed, u64 refaults)
{
	g->s.reclaimed += reclaimed;
	g->s.refaults += refaults;
	ask_at(g, g->s.now_ms + LOOK_MS);
}

POLICY_CASE(page_cache_that_is_missed_gets_memory)
{
	struct guest g = new_reader(t);

	read_on(&g, MANY, MANY);
	expect_gt(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_LOW);
	expect_true(t, g.d.refault);
	expect_true(t, g.d.watch);
	expect_eq(t, vbp_size_gate(&g.config, &g.s), 0);
}

POLICY_CASE(page_cache_that_nobody_misses_gets_none)
{
	struct guest g = new_reader(t);
	int i;

	/* A stream, and the few refaults that are always there. */
	for (i = 0; i < 500 && !t->failed; i++) {
		read_on(&g, 100 * MANY, i % 2 ? MANY : 3);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
	}
	/* A handful of refaults beside next to no reclaim. */
	g = new_reader(t);
	for (i = 0; i < 500 && !t->failed; i++) {
		read_on(&g, 1, 1);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
	}
}

POLICY_CASE(a_cgroup_that_misses_its_own_cache_gets_none)
{
	struct guest g = new_guest(t);
	int i;

	/* Its reclaim is no sign: the guest has memory. */
	g.s.cache_pages = g.s.available_pages / 2;
	g.s.headroom_pages = g.s.available_pages / 2;
	for (i = 0; i < 500 && !t->failed; i++) {
		if (i == 250)
			g.s.headroom_pages = 0;		/* all is cache by now */
		read_on(&g, MANY, MANY);
		expect_eq(t, g.d.relief_pages, 0);
	}
}

POLICY_CASE(a_cgroup_that_misses_its_own_cache_is_not_told_of)
{
	struct guest g = new_guest(t);
	int i;

	/* Nor is it looked at again and again, and the balloon may grow. */
	g.s.target_pages = g.s.total_pages;
	for (i = 0; i < 500 && !t->failed; i++) {
		read_on(&g, 0, MANY);
		expect_eq(t, g.d.level, 0);
		expect_false(t, g.d.watch);
		expect_gt(t, g.d.inflate_pages, 0);
	}
	/* Also while something else takes what is free. */
	g.s.free_pages = 500 * MANY;
	for (i = 0; i < 500 && !t->failed; i++) {
		g.s.free_pages -= MANY;
		read_on(&g, 0, MANY);
		expect_eq(t, g.d.level, 0);
	}
}

POLICY_CASE(a_cgroup_beside_a_balloon_that_grows_is_not_told_of)
{
	struct guest g = new_reader(t);
	int i;

	/* What reclaim frees the balloon takes. It is on its way first. */
	g.s.held_pages = 0;
	ask_at(&g, g.s.now_ms + 10000);
	for (i = 0; i < 100 && !t->failed; i++) {
		if (i % 2)
			g.s.moving_pages += MANY;
		else
			g.s.held_pages += MANY;
		read_on(&g, MANY, MANY);
		expect_eq(t, g.d.level, 0);
	}
}

POLICY_CASE(a_cgroup_beside_one_moment_of_reclaim_gets_none)
{
	struct guest g = new_reader(t);
	u64 end = g.s.now_ms + 60000;
	int i;

	/* A disk was read once; the cgroup reads on, in frames of its own. */
	g.s.target_pages = g.s.total_pages;
	read_on(&g, 2 * MANY, MANY / 10);
	g.s.reclaim = false;
	for (i = 0; i < 100; i++)
		read_on(&g, 0, MANY);
	while (!g.d.inflate_pages && g.s.now_ms < end && !t->failed) {
		read_on(&g, 0, MANY);
		expect_eq(t, g.d.level, 0);
		expect_eq(t, g.d.relief_pages, 0);
	}
	expect_gt(t, g.d.inflate_pages, 0);
}

POLICY_CASE(a_cgroup_beside_a_little_reclaim_now_and_then_gets_none)
{
	struct guest g = new_reader(t);
	int i;

	for (i = 0; i < 3000 && !t->failed; i++) {
		g.s.reclaim = i % 50 == 0;
		read_on(&g, i % 50 ? 0 : FEW, MANY);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
	}
}

POLICY_CASE(what_is_swapped_out_is_missed_when_it_is_touched_again)
{
	struct guest g = new_reader(t);
	int i;

	/* Cold, by the administrator's wish: only the scans say so. */
	for (i = 0; i < 500 && !t->failed; i++) {
		read_on(&g, MANY, 0);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
	}
	for (i = 0; i < 100 && !g.d.relief_pages; i++)
		read_on(&g, MANY, MANY / 2);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_zswap_writes_to_the_disk_behind_it_is_not_missed)
{
	struct guest g = new_reader(t);
	int i;

	for (i = 0; i < 500 && !t->failed; i++) {
		g.s.written_back += MANY;
		/* Some are counted a moment apart. */
		read_on(&g, MANY, i % 2 ? MANY + FEW : MANY - FEW);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
	}
	/* What is touched meanwhile is, though many others never were. */
	for (i = 0; i < 100 && !g.d.relief_pages; i++) {
		g.s.written_back += MANY;
		read_on(&g, MANY, 2 * MANY);
	}
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(what_zswap_writes_back_hides_nothing_that_is_missed_later)
{
	struct guest g = new_reader(t);
	int i;

	/* The kernel had forgotten that they were reclaimed: no refaults. */
	g.s.written_back += 100 * MANY;
	for (i = 0; i < 100; i++)
		read_on(&g, MANY, 0);
	for (i = 0; i < 50 && !g.d.relief_pages; i++)
		read_on(&g, MANY, MANY);
	expect_gt(t, g.d.relief_pages, 0);
	/* Nor does a count that begins anew. */
	g = new_reader(t);
	g.s.written_back = MANY;
	ask_at(&g, g.s.now_ms + 10000);
	g.s.written_back = 0;
	read_on(&g, MANY, 0);
	read_on(&g, MANY, MANY);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(reads_of_a_slow_disk_are_missed)
{
	struct guest g = new_reader(t);
	int i;

	/* 200 a second, each of which somebody waits for. */
	for (i = 0; i < 250 && !g.d.relief_pages; i++)
		read_on(&g, 4, 4);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(reads_of_a_slow_disk_are_missed_while_kswapd_sleeps)
{
	struct guest g = new_reader(t);
	u64 on_cpus = 0;
	int i;

	/* It frees for 13 seconds at once; pages go by the list of a CPU. */
	for (i = 0; i < 2000 && !g.d.relief_pages; i++) {
		g.s.reclaim = i % 650 == 0;
		if (g.s.reclaim) {
			g.s.reclaimed += 2700;
			g.s.free_pages += 2700;
		}
		g.s.refaults += 4;
		on_cpus += 4;
		if (on_cpus >= 63) {
			g.s.free_pages -= 63;
			on_cpus -= 63;
		}
		g.s.now_ms += LOOK_MS;
		if (g.s.reclaim || g.d.watch)
			ask(&g);
	}
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(pages_are_not_looked_for_for_ever)
{
	struct guest g = new_reader(t);
	int i;

	g.s.free_pages = MANY;
	read_on(&g, 2700, 1);
	g.s.reclaim = false;
	for (i = 0; i < 250; i++) {
		g.s.free_pages--;
		read_on(&g, 0, 1);
		if (i == 120)
			expect_true(t, g.d.watch);
		expect_eq(t, g.d.level, 0);
	}
	expect_false(t, g.d.watch);
}

POLICY_CASE(a_stream_that_kswapd_follows_in_bursts_gets_none)
{
	struct guest g = new_reader(t);
	int i;

	/* Most of it in one look, the end of it in the next, then nothing. */
	for (i = 0; i < 500 && !t->failed; i++) {
		u64 reclaimed = i % 8 == 1 ? MANY / 20 : 0;

		read_on(&g, i % 8 ? reclaimed : 100 * MANY, MANY / 10);
		expect_eq(t, g.d.relief_pages, 0);
		expect_eq(t, g.d.level, 0);
	}
}

POLICY_CASE(a_step_waits_until_the_one_before_is_used_up)
{
	struct guest g = new_reader(t);
	u64 given;

	read_on(&g, MANY, MANY);
	given = g.d.relief_pages;
	expect_gt(t, given, 0);
	apply(&g);
	g.s.reclaim = false;
	g.s.free_pages = given;
	for (g.s.headroom_pages = given; g.s.headroom_pages >= given / 2;
	     g.s.headroom_pages -= MANY) {
		g.s.free_pages = g.s.headroom_pages;
		read_on(&g, 0, MANY);
		expect_eq(t, g.d.relief_pages, 0);
		expect_true(t, g.d.watch);
	}
	/* And not until reclaim runs again. */
	g.s.headroom_pages = given / 4;
	read_on(&g, 0, MANY);
	expect_gt(t, g.d.relief_pages, 0);
}

/* Refaults at a rate that nothing changes; returns what was given in @ms. */
static u64 miss_for(struct guest *g, u64 ms)
{
	u64 end = g->s.now_ms + ms;
	u64 given = 0;

	while (g->s.now_ms < end && !g->t->failed) {
		read_on(g, MANY, MANY);
		given += g->d.relief_pages;
		apply(g);
		if (g->d.inflate_pages)
			break;
	}
	return given;
}

POLICY_CASE(memory_that_does_not_help_is_taken_back)
{
	struct guest g = new_reader(t);
	u64 step = guest_step(&g) + BLOCK_PAGES;
	u64 given;

	/* Far more elastic memory than cache: the trial ends earlier. */
	g.s.cache_pages = 200 * MIB_PAGES;
	given = miss_for(&g, 5000);
	expect_gt(t, given, 0);
	expect_le(t, given, 2 * g.s.cache_pages + step);
	expect_gt(t, guest_elastic(&g), 0);
	/* It is over, though the refaults are not. */
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, 0);
	/* After the hold-off it goes back, refaults or no. */
	given = miss_for(&g, g.config.holdoff_ms + 1000);
	expect_eq(t, given, 0);
	expect_gt(t, g.d.inflate_pages, 0);
}

static void leave_one_step(struct guest *g)
{
	g->s.floor_pages = g->s.held_pages - guest_step(g);
}

POLICY_CASE(memory_that_was_all_given_is_taken_back_if_it_did_not_help)
{
	struct guest g = new_reader(t);
	u64 given;

	/* One step only: no limit ends the trial. */
	leave_one_step(&g);
	given = miss_for(&g, g.config.holdoff_ms / 2);
	expect_gt(t, given, 0);
	expect_eq(t, guest_elastic(&g), 0);
	expect_gt(t, g.d.level, 0);
	expect_gt(t, g.d.wanted_pages, 0);
	miss_for(&g, g.config.holdoff_ms);
	expect_gt(t, g.d.inflate_pages, 0);
}

/* Missed so much page cache that nothing is left to give. */
static struct guest new_reader_given_all(struct policy_test *t)
{
	struct guest g = new_reader(t);

	leave_one_step(&g);
	miss_for(&g, 5000);
	expect_eq(t, guest_elastic(&g), 0);
	return g;
}

POLICY_CASE(free_pages_that_come_and_go_are_no_sign)
{
	struct guest g = new_reader_given_all(t);
	u64 end = g.s.now_ms + g.config.holdoff_ms + 1000;
	int i = 0;

	/* CPUs' own lists of free pages: as many come as go. */
	g.s.reclaim = false;
	while (g.s.now_ms < end && !t->failed) {
		g.s.free_pages = i++ % 2 ? 0 : 2 * FEW;
		read_on(&g, 0, MANY);
	}
	expect_gt(t, g.d.inflate_pages, 0);
	expect_eq(t, g.d.level, 0);
}

POLICY_CASE(memory_that_was_all_given_is_kept_while_it_helps)
{
	struct guest g = new_reader_given_all(t);
	u64 end;

	/* Still missed, but much less. */
	for (end = g.s.now_ms + 4 * g.config.holdoff_ms; g.s.now_ms < end;) {
		read_on(&g, MANY / 2, MANY / 2);
		expect_eq(t, g.d.inflate_pages, 0);
		expect_gt(t, g.d.wanted_pages, 0);
	}
}

POLICY_CASE(memory_that_was_all_given_is_kept_until_it_is_used_up)
{
	struct guest g = new_reader_given_all(t);
	u64 end;

	/* A slow disk: all is missed once more, and nothing has to go for it. */
	g.s.reclaim = false;
	g.s.free_pages = g.s.target_pages;
	g.s.headroom_pages = g.s.free_pages;
	read_on(&g, MANY, MANY);
	for (end = g.s.now_ms + g.config.holdoff_ms / 4 * 7; g.s.now_ms < end;) {
		read_on(&g, 0, FEW / 2 * 3);
		g.s.free_pages -= FEW / 2 * 3;
		g.s.headroom_pages = g.s.free_pages;
		expect_eq(t, g.d.inflate_pages, 0);
	}
	g.s.headroom_pages = 0;
	g.s.reclaim = true;
	miss_for(&g, 2 * g.config.holdoff_ms);
	expect_gt(t, g.d.inflate_pages, 0);
}

/* Misses pages until the balloon is where @away says; how long it took. */
static u64 miss_until(struct guest *g, bool away)
{
	u64 start = g->s.now_ms;

	while ((g->s.held_pages < g->s.target_pages) != away &&
	       g->s.now_ms < start + 3600000 && !g->t->failed)
		miss_for(g, 1000);
	expect_eq(g->t, g->s.held_pages < g->s.target_pages, away);
	return g->s.now_ms - start;
}

POLICY_CASE(what_did_not_help_is_tried_less_and_less)
{
	struct guest g = new_reader(t);
	u64 start, first, last;
	int i;

	g.s.cache_pages = 200 * MIB_PAGES;
	for (i = 0, first = 0, last = 0; i < 5 && !t->failed; i++) {
		/* A trial, and all the time until the next. */
		start = g.s.now_ms;
		miss_until(&g, true);
		miss_until(&g, false);
		last = g.s.now_ms - start;
		if (!i)
			first = last;
	}
	expect_ge(t, last, 2 * first);
}

POLICY_CASE(what_did_not_help_is_not_kept_the_longer)
{
	struct guest g = new_reader(t);
	u64 start, first;
	int i;

	g.s.cache_pages = 100 * MIB_PAGES;
	for (i = 0, first = 0; i < 5 && !t->failed; i++) {
		miss_until(&g, true);
		start = g.s.now_ms;
		do {
			miss_for(&g, 1000);
		} while (!g.d.inflate_pages && !t->failed &&
			 g.s.now_ms < start + 3600000);
		/* It begins to grow as soon as after the first trial. */
		if (!i)
			first = g.s.now_ms - start;
		expect_le(t, g.s.now_ms - start, first + first / 4);
		miss_until(&g, false);
	}
}

POLICY_CASE(a_set_of_many_times_the_cache_gets_its_memory)
{
	struct guest g = new_reader(t);
	u64 end = g.s.now_ms + 3600000;
	u64 needs = g.s.held_pages / 10 * 9;

	g.s.cache_pages = 100 * MIB_PAGES;
	/* Read in a loop: all of it is missed until all of it fits. */
	while (g.s.target_pages - g.s.held_pages < needs && g.s.now_ms < end &&
	       !t->failed)
		miss_for(&g, 20);
	expect_ge(t, g.s.target_pages - g.s.held_pages, needs);
}

POLICY_CASE(a_set_of_less_than_thrice_the_cache_gets_its_memory_at_once)
{
	struct guest g = new_reader(t);
	u64 needs;

	g.s.cache_pages = 200 * MIB_PAGES;
	needs = g.s.cache_pages / 10 * 17;
	while (g.s.target_pages - g.s.held_pages < needs &&
	       !g.state.refault.failed && !t->failed)
		miss_for(&g, 20);
	expect_ge(t, g.s.target_pages - g.s.held_pages, needs);
}

POLICY_CASE(a_clock_that_jumps_back_puts_no_trial_off)
{
	struct guest g = new_reader(t);

	g.s.cache_pages = 200 * MIB_PAGES;
	miss_until(&g, true);
	miss_until(&g, false);
	g.s.now_ms = START_MS / 100;
	expect_gt(t, miss_for(&g, 3 * g.config.holdoff_ms), 0);
}

POLICY_CASE(memory_that_helps_is_given_until_it_suffices)
{
	struct guest g = new_reader(t);
	u64 held = g.s.held_pages;
	u64 needs = held / 10 * 6;
	int left = 2000;		/* 40 s: no second trial */

	g.s.cache_pages = 200 * MIB_PAGES;
	/* Each page given back is one that is no longer missed. */
	while (left-- && held - g.s.held_pages < needs && !t->failed) {
		u64 part = needs - (held - g.s.held_pages);

		read_on(&g, MANY, MANY * part / needs + 300);
		apply(&g);
	}
	expect_gt(t, left, 0);
	g.s.reclaim = false;
	ask_at(&g, g.s.now_ms + 1500);
	expect_eq(t, g.d.level, 0);
	expect_false(t, g.state.refault.failed);
}

POLICY_CASE(missed_memory_below_the_floor_is_wanted)
{
	struct guest g = new_reader(t);

	g.s.floor_pages = g.s.held_pages;
	read_on(&g, MANY, MANY);
	expect_eq(t, g.d.relief_pages, 0);
	expect_eq(t, g.d.level, VBP_LEVEL_MEDIUM);
	expect_gt(t, g.d.wanted_pages, 0);
	/* A part of a step is not the whole step. */
	g = new_reader(t);
	g.s.floor_pages = g.s.held_pages - BLOCK_PAGES;
	read_on(&g, MANY, MANY);
	expect_eq(t, g.d.relief_pages, BLOCK_PAGES);
	expect_eq(t, g.d.level, VBP_LEVEL_MEDIUM);
	expect_gt(t, g.d.wanted_pages, 0);
}

POLICY_CASE(the_balloon_does_not_grow_while_cache_is_missed)
{
	struct guest g = new_reader(t);
	int i;

	g.s.target_pages = g.s.total_pages;
	g.s.floor_pages = g.s.held_pages;
	for (i = 0; i < 100 && !t->failed; i++) {
		read_on(&g, MANY, MANY);
		expect_eq(t, g.d.inflate_pages, 0);
		expect_true(t, g.d.unreached);
	}
}

POLICY_CASE(relief_that_has_begun_goes_ahead_of_reclaim)
{
	struct guest g = new_guest(t);

	press(&g);
	ask(&g);
	expect_gt(t, g.d.relief_pages, 0);
	/* Plenty free still: nothing to hurry for. */
	g.s.reclaim = false;
	ask_at(&g, g.s.now_ms + LOOK_MS);
	expect_eq(t, g.d.relief_pages, 0);
	/* The load goes on, slowly: it has used it up, reclaim has not begun. */
	expect_true(t, g.d.watch);
	ask_at(&g, g.s.now_ms + 2000);
	expect_true(t, g.d.watch);
	g.s.headroom_pages = BLOCK_PAGES;
	ask_at(&g, g.s.now_ms + 1000);
	expect_gt(t, g.d.relief_pages, 0);
	/* A program that does nothing any more is not followed. */
	ask_at(&g, g.s.now_ms + 60000);
	expect_eq(t, g.d.relief_pages, 0);
	expect_false(t, g.d.watch);
	press(&g);
	ask(&g);
	g.s.reclaim = false;
	/* That is no licence: with enough available it ends. */
	calm(&g);
	g.s.headroom_pages = 0;
	ask_at(&g, g.s.now_ms + LOOK_MS);
	expect_eq(t, g.d.relief_pages, 0);
}

POLICY_CASE(nothing_is_watched_in_a_quiet_guest)
{
	struct guest g = new_guest(t);
	u64 end;

	ask(&g);
	expect_false(t, g.d.watch);
	g = new_reader(t);
	read_on(&g, MANY, MANY);
	expect_true(t, g.d.watch);
	apply(&g);
	g.s.reclaim = false;
	g.s.headroom_pages = g.s.total_pages / 4;
	for (end = g.s.now_ms + 5000; g.d.watch && g.s.now_ms < end;)
		read_on(&g, 0, 0);
	expect_false(t, g.d.watch);
}

POLICY_CASE(counters_that_start_anew_are_no_sign)
{
	struct guest g = new_reader(t);

	g.s.refaults = 10 * MANY;
	g.s.reclaimed = 10 * MANY;
	ask_at(&g, g.s.now_ms + 10000);
	expect_eq(t, g.d.relief_pages, 0);
	g.s.refaults = 0;
	g.s.reclaimed += MANY;
	ask_at(&g, g.s.now_ms + LOOK_MS);
	expect_eq(t, g.d.relief_pages, 0);
	/* And from there on they count. */
	g.s.reclaimed = 0;
	ask_at(&g, g.s.now_ms + LOOK_MS);
	read_on(&g, MANY, MANY);
	expect_gt(t, g.d.relief_pages, 0);
}

POLICY_CASE(a_booting_guest_is_left_alone)
{
	struct guest g = new_guest(t);

	g.config.boot_ms = 5000;
	g.s.held_pages = 0;
	g.s.available_pages = g.s.total_pages;
	ask_at(&g, 3000);
	expect_eq(t, g.d.inflate_pages, 0);
	expect_eq(t, g.d.wake_ms, 2000);
	ask_at(&g, 5000);
	expect_gt(t, g.d.inflate_pages, 0);
	/* Where it is not the guest's to decide, the host's word counts. */
	g = new_guest(t);
	g.config.boot_ms = 5000;
	g.s.elastic = false;
	g.s.held_pages = 0;
	ask_at(&g, 3000);
	expect_gt(t, g.d.inflate_pages, 0);
}

#define POLICY_MISSED_CASES(X)						\
	X(page_cache_that_is_missed_gets_memory)			\
	X(page_cache_that_nobody_misses_gets_none)			\
	X(a_cgroup_that_misses_its_own_cache_gets_none)			\
	X(a_cgroup_that_misses_its_own_cache_is_not_told_of)		\
	X(a_cgroup_beside_a_balloon_that_grows_is_not_told_of)		\
	X(a_cgroup_beside_one_moment_of_reclaim_gets_none)		\
	X(a_cgroup_beside_a_little_reclaim_now_and_then_gets_none)	\
	X(what_is_swapped_out_is_missed_when_it_is_touched_again)	\
	X(what_zswap_writes_to_the_disk_behind_it_is_not_missed)	\
	X(what_zswap_writes_back_hides_nothing_that_is_missed_later)	\
	X(free_pages_that_come_and_go_are_no_sign)			\
	X(reads_of_a_slow_disk_are_missed)				\
	X(reads_of_a_slow_disk_are_missed_while_kswapd_sleeps)		\
	X(pages_are_not_looked_for_for_ever)				\
	X(a_stream_that_kswapd_follows_in_bursts_gets_none)		\
	X(a_step_waits_until_the_one_before_is_used_up)			\
	X(memory_that_does_not_help_is_taken_back)			\
	X(memory_that_was_all_given_is_taken_back_if_it_did_not_help)	\
	X(memory_that_was_all_given_is_kept_while_it_helps)		\
	X(memory_that_was_all_given_is_kept_until_it_is_used_up)	\
	X(what_did_not_help_is_tried_less_and_less)			\
	X(what_did_not_help_is_not_kept_the_longer)			\
	X(a_set_of_many_times_the_cache_gets_its_memory)		\
	X(a_set_of_less_than_thrice_the_cache_gets_its_memory_at_once)	\
	X(a_clock_that_jumps_back_puts_no_trial_off)			\
	X(memory_that_helps_is_given_until_it_suffices)			\
	X(missed_memory_below_the_floor_is_wanted)			\
	X(the_balloon_does_not_grow_while_cache_is_missed)		\
	X(relief_that_has_begun_goes_ahead_of_reclaim)			\
	X(nothing_is_watched_in_a_quiet_guest)				\
	X(counters_that_start_anew_are_no_sign)				\
	X(a_booting_guest_is_left_alone)

#endif /* VBP_POLICY_MISSED_H */
