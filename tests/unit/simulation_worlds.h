/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worlds. In most of them something in particular is known to be right or
 * wrong; in "anything" only what must hold always.
 */
#ifndef VBP_SIMULATION_WORLDS_H
#define VBP_SIMULATION_WORLDS_H

#include "simulation_driver.h"
#include "simulation_load.h"

static struct load *add_load(struct simulation *s, enum load_kind kind)
{
	struct load *l = &s->loads[s->load_count++];

	l->kind = kind;
	l->busy_ms = 30000;
	l->idle_ms = 120000;
	return l;
}

/* From all of memory in 0.3 s to 50 MiB/s, 4 GiB/s at most. */
static u32 memory_rate(struct simulation *s)
{
	u64 ms = one_in(&s->chance, 2) ? between(s, 300, 3000) :
					 between(s, 3000, 30000);

	return (u32)clamp_t(u64, s->g.s.total_pages / ms, 13, 1024);
}

static void draw_config(struct simulation *s)
{
	struct vbp_policy_config *c = &s->g.config;

	c->boot_ms = VBP_BOOT_MS_DEFAULT;
	if (one_in(&s->chance, 2))
		return;
	c->reserve_pct = (u32)between(s, 2, 25);
	c->step_pct = (u32)between(s, VBP_STEP_PCT_MIN, 25);
	c->holdoff_ms = (u32)between(s, 2000,
				     one_in(&s->chance, 2) ? 10000 : 120000);
	c->boot_ms = (u32)between(s, 0, 60000);
}

static void draw_guest(struct simulation *s)
{
	struct vbp_policy_sample *p = &s->g.s;
	struct memory *m = &s->m;

	/* 256 MiB to 64 GiB, most of them small: they take less time. */
	p->total_pages = ((u64)65536 << below(&s->chance, 5)) +
			 below(&s->chance, 65536);
	if (one_in(&s->chance, 8))
		p->total_pages <<= below(&s->chance, 5);
	set_watermarks(s);
	m->kernel = p->total_pages / between(s, 16, 50);
	m->anon = p->total_pages / between(s, 16, 50);
	if (one_in(&s->chance, 2))
		m->swap_pages = share(p->total_pages, below(&s->chance, 65537));
	m->swap_rate = (u32)between(s, 4, 128);
	m->kswapd_rate = (u32)between(s, 64, 512);
	m->swap_taste = below(&s->chance, 16);
	m->leak = below(&s->chance, 8);
	p->held_pages = 0;
	p->host_pressure = one_in(&s->chance, 4) ? below(&s->chance, 4) : 0;
	p->target_pages = share(p->total_pages,
				(u32)between(s, 6554, 65536 * 3 / 4));
	p->floor_pages = one_in(&s->chance, 4) ?
		share(p->target_pages, below(&s->chance, 65537)) : 0;
}

static void draw_driver(struct simulation *s)
{
	struct driver *d = &s->d;
	u32 missing = below(&s->chance, 12);	/* which sensor, if any */

	d->has_hook = missing != 0;
	d->has_kswapd = missing != 1;
	d->has_shrinker = missing != 2;
	d->has_sampler = missing != 3;
	d->latency_ms = below(&s->chance, 4);
	d->inflate_rate = (u32)between(s, 64, 2048);
	d->relief_at = NEVER;
	d->must_tell = one_in(&s->chance, 12);
	d->tell_ms = d->must_tell ? (u32)between(s, 1, 10) : 0;
}

/* The balloon goes to its target in a guest that does nothing. */
static void warm_up(struct simulation *s)
{
	live_until(s, (u64)s->g.config.boot_ms + 5000 +
		   2 * s->g.s.total_pages / s->d.inflate_rate);
}

/* What the balloon, the kernel and the programs at rest leave. */
static u64 pages_left(const struct simulation *s, u64 balloon)
{
	u64 used = balloon + s->m.kernel + s->m.anon + s->m.high;

	return s->g.s.total_pages - min(s->g.s.total_pages, used);
}

static void settle(struct simulation *s)
{
	u64 end = s->ms + settling_ms(s);

	if (s->t.failed)
		return;
	/* A clock that has gone back costs a hold-off more, once it is noticed. */
	if (s->clock_step_at != NEVER)
		end += holdoff_after(s, PROMISED_BACKOFF);
	end_loads(s);
	while (s->ms < end && !s->t.failed) {
		live_until(s, min(end, s->ms + 60000));
		if (is_settled(s))
			break;
	}
	/* Not in the middle of a trial that unnamed memory gives way, nor of its end. */
	for (end = s->ms + 60000; s->ms < end && s->r.yield_trials &&
	     (s->r.yields || s->d.level || s->d.relief_at != NEVER);)
		live_until(s, s->ms + VBP_WATCH_MS);
	if (!s->t.failed)
		judge_rest(s);
}

static void choose_set(struct simulation *s, u64 pages)
{
	struct file_set *set = &s->set;

	set->chunk_pages = (u32)max(pages / CHUNKS, (u64)1);
	set->pages = (u64)set->chunk_pages * CHUNKS;
	set->random = one_in(&s->chance, 2);
	set->disk_rate = (u32)between(s, 26, 256);
	set->hit_rate = (u32)between(s, 512, 2048);
}

/* From now on, without a pause. */
static void start_reading(struct simulation *s)
{
	struct load *l = add_load(s, LOAD_SET);

	l->on = true;
	l->next_at = NEVER;
	s->set.reading = true;
}

/* In a quarter of the lives what is read once elsewhere is written. */
static void draw_writer(struct simulation *s)
{
	u64 chance = s->seed;	/* of its own, or all lives would be others */

	if (s->seed % 4 != 1)
		return;
	s->m.write_rate = 1 + below(&chance, 50);
	s->m.dirty_most = 51 + below(&chance, 180);
}

/* In some, most of what is free is a cache's that no counter names. */
static void draw_hoard(struct simulation *s)
{
	struct memory *m = &s->m;
	u64 chance = s->seed;

	if (s->seed % 8 != 3)
		return;
	m->hoard_least = m->high + share(s->g.s.total_pages / 8,
					 below(&chance, 65537));
	m->hoard_rate = 1 + below(&chance, 400);
	if (below(&chance, 3)) {
		m->hoard_most = share(s->g.s.total_pages,
				      32768 + below(&chance, 32769));
		m->hoard_yields = 8 + below(&chance, 249);
	} else {	/* a pool of huge pages */
		m->hoard_most = share(s->g.s.total_pages,
				      8192 + below(&chance, 8193));
	}
}

static void live_anything(struct simulation *s)
{
	u32 count = (u32)between(s, 1, LOADS_MAX);
	u32 had = 0;

	s->g.s.elastic = !one_in(&s->chance, 16);
	if (one_in(&s->chance, 16))
		s->g.config.holdoff_ms = VBP_HOLDOFF_MS_MIN;
	if (one_in(&s->chance, 4))
		s->clock_step_at = between(s, 1000, 1000000);
	s->host.moves = one_in(&s->chance, 2);
	draw_writer(s);
	draw_hoard(s);
	draw_place(s);
	while (count) {
		enum load_kind kind = below(&s->chance, LOAD_KINDS);
		struct load *l;

		if (had & 1u << kind)
			continue;
		had |= 1u << kind;
		l = add_load(s, kind);
		l->next_at = between(s, 0, 60000);
		l->rate = kind == LOAD_SLOW ? 13 : memory_rate(s);
		l->size = share(s->g.s.total_pages, below(&s->chance, 65536));
		if (kind == LOAD_ALTERNATE) {
			l->busy_ms = (u32)between(s, 100, 30000);
			l->idle_ms = (u32)between(s, 100, 60000);
		}
		l->refault_rate = below(&s->chance, 100);
		if (kind == LOAD_SET) {
			choose_set(s, l->size);
			l->busy_ms = 10000;
			l->idle_ms = 300000;
		}
		count--;
	}
	live_until(s, between(s, 100000, 1200000));
}

/* Busy and idle at a fixed beat, again and again, for long. */
static void live_alternating(struct simulation *s)
{
	struct load *l;
	u32 rounds = 3 * (u32)between(s, 8, 20);
	u32 before, late;
	u64 period, most;

	warm_up(s);
	l = add_load(s, LOAD_ALTERNATE);
	l->rate = memory_rate(s);
	/* Somewhere between what fits beside the balloon and what never does. */
	l->size = pages_left(s, s->g.s.target_pages);
	l->size += share(pages_left(s, guest_floor(&s->g)) - l->size,
			 (u32)between(s, 3000, 62000));
	period = between(s, 2000, 3 * (u64)holdoff_least(s));
	l->busy_ms = (u32)between(s, period / 8, period / 8 * 7);
	l->idle_ms = (u32)period - l->busy_ms;
	l->next_at = s->ms;
	live_until(s, s->ms + period * rounds / 3 * 2);
	before = unexcused(s);
	live_until(s, s->ms + period * rounds / 3);
	if (s->t.failed)
		return;
	judge_chases(s, 0, 0);
	/* What was learned by then is not forgotten in the last third. */
	late = unexcused(s) - before;
	most = period * rounds / 3 / holdoff_after(s, before) + 1;
	must(s, PROPERTY_GROWING, late <= most, late, most);
}

static void live_with_a_fickle_host(struct simulation *s)
{
	struct vbp_policy_sample *p = &s->g.s;
	u64 target = p->target_pages;
	u32 rounds = (u32)between(s, 5, 20);
	struct load *l;

	warm_up(s);
	if (one_in(&s->chance, 4))
		s->clock_step_at = s->ms + between(s, 1000, 100000);
	l = add_load(s, LOAD_BURST);
	l->rate = memory_rate(s);
	l->next_at = NEVER;
	while (rounds-- && !s->t.failed) {
		l->goal = pages_left(s, target);
		l->goal += share(pages_left(s, 0) - l->goal,
				 below(&s->chance, 62000));
		live_until(s, s->ms + l->goal / l->rate + between(s, 0, 2000));
		l->goal = 0;
		p->target_pages = one_in(&s->chance, 2) ? p->held_pages :
			share(p->held_pages, below(&s->chance, 65536));
		note(s, "host: target %llu",
		     (unsigned long long)p->target_pages);
		kick_main(s);
		live_until(s, s->ms + between(s, 0, 2 * (u64)holdoff_least(s)));
		p->target_pages = target;
		note(s, "host: target %llu",
		     (unsigned long long)p->target_pages);
		kick_main(s);
		live_until(s, s->ms + between(s, 0, 2 * (u64)holdoff_least(s)));
	}
}

/* Until what the host has asked for has to be on its way. */
static void live_until_handed(struct simulation *s)
{
	u64 asked_ms = s->ms;
	u64 end;

	do {
		end = max(asked_ms, s->r.relieved_ms + hand_wait(s)) +
		      PROMISED_HANDED_MS +
		      2 * s->g.s.total_pages / s->d.inflate_rate;
		live_until(s, min(end, s->ms + 1000));
	} while (s->ms < end && !s->t.failed);
}

/* Jobs begin and end; then the host wants what they had for somebody else. */
static void live_with_finished_jobs(struct simulation *s)
{
	struct vbp_policy_sample *p = &s->g.s;
	u32 rounds = (u32)between(s, 1, 6);
	struct load *l;

	warm_up(s);
	l = add_load(s, LOAD_BURST);
	l->rate = memory_rate(s);
	l->next_at = NEVER;
	while (rounds-- && !s->t.failed) {
		l->goal = pages_left(s, p->target_pages);
		l->goal += share(pages_left(s, guest_floor(&s->g)) - l->goal,
				 below(&s->chance, 62000));
		live_until(s, s->ms + l->goal / l->rate + between(s, 0, 5000));
		l->goal = 0;
		live_until(s, s->ms + between(s, 0, 20000));
		p->target_pages += share(p->total_pages - p->target_pages,
					 (u32)between(s, 655, 6554));
		note(s, "host: target %llu",
		     (unsigned long long)p->target_pages);
		kick_main(s);
		live_until_handed(s);
		if (s->t.failed)
			return;
		must(s, PROPERTY_HANDED,
		     p->held_pages == p->target_pages ||
		     plainly_free(s) <= 2 * BLOCK_PAGES,
		     plainly_free(s), 0);
	}
}

/*
 * The host raises its target by a little whenever the guest has got there and is
 * calm, as QEMU does when it is short itself, beside a load that comes and goes.
 */
static void live_with_a_greedy_host(struct simulation *s)
{
	u64 holdoff = s->g.config.holdoff_ms;
	struct vbp_policy_sample *p = &s->g.s;
	u32 doublings = 0;
	struct load *l;
	u64 end, most;

	warm_up(s);
	l = add_load(s, LOAD_ALTERNATE);
	l->rate = memory_rate(s);
	l->size = share(pages_left(s, guest_floor(&s->g)),
			(u32)between(s, 20000, 62000));
	l->busy_ms = (u32)between(s, 500, 3 * holdoff);
	l->idle_ms = (u32)between(s, 500, 3 * holdoff);
	l->next_at = s->ms;
	for (end = s->ms + 20 * holdoff; s->ms < end && !s->t.failed;) {
		live_until(s, s->ms + 2000);
		if (s->d.level || p->held_pages < p->target_pages)
			continue;
		p->target_pages += share(p->total_pages - p->target_pages,
					 6554);
		kick_main(s);
	}
	if (s->t.failed)
		return;
	/* After two quiet hold-offs the short waits are there again. */
	while ((u64)PROMISED_HAND_MS << doublings < holdoff)
		doublings++;
	most = chases_at_most(s, s->ms) +
	       (s->ms / (2 * holdoff) + 1) * (doublings + 2);
	must(s, PROPERTY_CHASED, unexcused(s) <= most, unexcused(s), most);
}

static void live_streaming(struct simulation *s)
{
	struct load *l = add_load(s, LOAD_STREAM);

	/* Reading may begin while the balloon still grows. */
	l->rate = (u32)between(s, 13, 512);
	l->busy_ms = 60000;
	l->next_at = between(s, 0, s->g.config.boot_ms + 2000);
	/* And beside it something small is read again and again. */
	if (one_in(&s->chance, 2)) {
		choose_set(s, pages_left(s, s->g.s.target_pages) / 16);
		start_reading(s);
		l->busy_ms = 0;
	}
	live_until(s, between(s, 60000, 200000));
	must(s, PROPERTY_STREAM, !s->r.relief_pages, s->r.relief_pages, 0);
	must(s, PROPERTY_STREAM, !s->r.level_most, s->r.level_most, 0);
}

static void live_in_a_cgroup(struct simulation *s)
{
	struct load *l = add_load(s, LOAD_CGROUP);

	l->refault_rate = below(&s->chance, 200);
	l->next_at = between(s, 0, s->g.config.boot_ms + 2000);
	live_until(s, between(s, 60000, 300000));
	must(s, PROPERTY_CGROUP, !s->r.relief_pages, s->r.relief_pages, 0);
	must(s, PROPERTY_CGROUP, !s->r.level_most, s->r.level_most, 0);
}

/* As above, when something else made the kernel reclaim for a moment. */
static void live_in_a_cgroup_after_a_stream(struct simulation *s)
{
	struct load *cgroup = add_load(s, LOAD_CGROUP);
	struct load *stream = add_load(s, LOAD_STREAM);
	u64 relief_pages;

	warm_up(s);
	cgroup->refault_rate = (u32)between(s, 1, 200);
	cgroup->on = true;
	cgroup->next_at = NEVER;
	stream->rate = (u32)between(s, 13, 512);
	stream->on = true;
	stream->next_at = NEVER;
	live_until(s, s->ms + between(s, 1000, 10000));
	stream->on = false;
	/* kswapd ends, and what was counted in the last second is forgotten. */
	live_until(s, s->ms + 3000);
	relief_pages = s->r.relief_pages;
	live_until(s, s->ms + between(s, 10000, 100000));
	must(s, PROPERTY_CGROUP, s->r.relief_pages == relief_pages,
	     s->r.relief_pages, relief_pages);
	must(s, PROPERTY_CGROUP, !s->d.level, s->d.level, 0);
}

/* A set too large was read before: that must not count for ever. */
static void read_in_vain(struct simulation *s)
{
	u64 end;

	choose_set(s, 4 * s->g.s.total_pages);
	start_reading(s);
	live_until(s, s->ms + between(s, 1000, 60000));
	s->set = (struct file_set){};
	s->m.stream += s->m.set_cached;
	s->m.set_cached = 0;
	s->load_count--;
	for (end = s->ms + settling_ms(s);
	     s->g.s.held_pages < guest_target(&s->g) && s->ms < end;)
		live_until(s, s->ms + 1000);
}

/* More than the balloon leaves, less than thrice that, and it would fit. */
static void live_with_a_set_that_fits(struct simulation *s)
{
	u64 left = pages_left(s, s->g.s.target_pages);
	u64 room = pages_left(s, guest_floor(&s->g)) / 16 * 15;
	u64 most = min(3 * left, room);
	u64 refaults, reads, start;
	u32 before;

	if (most <= left)
		most = left;
	warm_up(s);
	if (one_in(&s->chance, 2))
		read_in_vain(s);
	choose_set(s, left + share(most - left, below(&s->chance, 60000)));
	start = s->ms;
	before = unexcused(s);
	start_reading(s);
	live_until(s, s->ms + 10 * s->set.pages / s->set.disk_rate + 30000 +
		   PROMISED_PAUSE * (u64)s->g.config.holdoff_ms);
	refaults = s->m.refaults;
	reads = s->ms;
	live_until(s, s->ms + 60 * (u64)s->g.config.holdoff_ms);
	if (s->t.failed)
		return;
	refaults = s->m.refaults - refaults;
	reads = (s->ms - reads) * s->set.disk_rate;
	must(s, PROPERTY_MISSED, refaults <= reads / 100 * 3, refaults,
	     reads / 100 * 3);
	/* One that is no help makes the hold-off no longer. */
	judge_chases(s, start, before + PROMISED_TRIALS);
}

static void live_with_a_set_that_never_fits(struct simulation *s)
{
	u32 i;

	choose_set(s, 4 * s->g.s.total_pages);
	/* In a loop, and not for the first time: then each page is missed. */
	s->set.random = false;
	for (i = 0; i < CHUNKS; i++)
		s->set.evicted[i] = s->set.chunk_pages;
	warm_up(s);
	start_reading(s);
	s->must_return = true;
	live_until(s, s->ms + 60000 + 8 * (u64)s->g.config.holdoff_ms);
	s->must_return = false;
	if (!s->t.failed)
		judge_chases(s, 0, 0);
}

/* The reader was there first, so that there is nothing to give it. */
static void live_with_a_set_before_the_balloon(struct simulation *s)
{
	struct vbp_policy_sample *p = &s->g.s;
	u64 holdoff = s->g.config.holdoff_ms;
	u64 target = p->target_pages;
	u64 growths = target / guest_growth(&s->g) + 1;
	u64 end, spare;

	choose_set(s, 4 * p->total_pages);
	s->set.random = false;
	p->target_pages = 0;
	start_reading(s);
	/* Until there is nothing free left, and all of it is missed. */
	live_until(s, (u64)s->g.config.boot_ms + 10000 +
		   s->set.pages / s->set.disk_rate);
	p->target_pages = target;
	kick_main(s);
	note(s, "host: target %llu", (unsigned long long)target);
	/* Steps double until they are one a second. */
	end = s->ms + (8 + growths * 1000 / holdoff) * (2 * holdoff + 5000) +
	      4 * target / s->d.inflate_rate;
	/* It may get there and be tried again within the second. */
	do {
		live_until(s, s->ms + 1000);
	} while (!s->r.reached && s->ms < end && !s->t.failed);
	spare = guest_reserve(&s->g) / 4 * 5 + guest_step(&s->g) + s->m.high;
	must(s, PROPERTY_REFUSED,
	     s->r.reached || available_pages(s) <= spare,
	     p->held_pages, target);
}

static const struct world {
	const char *name;
	void (*live)(struct simulation *s);
	bool swaps;		/* what it would be for swap is known */
} worlds[] = {
	{ "anything", live_anything, true },
	{ "anything", live_anything, true },
	{ "anything", live_anything, true },
	{ "alternating", live_alternating, true },
	{ "alternating", live_alternating, true },
	{ "fickle host", live_with_a_fickle_host, true },
	{ "finished jobs", live_with_finished_jobs, true },
	{ "greedy host", live_with_a_greedy_host, true },
	{ "stream", live_streaming, true },
	{ "cgroup", live_in_a_cgroup, true },
	{ "cgroup after a stream", live_in_a_cgroup_after_a_stream, true },
	{ "set that fits", live_with_a_set_that_fits, false },
	{ "set that never fits", live_with_a_set_that_never_fits, false },
	{ "set before the balloon", live_with_a_set_before_the_balloon, false },
};

static void live(struct simulation *s)
{
	const struct world *w = &worlds[below(&s->chance, ARRAY_SIZE(worlds))];

	s->world = w->name;
	s->g = new_guest(&s->t);
	s->g.s.now_ms = 0;
	s->step_ms = 2;
	s->clock_step_at = NEVER;
	s->clock_offset = between(s, 0, 10000000);
	s->r.steps_clock = NEVER;
	draw_config(s);
	draw_guest(s);
	draw_driver(s);
	note(s, "%s: total %llu target %llu floor %llu swap %llu", w->name,
	     (unsigned long long)s->g.s.total_pages,
	     (unsigned long long)s->g.s.target_pages,
	     (unsigned long long)s->g.s.floor_pages,
	     (unsigned long long)s->m.swap_pages);
	note(s, "  reserve %u%% step %u%% hold-off %u ms host pressure %u",
	     s->g.config.reserve_pct, s->g.config.step_pct,
	     s->g.config.holdoff_ms, s->g.s.host_pressure);
	note(s, "  hook %d kswapd %d shrinker %d sampler %d must_tell %d",
	     s->d.has_hook, s->d.has_kswapd, s->d.has_shrinker,
	     s->d.has_sampler, s->d.must_tell);
	w->live(s);
	if (!s->t.failed)
		judge_volume(s);
	if (w->swaps && !s->t.failed)
		judge_swapping(s);
	settle(s);
}

#endif /* VBP_SIMULATION_WORLDS_H */
