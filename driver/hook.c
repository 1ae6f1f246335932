// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hooks: vmpressure() by kprobe, and kswapd's wake-up by tracepoint.
 *
 * Both only count and raise an irq_work. They run in whatever context reclaim
 * and allocation run in, perhaps under a workqueue's own lock, where even
 * queue_work() would deadlock.
 *
 * kswapd's wake-up is the earliest sign there is: it comes before the first
 * page is scanned, so before anything is swapped. It falls silent once a node
 * counts as hopeless, and vmpressure() is silent where there is nothing to
 * scan, so neither suffices alone.
 */
#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/memcontrol.h>
#include <linux/mmzone.h>
#include <linux/ptrace.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <linux/vmpressure.h>
#include <trace/events/vmscan.h>

#include "vbp.h"

/* One sign for so many pages scanned: the window of the kernel's vmpressure. */
#define VBP_HOOK_WINDOW	(SWAP_CLUSTER_MAX * 16)

/* From 7.2 on vmpressure() is told the order too, as its second argument. */
#define VBP_HOOK_HAS_ORDER						\
	__builtin_types_compatible_p(typeof(vmpressure),		\
		void(gfp_t, int, struct mem_cgroup *, bool,		\
		     unsigned long, unsigned long))

static DEFINE_MUTEX(vbp_hook_mutex);	/* attaching and detaching */
static DEFINE_SPINLOCK(vbp_hook_lock);	/* the list, irq-safe */
static LIST_HEAD(vbp_hook_devices);

/* Set while attached; under vbp_hook_mutex. */
static bool vbp_hook_kprobe_on;
static struct tracepoint *vbp_hook_wakeup_tp;
static struct tracepoint *vbp_hook_wake_tp;

static atomic64_t vbp_hook_calls;
static atomic64_t vbp_hook_kswapd;
static atomic_long_t vbp_hook_scanned;

static void vbp_hook_signal(struct irq_work *work)
{
	struct vbp_device *vb;
	unsigned long flags;

	spin_lock_irqsave(&vbp_hook_lock, flags);
	list_for_each_entry(vb, &vbp_hook_devices, hook_entry)
		vbp_engine_kick_relief(vb);
	spin_unlock_irqrestore(&vbp_hook_lock, flags);
}

static DEFINE_IRQ_WORK(vbp_hook_irq_work, vbp_hook_signal);

/*
 * Global reclaim passes each cgroup with tree=false, and reclaim on behalf of a
 * cgroup's limit ends with a tree=true sample that names it. So the sum of the
 * former minus the latter is global reclaim alone, in both LRU modes.
 */
static int vbp_hook_vmpressure(struct kprobe *kprobe, struct pt_regs *regs)
{
	unsigned int arg = 1;
	unsigned long memcg, scanned;
	bool tree;

	if (VBP_HOOK_HAS_ORDER &&
	    (int)regs_get_kernel_argument(regs, arg++) > PAGE_ALLOC_COSTLY_ORDER)
		return 0;
	memcg = regs_get_kernel_argument(regs, arg++);
	tree = (bool)regs_get_kernel_argument(regs, arg++);
	scanned = regs_get_kernel_argument(regs, arg);

	atomic64_inc(&vbp_hook_calls);
	if (tree) {
		if (memcg)
			atomic_long_sub(scanned, &vbp_hook_scanned);
		return 0;
	}
	if (atomic_long_add_return(scanned, &vbp_hook_scanned) >=
	    (long)VBP_HOOK_WINDOW) {
		atomic_long_set(&vbp_hook_scanned, 0);
		irq_work_queue(&vbp_hook_irq_work);
	}
	return 0;
}

NOKPROBE_SYMBOL(vbp_hook_vmpressure);

static struct kprobe vbp_hook_kprobe = {
	.symbol_name = "vmpressure",
	.pre_handler = vbp_hook_vmpressure,
};

static void vbp_hook_reclaim_begins(int order)
{
	/* Huge pages are worth compacting for, not worth deflating for. */
	if (order > PAGE_ALLOC_COSTLY_ORDER)
		return;
	atomic64_inc(&vbp_hook_kswapd);
	irq_work_queue(&vbp_hook_irq_work);
}

/* In the task whose allocation found a zone below its low watermark. */
static void vbp_hook_wakeup_kswapd(void *data, int nid, int zid, int order,
				   gfp_t gfp_flags)
{
	vbp_hook_reclaim_begins(order);
}

/* In kswapd, also when it goes round again without having slept. */
static void vbp_hook_kswapd_wake(void *data, int nid, int zid, int order)
{
	vbp_hook_reclaim_begins(order);
}

static void vbp_hook_find(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "mm_vmscan_wakeup_kswapd"))
		vbp_hook_wakeup_tp = tp;
	else if (!strcmp(tp->name, "mm_vmscan_kswapd_wake"))
		vbp_hook_wake_tp = tp;
}

/* Returns the tracepoint, or NULL if it can't be had. */
static struct tracepoint *vbp_hook_probe(struct vbp_device *vb,
					 struct tracepoint *tp, void *probe,
					 const char *name)
{
	int err = tp ? tracepoint_probe_register(tp, probe, NULL) : -ENOENT;

	if (!err)
		return tp;
	dev_warn(&vb->vdev->dev, "sensor %s is not available: %d\n", name, err);
	return NULL;
}

static void vbp_hook_install(struct vbp_device *vb,
			     const struct vbp_params *params)
{
	int err;

	/* The compiler compares our prototypes with the kernel's. */
	check_trace_callback_type_mm_vmscan_wakeup_kswapd(vbp_hook_wakeup_kswapd);
	check_trace_callback_type_mm_vmscan_kswapd_wake(vbp_hook_kswapd_wake);

	if (params->hook) {
		err = register_kprobe(&vbp_hook_kprobe);
		vbp_hook_kprobe_on = !err;
		if (err)
			dev_warn(&vb->vdev->dev,
				 "sensor vmpressure is not available: %d\n",
				 err);
	}
	if (params->kswapd) {
		for_each_kernel_tracepoint(vbp_hook_find, NULL);
		vbp_hook_wakeup_tp =
			vbp_hook_probe(vb, vbp_hook_wakeup_tp,
				       vbp_hook_wakeup_kswapd,
				       "mm_vmscan_wakeup_kswapd");
		vbp_hook_wake_tp =
			vbp_hook_probe(vb, vbp_hook_wake_tp,
				       vbp_hook_kswapd_wake,
				       "mm_vmscan_kswapd_wake");
	}
}

static void vbp_hook_uninstall(void)
{
	if (vbp_hook_kprobe_on) {
		unregister_kprobe(&vbp_hook_kprobe);
		/* The kernel wants it as new if it is registered again. */
		vbp_hook_kprobe.addr = NULL;
		vbp_hook_kprobe.flags = 0;
	}
	vbp_hook_kprobe_on = false;
	if (vbp_hook_wakeup_tp)
		tracepoint_probe_unregister(vbp_hook_wakeup_tp,
					    vbp_hook_wakeup_kswapd, NULL);
	if (vbp_hook_wake_tp)
		tracepoint_probe_unregister(vbp_hook_wake_tp,
					    vbp_hook_kswapd_wake, NULL);
	vbp_hook_wakeup_tp = NULL;
	vbp_hook_wake_tp = NULL;
	/* No handler may run once the module's text is gone. */
	tracepoint_synchronize_unregister();
	irq_work_sync(&vbp_hook_irq_work);
}

/**
 * vbp_hook_attach() - have reclaim looked at for @vb
 * @vb: the device; its engine is initialised
 * @params: which hooks are wanted
 *
 * A hook that can't be had is told of and done without.
 *
 * Context: may sleep.
 */
void vbp_hook_attach(struct vbp_device *vb, const struct vbp_params *params)
{
	bool first;

	mutex_lock(&vbp_hook_mutex);
	spin_lock_irq(&vbp_hook_lock);
	first = list_empty(&vbp_hook_devices);
	list_add(&vb->hook_entry, &vbp_hook_devices);
	spin_unlock_irq(&vbp_hook_lock);
	if (first)
		vbp_hook_install(vb, params);
	mutex_unlock(&vbp_hook_mutex);
}

/**
 * vbp_hook_detach() - the end of vbp_hook_attach()
 * @vb: the device
 *
 * Context: may sleep.
 */
void vbp_hook_detach(struct vbp_device *vb)
{
	bool last;

	mutex_lock(&vbp_hook_mutex);
	spin_lock_irq(&vbp_hook_lock);
	list_del(&vb->hook_entry);
	last = list_empty(&vbp_hook_devices);
	spin_unlock_irq(&vbp_hook_lock);
	if (last)
		vbp_hook_uninstall();
	mutex_unlock(&vbp_hook_mutex);
}

/**
 * vbp_hook_name() - how vmpressure is hooked
 *
 * Return: "kprobe" or "none".
 */
const char *vbp_hook_name(void)
{
	return READ_ONCE(vbp_hook_kprobe_on) ? "kprobe" : "none";
}

/**
 * vbp_hook_events() - calls of vmpressure() seen
 *
 * Return: a count since the module was loaded.
 */
u64 vbp_hook_events(void)
{
	return atomic64_read(&vbp_hook_calls);
}

/**
 * vbp_hook_wakeups() - wake-ups of kswapd seen
 *
 * Return: a count since the module was loaded.
 */
u64 vbp_hook_wakeups(void)
{
	return atomic64_read(&vbp_hook_kswapd);
}
