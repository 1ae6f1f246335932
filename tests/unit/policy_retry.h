/* SPDX-License-Identifier: GPL-2.0-only */
/* What the policy promises about a balloon that finds no page to grow by. */
#ifndef VBP_POLICY_RETRY_H
#define VBP_POLICY_RETRY_H

#include "policy_check.h"

static u32 no_page(struct guest *g, struct vbp_policy_retry *retry)
{
	return vbp_size_retry(retry, &g->s, g->config.block_pages);
}

static struct guest new_rigid_guest(struct policy_test *t)
{
	struct guest g = new_guest(t);

	g.s.elastic = false;
	return g;
}

POLICY_CASE(a_rigid_balloon_that_finds_no_page_tries_less_and_less)
{
	struct guest g = new_rigid_guest(t);
	struct vbp_policy_retry retry = {};
	u32 wait;

	for (wait = 200; wait < 5000; wait *= 2)
		expect_eq(t, no_page(&g, &retry), wait);
	expect_eq(t, no_page(&g, &retry), 5000);
	expect_eq(t, no_page(&g, &retry), 5000);
}

POLICY_CASE(a_new_target_is_tried_at_once)
{
	struct guest g = new_rigid_guest(t);
	struct vbp_policy_retry retry = {};

	no_page(&g, &retry);
	expect_eq(t, no_page(&g, &retry), 400);
	g.s.target_pages--;
	expect_eq(t, no_page(&g, &retry), 200);
	expect_eq(t, no_page(&g, &retry), 400);
	/* One that is larger than the guest is the guest. */
	g.s.target_pages = g.s.total_pages;
	no_page(&g, &retry);
	g.s.target_pages = ~(u64)0;
	expect_eq(t, no_page(&g, &retry), 400);
}

POLICY_CASE(a_block_that_has_gone_in_begins_the_wait_anew)
{
	struct guest g = new_rigid_guest(t);
	struct vbp_policy_retry retry = {};
	u64 held = g.s.held_pages;

	no_page(&g, &retry);
	/* Single pages add up, and are not each a reason to hurry. */
	g.s.held_pages = held + 1;
	expect_eq(t, no_page(&g, &retry), 400);
	g.s.held_pages = held + g.config.block_pages - 1;
	expect_eq(t, no_page(&g, &retry), 800);
	g.s.held_pages = held + g.config.block_pages;
	expect_eq(t, no_page(&g, &retry), 200);
	expect_eq(t, no_page(&g, &retry), 400);
	/* Nor does one that has become smaller go on with the old wait. */
	g.s.held_pages--;
	expect_eq(t, no_page(&g, &retry), 200);
}

POLICY_CASE(an_elastic_balloon_that_finds_no_page_tries_as_often_as_before)
{
	struct guest g = new_guest(t);
	struct vbp_policy_retry retry = {};

	expect_eq(t, no_page(&g, &retry), 200);
	expect_eq(t, no_page(&g, &retry), 200);
}

#define POLICY_RETRY_CASES(X)						\
	X(a_rigid_balloon_that_finds_no_page_tries_less_and_less)	\
	X(a_new_target_is_tried_at_once)				\
	X(a_block_that_has_gone_in_begins_the_wait_anew)		\
	X(an_elastic_balloon_that_finds_no_page_tries_as_often_as_before)

#endif /* VBP_POLICY_RETRY_H */
