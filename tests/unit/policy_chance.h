/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that are the same everywhere for the same seed. */
#ifndef VBP_POLICY_CHANCE_H
#define VBP_POLICY_CHANCE_H

#include "policy.h"

/* xorshift64*, enough for this and the same everywhere. */
static u64 any(u64 *seed)
{
	u64 x = *seed ? *seed : 1;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*seed = x;
	return x * 0x2545f4914f6cdd1dull;
}

static u32 below(u64 *seed, u32 limit)
{
	return (u32)((any(seed) >> 32) * limit >> 32);
}

static bool one_in(u64 *seed, u32 n)
{
	return !below(seed, n);
}

/* @part / 2^16 of @pages, without overflow below 2^48. */
static u64 share(u64 pages, u32 part)
{
	return pages * part >> 16;
}

#endif /* VBP_POLICY_CHANCE_H */
