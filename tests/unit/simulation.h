/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A simulated life of a guest with a balloon: hours of it in milliseconds. The
 * policy is the real one; its guest, its driver, its host and what they do are
 * drawn from a seed. This is what they share, and the properties they look at.
 *
 *	simulation_guest.h	memory: who has it, who loses it
 *	simulation_place.h	a node, or what the kernel can use: its part of that
 *	simulation_bound.h	who may have memory of that part only
 *	simulation_driver.h	when the policy is asked, and what is done then
 *	simulation_load.h	programs, and the host
 *	simulation_verdict.h	what must hold over a whole life
 *	simulation_worlds.h	which lives there are
 */
#ifndef VBP_SIMULATION_H
#define VBP_SIMULATION_H

#include "policy_chance.h"
#include "policy_check.h"

/* As in driver/engine/. */
#define VBP_WATCH_MS		20
#define VBP_EPISODE_MS		1000
#define VBP_PIECE_PAGES		(64 * MIB_PAGES)
#define VBP_HOOK_PAGES		(128 * MIB_PAGES)
#define VBP_HOOK_KSWAPD_PAGES	(512 * MIB_PAGES)
/* As in driver/policy/: it is the promise that is written down here. */
#define PROMISED_BACKOFF	6
#define PROMISED_RETRY_MS	5000
#define PROMISED_HAND_MS	2000
/* As vbp_cpus_are_idle(), with a look every second. */
#define IDLE_AFTER_MS		1000
#define PROMISED_HANDED_MS	10000
/* So long unnamed memory may stay as it is while reclaim runs. */
#define PROMISED_YIELD_MS	200
/* A step that follows the last so soon is doubled, up to so many times. */
#define PROMISED_STREAK_MS	50
#define PROMISED_STREAK		3
/* Times the hold-off: the longest without a trial, after many in vain. */
#define PROMISED_PAUSE	16
/* That are no help; the next may take nearly all of the balloon. */
#define PROMISED_TRIALS	4

#define NEVER		(~(u64)0)
#define CHUNKS		64
#define LOADS_MAX	3

/* What is looked for. */
enum property {
	PROPERTY_INVARIANT,
	PROPERTY_FLOOR,
	PROPERTY_KILLED,
	PROPERTY_SHORT,
	PROPERTY_SWAPPED,
	PROPERTY_HOLDOFF,
	PROPERTY_STEPS,
	PROPERTY_STREAM,
	PROPERTY_CGROUP,
	PROPERTY_MISSED,
	PROPERTY_REFUSED,
	PROPERTY_TRIED,
	PROPERTY_KEPT,
	PROPERTY_CHASED,
	PROPERTY_GROWING,
	PROPERTY_VOLUME,
	PROPERTY_STUCK,
	PROPERTY_UNREACHED,
	PROPERTY_HANDED,
	PROPERTY_RESTLESS,
	PROPERTY_BOUND_KILLED,
	PROPERTY_BOUND_SHORT,
	PROPERTY_BOUND_SWAPPED,
	PROPERTY_DRAINED,
	PROPERTY_NO_HELP,
	PROPERTY_TOO_MUCH,
	PROPERTY_BESIDE,
	PROPERTY_COUNT
};

/* As it is told when it fails. */
static const char * const property_texts[PROPERTY_COUNT] = {
	[PROPERTY_INVARIANT] = "a decision breaks an invariant",
	[PROPERTY_FLOOR] = "the guest took pages below the floor",
	[PROPERTY_KILLED] = "an allocation failed while elastic pages were left",
	[PROPERTY_SHORT] = "the guest stays short while elastic pages are left",
	[PROPERTY_SWAPPED] = "memory is swapped out while elastic pages are left",
	[PROPERTY_HOLDOFF] = "the balloon grows within the hold-off",
	[PROPERTY_STEPS] = "the balloon grows faster than by steps after relief",
	[PROPERTY_STREAM] = "a stream alone is taken for need",
	[PROPERTY_CGROUP] = "a cgroup at its own limit is taken for need",
	[PROPERTY_MISSED] = "a set of files that fits goes on missing pages",
	[PROPERTY_REFUSED] = "what never fits keeps the balloon from growing",
	[PROPERTY_TRIED] = "more is given than a trial may take",
	[PROPERTY_KEPT] = "memory that is no help is kept beyond the hold-off",
	[PROPERTY_CHASED] = "a periodic load is chased too often",
	[PROPERTY_GROWING] = "a periodic load is chased more and more",
	[PROPERTY_VOLUME] = "too many pages go to and fro",
	[PROPERTY_STUCK] = "the balloon does not get to its target",
	[PROPERTY_UNREACHED] = "a target that can be reached is not",
	[PROPERTY_HANDED] = "what is plainly free is not handed over",
	[PROPERTY_RESTLESS] = "a guest at rest has a timer, a watch or a level",
	[PROPERTY_BOUND_KILLED] = "a bound allocation failed while elastic pages lie there",
	[PROPERTY_BOUND_SHORT] = "a place stays short while elastic pages lie there",
	[PROPERTY_BOUND_SWAPPED] = "a place swaps while elastic pages lie there",
	[PROPERTY_DRAINED] = "a place is left less than it is to keep",
	[PROPERTY_NO_HELP] = "pages are given back that do not help the place",
	[PROPERTY_TOO_MUCH] = "a place is given more than it needs",
	[PROPERTY_BESIDE] = "a place that is used up keeps the balloon from the rest",
};

/* The guest's memory is total = all of these but the swapped, and free. */
struct memory {
	u64 kernel;
	u64 inflight;		/* allocated for the balloon, not held yet */
	u64 leaving;		/* no longer held, not free yet */
	u64 anon;
	u64 stream;		/* page cache, read or written once */
	u64 dirty;		/* of that: has to be written before it can go */
	u64 set_cached;		/* page cache, read again and again */
	u64 hoard;		/* a cache that no counter names */
	u64 swapped;
	u64 cold;		/* of the swapped: nobody touches them */
	u64 swap_pages;

	u64 min, low, high;	/* watermarks */
	bool kswapd;
	bool hopeless;
	u32 failures;

	/* The device that swaps takes so many pages a ms; kswapd frees so many. */
	u32 swap_rate;
	u32 kswapd_rate;
	u64 swap_left;		/* of this step */
	u32 swap_taste;		/* of 256 reclaimed: swapped, though there is cache */
	u32 dirty_most;		/* of 256 of what could be: more is not written */
	u32 write_rate;		/* pages a ms that the disk writes */
	u64 hoard_most;
	u64 hoard_least;	/* so much it leaves free */
	u32 hoard_rate;		/* pages a ms that it grows by */
	u32 hoard_yields;	/* of 256 reclaimed: its; 0: it keeps what it has */
	u64 kept;		/* that programs leave to the kernel */
	u32 leak;		/* of 256 reclaimed: of the set, though there is a stream */

	/* Counters, as the kernel's. */
	u64 refaults;
	u64 reclaimed;
	u64 hoard_fallen;
	u64 needless_swapouts;	/* nothing else was left but elastic pages */
};

/* Which memory, where it is not the same everywhere. */
enum where {
	ANYWHERE,
	HERE,			/* in the place */
	ELSEWHERE,
};

enum place_kind {
	PLACE_NONE,		/* memory is the same everywhere */
	PLACE_NODE,		/* one of two, and a program is bound to it */
	PLACE_KERNEL,		/* all that the kernel itself can use */
};

/* Its part of what struct memory has in sums. */
struct part {
	u64 total;
	u64 kernel;		/* since boot */
	u64 used;		/* by anybody else, and not page cache */
	u64 cache;
	u64 held, inflight, leaving;

	u64 min, low, high;
	u64 kept;
};

/* Who is bound to it can have memory of no other part. */
struct place {
	enum place_kind kind;
	struct part here, elsewhere;
	u64 bound;		/* that lies here; the kernel's in the sums */
	u32 taste;		/* of 256 pages others want: from here */
	enum where asked;	/* a hook knows its node */
	enum where shortest;

	bool kswapd;
	bool hopeless;
	u32 failures;

	u64 chance;
	bool on;
	bool stays;		/* when all other loads end */
	u64 next_at;
	u64 goal;
	u32 rate;
	u64 swapped;		/* of what is bound; it has swap of its own */
	u64 swap_pages;

	u64 needless_swapouts;
	u64 short_ms;
	u64 given_ms;		/* when there was relief, anywhere */
	u64 rescued_ms;		/* for an allocation that had failed; 0: never */
};

/* A set of files, read in a loop or at random; the oldest chunk goes first. */
struct file_set {
	u64 pages;		/* 0: there is none */
	bool reading;
	bool random;
	u32 disk_rate;		/* pages a ms */
	u32 hit_rate;
	u32 chunk_pages;
	u32 cursor;
	u64 hits_left;		/* in the chunk at the cursor */
	u64 misses_left;
	u64 read;		/* all that was ever read */
	u32 cached[CHUNKS];
	u32 evicted[CHUNKS];
};

/* The engine's works and what they remember. */
struct driver {
	bool has_hook, has_kswapd, has_shrinker, has_sampler;
	bool must_tell;
	u32 latency_ms;		/* until a work runs, at most */
	u32 inflate_rate;	/* pages a ms */
	u32 tell_ms;
	u64 hook_scanned;
	bool sign;
	bool reclaim_seen;
	u64 relief_at;		/* NEVER: not pending */
	u64 main_at;
	bool busy;		/* the main work inflates, or waits for the host */
	u64 busy_until;
	u64 piece_pages;
	u64 piece_done;
	u32 wake_ms;
	struct vbp_policy_retry retry;
	u32 level;
	u64 wanted;
	bool unreached;
	u64 episode_pages;
	u64 episode_last_ms;
};

enum load_kind {
	LOAD_BURST,		/* memory taken quickly, held, dropped */
	LOAD_SLOW,		/* and slowly */
	LOAD_ALTERNATE,		/* at a fixed period */
	LOAD_STREAM,
	LOAD_SET,
	LOAD_CGROUP,		/* the counters move, and nothing else */
	LOAD_KINDS
};

struct load {
	enum load_kind kind;
	bool on;
	u64 next_at;
	u64 goal;		/* what it would have */
	u64 has;
	u64 size;		/* at most */
	u32 rate;		/* pages a ms */
	u32 busy_ms, idle_ms;
	u32 refault_rate;
};

struct host {
	bool moves;
	u64 next_at;
};

/* What was seen: for what only a history shows. */
struct record {
	u64 clock;		/* the policy's, at the last question */
	u64 relief_pages;
	u64 trial_pages;	/* of that, since the balloon grew */
	u64 trial_most;	/* what it may take, as known when it began */
	u64 growth_pages;
	u64 regrowth_pages;	/* of that, after a relief */
	u64 target_pages;	/* the host's, at the last question */
	u32 raises;		/* times that it was more than before */
	bool asked;		/* it was, and the balloon was not there yet */
	bool reached;		/* the balloon has been there since it was */
	bool handed;		/* since the last relief it got some of that */
	u32 hand_fails;		/* times that this was needed again at once */
	u32 chases;		/* reliefs that took back what had grown again */
	u32 excused;		/* of them: it was idle, and the host critical */
	bool excuse;		/* it has grown like that since the last relief */
	u32 yield_trials;	/* times that unnamed memory began to count */
	bool yields;		/* it does */
	u64 yields_clock;	/* when it last did; 0: never */
	u32 needs;		/* times that the guest began to need memory */
	u32 level_most;
	u32 hurry_most;		/* of the host, since the steps began */
	bool relieved;		/* at all */
	bool regrown;		/* since the last relief */
	bool recovering;	/* relieved, and not at the target again since */
	u64 relieved_clock;
	u64 relieved_ms;
	u64 steps_clock;	/* when steps began after relief; NEVER: not yet */
	u64 steps_pages;	/* and at what size */
	u64 short_ms;
};

struct simulation {
	struct policy_test t;
	struct guest g;
	struct memory m;
	struct place place;
	struct file_set set;
	struct driver d;
	struct load loads[LOADS_MAX];
	u32 load_count;
	struct host host;
	struct record r;
	const char *world;
	u64 seed;
	u64 chance;
	u64 ms;
	u64 busy_ms;		/* when its CPUs had something to do */
	u64 clock_offset;
	u64 clock_step_at;
	u64 end_ms;
	u32 step_ms;
	bool must_return;	/* what was given back: the world is like that */
	/* Out of memory at a floor that is the host's for a moment: wait? */
	bool (*wait_for_host)(struct simulation *s);
	bool trace;
	u64 looked[PROPERTY_COUNT];
};

static u64 free_pages(const struct simulation *s)
{
	const struct memory *m = &s->m;

	return s->g.s.total_pages - s->g.s.held_pages - m->kernel -
	       m->inflight - m->leaving - m->anon - m->stream -
	       m->set_cached - m->hoard;
}

static u64 cache_pages(const struct simulation *s)
{
	return s->m.stream + s->m.set_cached;
}

static u64 clean_pages(const struct simulation *s)
{
	return cache_pages(s) - s->m.dirty;
}

/* As vbp_memory_can_go(). */
static u64 available_pages(const struct simulation *s)
{
	u64 all = free_pages(s) + clean_pages(s);

	return all - min(all, s->m.high + s->m.kept) + s->m.leaving;
}

static void note(const struct simulation *s, const char *format, ...)
{
	va_list args;

	if (!s->trace)
		return;
	printf("%9llu.%03llu s ", (unsigned long long)s->ms / 1000,
	       (unsigned long long)s->ms % 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void describe(const struct simulation *s, char *text, size_t size)
{
	const struct vbp_policy_sample *p = &s->g.s;

	snprintf(text, size,
		 "%s at %llu ms: total %llu held %llu target %llu floor %llu free %llu (low %llu) available %llu reserve %llu anon %llu swapped %llu stream %llu set %llu of %llu level %u",
		 s->world, (unsigned long long)s->ms,
		 (unsigned long long)p->total_pages,
		 (unsigned long long)p->held_pages,
		 (unsigned long long)p->target_pages,
		 (unsigned long long)p->floor_pages,
		 (unsigned long long)free_pages(s),
		 (unsigned long long)s->m.low,
		 (unsigned long long)available_pages(s),
		 (unsigned long long)guest_reserve(&s->g),
		 (unsigned long long)s->m.anon,
		 (unsigned long long)s->m.swapped,
		 (unsigned long long)s->m.stream,
		 (unsigned long long)s->m.set_cached,
		 (unsigned long long)s->set.pages, s->d.level);
}

/* @a and @b are the two figures that were compared, for the message. */
static void must(struct simulation *s, enum property which, bool holds,
		 u64 a, u64 b)
{
	char state[400];

	s->looked[which]++;
	if (holds || s->t.failed)
		return;
	s->t.failed = true;
	describe(s, state, sizeof(state));
	snprintf(s->t.why, sizeof(s->t.why), "%s (%llu, %llu): %s",
		 property_texts[which], (unsigned long long)a,
		 (unsigned long long)b, state);
}

static u64 holdoff_least(const struct simulation *s)
{
	return guest_holdoff(&s->g);
}

/* The longest hold-off there can be after so many reliefs that failed. */
static u64 holdoff_after(const struct simulation *s, u32 times)
{
	u64 holdoff = (u64)s->g.config.holdoff_ms <<
		      min(times, (u32)PROMISED_BACKOFF);

	holdoff = min_t(u64, holdoff, VBP_HOLDOFF_MS_MAX) >>
		  min(s->g.s.host_pressure, (u32)VBP_LEVEL_CRITICAL);
	return max_t(u64, holdoff, HOLDOFF_LEAST_MS);
}

#endif /* VBP_SIMULATION_H */
