// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy. See policy.h for what it is given and what it answers.
 *
 * Three rules carry it:
 *
 *  - Reclaim alone is not need. A program that reads through a disk once makes
 *    the kernel reclaim all day, and every page it reclaims is one nobody will
 *    miss. Reclaim while *available* memory (free pages and the page cache that
 *    can go) is below a reserve is need, and then pages come back at once.
 *  - Nor is available memory all: page cache that is missed is need, too, and
 *    so is what was swapped out and is touched again. See refault.c.
 *  - After that the balloon stays small until a hold-off has passed, and then
 *    grows in small steps. See grow.c.
 */
#include "policy.h"

/*
 * Calm is: not pressed for so long. Reclaim seen this recently still counts, as
 * kswapd works in bursts.
 */
#define VBP_CALM_MS		1000

/*
 * Relief goes ahead of reclaim for so long after a step: a program that takes
 * 50 MiB a second uses up a step in two seconds, and each time kswapd runs first
 * it swaps.
 */
#define VBP_FOLLOW_MS		5000

/*
 * So long after reclaim it is looked whether pages are missed. What a slow disk
 * reads in a second may be too little to tell, and kswapd, which frees some MiB
 * at once, does not run again for long.
 */
#define VBP_MISSED_MS		3000

/* Reliefs closer than this did not suffice: take a larger step. */
#define VBP_STREAK_GAP_MS	50

/* The hold-off doubles up to 2^6 times. */
#define VBP_BACKOFF_MAX		6

/*
 * Pressure that returns within so many hold-offs, after the balloon has grown
 * again, makes the next one longer. A load that grows slowly and is relieved
 * again and again has not returned: it never left.
 */
#define VBP_BACKOFF_WINDOW	4

/* The wait for what is plainly free doubles up to 2^16 times. */
#define VBP_HAND_BACKOFF_MAX	16

/**
 * vbp_policy_init() - forget everything
 * @state: to initialise
 */
void vbp_policy_init(struct vbp_policy_state *state)
{
	*state = (struct vbp_policy_state){};
}

/*
 * A clock that jumps back would leave every "not before" far in the future:
 * pull the remembered moments along, which at worst repeats one hold-off.
 */
static void vbp_policy_rebase(struct vbp_policy_state *state, u64 now)
{
	if (now < state->last_ms) {
		state->pressed_ms = min(state->pressed_ms, now);
		state->relieved_ms = min(state->relieved_ms, now);
		state->reclaim_ms = min(state->reclaim_ms, now);
		state->stepped_ms = min(state->stepped_ms, now);
		state->rescued_ms = min(state->rescued_ms, now);
	}
	state->last_ms = now;
}

/*
 * Say what is missing once @given is given of what is needed. The level says no
 * more than that, or the host would have to guess what to do about it.
 */
static void vbp_policy_report(const struct vbp_policy_config *config,
			      const struct vbp_policy_sample *sample,
			      struct vbp_policy_decision *decision,
			      u64 need, u64 given)
{
	u64 few = vbp_size_reserve(config, sample) / 4;
	u64 available = vbp_size_available(sample);

	if (need <= given) {
		decision->level = VBP_LEVEL_LOW;
		return;
	}
	decision->wanted_pages = need - given;
	decision->level = VBP_LEVEL_MEDIUM;
	/* About to kill; or next to nothing is left, and whoever asks stalls. */
	if (sample->oom || (available < few && given < few - available))
		decision->level = VBP_LEVEL_CRITICAL;
	if (vbp_place_close(config, sample, given))
		decision->level = VBP_LEVEL_CRITICAL;
}

/*
 * Has the host asked for more than before, and has the balloon not got there?
 * Any move down is another wish.
 */
static void vbp_policy_note_target(struct vbp_policy_state *state,
				   const struct vbp_policy_sample *sample)
{
	u64 target = vbp_size_target(sample);

	if (target > state->target_pages)
		state->asked = true;
	if (target < state->target_pages || sample->held_pages >= target)
		state->asked = false;
	state->target_pages = target;
}

static void vbp_policy_note_pressed(struct vbp_policy_state *state, u64 now)
{
	state->pressed = true;
	state->pressed_ms = now;
}

/* Remember a relief at @now: lengthen hold-off and step when they failed. */
static void vbp_policy_note_relief(const struct vbp_policy_config *config,
				   struct vbp_policy_state *state, u64 now)
{
	u64 since = vbp_policy_since(now, state->relieved_ms);
	u64 window = (u64)config->holdoff_ms << state->backoff;
	/* Growing back in steps may take long, and is no calm. */
	u64 calm = vbp_policy_since(now, max(state->relieved_ms,
					     state->stepped_ms));

	if (!state->relieved_ms || calm > window * VBP_BACKOFF_WINDOW)
		state->backoff = 0;
	else if (state->regrown)
		state->backoff = min_t(u32, state->backoff + 1, VBP_BACKOFF_MAX);
	else if (since <= VBP_STREAK_GAP_MS && !state->cut)
		state->streak = min_t(u32, state->streak + 1, VBP_STREAK_MAX);
	/* It was asked for, and needed: the host has to ask anew. */
	if (since > 2 * (u64)config->holdoff_ms)
		state->hand_backoff = 0;
	else if (state->handed)
		state->hand_backoff = min_t(u32, state->hand_backoff + 1,
					    VBP_HAND_BACKOFF_MAX);
	if (state->handed)
		state->asked = false;
	state->handed = false;
	state->regrown = false;
	state->refault.reverse.phase = VBP_REVERSE_NONE;
	state->relieved = true;
	state->relieved_ms = now;
	vbp_policy_note_pressed(state, now);
}

/* Relief that sufficed must be told, too: it is all the host sees. */
static bool vbp_policy_still_pressed(struct vbp_policy_state *state,
				     const struct vbp_policy_sample *sample,
				     struct vbp_policy_decision *decision)
{
	u64 since = vbp_policy_since(sample->now_ms, state->pressed_ms);

	state->pressed = state->pressed && since < VBP_CALM_MS;
	if (!sample->elastic || !state->pressed)
		return false;
	decision->level = VBP_LEVEL_LOW;
	vbp_policy_wake(decision, VBP_CALM_MS - since);
	return true;
}

/* Has relief begun a moment ago, so that more may be needed? */
static bool vbp_policy_follows(const struct vbp_policy_state *state,
			       const struct vbp_policy_sample *sample)
{
	return state->relieved &&
	       vbp_policy_since(sample->now_ms, state->relieved_ms) <
	       VBP_FOLLOW_MS;
}

/* Did reclaim end a moment ago, and are pages missed, though maybe too few? */
static bool vbp_policy_suspects(const struct vbp_policy_state *state,
				const struct vbp_policy_sample *sample)
{
	return state->refault.recent_refaults &&
	       vbp_policy_since(sample->now_ms, state->reclaim_ms) <
	       VBP_MISSED_MS;
}

/* Give @nr_pages back, of which the host's own target may be a part. */
static void vbp_policy_give(const struct vbp_policy_config *config,
			    struct vbp_policy_state *state,
			    const struct vbp_policy_sample *sample,
			    struct vbp_policy_decision *decision, u64 nr_pages)
{
	if (nr_pages <= decision->deflate_pages)
		return;
	nr_pages -= decision->deflate_pages;
	decision->relief_pages = min(nr_pages, sample->limit_pages);
	if (!decision->relief_pages)
		return;
	vbp_policy_note_relief(config, state, sample->now_ms);
	/* If more is needed at once, it is not because this was too little. */
	state->cut = decision->relief_pages < nr_pages;
}

/*
 * Whoever is about to be killed may be bound to a place of which the balloon has
 * none, or not enough. What it was given from elsewhere is free still; the kernel
 * would be back until it has all of the balloon, and kill then. Anybody else is
 * not here with so much free: the kernel tries once more before it asks. What is
 * still on its way counts as free, and is not yet.
 */
static bool vbp_policy_is_no_help(const struct vbp_policy_config *config,
				  const struct vbp_policy_state *state,
				  const struct vbp_policy_sample *sample)
{
	return state->rescued &&
	       vbp_policy_since(sample->now_ms, state->rescued_ms) <
	       config->holdoff_ms &&
	       !sample->moving_pages &&
	       sample->headroom_pages > config->oom_step_pages &&
	       vbp_size_available(sample) >= vbp_size_reserve(config, sample);
}

/* Reclaim runs and the guest is short. */
static void vbp_policy_relieve(const struct vbp_policy_config *config,
			       struct vbp_policy_state *state,
			       const struct vbp_policy_sample *sample,
			       struct vbp_policy_decision *decision)
{
	u64 elastic = vbp_size_elastic(sample);
	u64 since = vbp_policy_since(sample->now_ms, state->relieved_ms);
	u64 give = 0;
	u64 need;
	bool fresh;

	if (since > VBP_STREAK_GAP_MS)
		state->streak = 0;
	need = vbp_size_need(config, sample, state->streak);
	/*
	 * Only fresh reclaim takes pages, and what it was refused; the memory
	 * of reclaim a moment ago keeps the level up and the balloon from
	 * growing. Once relief has begun, though, it goes ahead of reclaim: the
	 * reserve is filled up before the next allocation finds nothing free.
	 */
	fresh = sample->reclaim || sample->oom || state->refused;
	if (fresh || (vbp_policy_follows(state, sample) &&
		      (vbp_place_runs_out(config, sample) ||
		       sample->headroom_pages < vbp_size_step(config, sample))))
		give = vbp_size_round(config, need, elastic);
	if (sample->oom && vbp_policy_is_no_help(config, state, sample))
		give = vbp_size_round(config,
				      vbp_place_need(config, sample,
						     state->streak), elastic);
	if (sample->reclaim || sample->oom)
		vbp_policy_note_pressed(state, sample->now_ms);
	vbp_policy_give(config, state, sample, decision, give);
	if (sample->oom && decision->relief_pages) {
		state->rescued = true;
		state->rescued_ms = sample->now_ms;
	}
	decision->place = sample->oom || vbp_place_lacks(config, sample);
	vbp_policy_report(config, sample, decision, need,
			  max(give, decision->deflate_pages));
	if (fresh)
		state->refused = decision->wanted_pages;
	vbp_policy_wake(decision, VBP_CALM_MS);
}

/* Page cache, or what was swapped out, is missed: see if memory helps. */
static void vbp_policy_try(const struct vbp_policy_config *config,
			   struct vbp_policy_state *state,
			   const struct vbp_policy_sample *sample,
			   struct vbp_policy_decision *decision)
{
	u64 elastic = vbp_size_elastic(sample);
	u64 step = vbp_size_step(config, sample);
	u64 since = vbp_policy_since(sample->now_ms, state->relieved_ms);
	u64 need = 0, give = 0;

	decision->refault = true;
	if (!state->refault.trial)
		state->trial_backoff = state->backoff;
	if (!elastic || vbp_refault_step(&state->refault, sample,
					 state->reclaiming, step,
					 config->holdoff_ms)) {
		need = min(step, sample->total_pages);
		give = vbp_size_round(config, need, elastic);
	}
	vbp_policy_give(config, state, sample, decision, give);
	vbp_policy_report(config, sample, decision, need,
			  max(give, decision->deflate_pages));
	/*
	 * All of it was given: it has the hold-off to show that it helps, and
	 * longer while it is not used up. A set that fits, on a slow disk, is
	 * missed until all of it has been read once more.
	 */
	if (!elastic && state->reclaiming &&
	    since >= vbp_grow_holdoff(config, state, sample))
		vbp_refault_give_up(&state->refault, sample->now_ms,
				    config->holdoff_ms);
	/* What was no help is not kept the longer, the more often it is tried. */
	if (state->refault.failed)
		state->backoff = state->trial_backoff;
	decision->unreached = sample->held_pages < vbp_size_target(sample);
	vbp_policy_wake(decision, VBP_CALM_MS);
}

/*
 * A huge page pool would fail: it gets whole blocks, however much is available,
 * for that does not say that any of it is in one piece.
 */
static bool vbp_policy_fill_pool(const struct vbp_policy_config *config,
				 struct vbp_policy_state *state,
				 const struct vbp_policy_sample *sample,
				 struct vbp_policy_decision *decision)
{
	u64 give = min(sample->pool_pages, vbp_size_elastic(sample));
	u32 streak = state->streak;

	if (sample->reclaim || sample->oom || state->refused)
		return false;
	give = div_u64(give, config->block_pages) * config->block_pages;
	vbp_policy_give(config, state, sample, decision, give);
	/* It asks for one block at a time: none of them was too few. */
	state->streak = streak;
	if (!decision->relief_pages)
		return false;
	/* Where more is missing, the next look says so. */
	decision->level = VBP_LEVEL_LOW;
	vbp_policy_wake(decision, VBP_CALM_MS);
	return true;
}

/* Missed, and nothing can be given back: see if it would be missed more. */
static void vbp_policy_try_reverse(const struct vbp_policy_config *config,
				   struct vbp_policy_state *state,
				   const struct vbp_policy_sample *sample,
				   struct vbp_policy_decision *decision)
{
	struct vbp_reverse_state *reverse = &state->refault.reverse;
	u64 since = vbp_policy_since(sample->now_ms, state->relieved_ms);
	bool may_grow = !state->relieved ||
			since >= vbp_grow_holdoff(config, state, sample);
	u64 step = vbp_grow_step(config, sample);
	u32 backoff = state->backoff;
	enum vbp_reverse says;
	u64 give;

	decision->refault = true;
	says = vbp_reverse_look(&state->refault, sample, step,
				config->holdoff_ms, may_grow);
	if (says == VBP_REVERSE_BACK) {
		give = sample->held_pages -
		       min(sample->held_pages, reverse->held_pages);
		give = vbp_size_round(config, give, vbp_size_elastic(sample));
		vbp_policy_give(config, state, sample, decision, give);
		/* The next one must not wait the longer for it. */
		state->backoff = backoff;
	}
	if (vbp_policy_still_pressed(state, sample, decision))
		return;
	if (says == VBP_REVERSE_TAKE && sample->now_ms >= config->boot_ms) {
		/* The next ordinary step is not what was left of an old one. */
		state->stepped_ms = sample->now_ms;
		state->step_end_pages = reverse->end_pages;
		vbp_grow_by(config, state, sample, decision,
			    reverse->end_pages - sample->held_pages);
		vbp_policy_wake(decision, VBP_CALM_MS);
		return;
	}
	decision->unreached = sample->held_pages < vbp_size_target(sample);
	if (vbp_reverse_asks(&state->refault, config->holdoff_ms))
		vbp_policy_report(config, sample, decision,
				  min(step, sample->total_pages),
				  decision->deflate_pages);
	if (decision->level || decision->unreached)
		vbp_policy_wake(decision, VBP_CALM_MS);
}

/* Is it tried whether less would be missed more? Else, whether more helps. */
static bool vbp_policy_reverses(struct vbp_policy_state *state,
				const struct vbp_policy_sample *sample)
{
	struct vbp_reverse_state *reverse = &state->refault.reverse;

	/* The floor has sunk meanwhile. */
	if (reverse->phase == VBP_REVERSE_BEFORE && vbp_size_elastic(sample))
		reverse->phase = VBP_REVERSE_NONE;
	if (reverse->phase != VBP_REVERSE_NONE)
		return true;
	return !state->refault.trial && !vbp_size_elastic(sample);
}

/* Does memory that no counter names still give way? */
static void vbp_policy_look_at_unnamed(const struct vbp_policy_config *config,
				       struct vbp_policy_state *state,
				       const struct vbp_policy_sample *sample)
{
	bool needed = state->reclaiming && sample->available_pages <
		      vbp_size_reserve(config, sample);

	/* If the balloon has to go back, then because it went too far. */
	if (vbp_yield_look(&state->yield, sample,
			   vbp_size_step(config, sample), config->block_pages,
			   needed, state->refault.thrash))
		state->regrown = false;
}

/**
 * vbp_policy_decide() - one decision
 * @config: the tunables
 * @state: what to remember; the caller keeps others away while this runs
 * @sample: what is known now
 * @decision: filled in whole
 *
 * Holds for any input, also a hostile host's:
 * deflate + relief <= held; held - deflate - relief >= floor where relief > 0;
 * held + inflate <= target; never relief and inflate at once.
 */
void vbp_policy_decide(const struct vbp_policy_config *config,
		       struct vbp_policy_state *state,
		       const struct vbp_policy_sample *sample,
		       struct vbp_policy_decision *decision)
{
	u64 target = vbp_size_target(sample);
	u64 since, holdoff;

	*decision = (struct vbp_policy_decision){};
	vbp_policy_rebase(state, sample->now_ms);
	vbp_policy_note_target(state, sample);

	if (sample->reclaim || sample->oom) {
		state->reclaiming = true;
		state->reclaim_ms = sample->now_ms;
	} else if (vbp_policy_since(sample->now_ms, state->reclaim_ms) >=
		   VBP_CALM_MS && !vbp_policy_follows(state, sample)) {
		state->reclaiming = false;
	}
	vbp_refault_look(&state->refault, sample);
	vbp_policy_look_at_unnamed(config, state, sample);
	decision->watch = sample->elastic &&
			  (state->reclaiming || state->refault.thrash ||
			   vbp_policy_suspects(state, sample));

	if (sample->held_pages > target)
		decision->deflate_pages = sample->held_pages - target;

	if (vbp_policy_fill_pool(config, state, sample, decision))
		return;
	if (sample->elastic && state->reclaiming &&
	    vbp_size_short(config, sample)) {
		vbp_policy_relieve(config, state, sample, decision);
		return;
	}
	state->refused = false;
	if (sample->elastic && vbp_refault_wants(&state->refault)) {
		if (vbp_policy_reverses(state, sample))
			vbp_policy_try_reverse(config, state, sample, decision);
		else
			vbp_policy_try(config, state, sample, decision);
		return;
	}
	if (vbp_policy_still_pressed(state, sample, decision))
		return;

	since = vbp_policy_since(sample->now_ms, state->relieved_ms);
	holdoff = vbp_grow_holdoff(config, state, sample);

	if (sample->held_pages < target && sample->elastic &&
	    vbp_reverse_denies(&state->refault)) {
		decision->unreached = true;
		vbp_policy_wake(decision, VBP_RETRY_MS);
	} else if (sample->held_pages < target) {
		vbp_grow_on(config, state, sample, decision);
	} else if (since >= holdoff) {
		/* Not earlier: a target that dips and rises must not skip it. */
		state->relieved = false;
	}
}
