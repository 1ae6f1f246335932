// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the balloon grows: at once where the guest was never pressed; after relief
 * once a hold-off has passed, in steps, so that a load which comes and goes is
 * not chased. Only when the host asks for a larger one it gets at once, and once,
 * what is plainly free: a job has ended, and its memory is wanted elsewhere.
 */
#include "policy.h"

/* While re-inflating after relief: one step, then this long to see its effect. */
#define VBP_REINFLATE_GAP_MS	1000

/*
 * After relief what is plainly free waits for so long, and twice as long each
 * time that it was needed again, until two hold-offs pass without pressure.
 */
#define VBP_HAND_MS		2000

/*
 * While the host is critical, whoever has a long hold-off looks so often whether
 * it has become idle.
 */
#define VBP_GROW_IDLE_MS	2000

/**
 * vbp_grow_holdoff() - how long the balloon does not grow after relief
 * @config: the tunables
 * @state: what is remembered
 * @sample: what is known now
 *
 * Return: milliseconds.
 */
u64 vbp_grow_holdoff(const struct vbp_policy_config *config,
		     const struct vbp_policy_state *state,
		     const struct vbp_policy_sample *sample)
{
	u64 holdoff = config->holdoff_ms;

	/*
	 * Who does nothing needs nothing now, however often that was wrong.
	 * Otherwise guests that took turns would soon give nothing any more, and
	 * their host would stay critical. But it was no program that needed its
	 * memory where the balloon itself went too far.
	 */
	if (sample->host_pressure < VBP_LEVEL_CRITICAL || !sample->idle ||
	    state->yield.yields)
		holdoff <<= state->backoff;
	/* The host's own need is a hint: it shortens the wait, never skips it. */
	holdoff = min_t(u64, holdoff, VBP_HOLDOFF_MS_MAX) >>
		  min_t(u32, sample->host_pressure, VBP_LEVEL_CRITICAL);
	return max_t(u64, holdoff, VBP_HOLDOFF_MS_MIN);
}

/* The balloon stops before the line at which relief would start again. */
static u64 vbp_grow_keep(const struct vbp_policy_config *config,
			 const struct vbp_policy_sample *sample)
{
	u64 reserve = vbp_size_reserve(config, sample);

	return max(reserve + reserve / 4, sample->bound_pages);
}

/*
 * Give the host what it has asked for since, as far as it is plainly free:
 * nobody's, and not page cache that was read a moment ago. For this there is
 * neither hold-off nor step, but a wait of its own.
 */
static bool vbp_grow_hand_over(const struct vbp_policy_config *config,
			       struct vbp_policy_state *state,
			       const struct vbp_policy_sample *sample,
			       struct vbp_policy_decision *decision)
{
	u64 keep = vbp_grow_keep(config, sample);
	u64 missing = vbp_size_target(sample) - sample->held_pages;
	u64 since = vbp_policy_since(sample->now_ms, state->relieved_ms);
	u64 wait = min_t(u64, (u64)VBP_HAND_MS << state->hand_backoff,
			 config->holdoff_ms);
	u64 plain;

	if (!state->asked)
		return false;
	wait = max_t(u64, wait, VBP_HAND_MS);
	if (since < wait) {
		vbp_policy_wake(decision, wait - since);
		return false;
	}
	plain = min(sample->free_pages, sample->headroom_pages);
	plain = min(plain, sample->available_pages);
	plain = min(plain - min(plain, keep), missing);
	if (plain < min_t(u64, missing, config->block_pages)) {
		vbp_policy_wake(decision, VBP_RETRY_MS);
		return false;
	}
	decision->inflate_pages = plain;
	state->handed = true;
	state->regrown = true;
	vbp_policy_wake(decision, VBP_REINFLATE_GAP_MS);
	return true;
}

/* What the balloon may grow by though nothing is to spare: see yield.c. */
static u64 vbp_grow_beyond(const struct vbp_policy_config *config,
			   struct vbp_policy_state *state,
			   const struct vbp_policy_sample *sample)
{
	if (!state->yield.yields &&
	    !vbp_yield_try(&state->yield, sample,
			   vbp_size_step(config, sample), config->holdoff_ms))
		return 0;
	return vbp_yield_room(&state->yield, sample);
}

/**
 * vbp_grow_by() - grow by a step, or by what the guest can spare of it
 * @config: the tunables
 * @state: what to remember
 * @sample: what is known now; the balloon is smaller than its target
 * @decision: its inflation and its wake-up are filled in
 * @step: pages
 */
void vbp_grow_by(const struct vbp_policy_config *config,
		 struct vbp_policy_state *state,
		 const struct vbp_policy_sample *sample,
		 struct vbp_policy_decision *decision, u64 step)
{
	u64 missing = vbp_size_target(sample) - sample->held_pages;
	u64 keep = vbp_grow_keep(config, sample);
	u64 spare = sample->available_pages -
		    min(sample->available_pages, keep);
	u64 worth = 1;

	/* Smaller gains are often CPUs' own free pages, and vanish again. */
	if (state->unreached)
		worth += min(missing, vbp_size_step(config, sample) / 2);
	if (spare < worth)
		spare = max(spare, vbp_grow_beyond(config, state, sample));
	if (state->yield.yields) {
		vbp_policy_wake(decision, VBP_YIELD_LOOK_MS);
	} else if (spare < worth) {
		state->unreached = true;
		decision->unreached = true;
		vbp_policy_wake(decision, VBP_RETRY_MS);
		return;
	}
	state->unreached = false;
	decision->inflate_pages = min(min(step, missing), spare);
	if (!decision->inflate_pages)
		return;
	state->regrown = true;
	if (state->relieved)
		vbp_policy_wake(decision, VBP_REINFLATE_GAP_MS);
}

/**
 * vbp_grow_step() - by how much the balloon grows again at a time
 * @config: the tunables
 * @sample: sizes are read from it
 *
 * Return: pages; at least a block.
 */
u64 vbp_grow_step(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample)
{
	return max_t(u64, vbp_size_share(config, sample) / 2,
		     config->block_pages);
}

/**
 * vbp_grow_on() - grow towards the target
 * @config: the tunables
 * @state: what to remember
 * @sample: what is known now; the balloon is smaller than its target
 * @decision: its inflation and its wake-up are filled in
 *
 * At once where the guest was never pressed, in steps after relief, and never so
 * far that the guest would be short afterwards.
 */
void vbp_grow_on(const struct vbp_policy_config *config,
		 struct vbp_policy_state *state,
		 const struct vbp_policy_sample *sample,
		 struct vbp_policy_decision *decision)
{
	u64 missing = vbp_size_target(sample) - sample->held_pages;
	u64 step = missing;

	if (!sample->elastic) {
		decision->inflate_pages = missing;
		return;
	}
	if (sample->now_ms < config->boot_ms) {
		vbp_policy_wake(decision, config->boot_ms - sample->now_ms);
		return;
	}
	if (state->relieved) {
		u64 holdoff = vbp_grow_holdoff(config, state, sample);
		u64 since = vbp_policy_since(sample->now_ms,
					     state->relieved_ms);
		u32 hurry;

		if (vbp_grow_hand_over(config, state, sample, decision))
			return;
		if (since < holdoff) {
			vbp_policy_wake(decision, holdoff - since);
			if (sample->host_pressure >= VBP_LEVEL_CRITICAL &&
			    state->backoff)
				vbp_policy_wake(decision, VBP_GROW_IDLE_MS);
			return;
		}
		since = vbp_policy_since(sample->now_ms, state->stepped_ms);
		if (since >= VBP_REINFLATE_GAP_MS) {
			step = vbp_grow_step(config, sample);
			/* A shift that does not fit would make it small again. */
			hurry = min_t(u32, sample->host_pressure,
				      VBP_LEVEL_CRITICAL);
			step = step > missing >> hurry ? missing : step << hurry;
			state->stepped_ms = sample->now_ms;
			state->step_end_pages = sample->held_pages + step;
			since = 0;
		}
		/* Pages come in by pieces: what is left of the step. */
		step = state->step_end_pages - min(state->step_end_pages,
						   sample->held_pages);
		if (!step) {
			vbp_policy_wake(decision, VBP_REINFLATE_GAP_MS - since);
			return;
		}
	}
	vbp_grow_by(config, state, sample, decision, step);
}
