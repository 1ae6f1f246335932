/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What driver/host/untold.c knows of the kernel and of the driver, for a build in user
 * space (with VBP_DEVICE_H defined, so that device.h is empty). The lock knows whether it is
 * held. An allocation may fail, and may have others use the ring meanwhile, as
 * they do in a guest.
 */
#ifndef VBP_UNTOLD_USER_H
#define VBP_UNTOLD_USER_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy_user.h"
#include "untold.h"

#define VBP_BLOCK_PAGES		512UL

struct untold_lock {
	bool held;
};

/* Of the driver's the fields that are the ring's, or that it counts by. */
struct vbp_host {
	struct vbp_range *untold;
	unsigned int untold_size;
	unsigned int untold_head;
	unsigned int untold_count;
};

struct vbp_device {
	struct untold_lock lock;
	unsigned long block_pages;
	unsigned long small_pages;
	struct vbp_host host;
};

/* One line, and the end of the case. */
#define expect_that(holds, ...) do {					\
	if (!(holds)) {							\
		printf("%s:%d: ", untold_file(__FILE__), __LINE__);	\
		printf(__VA_ARGS__);					\
		puts("");						\
		exit(1);						\
	}								\
} while (0)
#define expect(holds)	expect_that(holds, "%s", #holds)
#define expect_eq(a, b) do {						\
	unsigned long _a = (a);						\
	unsigned long _b = (b);						\
	expect_that(_a == _b, "%s == %s (%lu, %lu)", #a, #b, _a, _b);	\
} while (0)

static inline const char *untold_file(const char *path)
{
	const char *name = path;

	for (; *path; path++)
		if (*path == '/')
			name = path + 1;
	return name;
}

static inline void spin_lock(struct untold_lock *lock)
{
	expect(!lock->held);
	lock->held = true;
}

static inline void spin_unlock(struct untold_lock *lock)
{
	expect(lock->held);
	lock->held = false;
}

#define lockdep_assert_held(lock)	expect((lock)->held)
#define WARN_ON_ONCE(what) \
	({ bool _what = (what); expect_that(!_what, "WARN: %s", #what); _what; })

static inline unsigned long roundup_pow_of_two(unsigned long n)
{
	unsigned long power = 1;

	while (power < n)
		power <<= 1;
	return power;
}

#define GFP_KERNEL	0
#define __GFP_NORETRY	0
#define __GFP_NOWARN	0

extern bool untold_no_memory;
extern unsigned int untold_allocations;
/* What others do while memory for a larger ring is looked for; once, or NULL. */
extern void (*untold_meanwhile)(void);

static inline void *kvmalloc_array(size_t n, size_t size, int flags)
{
	void (*meanwhile)(void) = untold_meanwhile;

	(void)flags;
	untold_allocations++;
	untold_meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	/* Not zeroed: what is read must have been written. */
	return untold_no_memory ? NULL : malloc(n * size);
}

static inline void kvfree(void *memory)
{
	free(memory);
}

#endif /* VBP_UNTOLD_USER_H */
