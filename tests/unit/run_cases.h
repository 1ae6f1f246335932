/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The main function of a program of cases: without an argument it lists them,
 * with a name it runs one. One process a case, so that one that crashes takes no
 * other along. Include it last, when ALL_CASES(X), DEFAULT_STEPS and
 * DEFAULT_SEED are defined.
 */
#include <stdio.h>
#include <string.h>

#include "number_from.h"

#define ENTRY(name)	{ #name, name },
static const struct {
	const char *name;
	void (*run)(struct policy_test *t);
} cases[] = { ALL_CASES(ENTRY) };

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
