// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy's cases in user space: `policy_test` lists them, `policy_test NAME`
 * runs one.
 */
#include <stdio.h>
#include <string.h>

#include "policy_cases.h"

/* KUnit takes fewer: it runs under emulation. */
#define DEFAULT_STEPS	300000
#define DEFAULT_SEED	20240917

#define ALL_CASES(X)	POLICY_CASES(X)

#include "run_cases.h"
