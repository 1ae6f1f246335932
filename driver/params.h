/* SPDX-License-Identifier: GPL-2.0-only */
/* What the administrator has set: a face, but read by all. */
#ifndef VBP_PARAMS_H
#define VBP_PARAMS_H

#include <linux/types.h>

#include "policy/policy.h"

/* Range of the parameter. */
#define VBP_STATS_TAGS_MIN	0
#define VBP_STATS_TAGS_MAX	16
#define VBP_STATS_TAGS_DEFAULT	0

enum vbp_hook_mode {
	VBP_HOOK_AUTO,		/* by kprobe, by tracepoint if that goes silent */
	VBP_HOOK_KPROBE,
	VBP_HOOK_TRACEPOINT,
	VBP_HOOK_NONE,
	VBP_HOOK_MODES
};

enum vbp_takeover_mode {
	VBP_TAKEOVER_NO,
	VBP_TAKEOVER_YES,	/* where the kernel survives it */
	VBP_TAKEOVER_FORCE,
	VBP_TAKEOVER_MODES
};

struct vbp_params {
	bool unilateral;
	enum vbp_takeover_mode takeover;
	bool kswapd;
	bool shrinker;
	bool direct;
	bool sampler;
	enum vbp_hook_mode hook;
	unsigned int stats_tags;
};

void vbp_params_get(struct vbp_params *params);
void vbp_params_policy(struct vbp_policy_config *config);

#endif /* VBP_PARAMS_H */
