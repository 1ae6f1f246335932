// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the balloon's lock costs those who wait for it: how often it is taken
 * (acquired), and, by the clock of a guest in which each instruction takes the
 * same time, how long it is held (held_ns, and longest_ns at once). Each hold
 * contains a part of what it costs to look, empty_ns. Such a guest has its CPUs
 * run in turn, and the clock is everybody's. So times are of the holds in which
 * no other CPU was seen to run ("alone" is how many); who waits is not among
 * them, because whom it waits for runs.
 *
 * "readings": how often memory was read with the lock held, where every CPU
 * waits for what one of them reads. "singles": the most single pages that were
 * taken in one go. "range_ns": as longest_ns, by who takes memory offline.
 *
 * To be loaded after the driver. Anything written to "reset" begins anew.
 */
#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

/* The lock is in the first bytes of the device, before what has others. */
#define LOCK_COST_WITHIN	256

static unsigned long lock_cost_device;

static atomic_long_t lock_cost_acquired;
static unsigned long alone;
module_param(alone, ulong, 0444);
static unsigned long held_ns;
module_param(held_ns, ulong, 0444);
static unsigned long longest_ns;
module_param(longest_ns, ulong, 0444);
static unsigned long empty_ns;
module_param(empty_ns, ulong, 0444);
static unsigned long readings;
module_param(readings, ulong, 0444);
static unsigned long range_ns;
module_param(range_ns, ulong, 0444);
static unsigned long singles;
module_param(singles, ulong, 0444);

static DEFINE_PER_CPU(u64, lock_cost_since);
static DEFINE_PER_CPU(unsigned long, lock_cost_turn);
/* Who ran last, and how often it was another: each CPU takes locks all the time. */
static int lock_cost_cpu;
static unsigned long lock_cost_turns;
static struct task_struct *lock_cost_offlines;
/* What empty_ns is found with; in place of the device's for that moment. */
static DEFINE_SPINLOCK(lock_cost_own);

static bool lock_cost_is_ours(struct pt_regs *regs)
{
	unsigned long lock = regs_get_kernel_argument(regs, 0);
	unsigned long device = READ_ONCE(lock_cost_device);

	return device && lock >= device && lock < device + LOCK_COST_WITHIN;
}

static void lock_cost_runs(void)
{
	int cpu = smp_processor_id();

	if (cpu == READ_ONCE(lock_cost_cpu))
		return;
	WRITE_ONCE(lock_cost_cpu, cpu);
	lock_cost_turns++;
}

static int lock_cost_locks(struct kprobe *probe, struct pt_regs *regs)
{
	lock_cost_runs();
	if (!lock_cost_is_ours(regs))
		return 0;
	atomic_long_inc(&lock_cost_acquired);
	/* A spinlock is not given to another CPU's task meanwhile. */
	this_cpu_write(lock_cost_turn, lock_cost_turns);
	this_cpu_write(lock_cost_since, ktime_get_ns());
	return 0;
}

static int lock_cost_unlocks(struct kprobe *probe, struct pt_regs *regs)
{
	u64 since, now;

	lock_cost_runs();
	if (!lock_cost_is_ours(regs))
		return 0;
	since = this_cpu_read(lock_cost_since);
	if (!since)
		return 0;
	now = ktime_get_ns();
	this_cpu_write(lock_cost_since, 0);
	if (this_cpu_read(lock_cost_turn) != lock_cost_turns)
		return 0;
	alone++;
	held_ns += now - since;
	longest_ns = max_t(unsigned long, longest_ns, now - since);
	if (current == READ_ONCE(lock_cost_offlines))
		range_ns = max_t(unsigned long, range_ns, now - since);
	return 0;
}

/* Whoever keeps the books has a device. */
static int lock_cost_finds(struct kprobe *probe, struct pt_regs *regs)
{
	WRITE_ONCE(lock_cost_device, regs_get_kernel_argument(regs, 0));
	return 0;
}

static int lock_cost_reads(struct kprobe *probe, struct pt_regs *regs)
{
	if (this_cpu_read(lock_cost_since))
		readings++;
	return 0;
}

static int lock_cost_ranges(struct kprobe *probe, struct pt_regs *regs)
{
	WRITE_ONCE(lock_cost_offlines, current);
	return 0;
}

static int lock_cost_takes(struct kprobe *probe, struct pt_regs *regs)
{
	singles = max(singles, regs_get_kernel_argument(regs, 2));
	return 0;
}

static struct kprobe lock_cost_probes[] = {
	{ .symbol_name = "vbp_account_update", .pre_handler = lock_cost_finds },
	{ .symbol_name = "_raw_spin_lock", .pre_handler = lock_cost_locks },
	{ .symbol_name = "_raw_spin_unlock", .pre_handler = lock_cost_unlocks },
	{ .symbol_name = "si_mem_available", .pre_handler = lock_cost_reads },
	{ .symbol_name = "vbp_leave_range", .pre_handler = lock_cost_ranges },
	{ .symbol_name = "balloon_page_list_dequeue",
	  .pre_handler = lock_cost_takes },
};

static struct kprobe *lock_cost_list[ARRAY_SIZE(lock_cost_probes)];

static void lock_cost_begin(void)
{
	atomic_long_set(&lock_cost_acquired, 0);
	alone = 0;
	held_ns = 0;
	longest_ns = 0;
	readings = 0;
	range_ns = 0;
	singles = 0;
}

static int lock_cost_show(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%ld\n", atomic_long_read(&lock_cost_acquired));
}

static const struct kernel_param_ops lock_cost_acquired_ops = {
	.get = lock_cost_show,
};
module_param_cb(acquired, &lock_cost_acquired_ops, NULL, 0444);

static int lock_cost_reset(const char *text, const struct kernel_param *param)
{
	lock_cost_begin();
	return 0;
}

static const struct kernel_param_ops lock_cost_reset_ops = {
	.set = lock_cost_reset,
};
module_param_cb(reset, &lock_cost_reset_ops, NULL, 0200);

static int __init lock_cost_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(lock_cost_probes); i++)
		lock_cost_list[i] = &lock_cost_probes[i];
	err = register_kprobes(lock_cost_list, ARRAY_SIZE(lock_cost_list));
	if (err)
		return err;
	/* No work of the driver's runs yet that would find its device. */
	WRITE_ONCE(lock_cost_device, (unsigned long)&lock_cost_own);
	spin_lock(&lock_cost_own);
	spin_unlock(&lock_cost_own);
	empty_ns = longest_ns;
	WRITE_ONCE(lock_cost_device, 0);
	lock_cost_begin();
	return 0;
}

static void __exit lock_cost_exit(void)
{
	unregister_kprobes(lock_cost_list, ARRAY_SIZE(lock_cost_list));
}

module_init(lock_cost_init);
module_exit(lock_cost_exit);
MODULE_DESCRIPTION("What the balloon's lock costs");
MODULE_LICENSE("GPL");
