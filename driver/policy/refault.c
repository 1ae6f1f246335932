// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy's eye for memory that is missed: page cache that is read again
 * soon after it was reclaimed (refaults), and pages that are swapped out.
 *
 * Neither shows in what is available. To the kernel a cache that is read again
 * and again is as good as free, and swapping makes memory available. Only the
 * refaults tell it from a device that is read once, of which nothing refaults.
 *
 * Whether more memory helps can't be known beforehand. So it is tried: pages
 * are given back by steps, each when the one before is used up, until the
 * refaults stop. If they have not become fewer by the time the cache could have
 * grown to three times its size, more memory is no help: a set of files far
 * larger than the guest refaults at any size. Then the hold-off begins as
 * usual, and after it the pages go back. The next trial comes twice as late as
 * that, and may take twice as much; each that fails doubles both again. So a
 * set that is even more times as large as the cache, and would fit, gets its
 * memory in the end.
 */
#include "policy.h"

/* Fewer refaults than this are no sign of anything: 1 MiB a second. */
#define VBP_REFAULT_LEAST	256
#define VBP_REFAULT_WINDOW_MS	20
#define VBP_REFAULT_WINDOW_MAX_MS	1000

/* Nobody looked for so long: what happened meanwhile was not at one time. */
#define VBP_REFAULT_STALE_MS	2000

/*
 * Beside a stream a few pages always refault; so many of those scanned do not.
 * Compared over about a second: kswapd scans in bursts, pages are missed evenly.
 */
#define VBP_REFAULT_SCANNED	16

/* After a trial that failed: 2^1 to 2^4 hold-offs without another. */
#define VBP_REFAULT_FAILS_MAX	4

/* One cluster. Fewer are leftovers that the kernel swaps when it is bored. */
#define VBP_SWAPOUT_LEAST	32
/* Less than this part of what is scanned: there is other memory to reclaim. */
#define VBP_SWAPOUT_SCANNED	4

static void vbp_refault_restart(struct vbp_refault_state *state,
				const struct vbp_policy_sample *sample)
{
	state->open = true;
	state->window_ms = sample->now_ms;
	state->refaults = sample->refaults;
	state->scanned = sample->scanned;
	state->swapouts = sample->swapouts;
}

/* The next trial may come, @holdoff_ms times some power of two after @now. */
static void vbp_refault_fail(struct vbp_refault_state *state, u64 now,
			     u32 holdoff_ms)
{
	state->trial = false;
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
 * Afterwards @state->swapping says whether memory is being swapped out at this
 * moment, and @state->thrash whether the guest misses page cache.
 */
void vbp_refault_look(struct vbp_refault_state *state,
		      const struct vbp_policy_sample *sample)
{
	u64 refaults, scanned, swapouts, since;
	bool many;

	vbp_refault_forgive(state, sample->now_ms);
	state->swapping = false;
	if (!state->open || sample->now_ms < state->window_ms ||
	    sample->now_ms - state->window_ms >= VBP_REFAULT_STALE_MS ||
	    sample->refaults < state->refaults ||
	    sample->scanned < state->scanned ||
	    sample->swapouts < state->swapouts) {
		vbp_refault_restart(state, sample);
		state->recent_refaults = 0;
		state->recent_scanned = 0;
		state->thrash = false;
		state->trial = false;
		return;
	}
	since = sample->now_ms - state->window_ms;
	refaults = sample->refaults - state->refaults;
	scanned = sample->scanned - state->scanned;
	swapouts = sample->swapouts - state->swapouts;

	if (swapouts >= VBP_SWAPOUT_LEAST &&
	    swapouts >= div_u64(scanned, VBP_SWAPOUT_SCANNED))
		state->swapping = true;
	many = since >= VBP_REFAULT_WINDOW_MS && refaults >= VBP_REFAULT_LEAST;
	if (many || state->swapping || since >= VBP_REFAULT_WINDOW_MAX_MS) {
		state->recent_refaults =
			vbp_refault_recent(state->recent_refaults, refaults,
					   since);
		state->recent_scanned =
			vbp_refault_recent(state->recent_scanned, scanned,
					   since);
		vbp_refault_restart(state, sample);
	}
	/*
	 * It begins with reclaim. Where there was none, a cgroup misses what
	 * its own limit evicted.
	 */
	if (many && (state->thrash || state->recent_scanned) &&
	    state->recent_refaults >=
	    div_u64(state->recent_scanned, VBP_REFAULT_SCANNED)) {
		state->thrash = true;
		state->seen_ms = sample->now_ms;
		refaults = min_t(u64, refaults, 1u << 31);
		state->rate = div_u64(refaults * 1000, (u32)since);
	}
	if (sample->now_ms < state->seen_ms ||
	    sample->now_ms - state->seen_ms >= VBP_REFAULT_WINDOW_MAX_MS) {
		state->thrash = false;
		state->trial = false;
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
		state->given = 0;
		state->limit = max(sample->cache_pages, step);
	} else if (state->given >> (state->fails + 1) >= state->limit) {
		/* Shifted down, because twice the limit need not fit. */
		if (state->rate > state->base_rate / 4 * 3) {
			vbp_refault_fail(state, sample->now_ms, holdoff_ms);
			return false;
		}
		/* It helps: as much again. */
		state->base_rate = state->rate;
		state->given = 0;
		state->limit = max(sample->cache_pages, step);
	}
	state->given += step;
	return true;
}

/**
 * vbp_refault_give_up() - nothing is left to give to a trial, and time is up
 * @state: after vbp_refault_look(); vbp_refault_wants() is true
 * @now: the sample's time
 * @holdoff_ms: twice as long there is no other trial, longer each time
 *
 * Unless it helped, it has failed like one that came to its limit.
 */
void vbp_refault_give_up(struct vbp_refault_state *state, u64 now,
			 u32 holdoff_ms)
{
	if (state->trial && state->rate <= state->base_rate / 4 * 3)
		return;
	vbp_refault_fail(state, now, holdoff_ms);
}
