/* SPDX-License-Identifier: GPL-2.0-only */
/* Hosts whose lives are drawn: see tools/simulation. */
#ifndef VBP_HOST_MACHINE_PLOT_H
#define VBP_HOST_MACHINE_PLOT_H

#include "machine_worlds.h"

static double gib(u64 bytes)
{
	return (double)bytes / GIB;
}

static int by_size(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Of many guests, what a twentieth have at most, a half, and all but one. */
static void plot_sizes(struct machine *m)
{
	u64 *sizes = calloc(m->count, sizeof(*sizes));
	u32 i;

	if (!sizes)
		abort();
	for (i = 0; i < m->count; i++)
		sizes[i] = size_of(&m->vms[i]);
	qsort(sizes, m->count, sizeof(*sizes), by_size);
	fprintf(m->plot, " %.4f %.4f %.4f", gib(sizes[m->count / 20]),
		gib(sizes[m->count / 2]), gib(sizes[m->count - m->count / 20]));
	free(sizes);
}

/* A line: hours, free, reserve, level, automatic sum, and sizes or guests. */
static void plot_now(struct machine *m)
{
	u32 level = 0, i;

	if (!m->plot || m->ms < m->plot_at)
		return;
	m->plot_at = m->ms + m->plot_every;
	for (i = 0; i < m->count; i++)
		level = max(level, m->vms[i].decision.level);
	fprintf(m->plot, "%.5f %.4f %.4f %u %.4f", m->ms / 3600000.0,
		gib(host_free(m)), gib(m->reserve), level,
		gib(automatic_sum(m)));
	if (m->count > 10)
		plot_sizes(m);
	for (i = 0; i < m->count && m->count <= 10; i++) {
		const struct vm *v = &m->vms[i];

		fprintf(m->plot, " %.4f %.4f %.4f", gib(size_of(v)),
			gib(v->decision.target),
			gib((v->s.m.anon + v->s.m.kernel) * PAGE));
	}
	fputc('\n', m->plot);
}

/* Guests of 4 GiB, at least 1; a host of half of that, 5 % in reserve. */
static void make_host(struct machine *m, u32 count)
{
	u32 i;

	m->count = count;
	m->world = "plot";
	m->total = count * (4 * GIB) / 2;
	m->reserve = m->total / 20;
	m->base = m->base_goal = m->total / 20;
	m->base_next_at = NEVER;
	m->low = m->total / 100;
	m->out = m->total / 250;
	m->tick_ms = count < MANY ? 20 : 100;
	m->vms = calloc(count, sizeof(*m->vms));
	if (!m->vms)
		abort();
	for (i = 0; i < count; i++)
		draw_vm(m, &m->vms[i], 4 * GIB, GIB);
}

/* Each guest works for some hours of its own, and now and then otherwise. */
static void live_a_day(struct machine *m)
{
	u64 minutes;
	u32 i;

	for (i = 0; i < m->count; i++)
		add_job(m, &m->vms[i], 128)->next_at = NEVER;
	for (minutes = 0; minutes < 24 * 60 && !m->failed; minutes += 10) {
		for (i = 0; i < m->count; i++) {
			struct load *l = &m->vms[i].s.loads[0];
			u64 hour = (minutes / 60 + 24 - i * 2) % 24;
			u32 part = hour < 7 ? (u32)drawn(m, 30000, 65536) :
				   one_in(&m->chance, 6) ? 20000 : 0;

			if (!one_in(&m->chance, 3))
				continue;
			l->goal = share(m->vms[i].s.g.s.total_pages * 8 / 10,
					part);
			m->vms[i].s.ms = m->ms;
			m->vms[i].due_at = m->ms;
		}
		live_machine(m, m->ms + 10 * MINUTE);
	}
}

static void live_an_hour(struct machine *m)
{
	u32 i;

	for (i = 0; i < m->count; i++)
		add_job(m, &m->vms[i], 128)->size =
			m->vms[i].s.g.s.total_pages * drawn(m, 10, 50) / 100;
	live_machine(m, 60 * MINUTE);
}

static int plot_host(const char *kind, const char *file)
{
	struct machine m = { .seed = 1, .only = NEVER,
			     .chance = 0x9e3779b97f4a7c15ull };
	bool many = !strcmp(kind, "many");

	if (!many && strcmp(kind, "ten")) {
		fprintf(stderr, "error: ten or many, not %s\n", kind);
		return 2;
	}
	m.plot = fopen(file, "w");
	if (!m.plot) {
		perror(file);
		return 1;
	}
	m.plot_every = many ? 10000 : 180000;
	make_host(&m, many ? 10000 : 10);
	if (many)
		live_an_hour(&m);
	else
		live_a_day(&m);
	if (m.failed)
		puts(m.why);
	free(m.vms);
	return fclose(m.plot) || m.failed;
}

#endif /* VBP_HOST_MACHINE_PLOT_H */
