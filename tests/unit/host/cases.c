// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host policy's cases: `host_test` lists them, `host_test NAME` runs one.
 */
#include <stdio.h>
#include <string.h>

#include "cases_level.h"
#include "cases_flow.h"

#define DEFAULT_STEPS	1000000
#define DEFAULT_SEED	20261126

#define ALL_CASES(X)	HOST_LEVEL_CASES(X) HOST_FLOW_CASES(X)

#include "run_cases.h"
