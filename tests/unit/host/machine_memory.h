/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's memory. What a guest uses is backed; what its balloon takes is
 * not; of what it has free only what it has used before, and has not reported.
 */
#ifndef VBP_HOST_MACHINE_MEMORY_H
#define VBP_HOST_MACHINE_MEMORY_H

#include "machine_verdict.h"

/* Reporting begins two seconds after memory was freed. */
#define REPORT_MS	2000
/* PSI's totals are brought up to date so often. */
#define PSI_SHOWN_MS	2000

/* What the guest did since this was asked last. */
static void back_guest(struct machine *m, struct vm *v, u32 ms)
{
	const struct simulation *s = &v->s;
	u64 free = free_pages(s);
	u64 gone = s->g.s.held_pages + s->m.inflight + s->m.leaving;
	u64 used = s->g.s.total_pages - gone - free;
	u64 before = v->used + v->touched;
	u64 free_before = s->g.s.total_pages - v->gone - v->used;

	/* The balloon takes from free memory as it comes. */
	if (gone > v->gone && free_before)
		v->touched -= min(v->touched, (gone - v->gone) * v->touched /
				  free_before);
	if (used < v->used)
		v->touched += v->used - used;
	else
		v->touched -= min(v->touched,
				  (used - v->used) * v->reuse / 256);
	if (v->reporting)
		v->touched -= v->touched * min(ms, (u32)REPORT_MS) / REPORT_MS;
	v->touched = min(v->touched, free);
	v->used = used;
	v->gone = gone;
	m->resident += v->used + v->touched - before;
}

static void move_base(struct machine *m)
{
	u64 step = (u64)m->base_rate * m->tick_ms;

	if (m->ms >= m->base_next_at) {
		m->base_goal = share(m->base_most, below(&m->chance, 65537));
		m->base_next_at = m->ms + 10000 + below(&m->chance, 300000);
		tell(m, "host: programs go to %llu MiB",
		     (unsigned long long)mib(m->base_goal));
	}
	if (m->base < m->base_goal) {
		m->base += min(step, m->base_goal - m->base);
		m->base_moved_ms = m->ms;
	} else {
		m->base -= min(step, m->base - m->base_goal);
	}
}

/* Programs touch what was swapped out, and reclaim swaps out. */
static void swap_host(struct machine *m)
{
	u64 most = m->swap_rate * m->tick_ms;
	u64 part = min(m->swapped / 200 * m->tick_ms / 1000, most);
	int64_t left = host_left(m);

	if (left > (int64_t)m->low * 2) {
		m->swapped -= part;
	} else if (left < (int64_t)m->low) {
		part = min(most, (u64)((int64_t)m->low - left));
		m->swapped += min(part, m->swap_total - m->swapped);
	}
}

static void stall(struct machine *m)
{
	int64_t left = host_left(m);
	u64 us = (u64)m->tick_ms * 1000;

	if (m->noisy && m->ms / 30000 % 2)
		m->some_us += us / 4;
	if (left < (int64_t)m->low)
		m->some_us += us / 2;
	if (left < (int64_t)m->out) {
		m->some_us += us / 2;
		m->full_us += us / 4;
	}
	if (m->ms >= m->show_at) {
		m->shown_some_us = m->some_us;
		m->shown_full_us = m->full_us;
		m->show_at += PSI_SHOWN_MS;
	}
}

static bool trigger_fires(struct machine *m)
{
	if (m->ms >= m->window_end) {
		m->window_end = m->ms + HOST_POLICY_PERIOD_MS;
		m->window_us = m->some_us;
		m->fired = false;
	}
	if (m->fired || m->some_us - m->window_us < HOST_POLICY_SOME_US)
		return false;
	m->fired = true;
	return true;
}

static u32 level_of(const struct machine *m, u64 free)
{
	return free < m->reserve / 4 ? 3 : free < m->reserve / 2 ? 2 :
	       free < m->reserve;
}

/* PSI's trigger fires, v1 sends an event, or a manager has looked. */
static void wake_sources(struct machine *m)
{
	int64_t left = host_left(m);

	m->woken = false;
	m->event_level = 0;
	if (m->source == SOURCE_PSI) {
		m->woken = trigger_fires(m);
	} else if (m->source == SOURCE_EVENTS && left < (int64_t)m->low &&
		   m->ms >= m->event_at) {
		m->woken = true;
		m->event_at = m->ms + 500;
		m->event_level = left < (int64_t)m->out / 2 ? 3 :
				 left < (int64_t)m->out ? 2 : 1;
	} else if (m->source == SOURCE_HAND && m->ms >= m->hand_at) {
		m->hand_level = level_of(m, host_free(m));
		m->hand_at = m->ms + 5000;
		m->woken = true;
	}
}

static void live_host(struct machine *m)
{
	move_base(m);
	if (m->swap_total)
		swap_host(m);
	stall(m);
	wake_sources(m);
	judge_memory(m);
}

#endif /* VBP_HOST_MACHINE_MEMORY_H */
