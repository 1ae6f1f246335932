/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold. Bounds follow from the rules (H1 to H8 in the documentation)
 * and from the host's figures, not from what was measured.
 */
#ifndef VBP_HOST_MACHINE_VERDICT_H
#define VBP_HOST_MACHINE_VERDICT_H

#include "machine.h"

/*
 * What a guest has and never used is asked for by an eighth of its RAM in a
 * look; and there may be half a second between a period and a look.
 */
#define OWES_MS			(8 * (HOST_POLICY_PERIOD_MS + 500))
/* A stall or an event counts for no longer than this, and PSI is late. */
#define LEVEL_LASTS_MS	(2 * HOST_POLICY_PERIOD_MS + 2500)
/*
 * Below the reserve all guests together give a reserve's part of what they
 * have in a look: e-fold in twenty looks for a reserve of 5 %. Thrice that.
 */
#define HOST_SHORT_LOOKS	60

/* H8: what of the host's memory this guest alone may count on. */
static u64 promise_to(const struct machine *m, const struct vm *v)
{
	u64 free = host_free(m), spare = free - min(free, m->reserve / 2);
	u64 ram = ram_of(v);

	if (free < m->reserve / 4)
		return 0;
	spare = max((u64)((double)spare * ram / m->total), spare / 8);
	return min(free, max(spare, (u64)((double)ram / 32 *
			     min(free, m->reserve) / m->reserve)));
}

static void judge_decision(struct machine *m, const struct vm *v,
			   const HostPolicyDecision *before)
{
	const HostPolicyDecision *d = &v->decision;
	u64 least = min(v->config.size_min, v->sample.management);

	host_must(m, VERDICT_MINIMUM, d->target >= least, v, d->target, least);
	/* It may come from a size that management had asked for. */
	if (v->manager_at == NEVER)
		host_must(m, VERDICT_MINIMUM, size_of(v) + BLOCK >= least, v,
			  size_of(v), least);
	/*
	 * Less than before, and not because management asks for less. It is
	 * by whole blocks that a target is less than management's.
	 */
	if (v->sample.guest_level)
		host_must(m, VERDICT_PRESSED, !before->target ||
			  d->target + BLOCK > min(before->target,
						  v->sample.management), v,
			  d->target, before->target);
	if (m->source != SOURCE_HAND)
		host_must(m, VERDICT_LEVEL, !d->level ||
			  m->ms - m->free_low_ms <= LEVEL_LASTS_MS, v, d->level,
			  m->ms - m->free_low_ms);
}

/*
 * By so much it may grow until the next look: as was promised, in steps of a
 * 64th by which the floor moves, and always to its minimum.
 */
static u64 may_grow(const struct vm *v)
{
	u64 resident = v->look_resident * PAGE;

	return max(v->promised + ram_of(v) / 64,
		   v->config.size_min - min(v->config.size_min, resident));
}

/* At the last look it had more than that, and had not used it. */
static bool owes(const struct vm *v)
{
	return v->look_size > v->look_resident + may_grow(v) / PAGE;
}

/* It is asked for that from when it has done what it was told, and is calm. */
static void note_debt(const struct machine *m, struct vm *v)
{
	if (!owes(v) || v->s.d.level ||
	    size_of(v) > v->decision.target + BLOCK)
		v->owes_since = m->ms;
}

/*
 * The host has run out. Was it by guests that took no more than they were told
 * they could, and that, all together, was there when their QEMUs last looked?
 */
static void judge_burst(struct machine *m)
{
	u64 promised = 0, grown = 0, free = ~(u64)0;
	const struct vm *last = NULL;
	u32 i;

	for (i = 0; i < m->count; i++) {
		const struct vm *v = &m->vms[i];

		if (v->used + v->touched <= v->look_resident + MIB_PAGES)
			continue;
		/* It was not asked for all of that yet. */
		if (!v->looked || (owes(v) && m->ms - v->owes_since < OWES_MS))
			return;
		promised += may_grow(v);
		grown += (v->used + v->touched - v->look_resident) * PAGE;
		free = min(free, v->look_free);
		last = v;
	}
	/* Somebody else has: who has looked since, or the host's programs. */
	if (m->source == SOURCE_HAND || !last || grown < free ||
	    m->ms - m->base_moved_ms < 2 * HOST_POLICY_PERIOD_MS)
		return;
	/* The lower half of the reserve is nobody's: it is for renewals. */
	promised += m->reserve / 2;
	host_must(m, VERDICT_BURST, promised > free, last, mib(promised),
		  mib(free));
}

static void judge_memory(struct machine *m)
{
	int64_t left = host_left(m);

	if (left < (int64_t)m->reserve) {
		m->free_low_ms = m->ms;
		m->short_ms += m->tick_ms;
	}
	if (left < (int64_t)m->reserve * 3 / 2 || m->hand_level)
		m->giving_ms = m->ms;
	if (left <= 0 && !m->is_out) {
		tell(m, "host: nothing left");
		m->outs++;
		judge_burst(m);
	}
	m->is_out = left <= 0 || (m->is_out && left < (int64_t)m->low);
}

/* What the guest has done all it was told, and could still do. */
static u64 can_give(const struct vm *v)
{
	u64 size = size_of(v), keep = guest_reserve(&v->s.g) * 5 / 4;
	u64 available = available_pages(&v->s);
	u64 part;

	if (v->s.d.level || size > v->decision.target + BLOCK ||
	    size <= v->config.size_min || available <= keep)
		return 0;
	part = min(size - v->config.size_min, (available - keep) * PAGE);
	/* Of that, what the host would have of it. */
	return (u64)((double)part * resident_of(v) / size);
}

static void judge_short(struct machine *m)
{
	u64 most = HOST_SHORT_LOOKS * (u64)HOST_POLICY_PERIOD_MS;
	u64 sum = 0;
	u32 i;

	for (i = 0; i < m->count; i++)
		sum += can_give(&m->vms[i]);
	if (host_free(m) >= m->reserve || sum < m->total / 20) {
		m->calm_short_ms = 0;
		return;
	}
	m->calm_short_ms += 1000;
	host_must(m, VERDICT_SHORT, m->calm_short_ms <= most, NULL, mib(sum),
		  m->calm_short_ms);
}

/*
 * Of a calm host's free memory the rule gives this guest so much a second. If
 * that is twice all it can lack, it must lack nothing but what H8b asks for.
 */
static void judge_kept(struct machine *m, struct vm *v)
{
	u64 free = host_free(m), ram = ram_of(v), backed, a_look;

	/* In critical all goes at once: a moment in this second is enough. */
	if (m->ms - m->giving_ms < 1000) {
		v->credit = 0;
		return;
	}
	a_look = (u64)((double)ram * (free - m->reserve) / m->total / 4);
	/* With nobody to ask it melts at this rate. */
	if (m->source == SOURCE_HAND)
		a_look = min(a_look, ram / 32);
	v->credit += a_look * 1000 / HOST_POLICY_PERIOD_MS;
	if (v->credit < 2 * ram)
		return;
	backed = min(v->sample.resident + promise_to(m, v),
		     v->look_resident * PAGE + v->promised);
	backed = max(backed, v->config.size_min);
	backed = min(min(backed, ram), v->sample.management);
	/* It may have grown since, and not each look is one that counts. */
	v->kept_s = v->decision.target + ram / 8 < backed ? v->kept_s + 1 : 0;
	host_must(m, VERDICT_KEPT, v->kept_s <= 5, v, v->decision.target,
		  backed);
}

static void plot_now(struct machine *m);

static void judge_second(struct machine *m)
{
	u32 i;

	for (i = 0; i < m->count; i++) {
		struct vm *v = &m->vms[i];

		judge_kept(m, v);
		if (available_pages(&v->s) < v->s.m.min)
			m->wants_ms += 1000;
	}
	judge_short(m);
	plot_now(m);
}

/* Sum of the automatic parts. */
static u64 automatic_sum(const struct machine *m)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < m->count; i++)
		sum += m->vms[i].decision.automatic;
	return sum;
}

/* The same without what is asked for because it was never used (H8b). */
static u64 shares_sum(const struct machine *m)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < m->count; i++)
		sum += m->vms[i].state.share;
	return sum;
}

static u64 ram_sum(const struct machine *m)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < m->count; i++)
		sum += ram_of(&m->vms[i]);
	return sum;
}

/* Jain's index of what guests have beyond their minimum, each by its RAM. */
static double jain(const struct machine *m)
{
	double sum = 0, squares = 0;
	u32 i;

	for (i = 0; i < m->count; i++) {
		const struct vm *v = &m->vms[i];
		double x = (double)(v->decision.target - v->config.size_min) /
			   (ram_of(v) - v->config.size_min);

		sum += x;
		squares += x * x;
	}
	return squares > 0 ? sum * sum / m->count / squares : 1;
}

#endif /* VBP_HOST_MACHINE_VERDICT_H */
