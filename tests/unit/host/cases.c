// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host policy's cases: `host_test` lists them, `host_test NAME` runs one.
 * One process a case, so that one that crashes takes no other along.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number_from.h"
#include "cases_level.h"
#include "cases_flow.h"

#define DEFAULT_STEPS	1000000
#define DEFAULT_SEED	20261126

#define ENTRY(name)	{ #name, name },
static const struct {
	const char *name;
	void (*run)(struct policy_test *t);
} cases[] = { HOST_LEVEL_CASES(ENTRY) HOST_FLOW_CASES(ENTRY) };

int main(int argc, char **argv)
{
	struct policy_test t = {
		.seed = number_from("VBP_SEED", DEFAULT_SEED),
		.steps = number_from("VBP_STEPS", DEFAULT_STEPS),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (argc < 2) {
			puts(cases[i].name);
			continue;
		}
		if (strcmp(argv[1], cases[i].name))
			continue;
		cases[i].run(&t);
		expect_true(&t, t.checks > 0);
		if (t.failed)
			puts(t.why);
		return t.failed;
	}
	if (argc < 2)
		return 0;
	fprintf(stderr, "error: no case is called %s\n", argv[1]);
	return 2;
}
