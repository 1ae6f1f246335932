/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy: what to do with the balloon, given what the sensors say.
 *
 * (configuration, state, sample) -> decision. Pure: no lock, no allocation,
 * no clock, no printing. The same bytes run in the guest, in KUnit and in a
 * user-space test, so this header is the only one policy.c includes.
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
#define VBP_HOLDOFF_MS_MIN	0
#define VBP_HOLDOFF_MS_MAX	3600000
#define VBP_HOLDOFF_MS_DEFAULT	30000

/* The scale that host_pressure and guest_pressure share on the wire. */
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
 * @holdoff_ms: no inflation for this long after relief
 * @oom_step_pages: least amount given back to an allocation that has failed
 * @block_pages: size of a block, the unit in which giving back is cheap; not 0
 */
struct vbp_policy_config {
	u32 reserve_pct;
	u32 step_pct;
	u32 holdoff_ms;
	u64 oom_step_pages;
	u32 block_pages;
};

/**
 * struct vbp_policy_sample - what the sensors and the host say now
 * @now_ms: the time; may stand still, and is survived when it goes backwards
 * @total_pages: the guest's memory with an empty balloon
 * @available_pages: what programs can still get without swap and without the
 *	balloon; pages that the balloon holds are not in it
 * @held_pages: size of the balloon, in-flight pages left out
 * @target_pages: the size the host asks for; untrusted
 * @floor_pages: below this the balloon does not go by itself; untrusted
 * @elastic: the host agreed that the guest may take pages back by itself
 * @reclaim: reclaim for an ordinary allocation ran since the last sample
 * @oom: an allocation has failed and the kernel is about to kill
 * @host_pressure: &enum vbp_level of the host; untrusted
 */
struct vbp_policy_sample {
	u64 now_ms;
	u64 total_pages;
	u64 available_pages;
	u64 held_pages;
	u64 target_pages;
	u64 floor_pages;
	bool elastic;
	bool reclaim;
	bool oom;
	u32 host_pressure;
};

/**
 * struct vbp_policy_state - what the policy remembers
 * @last_ms: time of the last sample, to notice a clock that goes backwards
 * @relieved_ms: time of the last relief; meaningful while @relieved
 * @reclaim_ms: time reclaim was last seen; meaningful while @reclaiming
 * @stepped_ms: when the last re-inflation step began
 * @step_end_pages: the size at which it ends
 * @relieved: pages were taken back and the balloon is not yet at its target
 * @reclaiming: reclaim was seen less than VBP_CALM_MS ago
 * @refused: the floor kept back what the guest needed: it is given when the
 *	floor sinks, without waiting for the next sign of reclaim
 * @regrown: inflation was allowed since the last relief
 * @ever_relieved: @relieved_ms was set at least once
 * @backoff: how many times the hold-off is doubled
 * @streak: reliefs that followed one another at once: each takes a larger step
 */
struct vbp_policy_state {
	u64 last_ms;
	u64 relieved_ms;
	u64 reclaim_ms;
	u64 stepped_ms;
	u64 step_end_pages;
	bool relieved;
	bool reclaiming;
	bool refused;
	bool regrown;
	bool ever_relieved;
	u32 backoff;
	u32 streak;
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
 * @unreached: the target can't be reached now without pressing the guest
 */
struct vbp_policy_decision {
	u64 deflate_pages;
	u64 relief_pages;
	u64 inflate_pages;
	u32 level;
	u64 wanted_pages;
	u32 wake_ms;
	bool unreached;
};

void vbp_policy_init(struct vbp_policy_state *state);
u64 vbp_policy_reserve(const struct vbp_policy_config *config,
		       const struct vbp_policy_sample *sample);
u64 vbp_policy_gate(const struct vbp_policy_config *config,
		    const struct vbp_policy_sample *sample);
void vbp_policy_decide(const struct vbp_policy_config *config,
		       struct vbp_policy_state *state,
		       const struct vbp_policy_sample *sample,
		       struct vbp_policy_decision *decision);

#endif /* VBP_POLICY_H */
