/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that is not the same everywhere: a place, and the rest. Who is bound to
 * the place gets memory nowhere else; anybody else has it anywhere.
 *
 * Below are the books of both parts, and what the driver does with them, as
 * driver/balloon/places.c and leave.c do.
 */
#ifndef VBP_SIMULATION_PLACE_H
#define VBP_SIMULATION_PLACE_H

#include "simulation.h"

/* simulation_verdict.h */
static void record_leave(struct simulation *s, u64 here, u64 elsewhere);

static struct part *part_at(struct simulation *s, enum where at)
{
	return at == HERE ? &s->place.here : &s->place.elsewhere;
}

static u64 part_free(const struct simulation *s, const struct part *part)
{
	u64 bound = part == &s->place.here ? s->place.bound : 0;

	return part->total - part->kernel - bound - part->used - part->cache -
	       part->held - part->inflight - part->leaving;
}

static u64 part_above(const struct simulation *s, const struct part *part,
		      u64 keeps)
{
	u64 left = part_free(s, part);

	return left - min(left, keeps);
}

/* Beyond what it is left, whoever is short. */
static u64 part_spare(const struct simulation *s, const struct part *part)
{
	return part_above(s, part, part->high + part->kept);
}

static u64 part_clean(const struct simulation *s, const struct part *part)
{
	u64 all = s->place.here.cache + s->place.elsewhere.cache;

	return all ? part->cache - s->m.dirty * part->cache / all : 0;
}

static u64 part_available(const struct simulation *s, const struct part *part)
{
	u64 all = part_free(s, part) + part_clean(s, part);

	return all - min(all, part->high + part->kept) + part->leaving;
}

/* What can be given back of it. */
static u64 part_elastic(const struct simulation *s, const struct part *part)
{
	return min(guest_elastic(&s->g), part->held);
}

/* Both lose in proportion. */
static void lose(u64 *here, u64 *elsewhere, u64 sum)
{
	u64 all = *here + *elsewhere;

	if (sum >= all)
		return;
	*here = *here * sum / all;
	*elsewhere = sum - *here;
}

/* Most goes elsewhere while that has some; nobody is left without. */
static void gain(struct simulation *s, u64 *here, u64 *elsewhere, u64 sum)
{
	struct place *p = &s->place;
	u64 more = sum - min(sum, *here + *elsewhere);
	u64 room = part_above(s, &p->here, p->here.low + p->here.kept);
	u64 most = part_free(s, &p->elsewhere);
	u64 there = part_above(s, &p->elsewhere, p->elsewhere.low);
	u64 part = min(more * p->taste / 256, room);

	there = min(there, more - part);
	part += min(more - part - there, room - part);
	there += min(more - part - there, most - there);
	*elsewhere += there;
	*here += more - there;
}

/* The sums have changed: who has what of that? */
static void share_out(struct simulation *s)
{
	struct part *here = &s->place.here, *elsewhere = &s->place.elsewhere;
	const struct memory *m = &s->m;
	u64 cache = cache_pages(s);
	u64 used;

	if (!s->place.kind)
		return;
	used = m->kernel + m->anon - s->place.bound - here->kernel -
	       elsewhere->kernel;
	lose(&here->used, &elsewhere->used, used);
	lose(&here->cache, &elsewhere->cache, cache);
	gain(s, &here->used, &elsewhere->used, used);
	gain(s, &here->cache, &elsewhere->cache, cache);
}

/* Free pages that may go before reclaim begins. */
static u64 headroom_pages(const struct simulation *s)
{
	if (s->place.kind)
		return part_spare(s, &s->place.here) +
		       part_spare(s, &s->place.elsewhere);
	return free_pages(s) - min(free_pages(s), s->m.high);
}

/* Free pages that are not for programs. */
static u64 kept_pages(struct simulation *s)
{
	if (!s->m.kept)
		return 0;
	share_out(s);
	return min(s->m.kept, part_free(s, &s->place.here));
}

static struct vbp_policy_place policy_place(const struct simulation *s,
					    const struct part *part)
{
	return (struct vbp_policy_place) {
		.total_pages = part->total,
		.available_pages = part_available(s, part),
		.headroom_pages = part_spare(s, part) + part->leaving,
		.held_pages = part->held,
	};
}

/* As vbp_places_look(). */
static void see_places(struct simulation *s)
{
	struct vbp_policy_sample *p = &s->g.s;
	enum where at;
	u64 most = 0;

	p->place = (struct vbp_policy_place){};
	s->place.shortest = ANYWHERE;
	if (!s->place.kind || !p->elastic)
		return;
	for (at = HERE; at <= ELSEWHERE; at++) {
		struct vbp_policy_place place = policy_place(s, part_at(s, at));
		u64 lacks;

		if (s->place.kind == PLACE_NODE) {
			if (s->place.asked != ANYWHERE && s->place.asked != at)
				continue;
		} else if (at != HERE) {
			continue;
		}
		/* More than the guest has, or it would be negative. */
		lacks = vbp_place_reserve(&s->g.config, p, &place) +
			p->total_pages - place.available_pages;
		if (!place.held_pages || lacks <= most)
			continue;
		most = lacks;
		p->place = place;
		s->place.shortest = at;
	}
}

/* As vbp_place_room(): beyond the line where relief would begin again. */
static u64 part_room(const struct simulation *s, const struct part *part)
{
	struct vbp_policy_place place = policy_place(s, part);
	u64 reserve = vbp_place_reserve(&s->g.config, &s->g.s, &place);

	if (!s->g.s.elastic)
		return part->total;
	return place.available_pages -
	       min(place.available_pages, reserve + reserve / 4);
}

/* What may be taken of it. */
static u64 part_may_go(struct simulation *s, enum where at)
{
	const struct part *part = part_at(s, at);

	if (s->place.kind == PLACE_NODE || at == HERE)
		return min(part_room(s, part), part_available(s, part));
	/* No room is made there while the kernel's zones have some left. */
	if (!part_room(s, &s->place.here))
		return min(part_available(s, part), part_spare(s, part));
	return part_available(s, part);
}

/* As vbp_places_room(); the part of what is available that it leaves out. */
static u64 bound_pages(struct simulation *s)
{
	u64 available = available_pages(s);

	if (!s->place.kind || !s->g.s.elastic)
		return 0;
	return available - min(available, part_may_go(s, HERE) +
					  part_may_go(s, ELSEWHERE));
}

/* What of @nr_pages is given of the place, if both give: who has more does. */
static u64 leave_share(const struct simulation *s, u64 nr_pages)
{
	u64 here = s->place.here.held + nr_pages;
	u64 elsewhere = s->place.elsewhere.held;

	return (here - min(here, elsewhere)) / 2;
}

/* Held pages are free again, from @at first; how many, if from nowhere else. */
static u64 leave(struct simulation *s, u64 nr_pages, enum where at, bool only)
{
	struct part *here = &s->place.here, *elsewhere = &s->place.elsewhere;
	u64 part;

	if (s->place.kind && only)
		nr_pages = min(nr_pages, part_at(s, at)->held);
	if (!s->place.kind) {
		s->g.s.held_pages -= nr_pages;
		return nr_pages;
	}
	part = at == ELSEWHERE ? 0 : nr_pages;
	/* Blocks, which go first, lie in the kernel's zones only. */
	if (at == ANYWHERE && s->place.kind == PLACE_NODE)
		part = leave_share(s, nr_pages);
	part = clamp_t(u64, part, nr_pages - min(nr_pages, elsewhere->held),
		       min(nr_pages, here->held));
	record_leave(s, part, nr_pages - part);
	s->g.s.held_pages -= nr_pages;
	here->held -= part;
	elsewhere->held -= nr_pages - part;
	return nr_pages;
}

/* The host has to be told first of what was held @before. */
static void parts_leave(struct simulation *s, const struct place *before)
{
	struct part *here = &s->place.here, *elsewhere = &s->place.elsewhere;

	here->leaving = before->here.held - here->held;
	elsewhere->leaving = before->elsewhere.held - elsewhere->held;
}

/* What left has been told. */
static void parts_left(struct simulation *s)
{
	s->place.here.leaving = 0;
	s->place.elsewhere.leaving = 0;
}

/* What was on its way is held. */
static void parts_landed(struct simulation *s)
{
	struct part *here = &s->place.here, *elsewhere = &s->place.elsewhere;

	here->held += here->inflight;
	elsewhere->held += elsewhere->inflight;
	here->inflight = 0;
	elsewhere->inflight = 0;
}

static void set_part(struct simulation *s, struct part *part, u64 total,
		     u64 kernel)
{
	u64 all = s->g.s.total_pages;

	part->total = total;
	part->kernel = kernel;
	part->min = s->m.min * total / all;
	part->low = s->m.low * total / all;
	part->high = s->m.high * total / all;
}

/* In some, a part of memory may be short by itself. */
static void draw_place(struct simulation *s)
{
	struct place *p = &s->place;
	u64 total = s->g.s.total_pages;
	u64 kernel = s->m.kernel;
	u64 here;

	switch (s->seed % 16) {
	case 7:
	case 13:
		p->kind = PLACE_NODE;
		break;
	case 9:
	case 15:
		p->kind = PLACE_KERNEL;
		break;
	default:
		return;
	}
	p->chance = s->seed;
	here = share(total, 2048 + below(&p->chance, 30720));
	if (p->kind == PLACE_NODE) {
		p->taste = below(&p->chance, 128);
		p->swap_pages = share(s->m.swap_pages, below(&p->chance, 65537));
		kernel = kernel * here / total;
	} else {
		here += kernel;
		/* As lowmem_reserve_ratio. */
		p->here.kept = (total - here) >> (5 + below(&p->chance, 4));
		p->here.kept = min(p->here.kept, here / 4);
		s->m.kept = p->here.kept;
	}
	set_part(s, &p->here, here, kernel);
	set_part(s, &p->elsewhere, total - here, s->m.kernel - kernel);
	/* All of it in 0.3 s, or more slowly; 4 GiB/s at most. */
	p->rate = (u32)clamp_t(u64, here / (300 + below(&p->chance, 30000)), 13,
			       1024);
	p->stays = one_in(&p->chance, 2);
	p->next_at = below(&p->chance, 60000);
	share_out(s);
}

#endif /* VBP_SIMULATION_PLACE_H */
