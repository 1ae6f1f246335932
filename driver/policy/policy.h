/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy: what to do with the balloon, given what the sensors say.
 *
 * (configuration, state, sample) -> decision. Pure: no lock, no allocation,
 * no clock, no printing. The same bytes run in the guest, in KUnit and in a
 * user-space test, so it includes nothing but this header.
 *
 * All sizes are guest pages, all times milliseconds of a monotonic clock.
 */
#ifndef VBP_POLICY_H
#define VBP_POLICY_H

#ifdef __KERNEL__
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/types.h>
#else
#include "policy_user.h"	/* tests/unit: the same few names in user space */
#endif

/* Ranges of the tunables; params.c refuses what lies outside. */
#define VBP_RESERVE_PCT_MIN	1
#define VBP_RESERVE_PCT_MAX	50
#define VBP_RESERVE_PCT_DEFAULT	10
#define VBP_STEP_PCT_MIN	1
#define VBP_STEP_PCT_MAX	50
#define VBP_STEP_PCT_DEFAULT	5

/*
 * A share of a large guest is more than it can use before the next look. The
 * least is what a share of a guest of 640 MiB is.
 */
#define VBP_RESERVE_MAX_MIB_MIN		64
#define VBP_RESERVE_MAX_MIB_MAX		1048576
#define VBP_RESERVE_MAX_MIB_DEFAULT	4096
#define VBP_STEP_MAX_MIB_MIN		2
#define VBP_STEP_MAX_MIB_MAX		1048576
#define VBP_STEP_MAX_MIB_DEFAULT	2048

/* Less, and guest and host take memory from each other faster than it helps. */
#define VBP_HOLDOFF_MS_MIN	2000
#define VBP_HOLDOFF_MS_MAX	3600000
#define VBP_HOLDOFF_MS_DEFAULT	30000

#define VBP_BOOT_MS_MIN		0
#define VBP_BOOT_MS_MAX		3600000
#define VBP_BOOT_MS_DEFAULT	10000

/*
 * A floor that has risen counts for MemTotal when it has stood for so long. For
 * relief it counts at once; but programs size themselves by MemTotal, and what
 * a host needs for a moment is no reason for them to be refused memory.
 */
#define VBP_FLOOR_STANDS_MS	60000

/*
 * Until a balloon that found no page tries again: at first, and the longest of a
 * balloon that the guest may not take from. Its target may be more than the
 * guest can ever spare; but who has ended a program waits some seconds for it.
 */
#define VBP_NO_MEMORY_MS	200
#define VBP_NO_MEMORY_MAX_MS	5000

/*
 * The scale that host_pressure and guest_pressure share on the wire. The guest
 * is calm; was relieved and lacks nothing; lacks something; lacks it so much
 * that the kernel is about to kill or stall.
 */
enum vbp_level {
	VBP_LEVEL_NONE,
	VBP_LEVEL_LOW,
	VBP_LEVEL_MEDIUM,
	VBP_LEVEL_CRITICAL,
};

/**
 * struct vbp_policy_config - what the administrator set
 * @reserve_pct: available memory kept while reclaim runs, percent of the guest
 * @step_pct: what is given back beyond the shortfall, percent of the guest
 * @reserve_max_pages: the reserve is never more
 * @step_max_pages: nor is a step, but for one that follows on another that did
 *	not suffice
 * @holdoff_ms: no inflation for this long after relief
 * @oom_step_pages: least amount given back to an allocation that has failed
 * @block_pages: size of a block, the unit in which giving back is cheap; not 0
 * @boot_ms: an elastic balloon does not grow before this time after boot: what
 *	the guest will need can't be seen yet
 */
struct vbp_policy_config {
	u32 reserve_pct;
	u32 step_pct;
	u32 holdoff_ms;
	u64 reserve_max_pages;
	u64 step_max_pages;
	u64 oom_step_pages;
	u32 block_pages;
	u32 boot_ms;
};

/**
 * struct vbp_policy_place - a part of memory that may be short by itself
 * @total_pages: as in &struct vbp_policy_sample, but of that part only; so are
 *	the next ones
 * @available_pages: as above
 * @headroom_pages: as above
 * @held_pages: as above
 */
struct vbp_policy_place {
	u64 total_pages;
	u64 available_pages;
	u64 headroom_pages;
	u64 held_pages;
};

/**
 * struct vbp_policy_sample - what the sensors and the host say now
 * @now_ms: the time since boot; may stand still, and is survived when it goes
 *	backwards
 * @total_pages: the guest's memory with an empty balloon
 * @available_pages: what programs can still get without swap and without the
 *	balloon; pages that the balloon holds are not in it
 * @free_pages: nobody's
 * @headroom_pages: of them, what may go before reclaim begins
 * @cache_pages: page cache
 * @unnamed_pages: in no counter of the kernel's: a pool of huge pages, mostly
 * @yields_pages: of that, what counts as available, because it gives way
 * @swap_pages: places in swap that are free
 * @bound_pages: of what is available, what may not be taken: other memory is of
 *	no help where it lies
 * @place: the shortest part; all zeroes where memory is the same everywhere
 * @held_pages: size of the balloon, in-flight pages left out
 * @moving_pages: on their way into the balloon or out of it, so neither held
 *	nor free
 * @target_pages: the size the host asks for; untrusted
 * @floor_pages: below this the balloon does not go by itself; untrusted
 * @floor_now_pages: nor below this, until the host has looked at its own memory
 *	again; untrusted
 * @elastic: the host agreed that the guest may take pages back by itself
 * @reclaim: reclaim for an ordinary allocation ran since the last sample
 * @oom: an allocation has failed and the kernel is about to kill
 * @refaults: pages read or swapped in again after they were reclaimed, in any
 *	cgroup; with the next two, counts since boot
 * @written_back: of them, those that zswap has read only to write them to a disk
 * @reclaimed: pages that the guest's own reclaim, not a cgroup's, has freed
 * @pool_pages: a huge page pool that somebody asks for lacks so many, whole
 *	blocks; any other need comes first
 * @limit_pages: no more than so much can be given at once for need; whoever is
 *	asked next gives the rest
 * @host_pressure: &enum vbp_level of the host; untrusted
 * @idle: the guest has nothing to do; only looked at while the host is critical
 */
struct vbp_policy_sample {
	u64 now_ms;
	u64 total_pages;
	u64 available_pages;
	u64 free_pages;
	u64 headroom_pages;
	u64 cache_pages;
	u64 unnamed_pages;
	u64 yields_pages;
	u64 swap_pages;
	u64 bound_pages;
	struct vbp_policy_place place;
	u64 held_pages;
	u64 moving_pages;
	u64 target_pages;
	u64 floor_pages;
	u64 floor_now_pages;
	bool elastic;
	bool reclaim;
	bool oom;
	u64 refaults;
	u64 written_back;
	u64 reclaimed;
	u64 pool_pages;
	u64 limit_pages;
	u32 host_pressure;
	bool idle;
};

/* A trial the other way: measure, take a step, measure once more. */
enum vbp_reverse_phase {
	VBP_REVERSE_NONE,
	VBP_REVERSE_BEFORE,
	VBP_REVERSE_DURING,
	VBP_REVERSE_AFTER,
};

/**
 * struct vbp_reverse_state - whether what is there helps, see reverse.c
 * @phase: of the trial
 * @began_ms: when that began
 * @began_counted: refaults counted by then
 * @base_rate: of refaults, pages a second, before the first step
 * @held_pages: the balloon before this step
 * @end_pages: and after it
 * @step_pages: what this step takes
 * @lost: the last trial that failed was one of these, and the step was needed
 */
struct vbp_reverse_state {
	enum vbp_reverse_phase phase;
	u64 began_ms;
	u64 began_counted;
	u64 base_rate;
	u64 held_pages;
	u64 end_pages;
	u64 step_pages;
	bool lost;
};

/**
 * struct vbp_refault_state - what is missed, see refault.c
 * @window_ms: since when the next four are counted; meaningful while @open
 * @refaults: the sample's counts at that time
 * @written_back: as above
 * @reclaimed: as above
 * @room_pages: what was free, held or unnamed at that time
 * @recent_refaults: over about the last second
 * @recent_reclaimed: as above
 * @counted: refaults that counted, in all windows
 * @seen_ms: when refaults were last many
 * @rate: of them, pages a second
 * @base_rate: the rate that giving back has to lower
 * @given: pages given back since that rate was taken
 * @limit: of them, until the rate is looked at again
 * @failed_ms: when that was last no help
 * @pause_ms: no trial for so long after it
 * @fails: trials that were no help, one after the other
 * @open: a window is open
 * @thrash: memory is missed
 * @trial: pages are given back for it
 * @failed: that was no help, less than @pause_ms ago
 * @reverse: the trial the other way
 */
struct vbp_refault_state {
	u64 window_ms;
	u64 refaults;
	u64 written_back;
	u64 reclaimed;
	u64 room_pages;
	u64 recent_refaults;
	u64 recent_reclaimed;
	u64 counted;
	u64 seen_ms;
	u64 rate;
	u64 base_rate;
	u64 given;
	u64 limit;
	u64 failed_ms;
	u64 pause_ms;
	u32 fails;
	bool open;
	bool thrash;
	bool trial;
	bool failed;
	struct vbp_reverse_state reverse;
};

/**
 * struct vbp_yield_state - whether unnamed memory gives way, see yield.c
 * @yields: as far as is known, so that all of it counts as available
 * @gave: it did, and what it has grown by since counts; the next ones are
 *	meaningful while one of the two holds
 * @asked: the balloon is to grow by what gives way
 * @limit_pages: the balloon may grow to this size until more has given way
 * @held_pages: the balloon, at the last look
 * @unnamed_pages: the most since some of it has given way
 * @least_pages: the least since it @gave
 * @fell: some of it has, since one of the two holds
 * @fallen_pages: so much has, of late
 * @swap_pages: free places in swap, before that
 * @looks: at which it was asked in vain, since some of it has given way; one
 *	that found reclaim counts for several
 * @looked_ms: when that was last counted
 * @over: there was a trial, and it is over
 * @over_ms: since when
 * @fails: trials in vain, one after the other
 * @tried_pages: the balloon, when the last one began
 */
struct vbp_yield_state {
	bool yields;
	bool gave;
	bool fell;
	bool asked;
	bool over;
	u32 fails;
	u32 looks;
	u64 limit_pages;
	u64 held_pages;
	u64 unnamed_pages;
	u64 least_pages;
	u64 fallen_pages;
	u64 swap_pages;
	u64 looked_ms;
	u64 tried_pages;
	u64 over_ms;
};

/**
 * struct vbp_policy_state - what the policy remembers
 * @last_ms: time of the last sample, to notice a clock that goes backwards
 * @pressed_ms: time of the last sign of need; meaningful while @pressed
 * @relieved_ms: time of the last relief; 0: there was none
 * @reclaim_ms: time reclaim was last seen
 * @stepped_ms: when the last re-inflation step began
 * @step_end_pages: the size at which it ends
 * @rescued_ms: when pages were last given to an allocation that had failed;
 *	meaningful while @rescued
 * @target_pages: the host's target, at the last sample
 * @pressed: the guest is not calm yet
 * @rescued: that has happened
 * @relieved: pages were taken back and the balloon is not yet at its target
 * @reclaiming: reclaim was seen less than VBP_CALM_MS ago
 * @refused: the floor kept back what the guest needed: it is given when the
 *	floor sinks, without waiting for the next sign of reclaim
 * @unreached: the balloon could not grow the last time. It resumes for half a
 *	step or more: smaller gains are often CPUs' own free pages, which vanish
 * @regrown: inflation was allowed since the last relief
 * @cut: the last relief was less than needed because of @limit_pages
 * @asked: the host has raised its target since, and the balloon has not been
 *	there: it gets what is plainly free
 * @handed: since the last relief it got some
 * @hand_backoff: how many times the wait for that is doubled
 * @backoff: how many times the hold-off is doubled
 * @streak: reliefs that followed one another at once: each takes a larger step
 * @trial_backoff: @backoff before the last trial for page cache
 * @refault: memory that is missed
 * @yield: memory that no counter names
 */
struct vbp_policy_state {
	u64 last_ms;
	u64 pressed_ms;
	u64 relieved_ms;
	u64 reclaim_ms;
	u64 stepped_ms;
	u64 step_end_pages;
	u64 rescued_ms;
	u64 target_pages;
	bool pressed;
	bool rescued;
	bool relieved;
	bool reclaiming;
	bool refused;
	bool unreached;
	bool regrown;
	bool cut;
	bool asked;
	bool handed;
	u32 hand_backoff;
	u32 backoff;
	u32 streak;
	u32 trial_backoff;
	struct vbp_refault_state refault;
	struct vbp_yield_state yield;
};

/**
 * struct vbp_policy_floor - how far the floor has stood
 * @standing_pages: so much of it has
 * @rising_pages: the least it was since @rising_ms; meaningful while @rising
 * @rising_ms: since when it is above @standing_pages
 * @rising: it is
 */
struct vbp_policy_floor {
	u64 standing_pages;
	u64 rising_pages;
	u64 rising_ms;
	bool rising;
};

/**
 * struct vbp_policy_retry - how often no page was found
 * @target_pages: to grow to so much
 * @held_pages: the balloon, the first time
 * @wait_ms: the last wait
 */
struct vbp_policy_retry {
	u64 target_pages;
	u64 held_pages;
	u32 wait_ms;
};

/**
 * struct vbp_policy_decision - what to do
 * @deflate_pages: give these back because the host lowered its target
 * @relief_pages: give these back, in addition, because the guest needs them
 * @inflate_pages: may inflate by so many, and ask again before more
 * @level: &enum vbp_level to report
 * @wanted_pages: to report: what is missing even after this decision
 * @wake_ms: ask again after so many milliseconds even if nothing happens;
 *	0 means that nothing is due
 * @refault: it is about memory that is missed
 * @place: relief is for the sample's place, from there as far as that goes
 * @watch: memory is moving: sample again soon, not only when something happens
 * @unreached: the target can't be reached now without pressing the guest
 */
struct vbp_policy_decision {
	u64 deflate_pages;
	u64 relief_pages;
	u64 inflate_pages;
	u32 level;
	u64 wanted_pages;
	u32 wake_ms;
	bool refault;
	bool place;
	bool watch;
	bool unreached;
};

/* Milliseconds since @then; 0 for a moment that is not in the past. */
static inline u64 vbp_policy_since(u64 now, u64 then)
{
	return now > then ? now - then : 0;
}

/* Ask again in so many milliseconds, if not earlier. */
static inline void vbp_policy_wake(struct vbp_policy_decision *decision,
				   u64 in_ms)
{
	u32 ms = (u32)clamp_t(u64, in_ms, 1, VBP_HOLDOFF_MS_MAX);

	if (!decision->wake_ms || ms < decision->wake_ms)
		decision->wake_ms = ms;
}

void vbp_policy_init(struct vbp_policy_state *state);
void vbp_policy_decide(const struct vbp_policy_config *config,
		       struct vbp_policy_state *state,
		       const struct vbp_policy_sample *sample,
		       struct vbp_policy_decision *decision);

/* size.c */
u64 vbp_size_reserve(const struct vbp_policy_config *config,
		     const struct vbp_policy_sample *sample);
u64 vbp_size_kept(u64 kept_pages, u64 available_pages);
u64 vbp_size_gate(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample);
u32 vbp_size_stand(struct vbp_policy_floor *floor, u64 floor_pages,
		   u64 now_ms);
u32 vbp_size_retry(struct vbp_policy_retry *retry,
		   const struct vbp_policy_sample *sample, u32 block_pages);

/* A step is doubled so many times, at most. */
#define VBP_STREAK_MAX		3

/* size.c, for policy.c */
u64 vbp_size_target(const struct vbp_policy_sample *sample);
u64 vbp_size_available(const struct vbp_policy_sample *sample);
u64 vbp_size_elastic(const struct vbp_policy_sample *sample);
u64 vbp_size_share(const struct vbp_policy_config *config,
		   const struct vbp_policy_sample *sample);
u64 vbp_size_step(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample);
u64 vbp_size_steps(const struct vbp_policy_config *config, u64 pages,
		   u32 streak);
bool vbp_size_short(const struct vbp_policy_config *config,
		    const struct vbp_policy_sample *sample);
u64 vbp_size_need(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample, u32 streak);
u64 vbp_size_round(const struct vbp_policy_config *config, u64 need,
		   u64 elastic);

/* place.c */
u64 vbp_place_reserve(const struct vbp_policy_config *config,
		      const struct vbp_policy_sample *sample,
		      const struct vbp_policy_place *place);
u64 vbp_place_lacks(const struct vbp_policy_config *config,
		    const struct vbp_policy_sample *sample);
u64 vbp_place_need(const struct vbp_policy_config *config,
		   const struct vbp_policy_sample *sample, u32 streak);
bool vbp_place_runs_out(const struct vbp_policy_config *config,
			const struct vbp_policy_sample *sample);
bool vbp_place_close(const struct vbp_policy_config *config,
		     const struct vbp_policy_sample *sample, u64 given);

/* refault.c, for policy.c */
void vbp_refault_look(struct vbp_refault_state *state,
		      const struct vbp_policy_sample *sample);
bool vbp_refault_wants(const struct vbp_refault_state *state);
bool vbp_refault_step(struct vbp_refault_state *state,
		      const struct vbp_policy_sample *sample, bool reclaiming,
		      u64 step, u32 holdoff_ms);
void vbp_refault_give_up(struct vbp_refault_state *state, u64 now,
			 u32 holdoff_ms);
void vbp_refault_fail(struct vbp_refault_state *state, u64 now,
		      u32 holdoff_ms);

/* A target that can't be reached now is looked at again this much later. */
#define VBP_RETRY_MS		5000

/* grow.c, for policy.c */
u64 vbp_grow_holdoff(const struct vbp_policy_config *config,
		     const struct vbp_policy_state *state,
		     const struct vbp_policy_sample *sample);
u64 vbp_grow_step(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample);
void vbp_grow_by(const struct vbp_policy_config *config,
		 struct vbp_policy_state *state,
		 const struct vbp_policy_sample *sample,
		 struct vbp_policy_decision *decision, u64 step);
void vbp_grow_on(const struct vbp_policy_config *config,
		 struct vbp_policy_state *state,
		 const struct vbp_policy_sample *sample,
		 struct vbp_policy_decision *decision);

/* While unnamed memory is to give way it is looked at as often as by a watch. */
#define VBP_YIELD_LOOK_MS	20

/* yield.c; the first one is also for who takes the sample */
u64 vbp_yield_pages(const struct vbp_yield_state *state, u64 unnamed_pages);
bool vbp_yield_look(struct vbp_yield_state *state,
		    const struct vbp_policy_sample *sample, u64 step,
		    u32 block_pages, bool needed, bool missed);
bool vbp_yield_try(struct vbp_yield_state *state,
		   const struct vbp_policy_sample *sample, u64 step,
		   u32 holdoff_ms);
u64 vbp_yield_room(struct vbp_yield_state *state,
		   const struct vbp_policy_sample *sample);

/* reverse.c, for policy.c. What a look at it may say: */
enum vbp_reverse {
	VBP_REVERSE_WAIT,
	VBP_REVERSE_TAKE,		/* up to @end_pages */
	VBP_REVERSE_BACK,		/* down to @held_pages */
};

enum vbp_reverse vbp_reverse_look(struct vbp_refault_state *state,
				  const struct vbp_policy_sample *sample,
				  u64 step, u32 holdoff_ms, bool may_grow);
bool vbp_reverse_denies(const struct vbp_refault_state *state);
bool vbp_reverse_asks(const struct vbp_refault_state *state, u32 holdoff_ms);

#endif /* VBP_POLICY_H */
