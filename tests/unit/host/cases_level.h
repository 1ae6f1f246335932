/* SPDX-License-Identifier: GPL-2.0-only */
/* H1, H3, H6: how short the host is, and who is told of it. */
#ifndef VBP_HOST_CASES_LEVEL_H
#define VBP_HOST_CASES_LEVEL_H

#include "cases_check.h"

HOST_CASE(memory_says_how_short_the_host_is)
{
	static const struct {
		u64 free;
		u32 level;
	} steps[] = {
		{ 4 * GIB, 0 }, { 4 * GIB - 1, 1 }, { 2 * GIB, 1 },
		{ 2 * GIB - 1, 2 }, { GIB, 2 }, { GIB - 1, 3 }, { 0, 3 },
		{ 64 * GIB, 0 }, { ~(u64)0, 0 },
	};
	struct host_case h = new_host(t);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		h.s.free = steps[i].free;
		look_again(&h);
		expect_eq(t, h.d.level, steps[i].level);
	}
}

/* Totals that the kernel brings up to date every two seconds. */
HOST_CASE(a_stall_while_short_adds_a_step)
{
	struct host_case h = new_host(t);

	h.s.free = 3 * GIB;
	look_again(&h);
	h.s.some_us += HOST_POLICY_SOME_US / 2;
	look_again(&h);
	expect_eq(t, h.d.level, 1);
	h.s.some_us += 2 * HOST_POLICY_SOME_US;
	look_again(&h);
	expect_eq(t, h.d.level, 2);
	look_again(&h);
	expect_eq(t, h.d.level, 1);
	h.s.some_us += 2 * HOST_POLICY_SOME_US;
	h.s.full_us += 2 * HOST_POLICY_FULL_US;
	look_again(&h);
	expect_eq(t, h.d.level, 3);
}

/* A minute in which nobody looked, and a stall as long as a bad period's. */
HOST_CASE(a_stall_is_measured_by_the_time)
{
	struct host_case h = new_host(t);

	h.s.free = 3 * GIB;
	look_again(&h);
	h.s.some_us += 2 * HOST_POLICY_SOME_US;
	h.s.now_ms += 60000;
	decide(&h);
	expect_eq(t, h.d.level, 1);
}

HOST_CASE(a_stall_with_memory_to_spare_is_nobodys_business)
{
	struct host_case h = new_host(t);

	look_again(&h);
	h.s.some_us += 2000000;
	h.s.full_us += 2000000;
	h.s.woken = true;
	look_again(&h);
	expect_eq(t, h.d.level, 0);
	expect_eq(t, h.d.automatic, 0);
	h.s.event_level = 3;
	h.s.woken = true;
	look_again(&h);
	expect_eq(t, h.d.level, 0);
}

HOST_CASE(a_trigger_is_a_look_at_once)
{
	struct host_case h = new_host(t);

	look_again(&h);
	h.s.free = 3 * GIB;
	h.s.now_ms += 1600;
	h.s.woken = true;
	expect_lt(t, (u64)h.s.now_ms, (u64)h.state.look_ms);
	decide(&h);
	expect_eq(t, h.d.level, 2);
	expect_gt(t, h.d.automatic, 0);
}

HOST_CASE(an_event_counts_for_two_periods_while_short)
{
	struct host_case h = new_host(t);

	h.s.free = 3 * GIB;
	look_again(&h);
	h.s.now_ms += 1000;
	h.s.event_level = 3;
	h.s.woken = true;
	decide(&h);
	expect_eq(t, h.d.level, 3);
	h.s.now_ms += 2 * HOST_POLICY_PERIOD_MS - 1;
	decide(&h);
	expect_eq(t, h.d.level, 3);
	h.s.now_ms += 1;
	decide(&h);
	expect_eq(t, h.d.level, 1);
	h.s.event_level = 2;
	h.s.woken = true;
	h.s.now_ms += 1000;
	decide(&h);
	expect_eq(t, h.d.level, 2);
	h.s.now_ms += 1000;
	h.s.free = 8 * GIB;
	decide(&h);
	expect_eq(t, h.d.level, 0);
}

HOST_CASE(the_highest_level_counts_and_one_by_hand_is_forgotten)
{
	struct host_case h = new_host(t);

	h.s.free = 3 * GIB;
	h.s.hand_level = 2;
	h.s.hand_set_ms = h.s.now_ms;
	look_again(&h);
	expect_eq(t, h.d.level, 2);
	expect_eq(t, h.d.hand_level, 2);
	h.s.free = 0;
	look_again(&h);
	expect_eq(t, h.d.level, 3);
	h.s.free = 32 * GIB;
	h.s.now_ms = h.s.hand_set_ms + 59999;
	decide(&h);
	expect_eq(t, h.d.level, 2);
	expect_eq(t, h.d.wake_ms, 1);
	h.s.now_ms += 1;
	decide(&h);
	expect_eq(t, h.d.hand_level, 0);
	h.s.now_ms += h.d.wake_ms;
	decide(&h);
	expect_eq(t, h.d.level, 0);
}

/* As a manager does who has no source here, and knows by himself. */
HOST_CASE(a_level_by_hand_is_short_of_memory)
{
	static const u32 eighths[] = { 8, 6, 3 };
	struct host_case h;
	u64 missing, give;
	u32 level;

	for (level = 1; level < 3; level++) {
		h = new_host(t);
		h.s.source = false;
		h.s.hand_level = level;
		h.s.hand_set_ms = h.s.now_ms;
		decide(&h);
		missing = 6 * GIB - 4 * GIB * eighths[level] / 8;
		give = 2 * (3 * GIB >> 10) * (missing >> 10) / (64 * GIB >> 20);
		expect_le(t, h.d.automatic, give);
		expect_ge(t, h.d.automatic + BLOCK, give);
	}
	h = new_host(t);
	h.s.source = false;
	h.s.hand_level = 3;
	h.s.hand_set_ms = h.s.now_ms;
	decide(&h);
	expect_eq(t, h.d.target, h.c.size_min);
}

HOST_CASE(looks_are_two_seconds_apart_and_not_all_at_once)
{
	struct host_case h = new_host(t);
	u32 least = ~0u, most = 0;
	u64 sum = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		look_again(&h);
		least = min(least, h.d.wake_ms);
		most = max(most, h.d.wake_ms);
		sum += h.d.wake_ms;
	}
	expect_ge(t, least, 1500);
	expect_le(t, most, 2500);
	expect_ge(t, most - least, 900);
	expect_ge(t, sum, 1000 * 1950);
	expect_le(t, sum, 1000 * 2050);
}

HOST_CASE(nothing_runs_without_a_source_and_a_level)
{
	struct host_case h = new_host(t);

	h.s.source = false;
	h.s.free = 0;
	h.s.some_us = 1000000;
	h.s.woken = true;
	decide(&h);
	expect_eq(t, h.d.level, 0);
	expect_eq(t, h.d.automatic, 0);
	expect_eq(t, h.d.floor, 0);
	expect_eq(t, h.d.wake_ms, 0);
}

/* H3 */
HOST_CASE(a_guest_under_pressure_is_left_alone)
{
	struct host_case h = new_host(t);
	u64 target;
	u32 level;

	h.s.free = 3 * GIB;
	look_for(&h, 20000);
	target = h.d.target;
	expect_lt(t, target, h.s.management);
	for (level = 1; level <= 4; level++) {
		h.s.guest_level = level;
		h.s.free = level == 2 ? 0 : GIB;
		h.s.resident = GIB;
		look_for(&h, 20000);
		expect_eq(t, h.d.target, target);
	}
	/* Not from getting. */
	h.s.free = 32 * GIB;
	look_for(&h, 60000);
	expect_gt(t, h.d.target, target);
}

HOST_CASE(after_ten_minutes_of_pressure_somebody_is_told)
{
	struct host_case h = new_host(t);
	int64_t since = h.s.now_ms;
	u32 told = 0, calm;

	for (calm = 0; calm < 2; calm++) {
		h.s.guest_level = 2;
		since = h.s.now_ms + 1;
		look_again(&h);
		while (h.s.now_ms < since + 1500000) {
			h.s.now_ms += h.d.wake_ms;
			decide(&h);
			if (!h.d.complain)
				continue;
			told++;
			expect_ge(t, h.s.now_ms - since, 600000 - 1);
			expect_le(t, h.s.now_ms - since, 602600);
		}
		expect_eq(t, told, calm + 1);
		h.s.guest_level = 0;
		look_again(&h);
	}
}

/* H6 */
HOST_CASE(a_level_alone_interrupts_once_a_second)
{
	struct host_case h = new_host(t);
	u32 told = 0;
	int i;

	h.c.has_size_min = false;
	h.s.negotiated = false;
	look_again(&h);
	for (i = 0; i < 1000; i++) {
		h.s.now_ms += 10;
		h.s.woken = true;
		h.s.free = i & 1 ? 3 * GIB : 32 * GIB;
		decide(&h);
		told += h.d.notify;
		expect_ne(t, h.d.wake_ms, 0);
		expect_le(t, h.d.wake_ms, 2500);
	}
	expect_le(t, told, 11);
	expect_ge(t, told, 5);
	/* The last one is not lost. */
	h.s.free = 0;
	h.s.now_ms += 2000;
	decide(&h);
	expect_eq(t, h.d.level, 3);
	h.s.free = 32 * GIB;
	h.s.now_ms += 10;
	decide(&h);
	expect_eq(t, h.d.level, 3);
	expect_le(t, h.d.wake_ms, 1000);
	h.s.now_ms += h.d.wake_ms;
	decide(&h);
	expect_eq(t, h.d.level, 0);
	expect_true(t, h.d.notify);
}

HOST_CASE(a_level_goes_along_with_a_target)
{
	struct host_case h = new_host(t);

	h.s.free = 3 * GIB;
	look_again(&h);
	expect_eq(t, h.d.level, 1);
	h.s.now_ms += 10;
	h.s.free = 0;
	decide(&h);
	expect_eq(t, h.d.level, 3);
	expect_eq(t, h.d.target, h.c.size_min);
	expect_true(t, h.d.notify);
}

HOST_CASE(nothing_new_is_no_interrupt)
{
	struct host_case h = new_host(t);
	int i;

	look_again(&h);
	for (i = 0; i < 100; i++) {
		look_again(&h);
		expect_false(t, h.d.notify);
	}
}

#define HOST_LEVEL_CASES(X)						\
	X(memory_says_how_short_the_host_is)				\
	X(a_stall_while_short_adds_a_step)				\
	X(a_stall_is_measured_by_the_time)				\
	X(a_stall_with_memory_to_spare_is_nobodys_business)		\
	X(a_trigger_is_a_look_at_once)					\
	X(an_event_counts_for_two_periods_while_short)			\
	X(the_highest_level_counts_and_one_by_hand_is_forgotten)	\
	X(a_level_by_hand_is_short_of_memory)				\
	X(looks_are_two_seconds_apart_and_not_all_at_once)		\
	X(nothing_runs_without_a_source_and_a_level)			\
	X(a_guest_under_pressure_is_left_alone)				\
	X(after_ten_minutes_of_pressure_somebody_is_told)		\
	X(a_level_alone_interrupts_once_a_second)			\
	X(a_level_goes_along_with_a_target)				\
	X(nothing_new_is_no_interrupt)

#endif /* VBP_HOST_CASES_LEVEL_H */
