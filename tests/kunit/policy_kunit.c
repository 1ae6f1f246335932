// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy's cases as a KUnit suite. The cases and the policy are the bytes
 * that tests/unit runs; what is new here is the compiler's view of them inside
 * a kernel: its types, its min() and max(), its division.
 */
#include <kunit/test.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "policy_cases.h"

/* A tenth of what user space takes: this runs under emulation. */
#define POLICY_KUNIT_STEPS	30000
#define POLICY_KUNIT_SEED	20240917

static void policy_kunit_run(struct kunit *test,
			     void (*run)(struct policy_test *t))
{
	struct policy_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->seed = POLICY_KUNIT_SEED;
	t->steps = POLICY_KUNIT_STEPS;
	run(t);
	KUNIT_EXPECT_GT(test, t->checks, 0u);
	if (t->failed)
		KUNIT_FAIL(test, "%s", t->why);
}

#define POLICY_KUNIT_CASE(name)						\
	static void kunit_##name(struct kunit *test)			\
	{								\
		policy_kunit_run(test, name);				\
	}
POLICY_CASES(POLICY_KUNIT_CASE)

#define POLICY_KUNIT_ENTRY(entry)					\
	{ .run_case = kunit_##entry, .name = #entry },
static struct kunit_case policy_kunit_cases[] = {
	POLICY_CASES(POLICY_KUNIT_ENTRY)
	{}
};

static struct kunit_suite policy_kunit_suite = {
	.name = "vbp_policy",
	.test_cases = policy_kunit_cases,
};

kunit_test_suite(policy_kunit_suite);

MODULE_DESCRIPTION("KUnit tests of virtio-balloon-pressure's policy");
MODULE_LICENSE("GPL");
