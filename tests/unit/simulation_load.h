/* SPDX-License-Identifier: GPL-2.0-only */
/* What goes on in the guest, and what its host does: scripts from a seed. */
#ifndef VBP_SIMULATION_LOAD_H
#define VBP_SIMULATION_LOAD_H

#include "simulation_driver.h"

static u64 between(struct simulation *s, u64 least, u64 most)
{
	return most > least ? least + below(&s->chance,
					    (u32)(most - least + 1)) : least;
}

static bool takes_memory(const struct load *l)
{
	return l->kind == LOAD_BURST || l->kind == LOAD_SLOW ||
	       l->kind == LOAD_ALTERNATE;
}

/* So many ms from now the load goes on to its next phase. */
static u64 turn_memory(struct simulation *s, struct load *l)
{
	if (l->kind == LOAD_ALTERNATE) {
		l->goal = l->on ? l->size : 0;
		return l->on ? l->busy_ms : l->idle_ms;
	}
	l->goal = l->on ? share(l->size, below(&s->chance, 65537)) : 0;
	/* Once in a while it does not go, but shrinks. */
	if (!l->on && one_in(&s->chance, 4))
		l->goal = l->has / 2;
	return l->on ? l->goal / l->rate + between(s, 100, 20000) :
		       between(s, 100, 200000);
}

static u64 turn_reader(struct simulation *s, struct load *l)
{
	if (l->kind == LOAD_SET)
		s->set.reading = l->on;
	else if (!l->on && one_in(&s->chance, 2))
		delete_stream(s);
	/* One that never ends. */
	if (!l->busy_ms)
		return NEVER - s->ms;
	return l->on ? between(s, 1000, l->busy_ms) :
		       between(s, 1000, l->idle_ms);
}

static void turn_load(struct simulation *s, struct load *l)
{
	static const char * const names[] = {
		"burst", "slow growth", "alternation", "stream", "set", "cgroup"
	};
	u64 ms;

	if (s->ms < l->next_at)
		return;
	l->on = !l->on;
	if (takes_memory(l))
		ms = turn_memory(s, l);
	else if (l->kind == LOAD_CGROUP)
		ms = between(s, 100, 60000);
	else
		ms = turn_reader(s, l);
	l->next_at = s->ms + ms;
	note(s, "%s: %s for %llu ms, goal %llu", names[l->kind],
	     l->on ? "on" : "off", (unsigned long long)ms,
	     (unsigned long long)l->goal);
}

static void run_memory(struct simulation *s, struct load *l)
{
	u64 got;

	if (l->has > l->goal) {
		release_anon(s, l->has - l->goal);
		l->has = l->goal;
	} else if (l->has < l->goal) {
		got = allocate(s, min(l->goal - l->has,
				      (u64)l->rate * s->step_ms));
		l->has += got;
		s->m.anon += got;
	}
}

/* Who has taken memory works on it. */
static bool load_is_busy(const struct load *l)
{
	return takes_memory(l) ? l->goal : l->on;
}

static void run_load(struct simulation *s, struct load *l)
{
	if (load_is_busy(l))
		s->busy_ms = s->ms;
	if (takes_memory(l))
		run_memory(s, l);
	else if (!l->on)
		return;
	else if (l->kind == LOAD_STREAM && s->m.write_rate)
		write_stream(s, (u64)l->rate * s->step_ms);
	else if (l->kind == LOAD_STREAM)
		s->m.stream += allocate(s, (u64)l->rate * s->step_ms);
	else if (l->kind == LOAD_SET)
		read_set(s);
	else
		s->m.refaults += (u64)l->refault_rate * s->step_ms;
}

static bool load_is_quiet(const struct simulation *s, const struct load *l)
{
	if (takes_memory(l))
		return l->has == l->goal;
	if (!l->on)
		return true;
	/* A cgroup's counters need no small steps, only steps. */
	return l->kind == LOAD_SET && set_is_quiet(s);
}

static void move_host(struct simulation *s)
{
	struct vbp_policy_sample *p = &s->g.s;

	if (!s->host.moves || s->ms < s->host.next_at)
		return;
	switch (below(&s->chance, 6)) {
	case 0:
		p->floor_pages = share(p->total_pages,
				       below(&s->chance, 65537));
		break;
	case 1:
		p->floor_pages = 0;
		break;
	case 2:		/* the host is critical: the floor follows down */
		p->floor_pages = min(p->floor_pages, p->held_pages);
		break;
	case 3:
		p->host_pressure = one_in(&s->chance, 8) ?
			(u32)any(&s->chance) : below(&s->chance, 4);
		break;
	default:
		p->target_pages = one_in(&s->chance, 8) ? any(&s->chance) :
			share(p->total_pages, below(&s->chance, 65537));
		break;
	}
	note(s, "host: target %llu floor %llu pressure %u",
	     (unsigned long long)p->target_pages,
	     (unsigned long long)p->floor_pages, p->host_pressure);
	s->host.next_at = s->ms + between(s, 1, one_in(&s->chance, 4) ?
						500 : 300000);
	kick_main(s);
}

static void step_clock(struct simulation *s)
{
	u64 step = between(s, 1, 4000000);

	if (s->ms < s->clock_step_at)
		return;
	if (one_in(&s->chance, 2))
		s->clock_offset += step;
	else
		s->clock_offset -= min(step, s->clock_offset);
	note(s, "clock: now %llu",
	     (unsigned long long)(s->ms + s->clock_offset));
	s->clock_step_at = s->ms + between(s, 1000, 1000000);
}

/* Nothing more happens but what the balloon does. */
static void end_loads(struct simulation *s)
{
	u32 i;

	for (i = 0; i < s->load_count; i++) {
		struct load *l = &s->loads[i];

		l->on = false;
		l->goal = 0;
		l->next_at = NEVER;
	}
	end_bound(s);
	s->set.reading = false;
	s->host.moves = false;
	s->clock_step_at = NEVER;
	note(s, "the end of all loads");
}

/* Everything that moves memory by itself; false if none of it does. */
static bool memory_moves(const struct simulation *s)
{
	u32 i;

	if (!bound_is_quiet(s) || !hoard_is_full(s) || s->m.kswapd ||
	    s->m.swapped > s->m.cold || s->m.dirty ||
	    (s->d.busy && !s->d.busy_until))
		return true;
	for (i = 0; i < s->load_count; i++)
		if (!load_is_quiet(s, &s->loads[i]))
			return true;
	return false;
}

/* When something happens next though nothing moves. */
static u64 next_event(const struct simulation *s)
{
	u64 next = min(s->d.main_at, s->d.relief_at);
	u32 i;

	for (i = 0; i < s->load_count; i++)
		next = min(next, s->loads[i].next_at);
	if (s->place.kind)
		next = min(next, s->place.next_at);
	if (s->host.moves)
		next = min(next, s->host.next_at);
	if (s->d.busy && s->d.busy_until)
		next = min(next, s->d.busy_until);
	return min(next, s->clock_step_at);
}

static void one_step(struct simulation *s)
{
	u32 i;

	s->m.swap_left = (u64)s->m.swap_rate * s->step_ms;
	run_driver(s);
	for (i = 0; i < s->load_count; i++) {
		turn_load(s, &s->loads[i]);
		run_load(s, &s->loads[i]);
	}
	turn_bound(s);
	run_bound(s);
	swap_in(s);
	grow_hoard(s);
	write_back(s);
	run_kswapd(s);
	record_step(s);
	move_host(s);
	step_clock(s);
}

static void live_until(struct simulation *s, u64 end_ms)
{
	while (s->ms < end_ms && !s->t.failed) {
		u64 next;

		one_step(s);
		next = s->ms + s->step_ms;
		if (!memory_moves(s))
			next = max(s->ms + 1, next_event(s));
		s->ms = min(next, end_ms);
	}
}

#endif /* VBP_SIMULATION_LOAD_H */
