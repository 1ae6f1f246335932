// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy's trial the other way: whether missed memory would be missed more
 * without some of what the guest has.
 *
 * Where nothing can be given back, nothing can be tried by giving. But a miss
 * that memory does not help against is no need, and must not keep the balloon
 * from growing for ever. So the rate of refaults is measured for a hold-off; a
 * step goes in; and when all of it is in, the rate is measured for a hold-off
 * once more. If it has risen by a quarter, the guest gets the step back, and
 * the next trial waits as after any that failed. If not, the next step is twice
 * as large. Each is compared with the rate before the first of them, or many
 * small rises would go unseen.
 *
 * When the balloon has got to its target like that, giving back is as good as
 * tried: a trial to give waits, too.
 */
#include "policy.h"

/* Larger rates are not told apart, so that products fit. */
#define VBP_REVERSE_RATE_BITS	40

static void vbp_reverse_begin(struct vbp_refault_state *state,
			      enum vbp_reverse_phase phase)
{
	state->reverse.phase = phase;
	state->reverse.began_ms = state->window_ms;
	state->reverse.began_counted = state->counted;
}

static u64 vbp_reverse_elapsed(const struct vbp_refault_state *state)
{
	return state->window_ms - state->reverse.began_ms;
}

static u64 vbp_reverse_counted(const struct vbp_refault_state *state)
{
	return state->counted - state->reverse.began_counted;
}

static u64 vbp_reverse_rate(const struct vbp_refault_state *state)
{
	u64 ms = vbp_reverse_elapsed(state);
	u64 counted = min_t(u64, vbp_reverse_counted(state),
			    (u64)1 << VBP_REVERSE_RATE_BITS);

	return div_u64(counted * 1000, (u32)clamp_t(u64, ms, 1, 1u << 31));
}

/* As soon as it is certain: more have been missed than may in all the time. */
static bool vbp_reverse_worse(const struct vbp_refault_state *state,
			      u32 holdoff_ms)
{
	u64 rate = state->reverse.base_rate + state->reverse.base_rate / 4;
	u64 ms = max_t(u64, vbp_reverse_elapsed(state), holdoff_ms);

	ms = min_t(u64, ms, 1u << 23);
	return vbp_reverse_counted(state) > div_u64(rate * ms, 1000);
}

/* Twice the last, but in the long run no faster than a step a second. */
static u64 vbp_reverse_next_step(const struct vbp_reverse_state *reverse,
				 const struct vbp_policy_sample *sample,
				 u64 step, u32 holdoff_ms)
{
	u32 most = max_t(u32, holdoff_ms / 1000, 1);
	u64 next = min(reverse->step_pages, sample->total_pages / 2) * 2;

	if (step < div_u64(sample->total_pages, most))
		next = min(next, step * most);
	return next;
}

/* What is wanted can't be had, or is no help: the other trials' wait begins. */
static enum vbp_reverse vbp_reverse_end(struct vbp_refault_state *state,
					const struct vbp_policy_sample *sample,
					u32 holdoff_ms)
{
	state->reverse.phase = VBP_REVERSE_NONE;
	vbp_refault_fail(state, sample->now_ms, holdoff_ms);
	return VBP_REVERSE_WAIT;
}

static enum vbp_reverse vbp_reverse_take(struct vbp_refault_state *state,
					 const struct vbp_policy_sample *sample,
					 u32 holdoff_ms)
{
	struct vbp_reverse_state *reverse = &state->reverse;
	u64 target = vbp_size_target(sample);

	if (sample->held_pages >= target)
		return vbp_reverse_end(state, sample, holdoff_ms);
	reverse->held_pages = sample->held_pages;
	reverse->end_pages = sample->held_pages +
			     min(reverse->step_pages,
				 target - sample->held_pages);
	vbp_reverse_begin(state, VBP_REVERSE_DURING);
	return VBP_REVERSE_TAKE;
}

/**
 * vbp_reverse_look() - one look at a trial the other way
 * @state: after vbp_refault_look(); vbp_refault_wants() is true
 * @sample: what is known now
 * @step: pages that the first step takes
 * @holdoff_ms: so long the rate is measured, before and after
 * @may_grow: the hold-off after the last relief is over
 *
 * Return: what to do now.
 */
enum vbp_reverse vbp_reverse_look(struct vbp_refault_state *state,
				  const struct vbp_policy_sample *sample,
				  u64 step, u32 holdoff_ms, bool may_grow)
{
	struct vbp_reverse_state *reverse = &state->reverse;
	u64 end = min(reverse->end_pages, vbp_size_target(sample));
	bool measured = reverse->phase != VBP_REVERSE_NONE &&
			vbp_reverse_elapsed(state) >= holdoff_ms;

	/* What there is has not been used up: too early to tell. */
	if (reverse->phase == VBP_REVERSE_BEFORE &&
	    sample->headroom_pages >= step)
		reverse->phase = VBP_REVERSE_NONE;
	switch (reverse->phase) {
	case VBP_REVERSE_NONE:
		vbp_reverse_begin(state, VBP_REVERSE_BEFORE);
		return VBP_REVERSE_WAIT;
	case VBP_REVERSE_BEFORE:
		if (!measured || !may_grow)
			return VBP_REVERSE_WAIT;
		reverse->base_rate = vbp_reverse_rate(state);
		reverse->step_pages = step;
		return vbp_reverse_take(state, sample, holdoff_ms);
	case VBP_REVERSE_DURING:
		/* What evicts pages now is the step itself. */
		if (sample->held_pages < end && !measured)
			return VBP_REVERSE_TAKE;
		vbp_reverse_begin(state, VBP_REVERSE_AFTER);
		return VBP_REVERSE_WAIT;
	case VBP_REVERSE_AFTER:
		break;
	}
	if (vbp_reverse_worse(state, holdoff_ms)) {
		/* Who may give only a part leaves it to the next. */
		if (sample->limit_pages < sample->held_pages &&
		    sample->held_pages - sample->limit_pages >
		    reverse->held_pages)
			return VBP_REVERSE_WAIT;
		vbp_reverse_end(state, sample, holdoff_ms);
		reverse->lost = true;
		return VBP_REVERSE_BACK;
	}
	if (!measured)
		return VBP_REVERSE_WAIT;
	reverse->step_pages = vbp_reverse_next_step(reverse, sample, step,
						    holdoff_ms);
	return vbp_reverse_take(state, sample, holdoff_ms);
}

/**
 * vbp_reverse_denies() - is the guest known to need what it has?
 * @state: after vbp_refault_look(); vbp_refault_wants() is false
 *
 * Return: true from a trial the other way that was lost until the next.
 */
bool vbp_reverse_denies(const struct vbp_refault_state *state)
{
	return state->thrash && state->reverse.lost;
}

/**
 * vbp_reverse_asks() - may the host have to let its floor sink?
 * @state: after vbp_reverse_look()
 * @holdoff_ms: as there
 *
 * What is missed again after a trial is not asked for again.
 *
 * Return: true for a hold-off.
 */
bool vbp_reverse_asks(const struct vbp_refault_state *state, u32 holdoff_ms)
{
	return state->reverse.phase == VBP_REVERSE_BEFORE && !state->fails &&
	       vbp_reverse_elapsed(state) < holdoff_ms;
}
