/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's memory: allocation, watermarks, kswapd, direct reclaim, swap, the
 * OOM killer, and page cache of which the kernel remembers what it evicted.
 *
 * Coarse where the policy can't see the difference: no generations. What is read
 * once goes before what is read again, and the oldest first.
 */
#ifndef VBP_SIMULATION_GUEST_H
#define VBP_SIMULATION_GUEST_H

#include "simulation.h"
#include "simulation_place.h"

/* simulation_driver.h */
static void driver_kswapd_wakes(struct simulation *s);
static void driver_scanned(struct simulation *s, u64 scanned);
static u64 driver_shrinks(struct simulation *s);
static u64 driver_out_of_memory(struct simulation *s);

#define KSWAPD_HOPELESS	16
#define RECLAIM_BATCH	128

static void set_watermarks(struct simulation *s)
{
	struct memory *m = &s->m;
	u64 total = s->g.s.total_pages;
	u64 root = 1;

	/* min_free_kbytes = 4 * sqrt(KiB), at most 256 MiB. */
	while (root * root < total * 4)
		root += 1 + root / 8;
	m->min = min(root, (u64)256 * MIB_PAGES);
	m->low = m->min + max(m->min / 4, total / 1000);
	m->high = m->low + max(m->min / 4, total / 1000);
}

/* The chunk that is read again last: the one just read, or any. */
static void evict_from_set(struct simulation *s, u64 nr_pages)
{
	struct file_set *set = &s->set;
	u32 at = set->random ? below(&s->chance, CHUNKS) : set->cursor;
	u32 i;

	for (i = 1; i <= CHUNKS && nr_pages; i++) {
		u32 chunk = (at + i) % CHUNKS;
		u32 part = (u32)min_t(u64, nr_pages,
					set->cached[chunk]);

		set->cached[chunk] -= part;
		set->evicted[chunk] += part;
		s->m.set_cached -= part;
		nr_pages -= part;
	}
}

/* How many of @nr_pages are taken from programs, who don't want to lose them. */
static u64 swap_part(struct simulation *s, u64 nr_pages)
{
	struct memory *m = &s->m;
	u64 room = m->swap_pages - m->swapped;
	u64 part = nr_pages * m->swap_taste / 256;

	/* As the kernel: file_is_tiny. */
	if (clean_pages(s) + free_pages(s) <= m->high || !clean_pages(s))
		part = nr_pages;
	return min(min(part, room), min(m->anon, m->swap_left));
}

/* A cache of which the kernel knows nothing, but that it can ask for pages. */
static u64 hoard_shrinks(struct simulation *s, u64 nr_pages)
{
	struct memory *m = &s->m;
	u64 part = min(m->hoard, nr_pages * m->hoard_yields / 256);

	m->hoard -= part;
	m->hoard_fallen += part;
	return part;
}

static bool hoard_is_full(const struct simulation *s)
{
	return s->m.hoard >= s->m.hoard_most ||
	       free_pages(s) <= s->m.hoard_least;
}

static void grow_hoard(struct simulation *s)
{
	struct memory *m = &s->m;

	if (hoard_is_full(s))
		return;
	m->hoard += min(min((u64)m->hoard_rate * s->step_ms,
			    m->hoard_most - m->hoard),
			free_pages(s) - m->hoard_least);
}

/* One round of a shrink_node(): pages freed, by it and by the shrinker. */
static u64 reclaim(struct simulation *s, u64 nr_pages)
{
	struct memory *m = &s->m;
	u64 hoard = hoard_shrinks(s, nr_pages);
	u64 swap = swap_part(s, nr_pages);
	u64 file = min(nr_pages - swap, clean_pages(s));
	u64 leak = min(file * m->leak / 256, m->set_cached);
	u64 stream = min(file - leak, m->stream - m->dirty);
	u64 set = file - stream;
	u64 freed = swap + file + hoard;

	m->anon -= swap;
	m->swapped += swap;
	/* What the kernel chooses by itself is cold; for want of others it isn't. */
	if (swap <= nr_pages / 2)
		m->cold += swap;
	m->swap_left -= swap;
	if (swap > nr_pages / 2 && guest_elastic(&s->g))
		m->needless_swapouts += swap;
	m->stream -= stream;
	evict_from_set(s, set);
	m->reclaimed += swap + file;
	driver_scanned(s, file + swap + swap / 2);
	freed += driver_shrinks(s);
	if (freed)
		m->hopeless = false;
	return freed;
}

static void wake_kswapd(struct simulation *s)
{
	if (s->m.kswapd || s->m.hopeless)
		return;
	s->m.kswapd = true;
	s->m.failures = 0;
	driver_kswapd_wakes(s);
}

/* A program is gone, or has let go of some: swapped pages as any others. */
static void release_anon(struct simulation *s, u64 nr_pages)
{
	struct memory *m = &s->m;
	u64 all = m->anon + m->swapped;
	u64 swapped = all ? share(m->swapped, (u32)(nr_pages * 65536 / all)) : 0;

	swapped = max(swapped, nr_pages - min(nr_pages, m->anon));
	m->swapped -= swapped;
	m->cold = min(m->cold, m->swapped);
	m->anon -= nr_pages - swapped;
}

/* Of what lies in the place; what was swapped out as well. */
static void release_bound(struct simulation *s, u64 nr_pages)
{
	struct place *p = &s->place;
	u64 swapped = min(nr_pages, p->swapped);
	u64 part = min(nr_pages - swapped, p->bound);

	p->swapped -= swapped;
	p->bound -= part;
	s->m.kernel -= part;
}

static void end_bound_program(struct simulation *s)
{
	release_bound(s, s->place.bound + s->place.swapped);
	s->place.goal = 0;
}

/* Whoever has most is killed; the page cache stays. */
static void kill_a_program(struct simulation *s)
{
	u64 elastic = guest_elastic(&s->g);
	struct load *fattest = NULL;
	u32 i;

	must(s, PROPERTY_KILLED, !elastic, elastic, 0);
	for (i = 0; i < s->load_count; i++)
		if (!fattest || s->loads[i].has > fattest->has)
			fattest = &s->loads[i];
	if (s->place.bound > (fattest ? fattest->has : 0)) {
		end_bound_program(s);
		return;
	}
	if (!fattest || !fattest->has)
		return;
	note(s, "killed: a program of %llu pages",
	     (unsigned long long)fattest->has);
	release_anon(s, fattest->has);
	fattest->has = 0;
	fattest->goal = 0;
}

/*
 * Below the min watermark a task reclaims for itself. Returns false if it can't
 * go on now: it waits for the device that swaps, or has been killed.
 */
static bool direct_reclaim(struct simulation *s)
{
	struct memory *m = &s->m;

	if (reclaim(s, RECLAIM_BATCH))
		return true;
	if (!m->swap_left && m->swapped < m->swap_pages)
		return false;
	if (driver_out_of_memory(s))
		return true;
	if (s->wait_for_host && s->wait_for_host(s))
		return false;
	kill_a_program(s);
	return false;
}

/* Up to @nr_pages for a program, however it gets them; how many it has got. */
static u64 allocate(struct simulation *s, u64 nr_pages)
{
	struct memory *m = &s->m;
	u64 got = 0;

	while (got < nr_pages) {
		u64 left = free_pages(s);
		u64 part;

		/* The pages are no one's yet: the caller accounts for them. */
		left -= min(left, got + kept_pages(s));
		if (left > m->low) {
			got += min(nr_pages - got, left - m->low);
			continue;
		}
		wake_kswapd(s);
		if (left > m->min) {
			part = min(nr_pages - got, left - m->min);
			got += min_t(u64, part, RECLAIM_BATCH);
			continue;
		}
		/* What was got must be safe from being counted as free. */
		m->kernel += got;
		if (!direct_reclaim(s)) {
			m->kernel -= got;
			break;
		}
		m->kernel -= got;
	}
	return got;
}

/* For the balloon: blocks from what is free, then pages, gently. */
static u64 allocate_gently(struct simulation *s, u64 nr_pages)
{
	struct memory *m = &s->m;
	u64 left = free_pages(s);
	u64 got = left > m->low ? min(nr_pages, left - m->low) : 0;

	if (got == nr_pages)
		return got;
	wake_kswapd(s);
	m->kernel += got;
	if (clean_pages(s) || s->m.hoard)
		reclaim(s, min(nr_pages - got, (u64)RECLAIM_BATCH));
	m->kernel -= got;
	left = free_pages(s);
	left -= min(left, got);
	if (left > m->min)
		got += min(nr_pages - got, left - m->min);
	return got;
}

/* For a disk that is slower than whoever writes to it. */
static void write_stream(struct simulation *s, u64 nr_pages)
{
	struct memory *m = &s->m;
	u64 most = share(free_pages(s) + cache_pages(s), m->dirty_most * 256);
	u64 got = allocate(s, min(nr_pages, most - min(most, m->dirty)));

	m->stream += got;
	m->dirty += got;
}

static void delete_stream(struct simulation *s)
{
	s->m.stream = 0;
	s->m.dirty = 0;
}

static void write_back(struct simulation *s)
{
	s->m.dirty -= min(s->m.dirty, (u64)s->m.write_rate * s->step_ms);
}

static void run_kswapd(struct simulation *s)
{
	struct memory *m = &s->m;
	u64 quota = (u64)m->kswapd_rate * s->step_ms;

	while (m->kswapd && quota) {
		u64 left = free_pages(s) - kept_pages(s);
		u64 part, freed;

		if (left >= m->high) {
			m->kswapd = false;
			break;
		}
		part = min(min(quota, m->high - left), (u64)RECLAIM_BATCH * 4);
		quota -= part;
		freed = reclaim(s, part);
		if (freed) {
			m->failures = 0;
		} else if (!m->swap_left && m->swapped < m->swap_pages) {
			break;		/* waits for the device */
		} else if (++m->failures >= KSWAPD_HOPELESS) {
			m->hopeless = true;
			m->kswapd = false;
		}
	}
}

/* Programs touch what was swapped out, as fast as the device gives it. */
static void swap_in(struct simulation *s)
{
	struct memory *m = &s->m;
	u64 want = min(min(m->swapped - m->cold, m->swap_left),
		       (u64)m->swap_rate * s->step_ms / 4);
	u64 got = want ? allocate(s, want) : 0;

	m->swap_left -= min(got, m->swap_left);
	got = min(got, m->swapped - m->cold);
	m->swapped -= got;
	m->anon += got;
	m->refaults += got;
}

static void start_chunk(struct simulation *s)
{
	struct file_set *set = &s->set;

	set->cursor = set->random ? below(&s->chance, CHUNKS) :
				    (set->cursor + 1) % CHUNKS;
	set->hits_left = set->cached[set->cursor];
	set->misses_left = set->chunk_pages - set->hits_left;
}

/* All of it is cached: reading changes nothing. */
static bool set_is_quiet(const struct simulation *s)
{
	return !s->set.reading || s->m.set_cached == s->set.pages;
}

static void read_set(struct simulation *s)
{
	struct file_set *set = &s->set;
	u64 left = s->step_ms * 1000;		/* microseconds */
	u64 part, got, again;

	if (set_is_quiet(s)) {
		set->read += (u64)set->hit_rate * s->step_ms;
		return;
	}
	while (left) {
		if (!set->hits_left && !set->misses_left)
			start_chunk(s);
		part = min(set->hits_left, left * set->hit_rate / 1000);
		set->hits_left -= part;
		set->read += part;
		left -= min(left, part * 1000 / set->hit_rate);
		if (set->hits_left)
			break;
		part = min(set->misses_left, left * set->disk_rate / 1000);
		if (!part) {
			if (set->misses_left)
				break;
			continue;
		}
		got = allocate(s, part);
		again = min_t(u64, got, set->evicted[set->cursor]);
		set->evicted[set->cursor] -= again;
		set->cached[set->cursor] += got;
		s->m.set_cached += got;
		s->m.refaults += again;
		set->read += got;
		set->misses_left -= got;
		if (got < part)
			break;
		left -= min(left, max(part * 1000 / set->disk_rate, (u64)1));
	}
}

#endif /* VBP_SIMULATION_GUEST_H */
