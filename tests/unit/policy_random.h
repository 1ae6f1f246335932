/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy under sequences nobody thought of: junk of every size, and a small
 * model of a guest whose load, host and clock do as they like. The invariants
 * are those of ask(); what needs a history is checked here. A failure names its
 * seed and step; the same seed gives the same sequence in user space and KUnit.
 */
#ifndef VBP_POLICY_RANDOM_H
#define VBP_POLICY_RANDOM_H

#include "policy_chance.h"
#include "policy_check.h"

/* Sizes at which arithmetic goes wrong, and their neighbours. */
static u64 odd_size(u64 *seed)
{
	u64 size;

	switch (below(seed, 6)) {
	case 0:
		return below(seed, 4);
	case 1:
		size = (u64)1 << below(seed, 64);
		break;
	case 2:
		size = ~(u64)0 >> below(seed, 64);
		break;
	case 3:
		size = BLOCK_PAGES * below(seed, 4096);
		break;
	case 4:
		size = any(seed);
		break;
	default:
		size = any(seed) >> below(seed, 64);
		break;
	}
	return size + below(seed, 3) - 1;
}

static struct vbp_policy_config odd_config(u64 *seed)
{
	struct vbp_policy_config config = {
		.reserve_pct = VBP_RESERVE_PCT_MIN +
			       below(seed, VBP_RESERVE_PCT_MAX),
		.step_pct = VBP_STEP_PCT_MIN + below(seed, VBP_STEP_PCT_MAX),
		.holdoff_ms = VBP_HOLDOFF_MS_MIN,
		.oom_step_pages = odd_size(seed),
		.block_pages = 1u << below(seed, 32),
		.boot_ms = one_in(seed, 8) ? (u32)any(seed) : 0,
		.reserve_max_pages = one_in(seed, 2) ? odd_size(seed) : ~(u64)0,
		.step_max_pages = one_in(seed, 2) ? odd_size(seed) : ~(u64)0,
	};

	if (one_in(seed, 4))
		config.reserve_pct = VBP_RESERVE_PCT_MAX;
	if (one_in(seed, 4))
		config.step_pct = VBP_STEP_PCT_MAX;
	if (one_in(seed, 2))
		config.block_pages = BLOCK_PAGES;
	if (one_in(seed, 4))
		config.holdoff_ms = VBP_HOLDOFF_MS_MAX;
	else if (one_in(seed, 2))
		config.holdoff_ms = below(seed, 100000);	/* 0, too */
	return config;
}

/* Mostly none, or no other number would decide anything. */
static void odd_place(u64 *seed, struct vbp_policy_sample *s)
{
	bool some = one_in(seed, 4);

	s->place.total_pages = some ? odd_size(seed) : 0;
	s->place.available_pages = some ? odd_size(seed) : 0;
	s->place.headroom_pages = some ? odd_size(seed) : 0;
	s->place.held_pages = some ? odd_size(seed) : 0;
	s->bound_pages = one_in(seed, 4) ? odd_size(seed) : 0;
}

static void name_step(struct policy_test *t, u64 seed, u64 step)
{
	size_t used = strlen(t->why);

	snprintf(t->why + used, sizeof(t->why) - used, "; seed %llu step %llu",
		 (unsigned long long)seed, (unsigned long long)step);
}

POLICY_CASE(any_numbers_at_all_keep_the_invariants)
{
	struct guest g = new_guest(t);
	u64 seed = t->seed;
	u64 i;

	for (i = 0; i < t->steps && !t->failed; i++) {
		if (one_in(&seed, 16))
			g.config = odd_config(&seed);
		if (one_in(&seed, 64))
			vbp_policy_init(&g.state);
		g.s.now_ms = one_in(&seed, 2) ? odd_size(&seed) :
				g.s.now_ms + below(&seed, 5000);
		g.s.total_pages = odd_size(&seed);
		g.s.available_pages = odd_size(&seed);
		g.s.held_pages = odd_size(&seed);
		g.s.target_pages = odd_size(&seed);
		g.s.floor_pages = odd_size(&seed);
		g.s.floor_now_pages = one_in(&seed, 2) ? odd_size(&seed) : 0;
		if (one_in(&seed, 4))
			g.s.held_pages = g.s.target_pages;
		if (one_in(&seed, 4))
			g.s.floor_pages = g.s.held_pages;
		if (one_in(&seed, 4))
			g.s.total_pages = ~(u64)0;
		g.s.elastic = !one_in(&seed, 4);
		g.s.reclaim = one_in(&seed, 2);
		g.s.oom = one_in(&seed, 8);
		g.s.free_pages = odd_size(&seed);
		g.s.headroom_pages = odd_size(&seed);
		g.s.cache_pages = odd_size(&seed);
		g.s.moving_pages = odd_size(&seed);
		g.s.unnamed_pages = one_in(&seed, 2) ? odd_size(&seed) : 0;
		g.s.refaults = one_in(&seed, 8) ? odd_size(&seed) :
				g.s.refaults + below(&seed, 5000);
		g.s.written_back = one_in(&seed, 8) ? odd_size(&seed) :
				g.s.written_back + below(&seed, 5000);
		g.s.reclaimed = one_in(&seed, 8) ? odd_size(&seed) :
				g.s.reclaimed + below(&seed, 5000);
		g.s.pool_pages = one_in(&seed, 8) ? odd_size(&seed) : 0;
		g.s.limit_pages = one_in(&seed, 2) ? odd_size(&seed) :
						     ~(u64)0;
		odd_place(&seed, &g.s);
		g.s.host_pressure = one_in(&seed, 2) ? below(&seed, 5) :
						       (u32)any(&seed);
		ask(&g);
	}
	if (t->failed)
		name_step(t, t->seed, i);
}

/* More host pressure, far to go, all of it available. */
static void grow_under_host_pressure(struct guest g)
{
	u64 last = 0;
	u32 level;

	g.s.target_pages = g.s.total_pages;
	g.s.held_pages = 0;
	g.s.available_pages = ~(u64)0;
	g.state.relieved = true;
	g.s.now_ms = (u64)1 << 40;
	for (level = 0; level <= VBP_LEVEL_CRITICAL + 1; level++) {
		g.state.stepped_ms = 0;
		g.s.host_pressure = level;
		ask(&g);
		expect_ge(g.t, g.d.inflate_pages, last);
		last = g.d.inflate_pages;
	}
	if (g.s.total_pages)
		expect_gt(g.t, last, 0);
}

/* Failure after failure, all at once. */
static void fail_again_and_again(struct guest g)
{
	u64 last = 0;
	int i;

	g.s.target_pages = g.s.total_pages;
	g.s.held_pages = g.s.total_pages;
	g.s.available_pages = 0;
	g.s.headroom_pages = 0;
	g.s.oom = true;
	for (i = 0; i < 6; i++) {
		ask(&g);
		expect_ge(g.t, g.d.relief_pages, last);
		last = g.d.relief_pages;
	}
	if (g.s.total_pages)
		expect_gt(g.t, last, 0);
}

static void ask_for_more_reserve(struct guest g)
{
	u64 last = 0;
	u32 pct;

	g.s.held_pages = 0;
	for (pct = VBP_RESERVE_PCT_MIN; pct <= VBP_RESERVE_PCT_MAX; pct++) {
		g.config.reserve_pct = pct;
		expect_ge(g.t, guest_reserve(&g), last);
		last = guest_reserve(&g);
	}
}

/* A sum, product or shift that wraps makes less out of more. */
POLICY_CASE(more_is_never_less_at_any_size)
{
	u64 seed = t->seed;
	u64 i;

	for (i = 0; i < t->steps / 32 && !t->failed; i++) {
		struct guest g = new_guest(t);

		g.config = odd_config(&seed);
		g.s.total_pages = odd_size(&seed);
		grow_under_host_pressure(g);
		fail_again_and_again(g);
		ask_for_more_reserve(g);
	}
	if (t->failed)
		name_step(t, t->seed, i);
}

/* A guest with a load. Memory is load + cache + balloon + free. */
struct model {
	struct guest g;
	u64 seed;
	u64 load_pages;		/* what programs use and will not let go */
	u64 relieved_ms;	/* our own idea of the last relief */
	bool relieved;
	u64 pressed_ms;		/* and of the last need */
	bool pressed;
	u64 grown_pages;	/* sum of all inflation */
};

static struct model new_model(struct policy_test *t, u64 seed)
{
	struct model m = { .g = new_guest(t), .seed = seed };

	any(&m.seed);
	m.g.config.reserve_pct = VBP_RESERVE_PCT_MIN +
				 below(&m.seed, VBP_RESERVE_PCT_MAX);
	m.g.config.step_pct = VBP_STEP_PCT_MIN +
			      below(&m.seed, VBP_STEP_PCT_MAX);
	m.g.config.holdoff_ms = below(&m.seed, 60000);
	m.g.config.block_pages = one_in(&m.seed, 2) ? 1 : BLOCK_PAGES;
	m.g.s.total_pages = 16384 + below(&m.seed, 1u << 24);
	m.g.s.held_pages = 0;
	m.g.s.target_pages = share(m.g.s.total_pages, below(&m.seed, 65537));
	m.g.s.floor_pages = share(m.g.s.target_pages, below(&m.seed, 65537));
	m.g.s.elastic = !one_in(&m.seed, 8);
	m.load_pages = m.g.s.total_pages / 8;
	return m;
}

/* Fill in what sensors would say. @streaming: something reads a disk. */
static void sense(struct model *m, bool streaming)
{
	struct vbp_policy_sample *s = &m->g.s;
	u64 used = m->load_pages + s->held_pages;
	u64 left = s->total_pages > used ? s->total_pages - used : 0;

	s->available_pages = left;
	s->reclaim = streaming || left < s->total_pages / 50;
	s->oom = !left && s->total_pages < used;
}

static void move_world(struct model *m)
{
	struct vbp_policy_sample *s = &m->g.s;
	u64 *seed = &m->seed;
	u64 back;

	switch (below(seed, 16)) {
	case 0:		/* a program starts or ends */
		m->load_pages = share(s->total_pages, below(seed, 65537));
		break;
	case 1:
		m->load_pages /= 2;
		break;
	case 2:
	case 3:
	case 4:		/* or grows */
		m->load_pages = min(m->load_pages + s->total_pages / 200,
				    s->total_pages);
		break;
	case 5:
		s->target_pages = one_in(seed, 4) ? odd_size(seed) :
				  share(s->total_pages, below(seed, 65537));
		break;
	case 6:
		s->floor_pages = one_in(seed, 4) ? odd_size(seed) :
				 share(s->total_pages, below(seed, 65537));
		break;
	case 7:
		s->host_pressure = one_in(seed, 4) ? (u32)any(seed) :
						     below(seed, 4);
		s->idle = one_in(seed, 2);
		break;
	default:
		break;
	}
	switch (below(seed, 16)) {
	case 0:
		s->now_ms += below(seed, 200000);
		break;
	case 1:
		break;		/* the clock stands still */
	case 2:
		if (!one_in(seed, 8))
			break;
		back = below(seed, 100000);
		s->now_ms -= min(back, s->now_ms);
		break;
	default:
		s->now_ms += below(seed, 1500);
		break;
	}
	sense(m, one_in(seed, 4));
}

/* Do as told, or a part of it: memory is fragmented, the device is slow. */
static void obey(struct model *m)
{
	struct vbp_policy_decision *d = &m->g.d;
	struct policy_test *t = m->g.t;
	bool all = !one_in(&m->seed, 8);

	if (!all) {
		u32 part = below(&m->seed, 65536);

		d->deflate_pages = share(d->deflate_pages, part);
		d->relief_pages = share(d->relief_pages, part);
		d->inflate_pages = share(d->inflate_pages, part);
	}
	apply(&m->g);
	m->grown_pages += d->inflate_pages;
	expect_le(t, m->g.s.held_pages, m->g.s.total_pages);
}

/* Ask, check what only a history can tell, obey. */
static void live(struct model *m)
{
	struct guest *g = &m->g;
	u64 holdoff = guest_holdoff(g);

	ask(g);
	if (m->pressed && g->s.now_ms < m->pressed_ms)
		m->pressed_ms = g->s.now_ms;
	if (g->s.oom || (g->s.reclaim &&
			 g->s.available_pages < guest_reserve(g))) {
		m->pressed = true;
		m->pressed_ms = g->s.now_ms;
	}
	if (m->pressed && g->s.now_ms - m->pressed_ms >= CALM_MS)
		m->pressed = false;
	if (m->pressed && g->s.elastic) {
		expect_eq(g->t, g->d.inflate_pages, 0);
		expect_gt(g->t, g->d.level, 0);
	}
	if (m->relieved && g->s.now_ms < m->relieved_ms)
		m->relieved_ms = g->s.now_ms;
	if (m->relieved && g->s.now_ms - m->relieved_ms >= holdoff)
		m->relieved = false;
	if (m->relieved && g->s.elastic)
		expect_eq(g->t, g->d.inflate_pages, 0);
	if (g->d.relief_pages) {
		m->relieved = true;
		m->relieved_ms = g->s.now_ms;
	}
	obey(m);
}

/* Once the load is gone the target is reached by the policy's own timers. */
static void settle(struct model *m)
{
	struct guest *g = &m->g;
	u64 left, step, bound;

	m->load_pages = 0;
	g->s.target_pages = guest_target(g) / 2;
	sense(m, false);
	ask(g);
	apply(g);
	step = guest_growth(g);
	bound = g->s.total_pages / step + 16;
	/* While the host is critical, it looks whether it has become idle. */
	if (g->s.host_pressure >= VBP_LEVEL_CRITICAL)
		bound += VBP_HOLDOFF_MS_MAX / IDLE_LOOK_MS;
	for (left = bound; left && !g->t->failed; left--) {
		sense(m, false);
		ask(g);
		apply(g);
		if (!g->d.wake_ms && !g->d.inflate_pages)
			break;
		g->s.now_ms += g->d.wake_ms;
	}
	expect_gt(g->t, left, 0);
	expect_eq(g->t, g->s.held_pages, guest_target(g));
}

/* And under a load that takes all, the floor is reached. */
static void squeeze(struct model *m)
{
	struct guest *g = &m->g;
	u64 least = min(g->s.held_pages, guest_floor(g));
	u64 left;

	m->load_pages = g->s.total_pages;
	for (left = g->s.total_pages / guest_step(g) + 8; left; left--) {
		sense(m, true);
		if (g->s.held_pages <= guest_floor(g))
			break;
		ask(g);
		apply(g);
		g->s.now_ms += below(&m->seed, 100);
	}
	expect_gt(g->t, left, 0);
	expect_ge(g->t, g->s.held_pages, least);
}

POLICY_CASE(any_life_of_a_guest_keeps_the_promises)
{
	u64 seed = t->seed;
	u64 i = 0;

	while (i < t->steps && !t->failed) {
		struct model m = new_model(t, any(&seed));
		u32 end = 1 + below(&seed, 400);

		while (end-- && !t->failed) {
			move_world(&m);
			live(&m);
			i++;
		}
		if (!t->failed)
			squeeze(&m);
		if (!t->failed)
			settle(&m);
	}
	if (t->failed)
		name_step(t, t->seed, i);
}

/* Pages the balloon grows by in @ms of a load that comes and goes. */
static u64 alternate(struct model *m, u64 ms)
{
	struct guest *g = &m->g;
	u64 end = g->s.now_ms + ms;
	u64 grown = m->grown_pages;

	while (g->s.now_ms < end && !g->t->failed) {
		/* 40 s of work, 40 s of nothing. */
		m->load_pages = g->s.now_ms / 40000 & 1 ?
				g->s.total_pages / 8 * 7 :
				g->s.total_pages / 8;
		sense(m, false);
		ask(g);
		apply(g);
		m->grown_pages += g->d.inflate_pages;
		g->s.now_ms += 500;
	}
	return m->grown_pages - grown;
}

POLICY_CASE(an_alternating_load_is_chased_less_and_less)
{
	struct model m = { .g = new_guest(t) };
	u64 early, late;

	m.g.s.target_pages = m.g.s.total_pages / 4 * 3;
	m.g.s.held_pages = m.g.s.target_pages;
	m.load_pages = m.g.s.total_pages / 8;
	early = alternate(&m, 600000);
	alternate(&m, 3 * 600000);
	late = alternate(&m, 600000);
	expect_gt(t, early, 0);
	expect_le(t, late, early / 4);
}

#define POLICY_RANDOM_CASES(X)						\
	X(any_numbers_at_all_keep_the_invariants)			\
	X(more_is_never_less_at_any_size)				\
	X(any_life_of_a_guest_keeps_the_promises)			\
	X(an_alternating_load_is_chased_less_and_less)

#endif /* VBP_POLICY_RANDOM_H */
