/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver around the policy: when the engine asks it, and what is done then.
 * Works run late, pieces take time, the host answers late.
 */
#ifndef VBP_SIMULATION_DRIVER_H
#define VBP_SIMULATION_DRIVER_H

#include "simulation_guest.h"
#include "simulation_bound.h"
#include "simulation_verdict.h"

#define HOOK_WINDOW	512

static u64 later(struct simulation *s)
{
	return s->ms + (s->d.latency_ms ?
			below(&s->chance, s->d.latency_ms + 1) : 0);
}

static void kick_main(struct simulation *s)
{
	s->d.main_at = min(s->d.main_at, later(s));
}

static void kick_relief(struct simulation *s)
{
	if (s->d.sign)
		return;
	s->d.sign = true;
	s->d.relief_at = later(s);
}

static void note_answer(const struct simulation *s)
{
	const struct vbp_policy_sample *p = &s->g.s;
	const struct vbp_policy_decision *d = &s->g.d;

	note(s, "%s%sheld %llu available %llu free %llu cache %llu:",
	     p->reclaim ? "reclaim, " : "", p->oom ? "oom, " : "",
	     (unsigned long long)p->held_pages,
	     (unsigned long long)p->available_pages,
	     (unsigned long long)free_pages(s),
	     (unsigned long long)cache_pages(s));
	note(s, "  back %llu for the host, %llu for need%s; in %llu",
	     (unsigned long long)d->deflate_pages,
	     (unsigned long long)d->relief_pages,
	     d->refault ? " (refaults)" : "",
	     (unsigned long long)d->inflate_pages);
	note(s, "  level %u wanted %llu wake %u%s%s backoff %u", d->level,
	     (unsigned long long)d->wanted_pages, d->wake_ms,
	     d->watch ? " watch" : "", d->unreached ? " unreached" : "",
	     s->g.state.backoff);
}

/* What the driver knows of it: that nothing else has it. */
static void see_hoard(struct simulation *s)
{
	struct vbp_policy_sample *p = &s->g.s;

	p->unnamed_pages = s->m.hoard;
	p->yields_pages = vbp_yield_pages(&s->g.state.yield, s->m.hoard);
	p->swap_pages = s->m.swap_pages - s->m.swapped;
}

/* One question, as vbp_relief_sample() and vbp_relief_decide() put it. */
static void question(struct simulation *s, bool reclaim, bool oom)
{
	struct vbp_policy_sample *p = &s->g.s;
	u32 level = s->d.level;
	bool failed = s->t.failed;

	share_out(s);
	p->now_ms = s->ms + s->clock_offset;
	p->available_pages = available_pages(s);
	p->free_pages = free_pages(s);
	p->headroom_pages = headroom_pages(s);
	p->cache_pages = cache_pages(s);
	see_hoard(s);
	see_places(s);
	p->moving_pages = s->m.inflight + s->m.leaving;
	p->refaults = s->m.refaults;
	p->reclaimed = s->m.reclaimed;
	p->reclaim = reclaim;
	p->oom = oom;
	p->idle = s->ms - s->busy_ms >= IDLE_AFTER_MS;
	ask(&s->g);
	s->looked[PROPERTY_INVARIANT]++;
	if (s->t.failed && !failed)
		note(s, "failed: %s", s->t.why);
	s->d.level = s->g.d.level;
	s->d.wanted = s->g.d.wanted_pages;
	s->d.unreached = s->g.d.unreached;
	record_answer(s);
	if (s->g.d.relief_pages || s->g.d.deflate_pages ||
	    s->g.d.inflate_pages || s->d.level != level)
		note_answer(s);
}

static void watch(struct simulation *s)
{
	if (s->g.d.watch && s->d.has_sampler && s->d.relief_at == NEVER)
		s->d.relief_at = s->ms + VBP_WATCH_MS;
}

static void note_relief(struct simulation *s, u64 nr_pages)
{
	if (!nr_pages)
		return;
	s->d.episode_pages += nr_pages;
	s->d.episode_last_ms = s->ms;
}

/* From where it is needed, if it is; a hook gives what its node has. */
static u64 give_back(struct simulation *s, u64 nr_pages)
{
	enum where at = s->g.d.place ? s->place.shortest : ANYWHERE;
	bool only = s->place.asked != ANYWHERE;

	return leave(s, nr_pages, only ? s->place.asked : at, only);
}

/* vbp_relief_now(): returns the pages given back. */
static u64 look(struct simulation *s, bool reclaim, bool oom)
{
	u32 level = s->d.level;
	u64 given;

	if (s->d.must_tell && !oom) {
		s->d.reclaim_seen |= reclaim;
		kick_main(s);
		return 0;
	}
	question(s, reclaim, oom);
	given = give_back(s, s->g.d.relief_pages);
	note_relief(s, given);
	if (given || level != s->g.d.level)
		kick_main(s);
	watch(s);
	return given;
}

/* Asked with a sample of its own moment. */
static u64 gate(struct simulation *s)
{
	share_out(s);
	s->g.s.available_pages = available_pages(s);
	see_hoard(s);
	see_places(s);
	s->g.s.oom = false;
	return vbp_size_gate(&s->g.config, &s->g.s);
}

static void ask_before_kswapd(struct simulation *s)
{
	/* The task that wakes it, and kswapd itself, while the gate is open. */
	s->g.s.limit_pages = VBP_HOOK_PAGES;
	if (gate(s))
		look(s, true, false);
	s->g.s.limit_pages = VBP_HOOK_KSWAPD_PAGES;
	if (gate(s))
		look(s, true, false);
	s->g.s.limit_pages = NEVER;
}

/* Of one node; where memory is the same everywhere, and the kernel's: of all. */
static void driver_kswapd_wakes_at(struct simulation *s, enum where at)
{
	if (!s->d.has_kswapd)
		return;
	kick_relief(s);
	if (s->d.must_tell)
		return;
	s->place.asked = s->place.kind == PLACE_NODE ? at : ANYWHERE;
	ask_before_kswapd(s);
	s->place.asked = ANYWHERE;
}

static void driver_kswapd_wakes(struct simulation *s)
{
	driver_kswapd_wakes_at(s, ELSEWHERE);
	if (s->place.kind == PLACE_NODE)
		driver_kswapd_wakes_at(s, HERE);
}

static void driver_scanned(struct simulation *s, u64 scanned)
{
	if (!s->d.has_hook)
		return;
	s->d.hook_scanned += scanned;
	if (s->d.hook_scanned < HOOK_WINDOW)
		return;
	s->d.hook_scanned = 0;
	kick_relief(s);
}

static u64 driver_shrinks_at(struct simulation *s, enum where at)
{
	u64 given = 0;

	if (!s->d.has_shrinker)
		return 0;
	kick_relief(s);
	if (s->d.must_tell)
		return 0;
	s->place.asked = s->place.kind == PLACE_NODE ? at : ANYWHERE;
	if (gate(s))
		given = look(s, true, false);
	s->place.asked = ANYWHERE;
	return given;
}

static u64 driver_shrinks(struct simulation *s)
{
	u64 given = driver_shrinks_at(s, ELSEWHERE);

	if (s->place.kind == PLACE_NODE)
		given += driver_shrinks_at(s, HERE);
	return given;
}

static u64 driver_out_of_memory(struct simulation *s)
{
	return look(s, true, true);
}

/* The end of vbp_main_work_run(). */
static void end_main(struct simulation *s, bool again)
{
	struct driver *d = &s->d;

	d->busy = false;
	if (d->episode_pages && s->ms < d->episode_last_ms + VBP_EPISODE_MS) {
		if (!d->wake_ms || d->wake_ms > VBP_EPISODE_MS)
			d->wake_ms = VBP_EPISODE_MS;
	} else {
		d->episode_pages = 0;
	}
	if (again)
		kick_main(s);
	else if (d->wake_ms && d->main_at == NEVER)
		d->main_at = s->ms + d->wake_ms;
}

static void run_main(struct simulation *s)
{
	struct driver *d = &s->d;
	struct place before = s->place;
	u64 given, in;

	d->main_at = NEVER;
	share_out(s);
	s->g.s.bound_pages = bound_pages(s);
	question(s, d->reclaim_seen, false);
	d->reclaim_seen = false;
	watch(s);
	d->wake_ms = s->g.d.wake_ms;
	s->g.s.bound_pages = 0;
	given = give_back(s, s->g.d.deflate_pages + s->g.d.relief_pages);
	in = s->g.d.inflate_pages;
	if (given) {
		note_relief(s, s->g.d.relief_pages);
		if (d->must_tell) {
			s->m.leaving = given;
			parts_leave(s, &before);
			d->busy = true;
			d->busy_until = s->ms + d->tell_ms;
			return;
		}
		end_main(s, true);
	} else if (in) {
		/* What may go in is a guess: the less, the sooner look again. */
		d->piece_pages = min(in, clamp_t(u64, in / 4, BLOCK_PAGES,
						 VBP_PIECE_PAGES));
		d->piece_done = 0;
		d->busy = true;
		d->busy_until = 0;
	} else {
		end_main(s, false);
	}
}

static void inflate(struct simulation *s)
{
	struct driver *d = &s->d;
	u64 want = min(d->piece_pages, (u64)d->inflate_rate * s->step_ms);
	u64 got;

	/* What was sent in the step before has been returned. */
	s->g.s.held_pages += s->m.inflight;
	record_pages(s, s->m.inflight);
	d->piece_done += s->m.inflight;
	s->m.inflight = 0;
	parts_landed(s);
	/* However often it is asked again, a piece is not empty. */
	if (!want || (d->main_at != NEVER && d->piece_done)) {
		end_main(s, true);
		return;
	}
	got = allocate_for_balloon(s, want);
	record_taken(s);
	s->m.inflight = got;
	d->piece_pages -= got;
	if (got)
		return;
	/* Out of memory after some progress: the next piece will see. */
	if (!d->piece_done)
		d->wake_ms = vbp_size_retry(&d->retry, &s->g.s, BLOCK_PAGES);
	end_main(s, d->piece_done > 0);
}

/* The part of the driver that is not called by the guest. */
static void run_driver(struct simulation *s)
{
	struct driver *d = &s->d;

	if (s->ms >= d->relief_at) {
		bool sign = d->sign;

		d->relief_at = NEVER;
		d->sign = false;
		look(s, sign, false);
	}
	if (d->busy && d->busy_until) {
		if (s->ms < d->busy_until)
			return;
		s->m.leaving = 0;
		parts_left(s);
		end_main(s, true);
	} else if (d->busy) {
		inflate(s);
	}
	if (!d->busy && s->ms >= d->main_at)
		run_main(s);
}

#endif /* VBP_SIMULATION_DRIVER_H */
