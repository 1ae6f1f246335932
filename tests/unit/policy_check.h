/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every policy case is built from: expectations, a guest to ask the policy
 * about, and the invariants that are checked at every single question.
 *
 * The same bytes run in user space (policy_main.c) and in KUnit. A failed
 * expectation is remembered, the first one only, and the case goes on: loops
 * look at guest->t->failed.
 */
#ifndef VBP_POLICY_CHECK_H
#define VBP_POLICY_CHECK_H

#include "policy.h"

struct policy_test {
	u64 seed;
	u64 steps;		/* of a property test over random sequences */
	unsigned int checks;	/* expectations looked at; 0 is a failure */
	bool failed;
	char why[448];
};

static void policy_expect(struct policy_test *t, bool holds, const char *what,
			  u64 a, u64 b, const char *file, int line)
{
	const char *slash = strrchr(file, '/');

	t->checks++;
	if (holds || t->failed)
		return;
	t->failed = true;
	snprintf(t->why, sizeof(t->why), "%s:%d: %s (%llu, %llu)",
		 slash ? slash + 1 : file, line, what,
		 (unsigned long long)a, (unsigned long long)b);
}

#define expect_here(t, holds, what, a, b)				\
	policy_expect(t, holds, what, a, b, __FILE__, __LINE__)

#define expect_true(t, cond)	expect_here(t, cond, #cond, 0, 0)
#define expect_false(t, cond)	expect_here(t, !(cond), "not: " #cond, 0, 0)
#define expect_eq(t, a, b) do {						\
	u64 _a = (a);							\
	u64 _b = (b);							\
	expect_here(t, _a == _b, #a " == " #b, _a, _b);			\
} while (0)
#define expect_ne(t, a, b) do {						\
	u64 _a = (a);							\
	u64 _b = (b);							\
	expect_here(t, _a != _b, #a " != " #b, _a, _b);			\
} while (0)
#define expect_le(t, a, b) do {						\
	u64 _a = (a);							\
	u64 _b = (b);							\
	expect_here(t, _a <= _b, #a " <= " #b, _a, _b);			\
} while (0)
#define expect_lt(t, a, b) do {						\
	u64 _a = (a);							\
	u64 _b = (b);							\
	expect_here(t, _a < _b, #a " < " #b, _a, _b);			\
} while (0)
#define expect_ge(t, a, b)	expect_le(t, b, a)
#define expect_gt(t, a, b)	expect_lt(t, b, a)

/* A guest as the policy sees it. A case changes @s, asks, and looks at @d. */
struct guest {
	struct policy_test *t;
	struct vbp_policy_config config;
	struct vbp_policy_state state;
	struct vbp_policy_sample s;
	struct vbp_policy_decision d;
	bool refused;		/* the floor kept back relief, a moment ago */
	bool ahead;		/* relief has begun and is nearly used up */
	bool missed;		/* memory is missed */
	bool vain;		/* who would be killed leaves free what it got */
};

#define MIB_PAGES	256u		/* pages of 4 KiB in 1 MiB */
#define BLOCK_PAGES	512u
#define START_MS	1000000u

/* What the contract promises, whatever policy.h says. */
#define HOLDOFF_LEAST_MS	2000u
#define IDLE_LOOK_MS		2000u
#define CALM_MS			1000u

/*
 * 2 GiB, ballooned to a half as asked, everything left available: calm, at its
 * target, and any of it may be taken back.
 */
static struct guest new_guest(struct policy_test *t)
{
	struct guest g = {
		.t = t,
		.config = {
			.reserve_pct = VBP_RESERVE_PCT_DEFAULT,
			.step_pct = VBP_STEP_PCT_DEFAULT,
			.holdoff_ms = VBP_HOLDOFF_MS_DEFAULT,
			.reserve_max_pages = (u64)VBP_RESERVE_MAX_MIB_DEFAULT *
					     MIB_PAGES,
			.step_max_pages = (u64)VBP_STEP_MAX_MIB_DEFAULT *
					  MIB_PAGES,
			.oom_step_pages = 100 * MIB_PAGES,
			.block_pages = BLOCK_PAGES,
		},
		.s = {
			.now_ms = START_MS,
			.total_pages = 2048 * MIB_PAGES,
			.available_pages = 1024 * MIB_PAGES,
			.headroom_pages = 1024 * MIB_PAGES,
			.held_pages = 1024 * MIB_PAGES,
			.target_pages = 1024 * MIB_PAGES,
			.elastic = true,
			.limit_pages = ~(u64)0,
		},
	};

	vbp_policy_init(&g.state);
	return g;
}

static u64 guest_reserve(const struct guest *g)
{
	return vbp_size_reserve(&g->config, &g->s);
}

static u64 guest_step(const struct guest *g)
{
	u64 step = g->s.total_pages / 100 * g->config.step_pct;

	step = min(step, g->config.step_max_pages);
	return max_t(u64, step, g->config.block_pages);
}

/* After a relief the balloon grows by so much at a time. */
static u64 guest_growth(const struct guest *g)
{
	return max_t(u64, guest_step(g) / 2, g->config.block_pages);
}

/* The shortest hold-off there may be now, without any back-off. */
static u64 guest_holdoff(const struct guest *g)
{
	u64 holdoff = (u64)g->config.holdoff_ms >>
		      min(g->s.host_pressure, (u32)VBP_LEVEL_CRITICAL);

	return max_t(u64, holdoff, HOLDOFF_LEAST_MS);
}

static u64 guest_target(const struct guest *g)
{
	return min(g->s.target_pages, g->s.total_pages);
}

static u64 guest_floor(const struct guest *g)
{
	return g->s.elastic ? min(max(g->s.floor_pages, g->s.floor_now_pages),
				  guest_target(g)) :
			      guest_target(g);
}

/* With memory that no counter names, while it gives way. */
static u64 guest_available(const struct guest *g)
{
	u64 yields = min(g->s.yields_pages, g->s.unnamed_pages);

	return g->s.available_pages + min(yields, ~g->s.available_pages);
}

/* What the guest may take back by itself. */
static u64 guest_elastic(const struct guest *g)
{
	u64 floor = guest_floor(g);

	return g->s.elastic && g->s.held_pages > floor ?
	       g->s.held_pages - floor : 0;
}

/* Whatever has been answered, all memory sizes must add up. */
static void check_sizes(struct guest *g)
{
	const struct vbp_policy_sample *s = &g->s;
	const struct vbp_policy_decision *d = &g->d;
	struct policy_test *t = g->t;
	u64 target = guest_target(g);
	u64 over = s->held_pages > target ? s->held_pages - target : 0;

	expect_eq(t, d->deflate_pages, over);
	expect_le(t, d->relief_pages, s->held_pages - over);
	expect_le(t, d->relief_pages, s->limit_pages);
	if (d->relief_pages) {
		expect_ge(t, s->held_pages - over - d->relief_pages,
			  guest_floor(g));
		expect_eq(t, d->inflate_pages, 0);
	}
	if (d->inflate_pages) {
		expect_lt(t, s->held_pages, target);
		expect_le(t, d->inflate_pages, target - s->held_pages);
		expect_eq(t, d->relief_pages, 0);
	}
	expect_le(t, d->wanted_pages, s->total_pages);
}

/* Has a part of memory, of which something is held, less than its reserve? */
static bool place_is_short(const struct guest *g)
{
	const struct vbp_policy_place *place = &g->s.place;

	return place->held_pages && place->available_pages <
	       vbp_place_reserve(&g->config, &g->s, place);
}

static void check_relief(struct guest *g, u64 gate)
{
	const struct vbp_policy_sample *s = &g->s;
	const struct vbp_policy_decision *d = &g->d;
	struct policy_test *t = g->t;
	u64 given = d->deflate_pages + d->relief_pages;
	u64 elastic = guest_elastic(g);
	bool cut = d->relief_pages == s->limit_pages;
	bool fresh = s->reclaim || s->oom || g->refused;

	if (d->relief_pages) {
		expect_true(t, s->elastic);
		expect_true(t, fresh || g->ahead || g->missed ||
			    s->pool_pages);
		if (!s->oom && !g->missed && !s->pool_pages) {
			expect_true(t, guest_available(g) < guest_reserve(g) ||
				    place_is_short(g));
			expect_gt(t, gate, 0);
		}
	}
	/* The gate is a part of the decision, seen from a task in reclaim. */
	expect_le(t, gate, elastic);
	if (fresh && !cut && guest_available(g) < guest_reserve(g))
		expect_ge(t, given, gate);
	if (s->oom && !cut && !g->vain)
		expect_ge(t, given, min(min(g->config.oom_step_pages,
					    s->total_pages), elastic));
	/* Enough, or all there is. What is still missing must be said. */
	if (fresh && !cut && s->elastic &&
	    guest_available(g) < guest_reserve(g)) {
		u64 lacking = guest_reserve(g) - guest_available(g);

		if (given < lacking)
			expect_ge(t, d->wanted_pages, lacking - given);
	}
	if (d->relief_pages && !cut && given < elastic)
		expect_eq(t, given % g->config.block_pages, 0);
}

static void check_report(struct guest *g)
{
	const struct vbp_policy_sample *s = &g->s;
	const struct vbp_policy_decision *d = &g->d;
	struct policy_test *t = g->t;

	expect_le(t, d->level, VBP_LEVEL_CRITICAL);
	/* Medium and critical are about what is missing; low is not. */
	expect_eq(t, d->level >= VBP_LEVEL_MEDIUM, d->wanted_pages > 0);
	if (d->relief_pages)
		expect_gt(t, d->level, 0);
	/* The kernel kills where nothing is given, or too little. */
	if (s->oom && s->elastic) {
		expect_gt(t, d->level, 0);
		expect_ne(t, d->level, VBP_LEVEL_MEDIUM);
	}
	/* A level that stands must be looked at again, or it stands for ever. */
	if (d->level) {
		expect_gt(t, d->wake_ms, 0);
		expect_eq(t, d->inflate_pages, 0);
	}
	if (d->unreached) {
		expect_gt(t, d->wake_ms, 0);
		expect_eq(t, d->inflate_pages, 0);
		expect_lt(t, s->held_pages, guest_target(g));
	}
	if (!s->elastic) {
		expect_eq(t, d->level, 0);
		expect_false(t, d->unreached);
	}
}

/* Where something is to give way, the balloon may go on, but not far. */
static void check_pressing(struct guest *g)
{
	u64 reserve = guest_reserve(g);
	u64 keep = max(reserve + reserve / 4, g->s.bound_pages);
	u64 spare = g->s.available_pages - min(g->s.available_pages, keep);
	u64 limit = g->state.yield.limit_pages, beyond = 0;

	if (!g->s.bound_pages) {
		beyond = limit - min(limit, g->s.held_pages);
		/* What is free needs nobody to give way. */
		if (g->state.yield.yields)
			beyond = max(beyond, g->s.headroom_pages);
	}
	expect_le(g->t, g->d.inflate_pages, max(spare, beyond));
}

static void check_inflation(struct guest *g)
{
	const struct vbp_policy_sample *s = &g->s;
	const struct vbp_policy_decision *d = &g->d;
	struct policy_test *t = g->t;
	u64 target = guest_target(g);
	struct guest after = *g;

	if (!s->elastic) {
		/* As the in-tree driver: all of it, whatever the guest says. */
		if (s->held_pages < target)
			expect_eq(t, d->inflate_pages, target - s->held_pages);
		expect_eq(t, d->wake_ms, 0);
		return;
	}
	if (d->inflate_pages && g->state.yield.yields) {
		check_pressing(g);
	} else if (d->inflate_pages) {
		expect_ge(t, s->available_pages, d->inflate_pages);
		expect_ge(t, s->available_pages - d->inflate_pages,
			  s->bound_pages);
		after.s.held_pages += d->inflate_pages;
		after.s.available_pages -= d->inflate_pages;
		expect_ge(t, after.s.available_pages, guest_reserve(g));
		expect_ge(t, after.s.available_pages, guest_reserve(&after));
	}
	/* On the way to the target something is always due... */
	if (s->held_pages < target)
		expect_true(t, d->inflate_pages || d->wake_ms);
	/* ...and at the target nothing is: a quiet guest has no timer. */
	else if (!d->level)
		expect_eq(t, d->wake_ms, 0);
}

/* The step of a random sequence and the sample, for whoever has to debug it. */
static void describe_failure(struct guest *g)
{
	const struct vbp_policy_sample *s = &g->s;
	size_t used = strlen(g->t->why);

	snprintf(g->t->why + used, sizeof(g->t->why) - used,
		 "; sample now %llu total %llu available %llu held %llu target %llu floor %llu%s%s%s host %u",
		 (unsigned long long)s->now_ms,
		 (unsigned long long)s->total_pages,
		 (unsigned long long)s->available_pages,
		 (unsigned long long)s->held_pages,
		 (unsigned long long)s->target_pages,
		 (unsigned long long)s->floor_pages,
		 s->elastic ? " elastic" : "", s->reclaim ? " reclaim" : "",
		 s->oom ? " oom" : "", s->host_pressure);
}

/* One question. Every answer in every case passes through here. */
static void ask(struct guest *g)
{
	bool failed = g->t->failed;
	struct vbp_policy_sample other;
	u64 gate;

	/* As the driver does. */
	g->s.yields_pages = vbp_yield_pages(&g->state.yield,
					    g->s.unnamed_pages);
	other = g->s;
	gate = vbp_size_gate(&g->config, &g->s);

	/* A decision is filled in whole: leave junk for it to overwrite. */
	memset(&g->d, 0xa5, sizeof(g->d));
	other.reclaim = !other.reclaim;
	expect_eq(g->t, vbp_size_gate(&g->config, &other), gate);

	g->refused = g->state.refused && g->state.reclaiming;
	g->ahead = g->state.relieved &&
		   (g->s.headroom_pages < guest_step(g) || place_is_short(g));
	g->vain = g->state.rescued && !g->s.moving_pages &&
		  g->s.headroom_pages > g->config.oom_step_pages &&
		  guest_available(g) >= guest_reserve(g);
	vbp_policy_decide(&g->config, &g->state, &g->s, &g->d);
	g->missed = g->state.refault.thrash;
	g->refused = g->refused && g->state.reclaiming;
	check_sizes(g);
	check_relief(g, gate);
	check_report(g);
	check_inflation(g);
	if (g->t->failed && !failed)
		describe_failure(g);
}

/* Do as told, as far as memory goes: programs keep what they have. */
static void apply(struct guest *g)
{
	u64 back = g->d.deflate_pages + g->d.relief_pages;

	g->s.held_pages -= back;
	g->s.available_pages += back;
	g->s.held_pages += g->d.inflate_pages;
	g->s.available_pages -= g->d.inflate_pages;
}

static void ask_at(struct guest *g, u64 now_ms)
{
	g->s.now_ms = now_ms;
	ask(g);
}

/* Programs took nearly everything and the kernel reclaims. */
static void press(struct guest *g)
{
	g->s.available_pages = guest_reserve(g) / 8;
	g->s.reclaim = true;
}

/* Programs are gone: all that the balloon leaves is available. */
static void calm(struct guest *g)
{
	g->s.available_pages = g->s.total_pages > g->s.held_pages ?
			       g->s.total_pages - g->s.held_pages : 0;
	g->s.reclaim = false;
	g->s.oom = false;
}

/* One relief, done, and the load is gone again. */
static void relieve(struct guest *g)
{
	press(g);
	ask(g);
	expect_gt(g->t, g->d.relief_pages, 0);
	apply(g);
	calm(g);
}

/* The same until nothing is left to take back, all at one moment. */
static void relieve_wholly(struct guest *g)
{
	while (guest_elastic(g) && !g->t->failed)
		relieve(g);
}

/*
 * How long a calm guest is kept waiting before its balloon grows, going by the
 * decisions' own wake_ms: nothing may happen earlier, and it must happen then.
 */
static u64 measure_wait(struct guest *g)
{
	u64 start = g->s.now_ms;
	int i;

	for (i = 0; i < 1000 && !g->t->failed; i++) {
		u64 now = g->s.now_ms;
		u32 wake;

		ask(g);
		if (g->d.inflate_pages)
			return now - start;
		wake = g->d.wake_ms;
		expect_gt(g->t, wake, 0);
		if (wake > 1) {
			ask_at(g, now + wake - 1);
			expect_eq(g->t, g->d.inflate_pages, 0);
		}
		g->s.now_ms = now + wake;
	}
	expect_true(g->t, g->t->failed);	/* it never came */
	return 0;
}

#endif /* VBP_POLICY_CHECK_H */
