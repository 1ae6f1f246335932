// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the guest allocates between the first sign of pressure, kswapd
 * woken for an ordinary allocation, and the moment the balloon's driver frees
 * the first of its pages. Parameter gap_pages shows it, -1 until both were seen.
 *
 * To be loaded after the driver, just before the load.
 */
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/vmstat.h>

static long gap_pages = -1;
module_param(gap_pages, long, 0444);
MODULE_PARM_DESC(gap_pages, "pages allocated until relief; -1: not seen yet");

static unsigned long at_wake;

/* As the driver has it; there is no header of its own for it. */
struct relief_gap_batch {
	struct list_head blocks;
	struct list_head small;
	unsigned long nr_pages;
};

static unsigned long relief_gap_allocated(void)
{
	unsigned long sum = 0;
	int cpu, i;

	for_each_online_cpu(cpu)
		for (i = 0; i < MAX_NR_ZONES; i++)
			sum += per_cpu(vm_event_states, cpu)
				.event[PGALLOC_NORMAL - ZONE_NORMAL + i];
	return sum;
}

static int relief_gap_woken(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned int order = regs_get_kernel_argument(regs, 2);

	if (!READ_ONCE(at_wake) && order <= PAGE_ALLOC_COSTLY_ORDER)
		WRITE_ONCE(at_wake, relief_gap_allocated());
	return 0;
}

static int relief_gap_freed(struct kprobe *probe, struct pt_regs *regs)
{
	struct relief_gap_batch *batch =
		(void *)regs_get_kernel_argument(regs, 0);

	if (READ_ONCE(at_wake) && gap_pages < 0 && batch->nr_pages)
		gap_pages = relief_gap_allocated() - at_wake;
	return 0;
}

static struct kprobe relief_gap_probes[] = {
	{ .symbol_name = "wakeup_kswapd", .pre_handler = relief_gap_woken },
	{ .symbol_name = "vbp_pages_free", .pre_handler = relief_gap_freed },
};

static struct kprobe *relief_gap_list[] = {
	&relief_gap_probes[0], &relief_gap_probes[1],
};

static int __init relief_gap_init(void)
{
	return register_kprobes(relief_gap_list, ARRAY_SIZE(relief_gap_list));
}

static void __exit relief_gap_exit(void)
{
	unregister_kprobes(relief_gap_list, ARRAY_SIZE(relief_gap_list));
}

module_init(relief_gap_init);
module_exit(relief_gap_exit);
MODULE_DESCRIPTION("Counts pages allocated before the balloon gives back");
MODULE_LICENSE("GPL");
