/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may have memory of one part only: a program bound to a node, the kernel,
 * and the balloon, which takes from each part what it may.
 */
#ifndef VBP_SIMULATION_BOUND_H
#define VBP_SIMULATION_BOUND_H

#include "simulation_guest.h"

/* simulation_driver.h */
static void driver_kswapd_wakes_at(struct simulation *s, enum where at);
static u64 driver_shrinks_at(struct simulation *s, enum where at);

/* What could be swapped out there: the kernel's own can't. */
static u64 part_anon(const struct simulation *s, const struct part *part)
{
	u64 used = s->place.here.used + s->place.elsewhere.used;

	return used ? part->used * min(s->m.anon, used) / used : 0;
}

/* As swap_part(), of others and then of who is bound. */
static u64 swap_part_at(struct simulation *s, enum where at, u64 nr_pages)
{
	struct part *part = part_at(s, at);
	struct place *p = &s->place;
	struct memory *m = &s->m;
	u64 want = nr_pages * m->swap_taste / 256;
	u64 others = min(part_anon(s, part), m->swap_pages - m->swapped);
	u64 bound = at == HERE && p->kind == PLACE_NODE ?
		    min(p->bound, p->swap_pages - p->swapped) : 0;
	u64 clean = part_clean(s, part);

	if (clean + part_free(s, part) <= part->high || !clean)
		want = nr_pages;
	want = min(want, m->swap_left);
	others = min(others, want);
	bound = min(bound, want - others);
	m->anon -= others;
	m->swapped += others;
	part->used -= others;
	p->bound -= bound;
	p->swapped += bound;
	m->kernel -= bound;
	m->swap_left -= others + bound;
	if (want <= nr_pages / 2)
		m->cold += others;
	else if (part_elastic(s, part))
		p->needless_swapouts += others + bound;
	return others + bound;
}

/* As reclaim(), for an allocation that can be met in one part only. */
static u64 reclaim_at(struct simulation *s, enum where at, u64 nr_pages)
{
	struct part *part = part_at(s, at);
	struct memory *m = &s->m;
	u64 swap, file, stream, freed;

	share_out(s);
	swap = swap_part_at(s, at, nr_pages);
	file = min(nr_pages - swap, part_clean(s, part));
	stream = min(file, m->stream - m->dirty);
	part->cache -= file;
	m->stream -= stream;
	evict_from_set(s, file - stream);
	m->reclaimed += swap + file;
	freed = swap + file;
	driver_scanned(s, file + swap + swap / 2);
	freed += driver_shrinks_at(s, at);
	if (freed && at == HERE)
		s->place.hopeless = false;
	return freed;
}

static void wake_kswapd_here(struct simulation *s)
{
	if (s->place.kswapd || s->place.hopeless)
		return;
	s->place.kswapd = true;
	s->place.failures = 0;
	driver_kswapd_wakes_at(s, HERE);
}

static bool waits_for_swap(const struct simulation *s)
{
	const struct place *p = &s->place;

	return !s->m.swap_left &&
	       ((part_anon(s, &p->here) && s->m.swapped < s->m.swap_pages) ||
		(p->bound && p->swapped < p->swap_pages));
}

static void kill_bound(struct simulation *s)
{
	u64 elastic = part_elastic(s, &s->place.here);

	must(s, PROPERTY_BOUND_KILLED, !elastic, elastic, s->place.bound);
	note(s, "killed: who is bound, and has %llu pages",
	     (unsigned long long)s->place.bound);
	end_bound_program(s);
}

/* As direct_reclaim(). */
static bool direct_reclaim_here(struct simulation *s)
{
	if (reclaim_at(s, HERE, RECLAIM_BATCH))
		return true;
	if (waits_for_swap(s))
		return false;
	if (driver_out_of_memory(s))
		return true;
	kill_bound(s);
	return false;
}

/* As allocate(), for who is bound; it has at once what it gets. */
static u64 allocate_here(struct simulation *s, u64 nr_pages)
{
	struct part *here = &s->place.here;
	u64 got = 0, part;

	while (got < nr_pages) {
		share_out(s);
		part = min(nr_pages - got, part_above(s, here, here->low));
		if (!part) {
			wake_kswapd_here(s);
			part = min(nr_pages - got,
				   part_above(s, here, here->min));
			part = min_t(u64, part, RECLAIM_BATCH);
		}
		if (!part) {
			if (!direct_reclaim_here(s))
				break;
			continue;
		}
		s->place.bound += part;
		s->m.kernel += part;
		got += part;
	}
	return got;
}

static void run_kswapd_here(struct simulation *s)
{
	struct place *p = &s->place;
	u64 quota = (u64)s->m.kswapd_rate * s->step_ms;

	while (p->kswapd && quota) {
		u64 left, part;

		share_out(s);
		left = part_free(s, &p->here);
		if (left >= p->here.high) {
			p->kswapd = false;
			break;
		}
		part = min(min(quota, p->here.high - left),
			   (u64)RECLAIM_BATCH * 4);
		quota -= part;
		if (reclaim_at(s, HERE, part)) {
			p->failures = 0;
		} else if (waits_for_swap(s)) {
			break;
		} else if (++p->failures >= KSWAPD_HOPELESS) {
			p->hopeless = true;
			p->kswapd = false;
		}
	}
}

/* So much of @nr_pages it takes of what is free there, and may be taken. */
static u64 take_free(struct simulation *s, enum where at, u64 nr_pages)
{
	const struct part *part = part_at(s, at);

	return min(nr_pages, min(part_may_go(s, at), part_spare(s, part)));
}

/* For want of free pages, from where most page cache is. */
static u64 take_gently(struct simulation *s, u64 nr_pages)
{
	enum where at = part_may_go(s, HERE) > part_may_go(s, ELSEWHERE) ?
			HERE : ELSEWHERE;
	struct part *part = part_at(s, at);

	nr_pages = min(nr_pages, part_may_go(s, at));
	if (!nr_pages)
		return 0;
	if (at == HERE)
		wake_kswapd_here(s);
	if (part_clean(s, part))
		reclaim_at(s, at, min(nr_pages, (u64)RECLAIM_BATCH));
	nr_pages = min(nr_pages, part_above(s, part, part->min + part->kept));
	part->inflight += nr_pages;
	return nr_pages;
}

/* As vbp_places_pick() has it: from both in proportion to what is free. */
static u64 take_from_parts(struct simulation *s, u64 nr_pages)
{
	struct part *here = &s->place.here, *elsewhere = &s->place.elsewhere;
	u64 part = 0, there, all;

	share_out(s);
	if (s->place.kind == PLACE_NODE) {
		all = part_free(s, here) + part_free(s, elsewhere);
		part = all ? nr_pages * part_free(s, here) / all : 0;
		part = take_free(s, HERE, part);
	}
	there = take_free(s, ELSEWHERE, nr_pages - part);
	part = take_free(s, HERE, nr_pages - there);
	if (!part && !there)
		return take_gently(s, nr_pages);
	here->inflight += part;
	elsewhere->inflight += there;
	return part + there;
}

/* Where the guest may not take pages back, they come from anywhere. */
static u64 allocate_for_balloon(struct simulation *s, u64 nr_pages)
{
	struct part *here = &s->place.here, *elsewhere = &s->place.elsewhere;
	u64 got, there;

	if (s->place.kind && s->g.s.elastic)
		return take_from_parts(s, nr_pages);
	got = allocate_gently(s, nr_pages);
	if (!s->place.kind)
		return got;
	share_out(s);
	there = min(got, part_above(s, elsewhere, elsewhere->low));
	there = max(there, got - min(got, part_free(s, here)));
	elsewhere->inflight += there;
	here->inflight += got - there;
	return got;
}

static void turn_bound(struct simulation *s)
{
	struct place *p = &s->place;
	u64 most = p->here.total - p->here.kernel;

	if (!p->kind || s->ms < p->next_at)
		return;
	p->on = !p->on;
	p->goal = p->on ? share(most, below(&p->chance, 62000)) : 0;
	if (!p->on && one_in(&p->chance, 4))
		p->goal = (p->bound + p->swapped) / 2;
	p->next_at = s->ms + 100 + below(&p->chance, p->on ? 20000 : 100000) +
		     p->goal / p->rate;
	note(s, "bound: goal %llu, has %llu of %llu, held %llu",
	     (unsigned long long)p->goal, (unsigned long long)p->bound,
	     (unsigned long long)p->here.total,
	     (unsigned long long)p->here.held);
}

/* All other loads are over: it keeps what fits, or that is over, too. */
static void end_bound(struct simulation *s)
{
	struct place *p = &s->place;
	u64 high = p->here.high;

	if (!p->kind)
		return;
	share_out(s);
	p->next_at = NEVER;
	p->goal = 0;
	if (p->stays)
		p->goal = p->bound - min(p->bound, high -
					 min(high, part_free(s, &p->here)));
}

static bool bound_is_quiet(const struct simulation *s)
{
	const struct place *p = &s->place;

	return !p->kswapd && !p->swapped && p->bound == p->goal;
}

static void run_bound(struct simulation *s)
{
	struct place *p = &s->place;
	u64 has = p->bound + p->swapped;
	u64 want, got;

	if (!p->kind)
		return;
	if (has > p->goal)
		release_bound(s, has - p->goal);
	else
		allocate_here(s, min(p->goal - has, (u64)p->rate * s->step_ms));
	/* It touches what was swapped out. */
	want = min(min(p->swapped, s->m.swap_left),
		   (u64)s->m.swap_rate * s->step_ms / 4);
	got = min(want ? allocate_here(s, want) : 0, p->swapped);
	p->swapped -= got;
	s->m.swap_left -= min(got, s->m.swap_left);
	s->m.refaults += got;
	run_kswapd_here(s);
}

#endif /* VBP_SIMULATION_BOUND_H */
