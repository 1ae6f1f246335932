/* SPDX-License-Identifier: GPL-2.0-only */
/* One QEMU: what it sees of host and guest, and what it tells the guest. */
#ifndef VBP_HOST_MACHINE_VM_H
#define VBP_HOST_MACHINE_VM_H

#include "machine_memory.h"

/* The longest that the OOM notifier waits for the host's answer. */
#define OOM_WAIT_MS	1000
/* Page cache that fills all memory looks so often whether there is more. */
#define FILL_MS		1000

/* Called when the OOM notifier has found nothing to give back. */
static bool wait_for_host(struct simulation *s)
{
	struct vm *v = (struct vm *)s;

	/* On its way: the host asks for a smaller balloon. */
	if (s->g.s.held_pages > guest_target(&s->g))
		return true;
	if (!s->g.s.held_pages || guest_elastic(&s->g))
		return false;
	v->asked = true;
	if (v->waits_since == NEVER)
		v->waits_since = s->ms;
	if (s->ms - v->waits_since < OOM_WAIT_MS)
		return true;
	v->waits_since = NEVER;
	v->kills++;
	return false;
}

static void sample_vm(struct machine *m, struct vm *v)
{
	const struct simulation *s = &v->s;
	u64 backed = m->resident * PAGE;
	u64 resident = resident_of(v);

	/* What is swapped out is everybody's part of it. */
	if (m->swapped && backed)
		resident -= (u64)((double)resident * min(m->swapped, backed) /
				  backed);
	v->sample.now_ms = m->ms;
	v->sample.random = (u32)any(&m->chance);
	v->sample.total = m->total;
	v->sample.free = host_free(m);
	v->sample.source = m->source != SOURCE_HAND;
	v->sample.woken = m->woken;
	v->sample.some_us = m->shown_some_us;
	v->sample.full_us = m->shown_full_us;
	v->sample.event_level = m->event_level;
	v->sample.hand_level = m->source == SOURCE_HAND ? m->hand_level : 0;
	v->sample.hand_set_ms = m->ms;
	v->sample.negotiated = true;
	v->sample.size = size_of(v);
	v->sample.resident = min(resident, v->sample.size);
	v->sample.guest_level = s->d.level;
}

static void tell_guest(struct machine *m, struct vm *v)
{
	struct vbp_policy_sample *p = &v->s.g.s;

	p->target_pages = p->total_pages - v->decision.target / PAGE;
	p->floor_now_pages = v->decision.floor / PAGE;
	p->host_pressure = v->decision.level;
	v->s.ms = m->ms;
	kick_main(&v->s);
	/* What waits at the floor tries again. */
	if (guest_elastic(&v->s.g))
		v->waits_since = NEVER;
	v->due_at = m->ms;
}

static void tell_of_guest(const struct machine *m, const struct vm *v)
{
	tell(m, "guest 0: size %llu resident %llu level %u; host free %lld level %u",
	     (unsigned long long)mib(size_of(v)),
	     (unsigned long long)mib(resident_of(v)), v->s.d.level,
	     (long long)host_left(m) / (long long)MIB, v->decision.level);
	tell(m, "  target %llu, by its share %llu, backed %llu; floor %llu",
	     (unsigned long long)mib(v->decision.target),
	     (unsigned long long)mib(v->state.share),
	     (unsigned long long)mib(v->state.backed),
	     (unsigned long long)mib(v->decision.floor));
}

/* Something has happened that its QEMU looks at, or its time has come. */
static void decide_vm(struct machine *m, struct vm *v)
{
	HostPolicyDecision before = v->decision;
	int64_t look_ms = v->state.look_ms;

	sample_vm(m, v);
	host_policy_decide(&v->config, &v->state, &v->sample, &v->decision);
	v->asked = false;
	v->level_seen = v->s.d.level;
	v->size_seen = size_of(v);
	v->wake_at = v->decision.wake_ms ? m->ms + v->decision.wake_ms : NEVER;
	judge_decision(m, v, &before);
	if (v->state.look_ms != look_ms) {
		v->look_free = host_free(m);
		v->look_resident = v->used + v->touched;
		v->look_size = size_of(v) / PAGE;
		v->promised = promise_to(m, v);
		v->looked = true;
		note_debt(m, v);
	}
	if (m->trace && v == m->vms && v->state.look_ms != look_ms)
		tell_of_guest(m, v);
	if (v->decision.notify)
		tell_guest(m, v);
}

static void manage_vm(struct machine *m, struct vm *v)
{
	if (m->ms < v->manager_at)
		return;
	v->sample.management = share(ram_of(v), 16384 +
				     below(&m->chance, 49153));
	v->manager_at = m->ms + 10000 + below(&m->chance, 120000);
	v->asked = true;
	tell(m, "guest %u: %llu MiB are asked for", (u32)(v - m->vms),
	     (unsigned long long)mib(v->sample.management));
}

static bool vm_has_news(const struct vm *v)
{
	return v->asked || v->s.d.level != v->level_seen ||
	       size_of(v) != v->size_seen;
}

/* Files are read once, wherever there is memory to read them into. */
static u64 fill_cache(struct machine *m, struct vm *v)
{
	struct simulation *s = &v->s;
	u64 part = (u64)v->fills * m->tick_ms;

	if (!v->fills)
		return NEVER;
	if (free_pages(s) <= s->m.high + part)
		return m->ms + FILL_MS;
	s->m.stream += part;
	return m->ms;
}

/* The guest lives until now, if there is anything to live for. */
static void live_vm(struct machine *m, struct vm *v)
{
	struct simulation *s = &v->s;
	u64 ms, fill_at;

	if (m->ms < v->due_at)
		return;
	ms = m->ms + m->tick_ms - s->ms;
	fill_at = fill_cache(m, v);
	live_until(s, m->ms + m->tick_ms);
	back_guest(m, v, (u32)min_t(u64, ms, REPORT_MS));
	v->due_at = memory_moves(s) ? m->ms : min(next_event(s), fill_at);
	if (v->reporting && v->touched > MIB_PAGES)
		v->due_at = min(v->due_at, m->ms + REPORT_MS / 4);
	host_must(m, VERDICT_GUEST, !s->t.failed, v, 0, 0);
}

static void live_machine(struct machine *m, u64 end_ms)
{
	while (m->ms < end_ms && !m->failed) {
		u32 i;

		for (i = 0; i < m->count; i++)
			live_vm(m, &m->vms[i]);
		m->ms += m->tick_ms;
		live_host(m);
		for (i = 0; i < m->count; i++) {
			struct vm *v = &m->vms[i];

			manage_vm(m, v);
			if (m->woken || m->ms >= v->wake_at || vm_has_news(v))
				decide_vm(m, v);
		}
		if (m->ms % 1000 < m->tick_ms)
			judge_second(m);
	}
}

#endif /* VBP_HOST_MACHINE_VM_H */
