// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that no counter names, and that gives way: the cache that a file system
 * has for itself, as ZFS.
 *
 * It is not free, and nothing says that it would go. So where the balloon is
 * kept from its target by very much of it, that is tried: the balloon goes on
 * growing, and reclaim begins. If unnamed memory becomes less, all of it counts
 * as available, until reclaim runs for a while and it does not become less: then
 * it counts for nothing, and the next trial waits as long as after any other.
 * A pool of huge pages ends so each time.
 */
#include "policy.h"

/* Less of it than one part in 2^3 of the guest is not worth a trial. */
#define VBP_YIELD_PART		3

/*
 * So long it may stay as it is while it is needed. kswapd, which asks it to give
 * way, needs some tens of milliseconds to get there.
 */
#define VBP_YIELD_MS		200

/* After trials in vain the next waits for up to 2^6 hold-offs. */
#define VBP_YIELD_FAILS_MAX	6

/* Beside it, so much of what became free may have been swapped out: a quarter. */
#define VBP_YIELD_SWAPPED	4

static void vbp_yield_end(struct vbp_yield_state *state,
			  const struct vbp_policy_sample *sample)
{
	state->yields = false;
	state->over = true;
	state->over_ms = sample->now_ms;
	if (state->fallen_pages)
		state->fails = 0;
	else
		state->fails = min_t(u32, state->fails + 1,
				     VBP_YIELD_FAILS_MAX);
}

/* The balloon may grow so far until more has given way. */
static void vbp_yield_allow(struct vbp_yield_state *state,
			    const struct vbp_policy_sample *sample, u64 step)
{
	u64 room = min(sample->headroom_pages, sample->total_pages);

	state->moved_ms = sample->now_ms;
	state->unnamed_pages = sample->unnamed_pages;
	state->limit_pages = min(sample->held_pages, sample->total_pages);
	/* Bounded before each sum: sizes may be anything up to 2^64. */
	room = min(room, sample->total_pages - state->limit_pages);
	state->limit_pages += room;
	step = min(step, sample->total_pages - state->limit_pages);
	state->limit_pages += step;
}

/* Would reclaim rather swap out, than that it gives way? */
static bool vbp_yield_swaps(const struct vbp_yield_state *state,
			    const struct vbp_policy_sample *sample,
			    u32 block_pages)
{
	u64 most = block_pages;

	if (sample->swap_pages >= state->swap_pages)
		return false;
	most += min(state->fallen_pages, sample->total_pages) /
		VBP_YIELD_SWAPPED;
	return state->swap_pages - sample->swap_pages > most;
}

/**
 * vbp_yield_pages() - what counts as available of the unnamed memory
 * @state: what is known of it
 * @unnamed_pages: all of it
 *
 * Return: pages.
 */
u64 vbp_yield_pages(const struct vbp_yield_state *state, u64 unnamed_pages)
{
	return state->yields ? unnamed_pages : 0;
}

/**
 * vbp_yield_look() - see whether it still gives way
 * @state: what is known of it; all zeroes at first
 * @sample: what is known now
 * @step: as vbp_size_step() says
 * @block_pages: size of a block; a change by less is chance
 * @needed: the guest is short without it, and reclaim runs
 * @missed: other memory is missed
 *
 * Return: whether that has just ended.
 */
bool vbp_yield_look(struct vbp_yield_state *state,
		    const struct vbp_policy_sample *sample, u64 step,
		    u32 block_pages, bool needed, bool missed)
{
	if (!state->yields)
		return false;
	if (sample->unnamed_pages > state->unnamed_pages) {
		state->unnamed_pages = sample->unnamed_pages;
	} else if (state->unnamed_pages - sample->unnamed_pages >=
		   block_pages) {
		state->fallen_pages += min(state->unnamed_pages -
					   sample->unnamed_pages,
					   ~state->fallen_pages);
		vbp_yield_allow(state, sample, step);
	}
	if (sample->now_ms < state->moved_ms ||
	    (!needed && (!state->asked ||
			 sample->held_pages > state->held_pages)))
		state->moved_ms = sample->now_ms;
	state->asked = false;
	state->held_pages = sample->held_pages;
	if (!sample->oom && !missed &&
	    sample->now_ms - state->moved_ms < VBP_YIELD_MS &&
	    !vbp_yield_swaps(state, sample, block_pages))
		return false;
	vbp_yield_end(state, sample);
	return true;
}

/**
 * vbp_yield_try() - begin a trial, if there is much to try, and it is time
 * @state: what is known of it
 * @sample: what is known now
 * @step: as vbp_size_step() says
 * @holdoff_ms: the hold-off
 *
 * Return: whether one has begun.
 */
bool vbp_yield_try(struct vbp_yield_state *state,
		   const struct vbp_policy_sample *sample, u64 step,
		   u32 holdoff_ms)
{
	u64 pause = (u64)holdoff_ms << state->fails;

	if (sample->unnamed_pages < sample->total_pages >> VBP_YIELD_PART ||
	    !sample->unnamed_pages || sample->bound_pages)
		return false;
	if (sample->now_ms < state->over_ms)
		state->over_ms = sample->now_ms;
	if (state->over && sample->now_ms - state->over_ms < pause)
		return false;
	state->yields = true;
	state->asked = false;
	state->held_pages = sample->held_pages;
	state->fallen_pages = 0;
	state->swap_pages = sample->swap_pages;
	vbp_yield_allow(state, sample, step);
	return true;
}

/**
 * vbp_yield_room() - how far the balloon may grow before more has given way
 * @state: what is known of it
 * @sample: what is known now
 *
 * To be asked while it counts as available.
 *
 * Return: pages.
 */
u64 vbp_yield_room(struct vbp_yield_state *state,
		   const struct vbp_policy_sample *sample)
{
	u64 room = state->limit_pages -
		   min(state->limit_pages, sample->held_pages);

	/* Unless the balloon gets that, more must give way, and soon. */
	state->asked = true;
	/* What gives way somewhere is of no help where something is short. */
	return sample->bound_pages ? 0 : room;
}
