/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the guest's CPUs have anything to do. */
#ifndef VBP_CPUS_H
#define VBP_CPUS_H

#include <linux/types.h>

/**
 * struct vbp_cpus - what is known of them; its user's own, all zeroes at first
 * @count: CPUs, when the time began that is looked at
 * @since_us: when that was
 * @idle_us: how long they had been idle by then, all together
 * @idle: what was said last
 */
struct vbp_cpus {
	unsigned int count;
	u64 since_us;
	u64 idle_us;
	bool idle;
};

bool vbp_cpus_are_idle(struct vbp_cpus *cpus);
void vbp_cpus_leave_out(struct vbp_cpus *cpus);

#endif /* VBP_CPUS_H */
