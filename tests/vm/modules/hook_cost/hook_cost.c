// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a call of vmpressure() costs: calls it, again and again, for reclaim
 * that it returns from at once. Loaded with and without the balloon's driver,
 * the difference is what the driver's hook costs, with the driver's work that
 * it wakes now and then. And what those cost who look at kswapd's wake-up: they
 * are called as the kernel would, nobody is woken.
 *
 * Loading fails on purpose (nothing is left to unload); the log has the time.
 */
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <linux/vmpressure.h>

static unsigned int nr_calls = 200000;
module_param(nr_calls, uint, 0444);
MODULE_PARM_DESC(nr_calls, "how often it is called");

static unsigned int nr_wakes = 20000;
module_param(nr_wakes, uint, 0444);
MODULE_PARM_DESC(nr_wakes, "how often kswapd is told of as woken");

static bool empty;
module_param(empty, bool, 0444);
MODULE_PARM_DESC(empty, "leave a kprobe there that does nothing: what any costs");

static struct tracepoint *kswapd_wake;

static void hook_cost_find(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "mm_vmscan_kswapd_wake"))
		kswapd_wake = tp;
}

static void hook_cost_wake(void)
{
	void (*call)(void *data, int nid, int zid, int order);
	struct tracepoint_func *probe;

	preempt_disable_notrace();
	probe = rcu_dereference_sched(kswapd_wake->funcs);
	for (; probe && probe->func; probe++) {
		call = probe->func;
		call(probe->data, 0, 0, 0);
	}
	preempt_enable_notrace();
}

static int hook_cost_nothing(struct kprobe *probe, struct pt_regs *regs)
{
	return 0;
}

static int __init hook_cost_init(void)
{
	struct kprobe probe = {
		.symbol_name = "vmpressure",
		.pre_handler = hook_cost_nothing,
	};
	typeof(vmpressure) *call;
	u64 begun;
	unsigned int i;
	int err;

	/* It is not exported; a kprobe is told where it is. */
	err = register_kprobe(&probe);
	if (err)
		return err;
	call = (void *)probe.addr;
	if (!empty)
		unregister_kprobe(&probe);

	/* Without any of the flags that it wants it looks no further. */
	begun = ktime_get_ns();
	for (i = 0; i < nr_calls; i++)
		call(0, NULL, false, SWAP_CLUSTER_MAX, SWAP_CLUSTER_MAX);
	pr_info("hook_cost: %u calls, %llu ns\n", nr_calls,
		ktime_get_ns() - begun);
	if (empty)
		unregister_kprobe(&probe);

	for_each_kernel_tracepoint(hook_cost_find, NULL);
	begun = ktime_get_ns();
	for (i = 0; kswapd_wake && i < nr_wakes; i++)
		hook_cost_wake();
	pr_info("hook_cost: %u wakes, %llu ns\n", nr_wakes,
		ktime_get_ns() - begun);
	return -ECANCELED;
}

module_init(hook_cost_init);

MODULE_DESCRIPTION("What the hook in vmpressure() costs");
MODULE_LICENSE("GPL");
