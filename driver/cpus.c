// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the guest's CPUs have anything to do.
 *
 * Of memory alone nobody can tell: what a program works on and what it has left
 * behind look the same.
 */
#include <linux/cpumask.h>
#include <linux/kernel_stat.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/tick.h>

#include "cpus.h"

/* Less time says little; and after more, what was long ago hides what is now. */
#define VBP_CPUS_LOOK_US	(USEC_PER_SEC / 2)
#define VBP_CPUS_LOOK_MAX_US	(10 * USEC_PER_SEC)

/*
 * The services of an idle system take less than one part in 2^4 of one CPU. Of
 * one, however many there are: a program may have one of 64 to itself.
 */
#define VBP_CPUS_BUSY_PART	4

/* A CPU that waits for a disk is not idle: somebody wants to go on. */
static u64 vbp_cpus_idle_us(void)
{
	u64 sum = 0, us;
	int cpu;

	for_each_online_cpu(cpu) {
		us = get_cpu_idle_time_us(cpu, NULL);
		/* The tick does not stop there. */
		if (us == U64_MAX)
			us = div_u64(kcpustat_cpu(cpu).cpustat[CPUTIME_IDLE],
				     NSEC_PER_USEC);
		sum += us;
	}
	return sum;
}

static void vbp_cpus_begin(struct vbp_cpus *cpus, u64 now_us, u64 idle_us)
{
	cpus->count = num_online_cpus();
	cpus->since_us = now_us;
	cpus->idle_us = idle_us;
}

/**
 * vbp_cpus_are_idle() - since the last look
 * @cpus: what is known of them
 *
 * Not at the first look, nor if the last was long ago: then it is not known.
 *
 * Context: any; nobody else uses @cpus meanwhile.
 * Return: whether they have had next to nothing to do.
 */
bool vbp_cpus_are_idle(struct vbp_cpus *cpus)
{
	u64 now_us = ktime_to_us(ktime_get());
	u64 passed_us = now_us - cpus->since_us;
	u64 all_us = passed_us * cpus->count, idle_us;

	if (cpus->count && passed_us < VBP_CPUS_LOOK_US)
		return cpus->idle;
	idle_us = vbp_cpus_idle_us();
	/* CPUs that come or go take their time along. */
	cpus->idle = cpus->count == num_online_cpus() &&
		     passed_us <= VBP_CPUS_LOOK_MAX_US &&
		     idle_us >= cpus->idle_us &&
		     idle_us - cpus->idle_us + (passed_us >> VBP_CPUS_BUSY_PART)
		     > all_us;
	vbp_cpus_begin(cpus, now_us, idle_us);
	return cpus->idle;
}

/**
 * vbp_cpus_leave_out() - what was done until now is our own work
 * @cpus: what is known of them
 *
 * Context: as above.
 */
void vbp_cpus_leave_out(struct vbp_cpus *cpus)
{
	vbp_cpus_begin(cpus, ktime_to_us(ktime_get()), vbp_cpus_idle_us());
}
