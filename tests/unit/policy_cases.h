/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All cases of the policy, for user space and KUnit alike. A case that is
 * written but left out of its list does not compile: it would be unused.
 */
#ifndef VBP_POLICY_CASES_H
#define VBP_POLICY_CASES_H

#define POLICY_CASE(name)	static void name(struct policy_test *t)

#include "policy_relief.h"
#include "policy_level.h"
#include "policy_missed.h"
#include "policy_trials.h"
#include "policy_reverse.h"
#include "policy_inflate.h"
#include "policy_handed.h"
#include "policy_idle.h"
#include "policy_floor.h"
#include "policy_retry.h"
#include "policy_yield.h"
#include "policy_big.h"
#include "policy_place.h"
#include "policy_random.h"

#define POLICY_CASES(X)							\
	POLICY_RELIEF_CASES(X)						\
	POLICY_LEVEL_CASES(X)						\
	POLICY_MISSED_CASES(X)						\
	POLICY_TRIALS_CASES(X)						\
	POLICY_REVERSE_CASES(X)						\
	POLICY_INFLATE_CASES(X)						\
	POLICY_HANDED_CASES(X)						\
	POLICY_IDLE_CASES(X)						\
	POLICY_FLOOR_CASES(X)						\
	POLICY_RETRY_CASES(X)						\
	POLICY_YIELD_CASES(X)						\
	POLICY_BIG_CASES(X)						\
	POLICY_PLACE_CASES(X)						\
	POLICY_RANDOM_CASES(X)

#endif /* VBP_POLICY_CASES_H */
