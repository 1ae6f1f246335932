/* SPDX-License-Identifier: GPL-2.0-only */
/* Asks the policy, and does what it says. */
#ifndef VBP_ENGINE_H
#define VBP_ENGINE_H

#include <linux/wait.h>
#include <linux/workqueue.h>

#include "balloon/balloon.h"
#include "cpus.h"
#include "policy/policy.h"
#include "trace.h"

struct vbp_device;

/* engine/'s own. @lock is the device's. */
struct vbp_engine {
	struct vbp_policy_state policy;	/* Protected by @lock */
	u32 level;			/* to report. By @lock */
	u64 wanted_pages;		/* to report. By @lock */
	u64 refaults;			/* last decided on. By @lock */
	u64 written_back;		/* last decided on. By @lock */
	u64 reclaimed;			/* last decided on. By @lock */
	wait_queue_head_t looked;	/* woken when the main work has */

	/* Counters for sysfs and the log. Protected by @lock. */
	u64 relief_pages[VBP_SOURCES];
	u64 relief_episodes;
	u64 last_relief_ms;		/* start of the last episode */
	u64 episode_pages;		/* 0: no episode is open */
	u64 episode_last_ms;
	enum vbp_source episode_source;

	bool reclaim_seen;		/* for a host told first. By @lock */
	u64 unreached_pages;		/* target already told of; work only */
	struct vbp_policy_retry retry;	/* after no page was found; work only */
	bool told_broken;		/* logged; work only */
	struct vbp_cpus cpus;		/* of a critical host's; work only */
};

/* engine/engine.c */
int vbp_engine_init(struct vbp_device *vb, bool sampler);
void vbp_engine_destroy(struct vbp_device *vb);
void vbp_engine_start(struct vbp_device *vb);
void vbp_engine_stop(struct vbp_device *vb);

/* engine/main_work.c */
void vbp_main_work_run(struct work_struct *work);
void vbp_main_work_empty(struct vbp_device *vb);

/* engine/relief.c */
struct vbp_leave_where
vbp_relief_where(const struct vbp_policy_decision *decision,
		 const struct vbp_places *places);
void vbp_relief_sample(struct vbp_device *vb,
		       const struct vbp_memory_reading *reading,
		       const struct vbp_places *places,
		       struct vbp_policy_sample *sample);
void vbp_relief_decide(struct vbp_device *vb, struct vbp_policy_sample *sample,
		       struct vbp_policy_decision *decision);
void vbp_relief_note(struct vbp_device *vb, enum vbp_source source, u64 now_ms,
		     int nid, unsigned long nr_pages);
unsigned long vbp_relief_gate(struct vbp_device *vb, int nid);
unsigned long vbp_relief_now(struct vbp_device *vb, enum vbp_source source,
			     int nid);
unsigned long vbp_relief_told(struct vbp_device *vb);
bool vbp_relief_ask(struct vbp_device *vb, unsigned long *given);
void vbp_relief_early(struct vbp_device *vb, int nid);
void vbp_relief_pool(struct vbp_device *vb, enum zone_type highest);
void vbp_relief_run(struct work_struct *work);

#endif /* VBP_ENGINE_H */
