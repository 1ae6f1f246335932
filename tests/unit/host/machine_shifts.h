/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The day of `make demo-host`, by the model: four guests of 768 MiB that take
 * turns, on a host with half of their memory. A change of either policy can be
 * tried here in a second. It says which of two is better, and not how good.
 */
#ifndef VBP_HOST_MACHINE_SHIFTS_H
#define VBP_HOST_MACHINE_SHIFTS_H

#include "machine_worlds.h"

#define SHIFT_MS	((u64)20000)	/* a pause, then memory, then a file */
#define SHIFTS_DAY_MS	(3 * SHIFT_MS)
#define SHIFTS_STEP_MS	100
#define SHIFTS_GUESTS	4
#define SHIFTS_RAM	(768 * MIB)
#define SHIFTS_MEMORY	(500 * MIB / PAGE)
#define SHIFTS_FILE	(300 * MIB / PAGE)

struct shifts {
	u64 memory, memory_of;	/* pages that were there, of those worked on */
	u64 file, file_of;	/* pages read, of what a cached file gives */
};

static void hire(struct machine *m, struct vm *v)
{
	struct simulation *s = &v->s;
	struct load *l;

	draw_vm(m, v, SHIFTS_RAM, SHIFTS_RAM / 3);
	s->m.kernel = 60 * MIB / PAGE;
	s->m.anon = 40 * MIB / PAGE;
	s->m.swap_pages = 512 * MIB / PAGE;
	s->m.swap_rate = 25;
	s->m.kswapd_rate = 256;
	s->d.inflate_rate = 400;
	v->fills = 0;
	choose_set(s, SHIFTS_FILE);
	s->set.random = false;
	s->set.disk_rate = 51;		/* 200 MiB a second */
	s->set.hit_rate = 260;
	l = add_load(s, LOAD_BURST);
	l->size = SHIFTS_MEMORY;
	l->rate = 80;
	l->next_at = NEVER;
	add_load(s, LOAD_SET)->next_at = NEVER;
	back_guest(m, v, 0);
}

static void turn_shift(struct machine *m, struct vm *v, u64 at_ms)
{
	struct simulation *s = &v->s;
	u64 goal = at_ms / SHIFT_MS == 1 ? SHIFTS_MEMORY : 0;
	bool reads = at_ms / SHIFT_MS == 2;

	s->set.read = 0;
	if (s->loads[0].goal == goal && s->set.reading == reads)
		return;
	s->loads[0].goal = goal;
	s->loads[1].on = s->set.reading = reads;
	s->ms = v->due_at = m->ms;
}

static void count_work(const struct simulation *s, struct shifts *sum)
{
	u64 whole = (u64)s->set.hit_rate * SHIFTS_STEP_MS;

	sum->memory_of += s->loads[0].goal;
	if (s->loads[0].goal)
		sum->memory += s->loads[0].has - min(s->loads[0].has, s->m.swapped);
	if (s->set.reading) {
		sum->file_of += whole;
		sum->file += set_is_quiet(s) ? whole : s->set.read;
	}
}

static int live_shifts(const char *title, u64 total)
{
	struct machine m = { .seed = 1, .only = NEVER, .tick_ms = 20,
			     .chance = 0x9e3779b97f4a7c15ull,
			     .world = "shifts", .count = SHIFTS_GUESTS,
			     .total = total, .reserve = total / 20,
			     .low = total / 200, .out = total / 500,
			     .base_next_at = NEVER, .source = SOURCE_PSI };
	struct shifts sum = {};
	u64 kills = 0, ms;
	u32 i;

	m.vms = calloc(m.count, sizeof(*m.vms));
	if (!m.vms)
		abort();
	for (i = 0; i < m.count; i++)
		hire(&m, &m.vms[i]);
	for (ms = 0; ms < 10 * SHIFTS_DAY_MS && !m.failed;
	     ms += SHIFTS_STEP_MS) {
		for (i = 0; i < m.count; i++)
			turn_shift(&m, &m.vms[i],
				   (ms + i * SHIFTS_DAY_MS / SHIFTS_GUESTS) %
				   SHIFTS_DAY_MS);
		live_machine(&m, m.ms + SHIFTS_STEP_MS);
		for (i = 0; i < m.count && ms >= SHIFTS_DAY_MS; i++)
			count_work(&m.vms[i].s, &sum);
	}
	for (i = 0; i < m.count; i++)
		kills += m.vms[i].kills;
	printf("shifts, %s: %.0f %% of the programs' memory is there, ",
	       title, 100.0 * sum.memory / max(sum.memory_of, (u64)1));
	printf("files are read at %.0f %% of the cache's speed, %llu killed\n",
	       100.0 * sum.file / max(sum.file_of, (u64)1),
	       (unsigned long long)kills);
	if (m.failed)
		puts(m.why);
	free(m.vms);
	return m.failed;
}

static int print_shifts(void)
{
	return live_shifts("memory for all", SHIFTS_GUESTS * SHIFTS_RAM * 2) |
	       live_shifts("half of it", SHIFTS_GUESTS * SHIFTS_RAM / 2);
}

#endif /* VBP_HOST_MACHINE_SHIFTS_H */
