/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each case of the host policy is built from: a host, a guest that does
 * what it is told, and what must hold at every single decision.
 */
#ifndef VBP_HOST_CASES_CHECK_H
#define VBP_HOST_CASES_CHECK_H

#include "policy_check.h"
#include "policy_chance.h"
#include "qemu/osdep.h"
#include "host-pressure-policy.h"

#define MIB	((u64)1 << 20)
#define GIB	((u64)1 << 30)
#define BLOCK	(2 * MIB)	/* by which targets move */

struct host_case {
	struct policy_test *t;
	HostPolicyConfig c;
	HostPolicyState state;
	HostPolicySample s;
	HostPolicyDecision d;
	HostPolicyDecision told;
	bool asked;		/* @told is one */
	bool stubborn;		/* the guest does nothing it is told */
};

/*
 * 64 GiB, of which half is free and a sixteenth is the reserve; a guest of
 * 4 GiB that has used all of it and may be shrunk to 1 GiB.
 */
static struct host_case new_host(struct policy_test *t)
{
	struct host_case h = {
		.t = t,
		.c = {
			.ram = 4 * GIB,
			.has_size_min = true,
			.size_min = GIB,
			.reserve = 4 * GIB,
			.hand_timeout_ms = 60000,
		},
		.s = {
			.now_ms = 1000000,
			.total = 64 * GIB,
			.free = 32 * GIB,
			.source = true,
			.management = 4 * GIB,
			.negotiated = true,
			.size = 4 * GIB,
			.resident = 4 * GIB,
		},
	};

	return h;
}

/* Whatever is asked. */
static void check_invariants(struct host_case *h)
{
	u64 ram = h->c.ram;
	u64 asked = min(h->s.management, ram);
	u64 least = h->c.has_size_min && h->s.negotiated ?
		    min(asked, h->c.size_min) : 0;

	expect_le(h->t, h->d.target, asked);
	expect_eq(h->t, h->d.target + h->d.automatic, asked);
	expect_ge(h->t, h->d.target, least);
	expect_le(h->t, h->d.level, 3);
	expect_le(h->t, h->d.hand_level, 3);
	expect_true(h->t, !h->d.floor || h->d.floor <= ram - h->d.target);
	expect_le(h->t, h->state.share, ram);
	if (!h->s.negotiated) {
		expect_eq(h->t, h->d.automatic, 0);
		expect_eq(h->t, h->d.floor, 0);
	}
	if (h->asked)
		expect_eq(h->t, h->d.notify,
			  h->d.target != h->told.target ||
			  h->d.floor != h->told.floor ||
			  h->d.level != h->told.level);
}

static void decide(struct host_case *h)
{
	h->s.random += 12347;
	host_policy_decide(&h->c, &h->state, &h->s, &h->d);
	check_invariants(h);
	h->told = h->d;
	h->asked = true;
	h->s.woken = false;
	h->s.event_level = 0;
}

/* As driver and host do: what leaves is backed no longer. */
static void obey(struct host_case *h)
{
	if (h->stubborn)
		return;
	h->s.size = min(h->c.ram, h->d.target);
	h->s.resident = min(h->s.resident, h->s.size);
}

/* The next look, when the policy itself wants it. */
static void look_again(struct host_case *h)
{
	h->s.now_ms = max(h->state.look_ms, h->s.now_ms + 1);
	decide(h);
	obey(h);
}

static void look_for(struct host_case *h, u64 ms)
{
	int64_t end = h->s.now_ms + (int64_t)ms;

	while (h->s.now_ms < end && !h->t->failed)
		look_again(h);
}

#define HOST_CASE(name)	static void name(struct policy_test *t)

#endif /* VBP_HOST_CASES_CHECK_H */
