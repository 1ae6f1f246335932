/* SPDX-License-Identifier: GPL-2.0-only */
/* Which hosts there are, with what in their guests. */
#ifndef VBP_HOST_MACHINE_WORLDS_H
#define VBP_HOST_MACHINE_WORLDS_H

#include "machine_vm.h"

#define MINUTE	((u64)60000)
#define MANY	1000u		/* guests: in larger steps of time */

static u64 drawn(struct machine *m, u64 least, u64 most)
{
	return least + (u64)((any(&m->chance) >> 11) *
			     (double)(most - least + 1) / ((u64)1 << 53));
}

/* A guest that has just booted; page cache fills what is left by and by. */
static void draw_vm(struct machine *m, struct vm *v, u64 ram, u64 size_min)
{
	struct simulation *s = &v->s;

	memset(v, 0, sizeof(*v));
	s->seed = m->seed;
	s->chance = any(&m->chance) | 1;
	s->world = m->world;
	s->g = new_guest(&s->t);
	s->g.t = &s->t;
	s->step_ms = m->tick_ms;
	s->ms = m->ms;
	s->clock_step_at = NEVER;
	s->r.steps_clock = NEVER;
	s->wait_for_host = wait_for_host;
	s->g.config.boot_ms = 0;
	s->g.s.total_pages = ram / PAGE;
	s->g.s.held_pages = 0;
	s->g.s.target_pages = 0;
	set_watermarks(s);
	s->m.kernel = s->g.s.total_pages / 32;
	s->m.anon = s->g.s.total_pages / 32;
	s->m.swap_rate = 32;
	s->m.kswapd_rate = (u32)drawn(m, 128, 512);
	v->fills = one_in(&m->chance, 4) ? 0 : (u32)drawn(m, 8, 64);
	s->d.has_hook = s->d.has_kswapd = true;
	s->d.has_shrinker = s->d.has_sampler = true;
	s->d.latency_ms = below(&m->chance, 4);
	s->d.inflate_rate = (u32)drawn(m, 64, 1024);
	s->d.main_at = s->d.relief_at = NEVER;
	v->reuse = (u32)drawn(m, 128, 256);
	v->waits_since = NEVER;
	v->due_at = m->ms;
	v->wake_at = m->ms + below(&m->chance, HOST_POLICY_PERIOD_MS);
	v->config.ram = ram;
	v->config.has_size_min = true;
	v->config.size_min = size_min;
	v->config.reserve = m->reserve;
	v->config.hand_timeout_ms = MINUTE;
	v->sample.management = ram;
	v->manager_at = NEVER;
	v->size_seen = ram;
	back_guest(m, v, 0);
}

/* @over: of 16, how much RAM all guests have for all that the host has. */
static void draw_machine(struct machine *m, u32 over)
{
	u64 ram = GIB << below(&m->chance, 4);
	u64 sum = ram * m->count;
	u64 part = drawn(m, 2, min(8u, 10 * 16 / over));
	u32 i;

	m->total = sum / over * 16;
	m->reserve = m->total / (one_in(&m->chance, 2) ? 20 : 10);
	m->base = m->base_goal = m->total / 20;
	m->total += m->base;
	m->low = m->total / 100;
	m->out = m->total / 250;
	m->base_rate = (u32)(m->total / drawn(m, 4000, 40000));
	m->base_next_at = NEVER;
	m->source = below(&m->chance, SOURCE_COUNT);
	m->noisy = one_in(&m->chance, 4);
	m->tick_ms = m->count < MANY ? 20 : 100;
	m->vms = calloc(m->count, sizeof(*m->vms));
	if (!m->vms)
		abort();
	for (i = 0; i < m->count; i++)
		draw_vm(m, &m->vms[i], ram, ram * part / 16);
	tell(m, "%s: %u guests of %llu MiB, at least %llu; host %llu MiB, reserve %llu, source %u",
	     m->world, m->count, (unsigned long long)mib(ram),
	     (unsigned long long)mib(m->vms[0].config.size_min),
	     (unsigned long long)mib(m->total),
	     (unsigned long long)mib(m->reserve), m->source);
}

/* A manager's levels are on and off, and late: nothing comes to rest. */
static void leave_to_source(struct machine *m)
{
	if (m->source == SOURCE_HAND)
		m->source = SOURCE_PSI;
}

/* So much for good: programs that keep what they have. */
static void use(struct vm *v, u64 pages)
{
	struct load *l = add_load(&v->s, LOAD_BURST);

	l->goal = pages;
	l->size = pages;
	l->rate = 256;
	l->next_at = NEVER;
}

static struct load *add_job(struct machine *m, struct vm *v, u64 most_rate)
{
	struct load *l = add_load(&v->s, LOAD_BURST);
	u64 pages = v->s.g.s.total_pages;

	l->next_at = m->ms + drawn(m, 0, MINUTE);
	l->size = pages * drawn(m, 20, 85) / 100;
	l->rate = (u32)drawn(m, 16, most_rate);
	return l;
}

static void end_machine(struct machine *m)
{
	u32 i;

	for (i = 0; i < m->count; i++) {
		end_loads(&m->vms[i].s);
		m->vms[i].due_at = m->ms;
	}
	m->base_next_at = NEVER;
	m->base_goal = m->total / 20;
}

/* Jobs that come and go; beside them page cache that fills and is missed. */
static void host_with_jobs(struct machine *m)
{
	u32 i;

	draw_machine(m, (u32)drawn(m, 14, 40));
	if (one_in(&m->chance, 3)) {
		m->swap_total = m->total / 2;
		m->swap_rate = drawn(m, 50, 1000) * 1000;
	}
	if (one_in(&m->chance, 3)) {
		m->base_most = m->total / 5;
		m->base_next_at = drawn(m, 0, 60000);
	}
	for (i = 0; i < m->count; i++) {
		struct vm *v = &m->vms[i];
		u64 pages = v->s.g.s.total_pages;

		v->reporting = one_in(&m->chance, 4);
		if (one_in(&m->chance, 8))
			v->manager_at = drawn(m, 0, 60000);
		if (one_in(&m->chance, 3))
			v->s.m.swap_pages = pages / 4;
		if (!one_in(&m->chance, 8))
			add_job(m, v, 512);
		if (one_in(&m->chance, 8)) {
			struct load *l = add_load(&v->s, LOAD_STREAM);

			l->rate = (u32)drawn(m, 13, 128);
			l->busy_ms = 20000;
			l->next_at = m->ms + drawn(m, 0, MINUTE);
		} else if (one_in(&m->chance, 8)) {
			choose_set(&v->s, pages * drawn(m, 10, 60) / 100);
			add_load(&v->s, LOAD_SET)->next_at =
				m->ms + drawn(m, 0, MINUTE);
			v->s.loads[v->s.load_count - 1].busy_ms = 10000;
		}
	}
	live_machine(m, drawn(m, 2, 8) * MINUTE);
	end_machine(m);
	live_machine(m, m->ms + 2 * MINUTE);
}

/* Sums at each second: how far they moved, and how often up and down again. */
struct tide {
	u64 least, most;	/* since the watch began */
	u64 low, high;		/* since the last turn */
	bool rising;
	u32 waves;
};

static void watch_tide(struct machine *m, struct tide *t, u64 end_ms)
{
	u64 some = ram_sum(m) / 50;

	t->least = t->low = t->high = automatic_sum(m);
	t->most = t->least;
	while (m->ms < end_ms && !m->failed) {
		u64 sum;

		live_machine(m, min(m->ms + 1000, end_ms));
		sum = automatic_sum(m);
		t->least = min(t->least, sum);
		t->most = max(t->most, sum);
		t->low = t->rising ? t->low : min(t->low, sum);
		t->high = t->rising ? max(t->high, sum) : t->high;
		if (t->rising && sum + some < t->high) {
			t->rising = false;
			t->waves++;
			t->low = sum;
		} else if (!t->rising && sum > t->low + some) {
			t->rising = true;
			t->high = sum;
		}
	}
}

/* What each guest needs stays as it is: so must the rest, after a while. */
static void host_at_rest(struct machine *m)
{
	struct tide first = {}, then = {};
	u64 slack;
	u32 i;

	draw_machine(m, (u32)drawn(m, 12, 40));
	leave_to_source(m);
	for (i = 0; i < m->count; i++) {
		struct vm *v = &m->vms[i];
		u64 least = v->config.size_min / PAGE;

		/* Some of them more than their share. */
		use(v, drawn(m, least / 8, one_in(&m->chance, 4) ?
			     2 * least : least / 2));
	}
	/* Until all page cache is there, that is no constant load. */
	live_machine(m, m->ms + 5 * MINUTE);
	watch_tide(m, &first, m->ms + 10 * MINUTE);
	watch_tide(m, &then, m->ms + (m->count < MANY ? 60 : 20) * MINUTE);
	/* One that needs more than its share tries by a step after a hold-off. */
	slack = m->count * BLOCK + ram_sum(m) / 100 + ram_of(m->vms) / 40;
	host_must(m, VERDICT_OSCILLATION, then.most - then.least <= slack, NULL,
		  mib(then.least), mib(then.most));
	host_must(m, VERDICT_WAVES, first.waves + then.waves <= 1, NULL,
		  first.waves, then.waves);
}

/* Half of the guests come when the others have been shrunk already. */
static void host_with_newcomers(struct machine *m)
{
	u32 count, i;

	m->count += m->count & 1;
	m->count = max(m->count, 2u);
	draw_machine(m, (u32)drawn(m, 18, 36));
	leave_to_source(m);
	for (i = 0; i < m->count; i++) {
		use(&m->vms[i], m->vms[i].config.size_min / PAGE / 4);
		m->vms[i].fills = 32;
	}
	count = m->count;
	m->count /= 2;
	for (i = m->count; i < count; i++)
		m->resident -= m->vms[i].used + m->vms[i].touched;
	m->base_goal = m->total / 2;
	live_machine(m, m->ms + 5 * MINUTE);
	m->base = m->base_goal = m->total / 20;
	for (i = m->count; i < count; i++) {
		struct vm *v = &m->vms[i];

		m->resident += v->used + v->touched;
		v->s.ms = m->ms;
		v->due_at = m->ms;
		v->wake_at = m->ms + below(&m->chance, HOST_POLICY_PERIOD_MS);
	}
	m->count = count;
	live_machine(m, m->ms + 10 * MINUTE);
	m->jain = jain(m);
	host_must(m, VERDICT_UNFAIR, m->jain >= 0.95, NULL,
		  (u64)(m->jain * 1000), 950);
}

/* After a quiet time some guests want much, at once. */
static void host_with_bursts(struct machine *m)
{
	u32 rounds = (u32)drawn(m, 1, 4);
	u32 i;

	draw_machine(m, (u32)drawn(m, 16, 40));
	for (i = 0; i < m->count; i++)
		add_job(m, &m->vms[i], 1024)->next_at = NEVER;
	while (rounds-- && !m->failed) {
		bool fits = one_in(&m->chance, 2);
		u64 sum = 0;

		live_machine(m, m->ms + drawn(m, 60000, 120000));
		for (i = 0; i < m->count; i++) {
			struct vm *v = &m->vms[i];

			if (fits && sum + v->promised > host_free(m))
				break;
			if (!fits && one_in(&m->chance, 2))
				continue;
			sum += v->promised;
			v->s.loads[0].goal = v->s.loads[0].size;
			v->due_at = m->ms;
			v->s.ms = m->ms;
		}
		live_machine(m, m->ms + 20000);
		end_machine(m);
	}
	live_machine(m, m->ms + 10000);
}

static void live_alike(struct machine *m, u32 count, u64 ram, u32 over)
{
	u32 i;

	m->count = count;
	m->total = ram / over * 16;
	m->reserve = m->total / 20;
	m->base = m->base_goal = m->total / 4;
	m->base_next_at = NEVER;
	m->low = m->total / 100;
	m->out = m->total / 250;
	m->tick_ms = count < MANY ? 20 : 100;
	m->vms = calloc(count, sizeof(*m->vms));
	if (!m->vms)
		abort();
	for (i = 0; i < count; i++) {
		draw_vm(m, &m->vms[i], ram / count, ram / count / 4);
		use(&m->vms[i], ram / count / 16 / PAGE);
		m->vms[i].fills = (u32)max(64 / count, 1u);
	}
}

/* How much in four looks all guests get of what a program lets go. */
static u64 shares_grow(struct machine *m)
{
	u64 before = shares_sum(m);

	m->base = m->base_goal = m->total / 20;
	live_machine(m, m->ms + 4 * HOST_POLICY_PERIOD_MS);
	return shares_sum(m) - min(shares_sum(m), before);
}

/* The same memory, in few guests and in many. */
static void host_of_few_or_many(struct machine *m)
{
	u32 few = max(m->count / 4, 1u), over = (u32)drawn(m, 18, 36);
	struct machine other = *m;
	u64 ram = few * (8 * GIB);
	u64 minutes, a_look, few_get, many_get;
	u32 i;

	live_alike(m, few, ram, over);
	live_alike(&other, 4 * few, ram, over);
	for (minutes = 10; minutes <= 20 && !m->failed; minutes += 10) {
		u64 a, b;

		live_machine(m, minutes * MINUTE);
		live_machine(&other, minutes * MINUTE);
		a = automatic_sum(m);
		b = automatic_sum(&other);
		host_must(m, VERDICT_NUMBER,
			  max(a, b) - min(a, b) <= ram / 25, NULL, mib(a),
			  mib(b));
	}
	/* Any of them may have looked once more, or once less. */
	a_look = (u64)((double)ram / m->total * m->total / 5 / 4);
	few_get = shares_grow(m);
	many_get = shares_grow(&other);
	host_must(m, VERDICT_NUMBER,
		  max(few_get, many_get) - min(few_get, many_get) <= a_look,
		  NULL, mib(few_get), mib(many_get));
	if (other.failed && !m->failed) {
		m->failed = true;
		memcpy(m->why, other.why, sizeof(m->why));
	}
	for (i = 0; i < VERDICT_COUNT; i++)
		m->looked[i] += other.looked[i];
	m->ms += other.ms;
	free(other.vms);
}

static const struct host_world {
	const char *name;
	void (*live)(struct machine *m);
} host_worlds[] = {
	{ "jobs", host_with_jobs },
	{ "jobs", host_with_jobs },
	{ "bursts", host_with_bursts },
	{ "rest", host_at_rest },
	{ "newcomers", host_with_newcomers },
	{ "few or many", host_of_few_or_many },
};

#endif /* VBP_HOST_MACHINE_WORLDS_H */
