/* SPDX-License-Identifier: GPL-2.0-only */
/* H2, H4, H5, H8: what the guest is to give, and how much it may take. */
#ifndef VBP_HOST_CASES_FLOW_H
#define VBP_HOST_CASES_FLOW_H

#include "cases_check.h"

static void expect_near(struct policy_test *t, u64 a, u64 b)
{
	expect_le(t, a, b + BLOCK);
	expect_le(t, b, a + BLOCK);
}

/* Of 3 GiB that can go, a 32nd for each reserve that is missing. */
HOST_CASE(who_has_more_gives_more)
{
	struct host_case h = new_host(t);

	h.s.free = 4 * GIB;
	look_again(&h);
	expect_near(t, h.d.automatic, 2 * 3 * GIB * 2 / 64);
	h = new_host(t);
	h.s.free = GIB;
	look_again(&h);
	expect_near(t, h.d.automatic, 2 * 3 * GIB * 5 / 64);
	h = new_host(t);
	h.s.free = 4 * GIB;
	h.c.size_min = 3 * GIB;
	look_again(&h);
	expect_near(t, h.d.automatic, 2 * GIB * 2 / 64);
	h = new_host(t);
	h.s.free = 6 * GIB;
	look_again(&h);
	expect_eq(t, h.d.automatic, 0);
}

/* Between one reserve and one and a half both flow. */
HOST_CASE(all_of_one_size_get_the_same)
{
	struct host_case h = new_host(t);
	u64 automatic, give, get;

	h.s.free = 3 * GIB;
	look_for(&h, 100000);
	automatic = h.d.automatic;
	expect_gt(t, automatic, GIB);
	h.s.free = 4 * GIB;
	h.s.guest_level = 1;		/* so that it gives nothing */
	look_again(&h);
	expect_eq(t, h.d.automatic, automatic);
	h.s.free = 8 * GIB;
	look_again(&h);
	expect_near(t, automatic - h.d.automatic, 4 * GIB * 4 / 64 / 4);
	h.s.guest_level = 0;
	h.s.free = 5 * GIB;
	automatic = h.d.automatic;
	give = 2 * (h.d.target - GIB) / 64;
	get = 4 * GIB / 64 / 4;
	look_again(&h);
	expect_near(t, h.d.automatic + get, automatic + give);
}

HOST_CASE(nobody_is_shrunk_below_its_minimum)
{
	struct host_case h = new_host(t);
	u64 ram;

	h.s.free = GIB;
	look_for(&h, 600000);
	expect_near(t, h.d.target, h.c.size_min);
	expect_ge(t, h.d.target, h.c.size_min);
	/* Nor where that is raised, or is more than there is. */
	h.c.size_min = 3 * GIB;
	look_again(&h);
	expect_ge(t, h.d.target, 3 * GIB);
	ram = h.c.ram;
	h.c.size_min = 2 * ram;
	look_again(&h);
	expect_eq(t, h.d.target, ram);
}

HOST_CASE(a_guest_that_has_not_followed_is_not_told_more)
{
	struct host_case h = new_host(t);
	u64 target;

	h.s.free = 3 * GIB;
	look_again(&h);
	target = h.d.target;
	h.stubborn = true;
	h.s.size = target + 16 * MIB;
	look_for(&h, 20000);
	expect_eq(t, h.d.target, target);
	h.s.free = 0;
	look_for(&h, 20000);
	expect_eq(t, h.d.level, 3);
	expect_eq(t, h.d.target, target);
	h.stubborn = false;
	obey(&h);
	look_again(&h);
	expect_lt(t, h.d.target, target);
}

HOST_CASE(critical_is_all_at_once)
{
	struct host_case h = new_host(t);

	look_again(&h);
	h.s.now_ms += 10;
	h.s.free = GIB - 1;
	decide(&h);
	expect_eq(t, h.d.target, h.c.size_min);
}

HOST_CASE(the_sum_does_not_depend_on_the_number_of_guests)
{
	u64 sum[3] = { 0, 0, 0 }, got[3] = { 0, 0, 0 };
	int i, n, many;

	for (i = 0, many = 1; i < 3; i++, many *= 8) {
		for (n = 0; n < many; n++) {
			struct host_case h = new_host(t);
			u64 automatic;

			h.c.ram = h.s.management = h.s.size = 64 * GIB / many;
			h.s.resident = h.s.size;
			h.c.size_min = h.c.ram / 4;
			h.s.free = 3 * GIB;
			h.s.random = n;
			look_again(&h);
			automatic = h.d.automatic;
			sum[i] += automatic;
			h.s.free = 8 * GIB;
			look_again(&h);
			got[i] += automatic - h.d.automatic;
		}
		expect_near(t, sum[i] / many, sum[0] / many);
		expect_near(t, got[i] / many, got[0] / many);
	}
}

/* A trigger may fire once a window, and windows may be short. */
HOST_CASE(triggers_make_no_flow_larger)
{
	struct host_case rare = new_host(t), often = new_host(t);
	int i;

	rare.s.free = 3 * GIB;
	often.s.free = 3 * GIB;
	look_again(&rare);
	look_again(&often);
	for (i = 0; i < 60; i++) {
		often.s.now_ms += 100;
		often.s.woken = true;
		decide(&often);
		obey(&often);
	}
	look_for(&rare, 6000);
	expect_le(t, often.d.automatic, 2 * rare.d.automatic);
}

HOST_CASE(what_a_guest_takes_does_not_raise_its_target)
{
	struct host_case h = new_host(t);
	u64 target;

	h.s.free = 3 * GIB;
	look_for(&h, 100000);
	target = h.d.target;
	h.stubborn = true;
	h.s.size = h.s.resident = 4 * GIB;
	h.s.guest_level = 2;
	look_for(&h, 10000);
	h.s.guest_level = 0;
	look_for(&h, 10000);
	expect_eq(t, h.d.target, target);
}

HOST_CASE(only_who_agreed_is_shrunk)
{
	struct host_case h = new_host(t);

	h.s.negotiated = false;
	h.s.free = 0;
	look_for(&h, 60000);
	expect_eq(t, h.d.automatic, 0);
	expect_eq(t, h.d.floor, 0);
	h.s.negotiated = true;
	look_again(&h);
	expect_eq(t, h.d.target, h.c.size_min);
	h.s.negotiated = false;
	look_again(&h);
	expect_eq(t, h.d.automatic, 0);
}

HOST_CASE(without_a_minimum_only_the_level_and_the_floor_are_told)
{
	struct host_case h = new_host(t);

	h.c.has_size_min = false;
	h.s.resident = GIB;
	h.s.free = GIB / 2;
	h.s.management = 3 * GIB;
	look_for(&h, 60000);
	expect_eq(t, h.d.level, 3);
	expect_eq(t, h.d.target, 3 * GIB);
	expect_eq(t, h.d.floor, GIB);
}

HOST_CASE(without_a_source_what_was_automatic_melts)
{
	struct host_case h = new_host(t);
	u64 automatic;

	h.s.free = 0;
	look_again(&h);
	expect_eq(t, h.d.target, GIB);
	h.s.source = false;
	automatic = h.d.automatic;
	look_again(&h);
	expect_near(t, automatic - h.d.automatic, 4 * GIB / 32);
	expect_ne(t, h.d.wake_ms, 0);
	look_for(&h, 70000);
	expect_eq(t, h.d.automatic, 0);
	expect_eq(t, h.d.wake_ms, 0);
	expect_eq(t, h.d.floor, 0);
}

/* H4 */
HOST_CASE(management_may_say_it_again_and_again)
{
	struct host_case h = new_host(t), quiet = new_host(t);
	int i;

	h.s.free = quiet.s.free = 3 * GIB;
	for (i = 0; i < 100; i++) {
		look_again(&h);
		h.s.random = quiet.s.random;
		look_again(&quiet);
		h.s.now_ms += 500;	/* balloon, with the same size */
		decide(&h);
		obey(&h);
	}
	expect_near(t, h.d.automatic, quiet.d.automatic);
}

HOST_CASE(management_is_obeyed_below_the_minimum_and_above_the_maximum)
{
	struct host_case h = new_host(t);
	u64 share;

	h.s.free = 3 * GIB;
	look_for(&h, 60000);
	expect_gt(t, h.d.automatic, 0);
	share = h.d.target;
	h.s.management = GIB / 2;
	decide(&h);
	obey(&h);
	expect_eq(t, h.d.target, GIB / 2);
	expect_eq(t, h.d.automatic, 0);
	look_for(&h, 60000);
	expect_eq(t, h.d.target, GIB / 2);
	/* And what it kept back before it does keep back after that. */
	h.s.management = 4 * GIB;
	decide(&h);
	expect_gt(t, h.d.automatic, 0);
	expect_le(t, h.d.target, share);
}

HOST_CASE(a_smaller_target_by_management_leaves_no_automatic_part)
{
	struct host_case h = new_host(t);

	h.s.management = 2 * GIB;
	look_for(&h, 60000);
	expect_eq(t, h.d.automatic, 0);
	h.s.management = 4 * GIB;
	decide(&h);
	expect_eq(t, h.d.target, 4 * GIB);
}

/* H5: what two had at first does not matter in the end. */
HOST_CASE(unequal_shares_become_equal)
{
	struct host_case a = new_host(t), b = new_host(t);
	int i;

	a.c.reserve = b.c.reserve = GIB / 2;
	a.s.total = b.s.total = 8 * GIB;
	a.c.size_min = b.c.size_min = GIB / 2;
	a.s.free = 8 * GIB;
	b.s.free = 0;
	look_again(&a);
	look_again(&b);
	expect_eq(t, b.d.target, GIB / 2);
	for (i = 0; i < 300; i++) {
		a.s.free = b.s.free = 8 * GIB - min(8 * GIB, 2 * GIB +
						     a.s.size + b.s.size);
		a.s.resident = a.s.size;
		b.s.resident = b.s.size;
		look_again(&a);
		look_again(&b);
	}
	expect_le(t, a.d.target, b.d.target + b.d.target / 20);
	expect_le(t, b.d.target, a.d.target + a.d.target / 20);
	expect_ge(t, a.s.free, a.c.reserve * 9 / 10);
}

/* H8a: 32 GiB free, so (32 - 2) / 8 of it: as much as the guest may grow. */
HOST_CASE(no_guest_is_promised_more_than_its_part)
{
	struct host_case h = new_host(t);

	h.c.ram = h.s.management = 64 * GIB;
	h.c.has_size_min = false;
	h.s.size = h.s.resident = 8 * GIB;
	h.s.management = 8 * GIB;
	h.s.total = 512 * GIB;
	h.s.free = 32 * GIB;
	look_again(&h);
	expect_le(t, h.d.floor, 64 * GIB - 8 * GIB - 30 * GIB / 8);
	expect_ge(t, h.d.floor, 64 * GIB - 8 * GIB - 30 * GIB / 8 - GIB);
	/* It is a larger part of a smaller host. */
	h.s.total = 128 * GIB;
	look_again(&h);
	expect_le(t, h.d.floor, 64 * GIB - 8 * GIB - 15 * GIB);
	expect_ge(t, h.d.floor, 64 * GIB - 8 * GIB - 16 * GIB);
	/* At least a 32nd of its RAM. */
	h.s.free = 3 * GIB;
	look_again(&h);
	expect_le(t, h.d.floor, 64 * GIB - 8 * GIB - 2 * GIB);
	expect_ge(t, h.d.floor, 64 * GIB - 8 * GIB - 3 * GIB);
	/* That part sinks below the reserve, and is never more than is free. */
	h.stubborn = true;
	h.s.size += GIB / 4;
	h.s.free = GIB + GIB / 4;
	look_again(&h);
	expect_eq(t, h.d.floor, 64 * GIB - 8 * GIB - GIB);
	h.c.reserve = GIB;
	h.s.free = GIB - GIB / 8;
	look_again(&h);
	expect_eq(t, h.d.floor, 64 * GIB - 8 * GIB - GIB);
	h.c.reserve = 4 * GIB;
	h.s.size -= GIB / 4;
	/* And nothing when it is critical. */
	h.s.free = GIB / 2;
	look_again(&h);
	expect_eq(t, h.d.floor, 56 * GIB);
}

HOST_CASE(the_promise_is_renewed_as_the_guest_grows)
{
	struct host_case h = new_host(t);
	u64 floor, tenths;

	h.c.has_size_min = false;
	h.s.size = h.s.resident = h.s.management = GIB;
	look_again(&h);
	floor = h.d.floor;
	for (tenths = 1; tenths <= 5; tenths++) {
		h.s.size += 512 * MIB;
		h.s.now_ms += 10;
		decide(&h);
		expect_eq(t, h.d.floor, floor);
		expect_le(t, h.d.wake_ms, 90);
		h.s.now_ms += h.d.wake_ms;
		decide(&h);
		expect_true(t, h.d.floor < floor || !floor);
		floor = h.d.floor;
	}
	/* Nobody asks for it without a reason. */
	expect_gt(t, h.d.wake_ms, 100);
}

HOST_CASE(a_floor_that_moves_a_little_is_no_interrupt)
{
	struct host_case h = new_host(t);
	u64 floor;
	int i, told = 0;

	h.c.has_size_min = false;
	h.s.size = h.s.resident = h.s.management = GIB;
	h.s.free = 8 * GIB;
	look_again(&h);
	floor = h.d.floor;
	expect_gt(t, floor, 0);
	expect_eq(t, floor % (4 * GIB / 64), 0);
	for (i = 0; i < 100; i++) {
		h.s.free = 8 * GIB + i * MIB / 2;
		look_again(&h);
		told += h.d.notify;
	}
	expect_le(t, told, 1);
}

/* Else it would be told to grow and not to. */
HOST_CASE(the_floor_never_keeps_a_guest_below_its_target)
{
	struct host_case h = new_host(t);

	h.s.free = 0;
	h.s.size = h.s.resident = GIB;
	h.s.management = 3 * GIB;
	h.s.guest_level = 2;
	look_again(&h);
	expect_eq(t, h.d.target, 3 * GIB);
	expect_eq(t, h.d.floor, GIB);
}

/* H8b */
HOST_CASE(memory_that_was_never_used_is_not_promised_twice)
{
	struct host_case h = new_host(t);
	u64 promised = (32 - 2) * GIB / 8;

	h.c.ram = h.s.management = h.s.size = 16 * GIB;
	h.s.total = 512 * GIB;
	h.s.resident = 2 * GIB;
	look_again(&h);
	expect_eq(t, h.d.target, 14 * GIB);	/* an eighth at a time */
	look_again(&h);
	expect_eq(t, h.d.target, 12 * GIB);
	look_for(&h, 20000);
	expect_near(t, h.d.target, 2 * GIB + promised);
	/* It uses that: then it has it. */
	h.s.resident = 4 * GIB;
	look_again(&h);
	expect_near(t, h.d.target, 4 * GIB + promised);
	/* Not while it is under pressure. */
	h.s.guest_level = 1;
	h.s.resident = 3 * GIB;
	look_again(&h);
	expect_near(t, h.d.target, 4 * GIB + promised);
	h.s.guest_level = 0;
	h.s.resident = 0;
	h.s.free = 4 * GIB;
	h.c.size_min = 3 * GIB;
	look_for(&h, 20000);
	expect_ge(t, h.d.target, 3 * GIB);
	expect_le(t, h.d.target, 3 * GIB + BLOCK);
}

/* H8a: it uses what it has, unseen, before it asks for more. */
HOST_CASE(memory_that_was_never_used_is_part_of_the_promise)
{
	struct host_case h = new_host(t);

	h.c.ram = 64 * GIB;
	h.s.management = h.s.size = 24 * GIB;
	h.s.resident = 8 * GIB;
	h.s.total = 512 * GIB;
	h.s.guest_level = 1;
	h.stubborn = true;
	h.s.free = 3 * GIB;
	look_again(&h);
	expect_eq(t, h.d.target, 24 * GIB);
	expect_eq(t, h.d.floor, 64 * GIB - 24 * GIB);
	h.s.size = 10 * GIB;
	h.s.management = 10 * GIB;
	h.s.free = 32 * GIB;
	look_again(&h);
	expect_eq(t, h.d.floor, 64 * GIB - 12 * GIB);
	/* Whoever is not shrunk is not judged by it. */
	h.c.has_size_min = false;
	look_again(&h);
	expect_eq(t, h.d.floor, 64 * GIB - 14 * GIB);
}

/* What is plugged in is the guest's, and what goes was. */
HOST_CASE(plugged_memory_moves_the_share)
{
	struct host_case h = new_host(t);
	u64 automatic;

	h.s.free = 3 * GIB;
	look_for(&h, 60000);
	automatic = h.d.automatic;
	expect_gt(t, automatic, GIB);
	h.c.ram = h.s.management = 6 * GIB;
	h.s.now_ms += 10;
	decide(&h);
	expect_near(t, h.d.automatic, automatic);
	h.c.ram = h.s.management = 5 * GIB;
	h.s.now_ms += 10;
	decide(&h);
	expect_near(t, h.d.automatic, automatic);
}

/* Whatever is asked, and in whatever order. */
HOST_CASE(random_hosts)
{
	u64 steps = t->steps / 10, i;
	struct host_case h = new_host(t);
	u64 seed = t->seed;
	bool agreed = false;

	for (i = 0; i < steps && !t->failed; i++) {
		u64 before = h.d.target;
		u32 wide = below(&seed, 24);
		bool changed = one_in(&seed, 10);

		h.s.now_ms += below(&seed, 3000);
		h.s.random = (u32)any(&seed);
		if (changed && one_in(&seed, 5))
			h.c.ram = (any(&seed) >> (18 + wide)) + 1;
		if (changed && one_in(&seed, 5))
			h.c.size_min = any(&seed) >> (18 + wide);
		if (changed && one_in(&seed, 5))
			h.c.has_size_min = one_in(&seed, 2);
		if (one_in(&seed, 50))
			h.c.reserve = any(&seed) >> (16 + wide);
		if (one_in(&seed, 50))
			h.s.total = any(&seed) >> (16 + wide);
		if (changed && one_in(&seed, 5))
			h.s.management = any(&seed) >> (18 + wide);
		if (one_in(&seed, 20))
			h.s.negotiated = !one_in(&seed, 4);
		if (one_in(&seed, 20))
			h.s.source = !one_in(&seed, 4);
		if (one_in(&seed, 10))
			h.s.hand_level = below(&seed, 6);
		h.s.free = any(&seed) >> (16 + wide);
		h.s.size = any(&seed) >> (18 + wide);
		h.s.resident = any(&seed) >> (18 + wide);
		h.s.guest_level = one_in(&seed, 2) ? 0 : (u32)any(&seed);
		h.s.some_us += below(&seed, 1000000);
		h.s.full_us += below(&seed, 100000);
		h.s.woken = one_in(&seed, 4);
		h.s.event_level = one_in(&seed, 4) ? (u32)any(&seed) : 0;
		h.s.hand_set_ms = h.s.now_ms - below(&seed, 120000);
		decide(&h);
		/* A guest under pressure is shrunk by management alone. */
		if (h.s.guest_level && agreed && !changed)
			expect_ge(t, h.d.target, before);
		agreed = h.s.negotiated;
	}
}

#define HOST_FLOW_CASES(X)						\
	X(who_has_more_gives_more)					\
	X(all_of_one_size_get_the_same)					\
	X(nobody_is_shrunk_below_its_minimum)				\
	X(a_guest_that_has_not_followed_is_not_told_more)		\
	X(critical_is_all_at_once)					\
	X(the_sum_does_not_depend_on_the_number_of_guests)		\
	X(triggers_make_no_flow_larger)					\
	X(what_a_guest_takes_does_not_raise_its_target)			\
	X(only_who_agreed_is_shrunk)					\
	X(without_a_minimum_only_the_level_and_the_floor_are_told)	\
	X(without_a_source_what_was_automatic_melts)			\
	X(management_may_say_it_again_and_again)			\
	X(management_is_obeyed_below_the_minimum_and_above_the_maximum)	\
	X(a_smaller_target_by_management_leaves_no_automatic_part)	\
	X(unequal_shares_become_equal)					\
	X(no_guest_is_promised_more_than_its_part)			\
	X(the_promise_is_renewed_as_the_guest_grows)			\
	X(a_floor_that_moves_a_little_is_no_interrupt)			\
	X(the_floor_never_keeps_a_guest_below_its_target)		\
	X(memory_that_was_never_used_is_not_promised_twice)		\
	X(memory_that_was_never_used_is_part_of_the_promise)		\
	X(plugged_memory_moves_the_share)				\
	X(random_hosts)

#endif /* VBP_HOST_CASES_FLOW_H */
