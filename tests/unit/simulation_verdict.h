/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold over a whole life, beyond each answer by itself: bounds that
 * follow from the tunables and the promises, not from what was measured.
 */
#ifndef VBP_SIMULATION_VERDICT_H
#define VBP_SIMULATION_VERDICT_H

#include "simulation.h"

/* A guest may be short for so many looks, and the time its works run late. */
#define SHORT_LOOKS	5

static void forget_steps(struct simulation *s)
{
	s->r.steps_clock = NEVER;
	s->r.hurry_most = 0;
}

static void record_clock(struct simulation *s)
{
	struct record *r = &s->r;
	u64 now = s->g.s.now_ms;

	if (now < r->clock) {
		r->relieved_clock = min(r->relieved_clock, now);
		forget_steps(s);
	}
	r->clock = now;
	r->hurry_most = max(r->hurry_most, min(s->g.s.host_pressure,
					       (u32)VBP_LEVEL_CRITICAL));
}

/* The memory that a relief gave has to stay given for so long. */
static void record_wait(struct simulation *s)
{
	struct record *r = &s->r;
	u64 wait = s->ms - r->relieved_ms;
	u64 most = holdoff_after(s, r->chases) + 2 * PROMISED_RETRY_MS;

	if (!s->must_return || !r->recovering || r->regrown)
		return;
	/* The last step may be still on its way into the page cache. */
	most += 2 * guest_step(&s->g) / s->set.disk_rate;
	must(s, PROPERTY_KEPT, wait <= most, wait, most);
}

/*
 * It is no help: tried by steps, up to twice the size of the page cache, and up
 * to twice as much each time it has failed. But half of the balloon stays, half
 * of that the next time.
 */
static void record_trial(struct simulation *s)
{
	struct record *r = &s->r;
	u64 elastic = guest_elastic(&s->g);
	u32 more = s->g.state.refault.fails + 1;
	u64 blocks, most;

	if (!r->relieved || r->regrown) {
		r->trial_pages = 0;
		r->trial_most = min(s->g.s.cache_pages << more,
				    elastic - (elastic >> more));
	}
	r->trial_pages += s->g.d.relief_pages;
	/* A step is rounded up to whole blocks. */
	blocks = guest_step(&s->g) / s->g.config.block_pages + 1;
	most = (r->trial_most / guest_step(&s->g) + 2) *
	       blocks * s->g.config.block_pages;
	if (s->must_return)
		must(s, PROPERTY_TRIED, r->trial_pages <= most,
		     r->trial_pages, most);
}

/* What the host has asked for, and has not been given. */
static void record_target(struct simulation *s)
{
	u64 target = guest_target(&s->g);
	struct record *r = &s->r;

	if (target > r->target_pages) {
		r->asked = true;
		r->reached = false;
		r->raises++;
	}
	if (s->g.s.held_pages >= target)
		r->reached = true;
	if (target < r->target_pages || s->g.s.held_pages >= target)
		r->asked = false;
	r->target_pages = target;
}

/* How long that waits after a relief, even if all of it is free. */
static u64 hand_wait(const struct simulation *s)
{
	u64 wait = min((u64)PROMISED_HAND_MS << s->r.hand_fails,
		       (u64)s->g.config.holdoff_ms);

	return max_t(u64, wait, PROMISED_HAND_MS);
}

/* Nobody's, no page cache, and more than has to stay. */
static u64 plainly_free(const struct simulation *s)
{
	u64 reserve = guest_reserve(&s->g);
	u64 keep = reserve + reserve / 4;

	return headroom_pages(s) - min(headroom_pages(s), keep);
}

/* Is this what the host has asked for, given at the earliest when it may be? */
static bool is_handed_over(const struct simulation *s)
{
	const struct vbp_policy_sample *p = &s->g.s;
	u64 plain = plainly_free(s);

	return s->r.asked && s->g.d.inflate_pages <= plain &&
	       plain >= min((u64)s->g.config.block_pages,
			    guest_target(&s->g) - p->held_pages) &&
	       p->now_ms - s->r.relieved_clock >= hand_wait(s);
}

static void record_growth(struct simulation *s)
{
	const struct vbp_policy_sample *p = &s->g.s;
	struct record *r = &s->r;
	u64 since = p->now_ms - r->relieved_clock;
	u64 step, most;

	r->regrown = true;
	r->excuse |= p->idle && p->host_pressure >= VBP_LEVEL_CRITICAL;
	if (!r->recovering || !p->elastic)
		return;
	if (is_handed_over(s)) {
		r->handed = true;
		forget_steps(s);
		return;
	}
	must(s, PROPERTY_HOLDOFF, since >= holdoff_least(s), since,
	     holdoff_least(s));
	if (r->steps_clock == NEVER) {
		r->steps_clock = p->now_ms;
		r->steps_pages = p->held_pages;
	}
	step = guest_growth(&s->g) <<
	       r->hurry_most;
	/* One may end just as the next begins. */
	most = r->steps_pages +
	       step * (2 + (p->now_ms - r->steps_clock) / 1000);
	must(s, PROPERTY_STEPS, p->held_pages + s->g.d.inflate_pages <= most,
	     p->held_pages + s->g.d.inflate_pages, most);
}

static void record_relief(struct simulation *s)
{
	const struct vbp_policy_sample *p = &s->g.s;
	struct record *r = &s->r;
	u64 left = p->held_pages - s->g.d.deflate_pages - s->g.d.relief_pages;

	must(s, PROPERTY_FLOOR, left >= guest_floor(&s->g), left,
	     guest_floor(&s->g));
	record_trial(s);
	if (r->relieved && r->regrown) {
		r->chases++;
		r->excused += r->excuse;
	}
	r->excuse = false;
	if (!r->relieved || s->ms - r->relieved_ms > VBP_EPISODE_MS)
		r->needs++;
	if (r->handed)
		r->asked = false;
	if (p->now_ms - r->relieved_clock > 2 * (u64)s->g.config.holdoff_ms)
		r->hand_fails = 0;
	else if (r->handed)
		r->hand_fails = min(r->hand_fails + 1, 16u);
	r->handed = false;
	r->regrown = false;
	r->relieved = true;
	r->recovering = true;
	r->relieved_clock = p->now_ms;
	r->relieved_ms = s->ms;
	r->relief_pages += s->g.d.relief_pages;
	forget_steps(s);
}

/* Called after each question. */
static void record_answer(struct simulation *s)
{
	const struct vbp_policy_sample *p = &s->g.s;
	struct record *r = &s->r;

	record_clock(s);
	record_target(s);
	r->level_most = max(r->level_most, s->g.d.level);
	record_wait(s);
	if (s->g.state.yield.yields && !r->yields)
		r->yield_trials++;
	r->yields = s->g.state.yield.yields;
	if (r->yields)
		r->yields_clock = p->now_ms;
	if (s->g.d.inflate_pages)
		record_growth(s);
	if (s->g.d.relief_pages)
		record_relief(s);
	else if (p->held_pages >= guest_target(&s->g) &&
		 p->now_ms - r->relieved_clock >= holdoff_least(s))
		r->recovering = false;
}

/* Called as pages come in. */
static void record_pages(struct simulation *s, u64 nr_pages)
{
	s->r.growth_pages += nr_pages;
	if (s->r.relieved)
		s->r.regrowth_pages += nr_pages;
}

/* So long a guest may be short, or a part of it. */
static u64 short_at_most(const struct simulation *s)
{
	return SHORT_LOOKS * VBP_WATCH_MS +
	       2 * (s->d.latency_ms + s->d.tell_ms) + 2 * s->step_ms;
}

/* Its share of the reserve is a part to keep, where pages are held. */
static u64 part_reserve(const struct simulation *s, const struct part *part)
{
	return guest_reserve(&s->g) * part->total / s->g.s.total_pages;
}

static u64 part_lacks(const struct simulation *s, const struct part *part)
{
	u64 reserve = part_reserve(s, part);

	return part->held ? reserve - min(reserve, part_available(s, part)) : 0;
}

/* What the balloon may take of it. */
static u64 part_to_spare(const struct simulation *s, const struct part *part)
{
	u64 reserve = part_reserve(s, part);
	u64 available = part_available(s, part);

	return available - min(available, reserve + reserve / 4);
}

/* Which part is short, where the guest itself is not. */
static enum where short_part(struct simulation *s)
{
	return s->place.kind == PLACE_NODE &&
	       part_lacks(s, &s->place.here) <
	       part_lacks(s, &s->place.elsewhere) ? ELSEWHERE : HERE;
}

/*
 * Called before so many pages leave both parts. If the guest itself is not
 * short, a part is: more than that needs is no use, nor are the other's pages.
 */
static void record_leave(struct simulation *s, u64 here, u64 elsewhere)
{
	const struct vbp_policy_sample *p = &s->g.s;
	enum where at = short_part(s);
	struct part *part = part_at(s, at);
	u64 helps = at == HERE ? here : elsewhere;
	u64 others = here + elsewhere - helps;
	u64 lacks = part_lacks(s, part);
	u64 since, most;
	bool again;

	if (!s->g.d.relief_pages)
		return;
	since = s->ms - s->place.given_ms;
	s->place.given_ms = s->ms;
	if (s->g.d.deflate_pages || s->g.d.refault ||
	    p->available_pages < guest_reserve(&s->g))
		return;
	again = s->place.rescued_ms && s->clock_step_at == NEVER &&
		s->ms - s->place.rescued_ms < s->g.config.holdoff_ms &&
		p->headroom_pages > s->g.config.oom_step_pages;
	/*
	 * Whole blocks are given; and to an allocation that has failed, more,
	 * once. It does not wait for what the host is being told of.
	 */
	must(s, PROPERTY_NO_HELP, others < BLOCK_PAGES || s->m.leaving ||
	     (p->oom && helps == part->held && !again), others, lacks);
	if (p->oom) {
		s->place.rescued_ms = s->ms;
		return;
	}
	most = min(part->total / 100 * s->g.config.step_pct,
		   s->g.config.step_max_pages);
	if (since <= PROMISED_STREAK_MS || s->clock_step_at != NEVER)
		most <<= PROMISED_STREAK;
	most = lacks ? lacks + most + 2 * BLOCK_PAGES : 0;
	must(s, PROPERTY_TOO_MUCH, here + elsewhere <= most, here + elsewhere,
	     most);
}

/* Called as pages are taken. */
static void record_taken(struct simulation *s)
{
	enum where at;

	for (at = HERE; s->place.kind && at <= ELSEWHERE; at++) {
		struct part *part = part_at(s, at);
		u64 left = part_available(s, part);
		u64 keep = part_reserve(s, part) / 4 * 5;

		if (!part->inflight || !s->g.s.elastic ||
		    (at == ELSEWHERE && s->place.kind == PLACE_KERNEL))
			continue;
		must(s, PROPERTY_DRAINED, left + BLOCK_PAGES >= keep, left,
		     keep);
	}
}

static void record_place_step(struct simulation *s)
{
	struct place *place = &s->place;
	u64 left, most = short_at_most(s);

	if (!place->kind)
		return;
	share_out(s);
	left = part_available(s, &place->here);
	if (!part_elastic(s, &place->here) || !place->kswapd ||
	    left >= place->here.min) {
		place->short_ms = 0;
		return;
	}
	place->short_ms += s->step_ms;
	must(s, PROPERTY_BOUND_SHORT, place->short_ms <= most, place->short_ms,
	     most);
}

/* Called at each step. */
static void record_step(struct simulation *s)
{
	u64 most = short_at_most(s);
	u64 elastic = guest_elastic(&s->g);
	u64 left = available_pages(s);

	/* What counts as available is, or it is found out soon. */
	if (s->m.hoard_yields)
		left += s->m.hoard;
	if (s->m.hoard_most)
		most += PROMISED_YIELD_MS;
	record_place_step(s);
	if (!elastic || !s->m.kswapd || left >= s->m.min) {
		s->r.short_ms = 0;
		return;
	}
	s->r.short_ms += s->step_ms;
	must(s, PROPERTY_SHORT, s->r.short_ms <= most, s->r.short_ms, most);
}

/*
 * How many times in @ms something may grow, be pressed, and so wait for twice
 * as long each time; one more, because the first wait is not the first's.
 */
static u32 chases_at_most(const struct simulation *s, u64 ms)
{
	u64 spent = 0;
	u32 times = 0;

	while (spent <= ms)
		spent += holdoff_after(s, times++);
	return times + 1;
}

/* A host that is critical may have what an idle guest does not need. */
static u32 unexcused(const struct simulation *s)
{
	return s->r.chases - s->r.excused;
}

/* Of a load that began at @ms, when there had been so many. */
static void judge_chases(struct simulation *s, u64 ms, u32 before)
{
	u32 chases = unexcused(s) - min(unexcused(s), before);
	/* What the host asks for it gets once, and may have to let go. */
	u32 most = chases_at_most(s, s->ms - ms) + s->r.raises;

	must(s, PROPERTY_CHASED, chases <= most, chases, most);
}

/* Memory goes once each way in a hold-off, no more. */
static void judge_volume(struct simulation *s)
{
	u64 volume = s->r.relief_pages + s->r.regrowth_pages;
	u64 most;

	/* The host's own moves and those of the clock come on top. */
	if (s->host.moves || s->clock_step_at != NEVER)
		return;
	most = 2 * s->g.s.total_pages *
	       (s->ms / holdoff_least(s) + 2 + s->r.raises);
	must(s, PROPERTY_VOLUME, volume <= most, volume, most);
}

/* What is swapped out while relief is on its way: as long as works run late. */
static void judge_swapping(struct simulation *s)
{
	u64 late_ms = 2 * (s->d.latency_ms + s->d.tell_ms + 2 * s->step_ms);
	u64 most = s->r.needs * s->m.swap_rate * late_ms;

	/* Trials that are ended because it is swapped out instead. */
	most += s->r.yield_trials *
		(s->g.config.block_pages + s->m.swap_rate *
		 (VBP_WATCH_MS + late_ms)) + s->m.hoard_fallen / 4 +
		s->m.hoard_fallen / 16;
	must(s, PROPERTY_SWAPPED, s->m.needless_swapouts <= most,
	     s->m.needless_swapouts, most);
	if (s->place.kind)
		must(s, PROPERTY_BOUND_SWAPPED,
		     s->place.needless_swapouts <= most,
		     s->place.needless_swapouts, most);
}

/* All loads are gone and the host stands still: as long as it may take. */
static u64 settling_ms(const struct simulation *s)
{
	u64 step = guest_growth(&s->g);
	u64 steps = s->g.s.total_pages / step + 1;
	u64 pieces = s->g.s.total_pages / s->d.inflate_rate + 1;

	return (u64)s->g.config.boot_ms +
	       holdoff_after(s, PROMISED_BACKOFF) +
	       2 * (1000 + s->d.tell_ms + s->d.latency_ms) * steps +
	       4 * pieces + 4 * PROMISED_RETRY_MS;
}

static bool is_settled(const struct simulation *s)
{
	return s->d.main_at == NEVER && s->d.relief_at == NEVER &&
	       !s->d.busy && !s->m.kswapd && !s->place.kswapd;
}

/*
 * Whether unnamed memory gives way is tried for ever, if seldom. After a trial
 * that went too far the balloon waits for a hold-off.
 */
static bool tried_lately(const struct simulation *s)
{
	return s->r.yield_trials &&
	       s->g.s.now_ms - s->r.yields_clock <=
	       holdoff_after(s, PROMISED_BACKOFF);
}

/* One part has nothing to spare: the other gives what it may, if @far. */
static void judge_beside(struct simulation *s, bool far, u64 slack)
{
	const struct part *elsewhere = &s->place.elsewhere;
	u64 spare;

	share_out(s);
	spare = part_to_spare(s, &s->place.here);
	if (s->place.kind == PLACE_NODE)
		spare += part_to_spare(s, elsewhere);
	else	/* no page cache */
		spare += min(part_available(s, elsewhere),
			     part_spare(s, elsewhere));
	must(s, PROPERTY_BESIDE, !far || spare <= slack, spare, slack);
}

static void judge_rest(struct simulation *s)
{
	u64 target = guest_target(&s->g);
	u64 keep = guest_reserve(&s->g) + guest_reserve(&s->g) / 4;
	/* Once as far as it goes, it goes on for half a step or more only. */
	u64 slack = guest_step(&s->g) / 2 + BLOCK_PAGES + s->m.high;

	/* Without an elastic range the host may ask for more than there is. */
	must(s, PROPERTY_STUCK,
	     s->g.s.held_pages == target || s->d.unreached ||
	     tried_lately(s) ||
	     (!s->g.s.elastic && free_pages(s) <= s->m.low),
	     s->g.s.held_pages, target);
	if (s->g.s.held_pages < target && s->g.s.elastic) {
		bool far = available_pages(s) > keep + slack;

		if (s->place.kind)
			judge_beside(s, far, slack);
		else
			must(s, PROPERTY_UNREACHED, !far || tried_lately(s),
			     available_pages(s), keep + slack);
		must(s, PROPERTY_RESTLESS, s->d.relief_at == NEVER, 0, 0);
	} else if (s->g.s.held_pages == target) {
		must(s, PROPERTY_RESTLESS, is_settled(s),
		     s->d.main_at - s->ms, s->d.relief_at - s->ms);
	}
	must(s, PROPERTY_RESTLESS, !s->d.level && !s->d.wanted, s->d.level,
	     s->d.wanted);
}

#endif /* VBP_SIMULATION_VERDICT_H */
