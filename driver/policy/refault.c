// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy's eye for memory that is missed: page cache that is read again
 * soon after it was reclaimed, and pages that are swapped in again (refaults).
 *
 * That does not show in what is available. To the kernel a cache that is read
 * again and again is as good as free, and swapping makes memory available. Only
 * the refaults tell it from a device that is read once, of which nothing
 * refaults. Pages that are swapped out and never touched again are not missed:
 * the administrator may even wish for that (zram, swappiness above 100). Nor are
 * those that zswap reads again itself, because its pool is full and they have to
 * go to the disk: the kernel counts these among the others.
 *
 * A cgroup at its own limit refaults, too, and more memory would not help it.
 * Each page that comes in needs a page frame. The guest's own refaults get
 * theirs from what is free or from what global reclaim frees. A cgroup at its
 * limit frees its own pages. So only as many refaults count as frames were
 * taken that way, less those that the balloon took.
 *
 * Whether more memory helps can't be known beforehand. So it is tried: pages
 * are given back by steps, each when the one before is used up, until the
 * refaults stop. If they have not become fewer by the time the cache could have
 * grown to three times its size, or half of the balloon is gone, more memory is
 * no help: a set of files far larger than the guest refaults at any size. Then
 * the hold-off begins as usual, and after it the pages go back. The next trial
 * comes twice as late as that, and may take twice as much, and leave half as
 * much of the balloon; each that fails doubles all of it again. So a set that
 * would fit gets its memory in the end, however large it is.
 */
#include "policy.h"

/*
 * Fewer refaults than this are no sign of anything, within a second or less: a
 * slow disk makes 200 reads a second, each of which somebody waits for.
 */
#define VBP_REFAULT_LEAST	64
#define VBP_REFAULT_WINDOW_MS	20
#define VBP_REFAULT_WINDOW_MAX_MS	1000

/* Nobody looked for so long: what happened meanwhile was not at one time. */
#define VBP_REFAULT_STALE_MS	2000

/*
 * Beside a stream a few pages always refault: less than this part of those that
 * are reclaimed. Compared over about a second: kswapd works in bursts, pages are
 * missed evenly.
 */
#define VBP_REFAULT_RECLAIMED	16

/* After a trial that failed: 2^1 to 2^4 hold-offs without another. */
#define VBP_REFAULT_FAILS_MAX	4

/* Sizes may be anything up to 2^64. */
static u64 vbp_refault_sum(u64 a, u64 b)
{
	return a + min(b, ~(u64)0 - a);
}

/*
 * What the balloon gives, and what unnamed memory gives to the balloon, moves
 * from one part of it to the other.
 */
static u64 vbp_refault_room(const struct vbp_policy_sample *sample)
{
	u64 free = vbp_refault_sum(sample->free_pages, sample->unnamed_pages);

	return vbp_refault_sum(free, vbp_refault_sum(sample->held_pages,
						     sample->moving_pages));
}

static void vbp_refault_restart(struct vbp_refault_state *state,
				const struct vbp_policy_sample *sample)
{
	state->open = true;
	state->window_ms = sample->now_ms;
	state->refaults = sample->refaults;
	state->written_back = sample->written_back;
	state->reclaimed = sample->reclaimed;
	state->room_pages = vbp_refault_room(sample);
}

/**
 * vbp_refault_fail() - a trial was no help, or nothing could be tried
 * @state: what to remember
 * @now: the sample's time
 * @holdoff_ms: the next trial may come some power of two times that later
 */
void vbp_refault_fail(struct vbp_refault_state *state, u64 now,
		      u32 holdoff_ms)
{
	state->trial = false;
	state->reverse.lost = false;
	state->failed = true;
	state->failed_ms = now;
	state->fails = min_t(u32, state->fails + 1, VBP_REFAULT_FAILS_MAX);
	state->pause_ms = (u64)holdoff_ms << state->fails;
}

static void vbp_refault_forgive(struct vbp_refault_state *state, u64 now)
{
	u64 since;

	/* A clock that jumps back must not put it off for ever. */
	state->failed_ms = min(state->failed_ms, now);
	since = now - state->failed_ms;
	if (since >= state->pause_ms)
		state->failed = false;
	if (since >= 4 * state->pause_ms)
		state->fails = 0;
}

/* What was counted over about the last second, after another @since ms. */
static u64 vbp_refault_recent(u64 recent, u64 more, u64 since)
{
	u64 left = VBP_REFAULT_WINDOW_MAX_MS -
		   min_t(u64, since, VBP_REFAULT_WINDOW_MAX_MS);
	u64 sum = div_u64(recent * left, VBP_REFAULT_WINDOW_MAX_MS) +
		  min_t(u64, more, 1u << 31);

	return min_t(u64, sum, 1u << 31);
}

/**
 * vbp_refault_look() - take note of a sample's counters
 * @state: what to remember
 * @sample: what is known now
 *
 * Afterwards @state->thrash says whether the guest misses memory.
 */
void vbp_refault_look(struct vbp_refault_state *state,
		      const struct vbp_policy_sample *sample)
{
	u64 room = vbp_refault_room(sample);
	u64 refaults, written_back, reclaimed, frames, since;
	bool many;

	vbp_refault_forgive(state, sample->now_ms);
	if (!state->open || sample->now_ms < state->window_ms ||
	    sample->now_ms - state->window_ms >= VBP_REFAULT_STALE_MS ||
	    sample->refaults < state->refaults ||
	    sample->written_back < state->written_back ||
	    sample->reclaimed < state->reclaimed) {
		vbp_refault_restart(state, sample);
		state->recent_refaults = 0;
		state->recent_reclaimed = 0;
		state->thrash = false;
		state->trial = false;
		state->reverse.phase = VBP_REVERSE_NONE;
		return;
	}
	since = sample->now_ms - state->window_ms;
	refaults = sample->refaults - state->refaults;
	written_back = sample->written_back - state->written_back;
	refaults -= min(refaults, written_back);
	reclaimed = sample->reclaimed - state->reclaimed;
	/* There was so much, and reclaim added to it: what is gone was taken. */
	frames = vbp_refault_sum(state->room_pages, reclaimed);
	frames -= min(frames, room);
	refaults = min(refaults, frames);

	many = since >= VBP_REFAULT_WINDOW_MS && refaults >= VBP_REFAULT_LEAST;
	if (many || since >= VBP_REFAULT_WINDOW_MAX_MS) {
		state->counted += min_t(u64, refaults, 1u << 31);
		state->recent_refaults =
			vbp_refault_recent(state->recent_refaults, refaults,
					   since);
		state->recent_reclaimed =
			vbp_refault_recent(state->recent_reclaimed, reclaimed,
					   since);
		vbp_refault_restart(state, sample);
	}
	/*
	 * It begins with reclaim. Where there was none, a cgroup misses what
	 * its own limit evicted.
	 */
	if (many && (state->thrash || state->recent_reclaimed) &&
	    state->recent_refaults >=
	    div_u64(state->recent_reclaimed, VBP_REFAULT_RECLAIMED)) {
		state->thrash = true;
		state->seen_ms = sample->now_ms;
		refaults = min_t(u64, refaults, 1u << 31);
		state->rate = div_u64(refaults * 1000, (u32)since);
	}
	if (sample->now_ms < state->seen_ms ||
	    sample->now_ms - state->seen_ms >= VBP_REFAULT_WINDOW_MAX_MS) {
		state->thrash = false;
		state->trial = false;
		state->reverse.phase = VBP_REVERSE_NONE;
	}
}

/**
 * vbp_refault_wants() - is page cache missed that memory might help?
 * @state: after vbp_refault_look()
 *
 * Return: true until a trial has failed.
 */
bool vbp_refault_wants(const struct vbp_refault_state *state)
{
	return state->thrash && !state->failed;
}

/*
 * So much may be given until it must have helped: the cache could be three
 * times as large then, but no more than half of the balloon goes. Each trial
 * that has failed doubles the former and halves what stays.
 */
static void vbp_refault_limit(struct vbp_refault_state *state,
			      const struct vbp_policy_sample *sample, u64 step)
{
	u64 elastic = vbp_size_elastic(sample);
	u32 more = state->fails + 1;
	u64 cache = max(sample->cache_pages, step);

	state->given = 0;
	/* Shifted back, because twice as much need not fit. */
	state->limit = elastic - (elastic >> more);
	if (cache <= state->limit >> more)
		state->limit = cache << more;
	state->limit = max(state->limit, step);
}

/**
 * vbp_refault_step() - the next step of a trial
 * @state: after vbp_refault_look(); vbp_refault_wants() is true
 * @sample: what is known now
 * @reclaiming: reclaim runs: without it, what refaults is on its way in already
 * @step: pages that a step gives back
 * @holdoff_ms: see vbp_refault_give_up()
 *
 * Return: true if @step pages are to be given back now.
 */
bool vbp_refault_step(struct vbp_refault_state *state,
		      const struct vbp_policy_sample *sample, bool reclaiming,
		      u64 step, u32 holdoff_ms)
{
	/* Half of the last step left: too early to tell, and none is needed. */
	if (sample->headroom_pages >= step / 2)
		return false;
	if (!state->trial) {
		if (!reclaiming)
			return false;
		state->trial = true;
		state->base_rate = state->rate;
		vbp_refault_limit(state, sample, step);
	} else if (state->given >= state->limit &&
		   vbp_size_elastic(sample) > step) {
		if (state->rate > state->base_rate / 4 * 3) {
			vbp_refault_fail(state, sample->now_ms, holdoff_ms);
			return false;
		}
		/* It helps: as much again. */
		state->base_rate = state->rate;
		vbp_refault_limit(state, sample, step);
	}
	state->given += min(step, sample->limit_pages);
	return true;
}

/**
 * vbp_refault_give_up() - nothing is left to give to a trial, and time is up
 * @state: after vbp_refault_look(); vbp_refault_wants() is true, a trial is on
 * @now: the sample's time
 * @holdoff_ms: twice as long there is no other trial, longer each time
 *
 * Unless it helped, it has failed like one that came to its limit.
 */
void vbp_refault_give_up(struct vbp_refault_state *state, u64 now,
			 u32 holdoff_ms)
{
	if (state->rate <= state->base_rate / 4 * 3)
		return;
	vbp_refault_fail(state, now, holdoff_ms);
}
