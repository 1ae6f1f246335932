/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A simulated host: guests as ../simulation.h has them, with the real guest
 * policy in each, and the real host policy in the QEMU of each. This is what
 * they share, and what is looked for.
 *
 *	machine_memory.h	the host's memory: stalls, events, swap
 *	machine_vm.h		one QEMU: when the policy is asked, what is done then
 *	machine_verdict.h	what must hold
 *	machine_worlds.h	which hosts there are
 */
#ifndef VBP_HOST_MACHINE_H
#define VBP_HOST_MACHINE_H

#include "simulation_worlds.h"
#include "qemu/osdep.h"
#include "host-pressure-policy.h"

#define MIB	((u64)1 << 20)
#define GIB	((u64)1 << 30)
#define PAGE	((u64)4096)
#define BLOCK	(2 * MIB)	/* by which targets move */

enum verdict {
	VERDICT_GUEST,
	VERDICT_MINIMUM,
	VERDICT_PRESSED,
	VERDICT_LEVEL,
	VERDICT_WAVES,
	VERDICT_OSCILLATION,
	VERDICT_UNFAIR,
	VERDICT_SHORT,
	VERDICT_KEPT,
	VERDICT_NUMBER,
	VERDICT_BURST,
	VERDICT_COUNT
};

static const char * const verdict_texts[VERDICT_COUNT] = {
	[VERDICT_GUEST] = "a guest's own policy breaks a promise",
	[VERDICT_MINIMUM] = "a guest is smaller than its minimum",
	[VERDICT_PRESSED] = "a guest under pressure is shrunk",
	[VERDICT_LEVEL] = "a level although there is memory to spare",
	[VERDICT_WAVES] = "automatic parts rise and fall together again and again",
	[VERDICT_OSCILLATION] = "automatic parts do not come to rest",
	[VERDICT_UNFAIR] = "guests that want alike do not get alike",
	[VERDICT_SHORT] = "the host stays short while calm guests hold memory",
	[VERDICT_KEPT] = "the host is calm and guests are kept small",
	[VERDICT_NUMBER] = "the reactions depend on the number of guests",
	[VERDICT_BURST] = "guests that grew as they may have used up the host",
};

/* Where the host's shortage is seen. */
enum source {
	SOURCE_PSI,		/* the host's or a v2 cgroup's */
	SOURCE_EVENTS,		/* a v1 cgroup's */
	SOURCE_HAND,		/* a manager sets the level */
	SOURCE_COUNT
};

struct vm {
	struct simulation s;
	HostPolicyConfig config;
	HostPolicyState state;
	HostPolicySample sample;
	HostPolicyDecision decision;
	u64 wake_at;
	u64 due_at;		/* the guest, if nobody else moves it */

	/* Backed by the host, in pages: what the guest uses, and of its free... */
	u64 used;
	u64 touched;		/* ...memory what it has used before */
	u64 gone;		/* in the balloon, or on the way */
	u32 reuse;		/* of 256 allocated: touched before, if there is any */
	bool reporting;		/* free page reporting */
	u32 fills;		/* pages a ms of page cache, where there is room */

	u32 level_seen;		/* by QEMU */
	u64 size_seen;
	u64 waits_since;	/* for the host; NEVER: it does not */
	bool asked;		/* wanted_pages was committed */

	/* At the last look. */
	bool looked;
	u64 look_free;
	u64 look_resident;	/* pages, as the next */
	u64 look_size;
	u64 promised;		/* see promise_to() */
	u64 owes_since;		/* memory that it never used: see judge_burst() */
	u64 manager_at;		/* asks for another size; NEVER: he does not */
	u64 credit;		/* see judge_kept() */
	u32 kept_s;
	u32 kills;
};

struct machine {
	u64 seed;
	u64 chance;
	bool trace;
	u64 only;		/* enum verdict: the others are not judged; or NEVER */
	bool failed;
	char why[1200];
	const char *world;
	u64 looked[VERDICT_COUNT];

	u64 ms;
	u32 tick_ms;
	struct vm *vms;
	u32 count;

	u64 total;
	u64 reserve;
	u64 base;		/* what else there is on it */
	u64 base_goal;
	u32 base_rate;		/* bytes a ms */
	u64 base_next_at;	/* NEVER: it stays as it is */
	u64 base_most;
	u64 base_moved_ms;
	u64 resident;		/* of all guests, pages */
	u64 swap_total, swapped;
	u64 swap_rate;		/* bytes a ms */
	u64 low, out;		/* reclaim begins; tasks wait */

	enum source source;
	u64 some_us, full_us;
	u64 shown_some_us, shown_full_us;	/* two seconds late */
	u64 show_at;
	u64 window_us;		/* of some, when the trigger's window began */
	u64 window_end;
	bool fired;		/* in this window */
	u64 event_at;
	bool noisy;		/* a cgroup on this host is at its own limit */
	u32 event_level;
	bool woken;
	u64 free_low_ms;	/* when it was last below the reserve */
	u64 giving_ms;		/* when guests were last asked to give (H2) */
	u32 hand_level;
	u64 hand_at;

	/* For the report. */
	u64 short_ms;
	u32 outs;
	bool is_out;
	u64 calm_short_ms;
	double jain;
	u64 wants_ms;		/* guests short of memory, all together */
	FILE *plot;
	u64 plot_at;
	u32 plot_every;
};

static u64 ram_of(const struct vm *v)
{
	return v->s.g.s.total_pages * PAGE;
}

static u64 size_of(const struct vm *v)
{
	return (v->s.g.s.total_pages - v->s.g.s.held_pages) * PAGE;
}

static u64 resident_of(const struct vm *v)
{
	return (v->used + v->touched) * PAGE;
}

/* As MemAvailable, but below zero where the host has promised too much. */
static int64_t host_left(const struct machine *m)
{
	return (int64_t)(m->total + m->swapped) - (int64_t)m->base -
	       (int64_t)(m->resident * PAGE);
}

static u64 host_free(const struct machine *m)
{
	return host_left(m) > 0 ? (u64)host_left(m) : 0;
}

static u64 mib(u64 bytes)
{
	return bytes / MIB;
}

static void tell(const struct machine *m, const char *format, ...)
{
	va_list args;

	if (!m->trace)
		return;
	printf("%8llu.%03llu s ", (unsigned long long)m->ms / 1000,
	       (unsigned long long)m->ms % 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* @v: the guest that it is about, or NULL. */
static void host_must(struct machine *m, enum verdict which, bool holds,
		      const struct vm *v, u64 a, u64 b)
{
	int used;

	m->looked[which]++;
	if (holds || m->failed || (m->only != NEVER && m->only != which))
		return;
	m->failed = true;
	used = snprintf(m->why, sizeof(m->why),
			"%s (%llu, %llu): %s at %llu ms, %u guests, total %llu MiB free %lld MiB reserve %llu MiB source %u",
			verdict_texts[which], (unsigned long long)a,
			(unsigned long long)b, m->world,
			(unsigned long long)m->ms, m->count,
			(unsigned long long)mib(m->total),
			(long long)host_left(m) / (long long)MIB,
			(unsigned long long)mib(m->reserve), m->source);
	if (!v)
		return;
	snprintf(m->why + used, sizeof(m->why) - used,
		 "; guest %u: RAM %llu size %llu target %llu min %llu resident %llu MiB level %u%s%s",
		 (unsigned int)(v - m->vms), (unsigned long long)mib(ram_of(v)),
		 (unsigned long long)mib(size_of(v)),
		 (unsigned long long)mib(v->decision.target),
		 (unsigned long long)mib(v->config.size_min),
		 (unsigned long long)mib(resident_of(v)), v->s.d.level,
		 v->s.t.failed ? ": " : "", v->s.t.failed ? v->s.t.why : "");
}

#endif /* VBP_HOST_MACHINE_H */
