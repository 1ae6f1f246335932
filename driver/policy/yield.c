// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that no counter names, and that gives way: the cache that a file system
 * has for itself, as ZFS.
 *
 * It is not free, and nothing says that it would go. So where the balloon is
 * kept from its target by very much of it, that is tried: the balloon goes on
 * growing, and reclaim begins. If unnamed memory becomes less, all of it counts
 * as available, until reclaim goes on and it does not become less: then it counts
 * for nothing, and the next trial waits as long as after any other. A pool of
 * huge pages ends so each time.
 *
 * A cache that gave way has reached its least then, and takes what is given back
 * as soon as the need is over. So what it has grown by since counts as available,
 * in the same way: it gives that before the balloon gives more.
 */
#include "policy.h"

/* Less of it than one part in 2^3 of the guest is not worth a trial. */
#define VBP_YIELD_PART		3

/*
 * So many looks find reclaim and nothing less of it, until it does not give way.
 * kswapd needs some tens of milliseconds to get there. A time would be wrong: a
 * guest without a CPU for so long has not asked it at all.
 */
#define VBP_YIELD_LOOKS		10

/*
 * A look that finds reclaim counts for so many that find none, but a balloon
 * that got nothing. Its pages may be on their way, or its worker and kswapd
 * without a CPU: of 512 MiB, 88 were given back once because of that.
 */
#define VBP_YIELD_RECLAIM	10

/* After trials in vain the next waits for up to 2^6 hold-offs. */
#define VBP_YIELD_FAILS_MAX	6

/* Beside it, so much of what became free may have been swapped out: a quarter. */
#define VBP_YIELD_SWAPPED	4

/*
 * Both are counted anew after so many blocks of it. A trial may last for days;
 * what gave way yesterday says nothing of what is swapped out now.
 */
#define VBP_YIELD_BLOCKS	16

/* From now on it is asked. */
static void vbp_yield_begin(struct vbp_yield_state *state,
			    const struct vbp_policy_sample *sample)
{
	state->asked = false;
	state->held_pages = sample->held_pages;
	state->unnamed_pages = sample->unnamed_pages;
	state->fell = false;
	state->fallen_pages = 0;
	state->swap_pages = sample->swap_pages;
	state->looks = 0;
	state->looked_ms = sample->now_ms;
}

static void vbp_yield_end(struct vbp_yield_state *state,
			  const struct vbp_policy_sample *sample)
{
	state->gave = state->yields && state->fell;
	if (state->yields) {
		state->over = true;
		state->over_ms = sample->now_ms;
		state->fails = min_t(u32, state->fails + 1,
				     VBP_YIELD_FAILS_MAX);
	}
	state->yields = false;
	state->least_pages = sample->unnamed_pages;
	vbp_yield_begin(state, sample);
}

/* The balloon may grow so far until more has given way. */
static void vbp_yield_allow(struct vbp_yield_state *state,
			    const struct vbp_policy_sample *sample, u64 step)
{
	u64 room = min(sample->headroom_pages, sample->total_pages);

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
	if (state->yields)
		return unnamed_pages;
	return state->gave ?
	       unnamed_pages - min(unnamed_pages, state->least_pages) : 0;
}

/* Has some of it gone? More than chance, that is. */
static void vbp_yield_see(struct vbp_yield_state *state,
			  const struct vbp_policy_sample *sample, u64 step,
			  u32 block_pages)
{
	u64 fallen;

	if (state->gave)
		state->least_pages = min(state->least_pages,
					 sample->unnamed_pages);
	if (sample->unnamed_pages > state->unnamed_pages) {
		state->unnamed_pages = sample->unnamed_pages;
		return;
	}
	fallen = state->unnamed_pages - sample->unnamed_pages;
	if (fallen < block_pages)
		return;
	state->fell = true;
	state->fallen_pages += min(fallen, ~state->fallen_pages);
	state->unnamed_pages = sample->unnamed_pages;
	state->looks = 0;
	vbp_yield_allow(state, sample, step);
}

/* Count the looks at which it was asked in vain. */
static void vbp_yield_count(struct vbp_yield_state *state,
			    const struct vbp_policy_sample *sample, bool needed)
{
	bool refused = state->asked && sample->held_pages <= state->held_pages;

	if (sample->now_ms < state->looked_ms)
		state->looked_ms = sample->now_ms;
	if (!needed && !refused) {
		state->looks = 0;
	} else if ((sample->reclaim || refused) &&
		   sample->now_ms - state->looked_ms >= VBP_YIELD_LOOK_MS) {
		state->looks += sample->reclaim ? VBP_YIELD_RECLAIM : 1;
		state->looked_ms = sample->now_ms;
	}
	state->asked = false;
	state->held_pages = sample->held_pages;
}

/**
 * vbp_yield_look() - see whether it still gives way
 * @state: what is known of it; all zeroes at first
 * @sample: what is known now
 * @step: as vbp_size_step() says
 * @block_pages: size of a block; a change by less is chance
 * @needed: the guest is short without it, and reclaim ran a moment ago
 * @missed: other memory is missed
 *
 * Return: whether a trial has just ended.
 */
bool vbp_yield_look(struct vbp_yield_state *state,
		    const struct vbp_policy_sample *sample, u64 step,
		    u32 block_pages, bool needed, bool missed)
{
	bool yields = state->yields;

	if (!yields && !state->gave)
		return false;
	vbp_yield_see(state, sample, step, block_pages);
	/* What it has not grown by can't be asked for either. */
	vbp_yield_count(state, sample, needed &&
			vbp_yield_pages(state, sample->unnamed_pages));
	if (sample->oom || missed || state->looks >= VBP_YIELD_LOOKS * VBP_YIELD_RECLAIM ||
	    vbp_yield_swaps(state, sample, block_pages)) {
		vbp_yield_end(state, sample);
		return yields;
	}
	if (state->fallen_pages >= (u64)VBP_YIELD_BLOCKS * block_pages) {
		state->fallen_pages = 0;
		state->swap_pages = sample->swap_pages;
	}
	return false;
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
	u64 before = min(state->tried_pages, sample->held_pages);
	u64 since;

	if (sample->unnamed_pages < sample->total_pages >> VBP_YIELD_PART ||
	    !sample->unnamed_pages || sample->bound_pages)
		return false;
	if (sample->now_ms < state->over_ms)
		state->over_ms = sample->now_ms;
	since = sample->now_ms - state->over_ms;
	/* What gave way, but had to be given back, was tried in vain, too. */
	if (since >= holdoff_ms && sample->held_pages - before > step)
		state->fails = 0;
	if (state->over && since < (u64)holdoff_ms << state->fails)
		return false;
	state->yields = true;
	state->gave = false;
	state->tried_pages = sample->held_pages;
	vbp_yield_begin(state, sample);
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

	/* What became free since needs nobody to give way. */
	room = max(room, sample->headroom_pages);
	/* Unless the balloon gets that, more must give way, and soon. */
	state->asked = true;
	/* What gives way somewhere is of no help where something is short. */
	return sample->bound_pages ? 0 : room;
}
