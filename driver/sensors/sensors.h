/* SPDX-License-Identifier: GPL-2.0-only */
/* Something happened. Each may be missing or fail; the driver works without it. */
#ifndef VBP_SENSORS_H
#define VBP_SENSORS_H

#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/notifier.h>
#include <linux/shrinker.h>

#include "params.h"

struct vbp_device;

/* A function of ours at a tracepoint of the kernel's; its user's own. */
struct vbp_probe {
	const char *name;
	void *function;
	void *data;
	struct tracepoint *tp;
	bool on;
};

/* sensors/'s own. */
struct vbp_sensors {
	struct list_head vmpressure;	/* in vmpressure.c's list, read by RCU */
	struct vbp_probe kswapd_wakeup;	/* start to stop */
	struct vbp_probe kswapd_wake;	/* start to stop */
	struct irq_work kswapd_sign;	/* start to stop */
	atomic64_t kswapd_wakeups;
	struct vbp_probe direct;	/* start to stop */
	struct irq_work direct_sign;	/* start to stop */
	struct shrinker *shrinker;	/* start to stop */
	struct notifier_block oom_nb;	/* start to stop */
};

void vbp_vmpressure_start(struct vbp_device *vb, enum vbp_hook_mode mode);
void vbp_vmpressure_stop(struct vbp_device *vb);
const char *vbp_vmpressure_hook(void);
u64 vbp_vmpressure_events(void);
void vbp_kswapd_start(struct vbp_device *vb);
void vbp_kswapd_stop(struct vbp_device *vb);
void vbp_direct_start(struct vbp_device *vb);
void vbp_direct_stop(struct vbp_device *vb);
void vbp_probe_on(struct vbp_probe *probe);
void vbp_probe_off(struct vbp_probe *probe);
int vbp_shrinker_start(struct vbp_device *vb);
void vbp_shrinker_stop(struct vbp_device *vb);
int vbp_oom_start(struct vbp_device *vb);
void vbp_oom_stop(struct vbp_device *vb);

#endif /* VBP_SENSORS_H */
