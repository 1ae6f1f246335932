// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hooks: vmpressure() by kprobe or, instead of it, the scan of a list by
 * tracepoint; and kswapd's wake-up, by the tracepoints of both ends.
 *
 * Those of vmpressure() only count and raise an irq_work. They run in whatever
 * context reclaim runs in, perhaps under a workqueue's own lock, where even
 * queue_work() would deadlock.
 *
 * kswapd's wake-up is the earliest sign there is: it comes before the first
 * page is scanned, so before anything is swapped. A work may be late then, and
 * those two need none: a task that may sleep, and kswapd, hold no spinlock and
 * give back themselves. The wake-up falls silent once a node counts as
 * hopeless, and vmpressure() is silent where there is nothing to scan, so
 * neither suffices alone.
 *
 * A kprobe can be silenced by the administrator (kernel.ftrace_enabled=0,
 * debugfs kprobes/enabled) without anybody being told. So it is watched.
 */
#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/memcontrol.h>
#include <linux/mmzone.h>
#include <linux/ptrace.h>
#include <linux/rculist.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <linux/vmpressure.h>
#include <trace/events/vmscan.h>

#include "device.h"

/* One sign for so many pages scanned: the window of the kernel's vmpressure. */
#define VBP_HOOK_WINDOW	(SWAP_CLUSTER_MAX * 16)

/*
 * kswapd scanned so many times the low watermarks, and the kprobe saw none of
 * it: it is dead. Not much less: with MGLRU kswapd may reclaim as much as the
 * high watermarks, and scan more than that, between two calls.
 */
#define VBP_HOOK_DEAD_WATERMARKS	8

/* From 7.2 on vmpressure() is told the order too, as its second argument. */
#define VBP_HOOK_HAS_ORDER						\
	__builtin_types_compatible_p(typeof(vmpressure),		\
		void(gfp_t, int, struct mem_cgroup *, bool,		\
		     unsigned long, unsigned long))

static DEFINE_MUTEX(vbp_vmpressure_mutex);	/* attaching and detaching */
static DEFINE_SPINLOCK(vbp_vmpressure_lock);	/* changes of the list, irq-safe */
static LIST_HEAD(vbp_vmpressure_devices);	/* read by RCU */

/* Under vbp_vmpressure_mutex. */
static bool vbp_vmpressure_kprobe_on;
static bool vbp_vmpressure_may_fall_back;

static atomic64_t vbp_vmpressure_calls;
static atomic64_t vbp_vmpressure_kswapd;
static atomic_long_t vbp_vmpressure_scanned;

/* When the kprobe was last looked at. Protected by vbp_vmpressure_lock. */
static u64 vbp_vmpressure_seen_scanned;
static u64 vbp_vmpressure_seen_calls;

static void vbp_vmpressure_signal(struct irq_work *work)
{
	struct vbp_device *vb;

	rcu_read_lock();
	list_for_each_entry_rcu(vb, &vbp_vmpressure_devices, hook_entry)
		vbp_works_relief(vb);
	rcu_read_unlock();
}

static DEFINE_IRQ_WORK(vbp_vmpressure_irq_work, vbp_vmpressure_signal);

static void vbp_vmpressure_count(unsigned long scanned)
{
	if (atomic_long_add_return(scanned, &vbp_vmpressure_scanned) >=
	    (long)VBP_HOOK_WINDOW) {
		atomic_long_set(&vbp_vmpressure_scanned, 0);
		irq_work_queue(&vbp_vmpressure_irq_work);
	}
}

/*
 * Global reclaim passes each cgroup with tree=false, and reclaim on behalf of a
 * cgroup's limit ends with a tree=true sample that names it. So the sum of the
 * former minus the latter is global reclaim alone, in both LRU modes.
 */
static int vbp_vmpressure_called(struct kprobe *kprobe, struct pt_regs *regs)
{
	unsigned int arg = 1;
	unsigned long memcg, scanned;
	bool tree;

	/* Before anything is left out: each call says that the kprobe lives. */
	atomic64_inc(&vbp_vmpressure_calls);
	if (VBP_HOOK_HAS_ORDER &&
	    (int)regs_get_kernel_argument(regs, arg++) > PAGE_ALLOC_COSTLY_ORDER)
		return 0;
	memcg = regs_get_kernel_argument(regs, arg++);
	/* Of a bool only the low byte says something. */
	tree = (u8)regs_get_kernel_argument(regs, arg++);
	scanned = regs_get_kernel_argument(regs, arg);

	if (!tree)
		vbp_vmpressure_count(scanned);
	else if (memcg)
		atomic_long_sub(scanned, &vbp_vmpressure_scanned);
	return 0;
}

NOKPROBE_SYMBOL(vbp_vmpressure_called);

static struct kprobe vbp_vmpressure_kprobe = {
	.symbol_name = "vmpressure",
	.pre_handler = vbp_vmpressure_called,
};

static void vbp_vmpressure_relieve(int nid)
{
	struct vbp_device *vb;

	atomic64_inc(&vbp_vmpressure_kswapd);
	rcu_read_lock();
	list_for_each_entry_rcu(vb, &vbp_vmpressure_devices, hook_entry)
		vbp_relief_early(vb, nid);
	rcu_read_unlock();
}

/*
 * In the task whose allocation found a zone below its low watermark. One that
 * may reclaim may sleep, and does reclaim if it is faster than kswapd.
 */
static void vbp_vmpressure_wakeup_kswapd(void *data, int nid, int zid, int order,
					 gfp_t gfp_flags)
{
	/* Huge pages are worth compacting for, not worth deflating for. */
	if (order <= PAGE_ALLOC_COSTLY_ORDER && gfpflags_allow_blocking(gfp_flags))
		vbp_vmpressure_relieve(nid);
}

/* In kswapd, also when it goes round again without having slept. */
static void vbp_vmpressure_kswapd_wake(void *data, int nid, int zid, int order)
{
	if (order > PAGE_ALLOC_COSTLY_ORDER)
		return;
	vbp_vmpressure_relieve(nid);
	/* What that could not do, and what comes next, is the work's. */
	irq_work_queue(&vbp_vmpressure_irq_work);
}

/*
 * In place of vmpressure(). It can't tell reclaim for a cgroup's limit apart,
 * and does not fire where MGLRU of 6.1 reclaims: the fallback.
 */
static void vbp_vmpressure_shrink_inactive(void *data, int nid,
					   unsigned long nr_scanned,
					   unsigned long nr_reclaimed,
					   struct reclaim_stat *stat, int priority,
					   int file)
{
	atomic64_inc(&vbp_vmpressure_calls);
	vbp_vmpressure_count(nr_scanned);
}

/* By name: modules can't see the kernel's tracepoints otherwise. */
static struct vbp_vmpressure_probe {
	const char *name;
	void *function;
	struct tracepoint *tp;
	bool on;		/* under vbp_vmpressure_mutex */
} vbp_vmpressure_shrink = {
	.name = "mm_vmscan_lru_shrink_inactive",
	.function = vbp_vmpressure_shrink_inactive,
}, vbp_vmpressure_wakeup = {
	.name = "mm_vmscan_wakeup_kswapd",
	.function = vbp_vmpressure_wakeup_kswapd,
}, vbp_vmpressure_wake = {
	.name = "mm_vmscan_kswapd_wake",
	.function = vbp_vmpressure_kswapd_wake,
};

static void vbp_vmpressure_find(struct tracepoint *tp, void *data)
{
	struct vbp_vmpressure_probe *probe = data;

	if (!strcmp(tp->name, probe->name))
		probe->tp = tp;
}

static void vbp_vmpressure_probe_on(struct vbp_vmpressure_probe *probe)
{
	int err = -ENOENT;

	/* Without tracepoints the functions are declared, but not there. */
	if (IS_ENABLED(CONFIG_TRACEPOINTS)) {
		for_each_kernel_tracepoint(vbp_vmpressure_find, probe);
		if (probe->tp)
			err = tracepoint_probe_register(probe->tp,
							probe->function, NULL);
	}
	if (err)
		pr_warn("virtio_balloon_pressure: sensor %s is not available: %d\n",
			probe->name, err);
	WRITE_ONCE(probe->on, !err);
}

static void vbp_vmpressure_probe_off(struct vbp_vmpressure_probe *probe)
{
	if (IS_ENABLED(CONFIG_TRACEPOINTS) && probe->on)
		tracepoint_probe_unregister(probe->tp, probe->function, NULL);
	WRITE_ONCE(probe->on, false);
}

static void vbp_vmpressure_use_kprobe(enum vbp_hook_mode mode)
{
	int err = register_kprobe(&vbp_vmpressure_kprobe);

	if (err) {
		pr_warn("virtio_balloon_pressure: sensor vmpressure is not available by kprobe: %d\n",
			err);
		if (mode == VBP_HOOK_AUTO)
			vbp_vmpressure_probe_on(&vbp_vmpressure_shrink);
		return;
	}
	vbp_vmpressure_may_fall_back = mode == VBP_HOOK_AUTO;
	WRITE_ONCE(vbp_vmpressure_kprobe_on, true);
}

static void vbp_vmpressure_drop_kprobe(void)
{
	if (!vbp_vmpressure_kprobe_on)
		return;
	WRITE_ONCE(vbp_vmpressure_kprobe_on, false);
	unregister_kprobe(&vbp_vmpressure_kprobe);
	/* The kernel wants it as new if it is registered again. */
	vbp_vmpressure_kprobe.addr = NULL;
	vbp_vmpressure_kprobe.flags = 0;
}

static void vbp_vmpressure_fall_back(struct work_struct *work)
{
	mutex_lock(&vbp_vmpressure_mutex);
	if (vbp_vmpressure_kprobe_on && vbp_vmpressure_may_fall_back) {
		pr_notice("virtio_balloon_pressure: the kprobe on vmpressure is silent (ftrace or kprobes switched off?); using a tracepoint\n");
		vbp_vmpressure_drop_kprobe();
		vbp_vmpressure_probe_on(&vbp_vmpressure_shrink);
	}
	mutex_unlock(&vbp_vmpressure_mutex);
}

static DECLARE_WORK(vbp_vmpressure_fall_back_work, vbp_vmpressure_fall_back);

/**
 * vbp_vmpressure_watch() - notice a kprobe that no longer fires
 *
 * While the sampler runs. vmpressure() is called for whatever kswapd scans.
 *
 * Context: any.
 */
void vbp_vmpressure_watch(void)
{
	u64 scanned = vbp_memory_kswapd_scanned();
	bool dead = false;
	unsigned long flags;
	u64 calls;

	if (!READ_ONCE(vbp_vmpressure_kprobe_on))
		return;
	spin_lock_irqsave(&vbp_vmpressure_lock, flags);
	calls = vbp_vmpressure_events();
	if (calls != vbp_vmpressure_seen_calls || scanned < vbp_vmpressure_seen_scanned) {
		vbp_vmpressure_seen_calls = calls;
		vbp_vmpressure_seen_scanned = scanned;
	} else {
		dead = scanned - vbp_vmpressure_seen_scanned >
		       VBP_HOOK_DEAD_WATERMARKS * vbp_memory_low_watermarks();
	}
	/* Not once detached: nobody would wait for it. */
	if (dead && vbp_vmpressure_may_fall_back && !list_empty(&vbp_vmpressure_devices))
		schedule_work(&vbp_vmpressure_fall_back_work);
	spin_unlock_irqrestore(&vbp_vmpressure_lock, flags);
}

static void vbp_vmpressure_install(const struct vbp_params *params)
{
	/* The compiler compares our prototypes with the kernel's. */
	check_trace_callback_type_mm_vmscan_wakeup_kswapd(vbp_vmpressure_wakeup_kswapd);
	check_trace_callback_type_mm_vmscan_kswapd_wake(vbp_vmpressure_kswapd_wake);
	check_trace_callback_type_mm_vmscan_lru_shrink_inactive(vbp_vmpressure_shrink_inactive);

	vbp_vmpressure_seen_calls = vbp_vmpressure_events();
	vbp_vmpressure_seen_scanned = vbp_memory_kswapd_scanned();
	if (params->hook == VBP_HOOK_TRACEPOINT)
		vbp_vmpressure_probe_on(&vbp_vmpressure_shrink);
	else if (params->hook != VBP_HOOK_NONE)
		vbp_vmpressure_use_kprobe(params->hook);
	if (params->kswapd) {
		vbp_vmpressure_probe_on(&vbp_vmpressure_wakeup);
		vbp_vmpressure_probe_on(&vbp_vmpressure_wake);
	}
}

static void vbp_vmpressure_uninstall(void)
{
	vbp_vmpressure_drop_kprobe();
	vbp_vmpressure_probe_off(&vbp_vmpressure_shrink);
	vbp_vmpressure_probe_off(&vbp_vmpressure_wakeup);
	vbp_vmpressure_probe_off(&vbp_vmpressure_wake);
	/* No handler may run once the module's text is gone. */
	tracepoint_synchronize_unregister();
	irq_work_sync(&vbp_vmpressure_irq_work);
}

/**
 * vbp_vmpressure_attach() - have reclaim looked at for @vb
 * @vb: the device; its engine is initialised
 * @params: which hooks are wanted
 *
 * A hook that can't be had is told of and done without.
 *
 * Context: may sleep.
 */
void vbp_vmpressure_attach(struct vbp_device *vb, const struct vbp_params *params)
{
	bool first;

	mutex_lock(&vbp_vmpressure_mutex);
	spin_lock_irq(&vbp_vmpressure_lock);
	first = list_empty(&vbp_vmpressure_devices);
	list_add_rcu(&vb->hook_entry, &vbp_vmpressure_devices);
	spin_unlock_irq(&vbp_vmpressure_lock);
	if (first)
		vbp_vmpressure_install(params);
	mutex_unlock(&vbp_vmpressure_mutex);
}

/**
 * vbp_vmpressure_detach() - the end of vbp_vmpressure_attach()
 * @vb: the device
 *
 * Context: may sleep.
 */
void vbp_vmpressure_detach(struct vbp_device *vb)
{
	bool last;

	mutex_lock(&vbp_vmpressure_mutex);
	spin_lock_irq(&vbp_vmpressure_lock);
	list_del_rcu(&vb->hook_entry);
	last = list_empty(&vbp_vmpressure_devices);
	spin_unlock_irq(&vbp_vmpressure_lock);
	if (last)
		vbp_vmpressure_uninstall();
	synchronize_rcu();
	mutex_unlock(&vbp_vmpressure_mutex);
	/* It finds nothing to do, but its code must stay until it has run. */
	cancel_work_sync(&vbp_vmpressure_fall_back_work);
}

/**
 * vbp_vmpressure_hook() - how vmpressure is hooked
 *
 * Return: "kprobe", "tracepoint" or "none".
 */
const char *vbp_vmpressure_hook(void)
{
	if (READ_ONCE(vbp_vmpressure_kprobe_on))
		return "kprobe";
	return READ_ONCE(vbp_vmpressure_shrink.on) ? "tracepoint" : "none";
}

/**
 * vbp_vmpressure_events() - calls of vmpressure() seen
 *
 * Return: a count since the module was loaded.
 */
u64 vbp_vmpressure_events(void)
{
	return atomic64_read(&vbp_vmpressure_calls);
}

/**
 * vbp_vmpressure_wakeups() - wake-ups of kswapd seen
 *
 * Return: a count since the module was loaded.
 */
u64 vbp_vmpressure_wakeups(void)
{
	return atomic64_read(&vbp_vmpressure_kswapd);
}
