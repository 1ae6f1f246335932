/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers from the environment, for the programs of this folder. */
#ifndef VBP_NUMBER_FROM_H
#define VBP_NUMBER_FROM_H

#include <stdio.h>
#include <stdlib.h>

#include "policy.h"

static u64 number_from(const char *variable, u64 otherwise)
{
	const char *text = getenv(variable);
	char *end;
	u64 value;

	if (!text || !*text)
		return otherwise;
	value = strtoull(text, &end, 0);
	if (*end) {
		fprintf(stderr, "error: %s is not a number: %s\n", variable,
			text);
		exit(2);
	}
	return value;
}

#endif /* VBP_NUMBER_FROM_H */
