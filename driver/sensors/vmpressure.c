// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmpressure() as kswapd calls it, hooked by kprobe or, instead of it, the scan
 * of a list by tracepoint.
 *
 * The hooks only count and raise an irq_work. They run in whatever context
 * reclaim runs in, perhaps under a workqueue's own lock, where even queue_work()
 * would deadlock.
 *
 * A kprobe can be silenced by the administrator (kernel.ftrace_enabled=0,
 * debugfs kprobes/enabled) without anybody being told. So it is looked at
 * whenever kswapd wakes.
 */
#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/memcontrol.h>
#include <linux/ptrace.h>
#include <linux/rculist.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <linux/vmpressure.h>
#include <trace/events/vmscan.h>

#include "device.h"

/* One sign for so many pages scanned: the window of the kernel's vmpressure. */
#define VBP_VMPRESSURE_WINDOW	(SWAP_CLUSTER_MAX * 16)

/*
 * kswapd scanned so many times the low watermarks, and the kprobe saw none of
 * it: it is dead. Not much less: with MGLRU kswapd may reclaim as much as the
 * high watermarks, and scan more than that, between two calls.
 */
#define VBP_VMPRESSURE_DEAD_WATERMARKS	8

/* From 7.2 on vmpressure() is told the order too, as its second argument. */
#define VBP_VMPRESSURE_HAS_ORDER						\
	__builtin_types_compatible_p(typeof(vmpressure),		\
		void(gfp_t, int, struct mem_cgroup *, bool,		\
		     unsigned long, unsigned long))

static DEFINE_MUTEX(vbp_vmpressure_mutex);	/* attaching and detaching */
static DEFINE_SPINLOCK(vbp_vmpressure_lock);	/* changes of the list, irq-safe */
static LIST_HEAD(vbp_vmpressure_devices);	/* read by RCU */

/* Under vbp_vmpressure_mutex. */
static bool vbp_vmpressure_kprobe_on;

static atomic64_t vbp_vmpressure_calls;
static atomic_long_t vbp_vmpressure_scanned;

/* When the kprobe was last looked at. Under vbp_vmpressure_mutex. */
static u64 vbp_vmpressure_seen_scanned;
static u64 vbp_vmpressure_seen_calls;

static void vbp_vmpressure_signal(struct irq_work *work)
{
	struct vbp_device *vb;

	rcu_read_lock();
	list_for_each_entry_rcu(vb, &vbp_vmpressure_devices, sensors.vmpressure)
		vbp_works_relief(vb);
	rcu_read_unlock();
}

static DEFINE_IRQ_WORK(vbp_vmpressure_irq_work, vbp_vmpressure_signal);

static void vbp_vmpressure_count(unsigned long scanned)
{
	if (atomic_long_add_return(scanned, &vbp_vmpressure_scanned) >=
	    (long)VBP_VMPRESSURE_WINDOW) {
		atomic_long_set(&vbp_vmpressure_scanned, 0);
		irq_work_queue(&vbp_vmpressure_irq_work);
	}
}

/*
 * kswapd passes each cgroup with tree=false. Tasks that reclaim by themselves do
 * so, too; but of them nothing tells whether it is for the guest or for their
 * cgroup's own limit, which is nobody else's need. Those that do it for the
 * guest are direct.c's.
 */
static int vbp_vmpressure_called(struct kprobe *kprobe, struct pt_regs *regs)
{
	unsigned int arg = 1;

	if (!current_is_kswapd())
		return 0;
	/* Before more is left out: each such call says that the kprobe lives. */
	atomic64_inc(&vbp_vmpressure_calls);
	if (VBP_VMPRESSURE_HAS_ORDER &&
	    (int)regs_get_kernel_argument(regs, arg++) > PAGE_ALLOC_COSTLY_ORDER)
		return 0;
	/* Past the cgroup. Of a bool only the low byte says something. */
	arg++;
	if (!(u8)regs_get_kernel_argument(regs, arg++))
		vbp_vmpressure_count(regs_get_kernel_argument(regs, arg));
	return 0;
}

NOKPROBE_SYMBOL(vbp_vmpressure_called);

static struct kprobe vbp_vmpressure_kprobe = {
	.symbol_name = "vmpressure",
	.pre_handler = vbp_vmpressure_called,
};

/* In place of vmpressure(). It does not fire where MGLRU of 6.1 reclaims. */
static void vbp_vmpressure_shrink_inactive(void *data, int nid,
					   unsigned long nr_scanned,
					   unsigned long nr_reclaimed,
					   struct reclaim_stat *stat, int priority,
					   int file)
{
	if (!current_is_kswapd())
		return;
	atomic64_inc(&vbp_vmpressure_calls);
	vbp_vmpressure_count(nr_scanned);
}

static struct vbp_probe vbp_vmpressure_scan = {
	.name = "mm_vmscan_lru_shrink_inactive",
	.function = vbp_vmpressure_shrink_inactive,
};

static void vbp_vmpressure_use_kprobe(enum vbp_hook_mode mode)
{
	int err = register_kprobe(&vbp_vmpressure_kprobe);

	if (err) {
		pr_warn("virtio_balloon_pressure: sensor vmpressure is not available by kprobe: %d\n",
			err);
		if (mode == VBP_HOOK_AUTO)
			vbp_probe_on(&vbp_vmpressure_scan);
		return;
	}
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

/* Whether kswapd has scanned much, and the kprobe has seen none of it. */
static bool vbp_vmpressure_is_dead(void)
{
	u64 scanned = vbp_memory_kswapd_scanned();
	u64 calls = vbp_vmpressure_events();

	lockdep_assert_held(&vbp_vmpressure_mutex);
	if (calls != vbp_vmpressure_seen_calls ||
	    scanned < vbp_vmpressure_seen_scanned) {
		vbp_vmpressure_seen_calls = calls;
		vbp_vmpressure_seen_scanned = scanned;
		return false;
	}
	return scanned - vbp_vmpressure_seen_scanned >
	       VBP_VMPRESSURE_DEAD_WATERMARKS * vbp_memory_low_watermarks();
}

static void vbp_vmpressure_look(struct work_struct *work)
{
	mutex_lock(&vbp_vmpressure_mutex);
	if (vbp_vmpressure_kprobe_on && vbp_vmpressure_is_dead()) {
		pr_notice("virtio_balloon_pressure: the kprobe on vmpressure is silent (ftrace or kprobes switched off?); using a tracepoint\n");
		trace_vbp_sensor_silent(vbp_memory_kswapd_scanned() -
					vbp_vmpressure_seen_scanned);
		vbp_vmpressure_drop_kprobe();
		vbp_probe_on(&vbp_vmpressure_scan);
	}
	mutex_unlock(&vbp_vmpressure_mutex);
}

static DECLARE_DELAYED_WORK(vbp_vmpressure_look_work, vbp_vmpressure_look);

/*
 * kswapd has woken, and vmpressure() is called for all that it scans. Look a
 * second later, because kswapd may not wake again after this scan.
 */
static void vbp_vmpressure_woken(struct irq_work *work)
{
	unsigned long flags;

	/* Not after vbp_vmpressure_stop(), which waits for it. */
	spin_lock_irqsave(&vbp_vmpressure_lock, flags);
	if (!list_empty(&vbp_vmpressure_devices))
		schedule_delayed_work(&vbp_vmpressure_look_work, HZ);
	spin_unlock_irqrestore(&vbp_vmpressure_lock, flags);
}

static DEFINE_IRQ_WORK(vbp_vmpressure_look_irq_work, vbp_vmpressure_woken);

/* Not by kswapd.c's sensor, which may be switched off. */
static void vbp_vmpressure_watch(void *data, int nid, int zid, int order)
{
	irq_work_queue(&vbp_vmpressure_look_irq_work);
}

static struct vbp_probe vbp_vmpressure_watch_probe = {
	.name = "mm_vmscan_kswapd_wake",
	.function = vbp_vmpressure_watch,
};

static void vbp_vmpressure_install(enum vbp_hook_mode mode)
{
	/* The compiler compares our prototypes with the kernel's. */
	check_trace_callback_type_mm_vmscan_kswapd_wake(vbp_vmpressure_watch);
	check_trace_callback_type_mm_vmscan_lru_shrink_inactive(vbp_vmpressure_shrink_inactive);

	vbp_vmpressure_seen_calls = vbp_vmpressure_events();
	vbp_vmpressure_seen_scanned = vbp_memory_kswapd_scanned();
	if (mode == VBP_HOOK_TRACEPOINT)
		vbp_probe_on(&vbp_vmpressure_scan);
	else if (mode != VBP_HOOK_NONE)
		vbp_vmpressure_use_kprobe(mode);
	if (vbp_vmpressure_kprobe_on && mode == VBP_HOOK_AUTO)
		vbp_probe_on(&vbp_vmpressure_watch_probe);
}

static void vbp_vmpressure_uninstall(void)
{
	vbp_vmpressure_drop_kprobe();
	vbp_probe_off(&vbp_vmpressure_watch_probe);
	vbp_probe_off(&vbp_vmpressure_scan);
	/* No handler may run once the module's text is gone. */
	tracepoint_synchronize_unregister();
	irq_work_sync(&vbp_vmpressure_irq_work);
	irq_work_sync(&vbp_vmpressure_look_irq_work);
}

/**
 * vbp_vmpressure_start() - have vmpressure() looked at for @vb
 * @vb: the device; its engine is initialised
 * @mode: how; if another device has it hooked already, that stays
 *
 * If a hook can't be had, that is logged, and all goes on without it.
 *
 * Context: may sleep.
 */
void vbp_vmpressure_start(struct vbp_device *vb, enum vbp_hook_mode mode)
{
	bool first;

	mutex_lock(&vbp_vmpressure_mutex);
	spin_lock_irq(&vbp_vmpressure_lock);
	first = list_empty(&vbp_vmpressure_devices);
	list_add_rcu(&vb->sensors.vmpressure, &vbp_vmpressure_devices);
	spin_unlock_irq(&vbp_vmpressure_lock);
	if (first)
		vbp_vmpressure_install(mode);
	mutex_unlock(&vbp_vmpressure_mutex);
}

/**
 * vbp_vmpressure_stop() - the end of vbp_vmpressure_start()
 * @vb: the device
 *
 * Context: may sleep.
 */
void vbp_vmpressure_stop(struct vbp_device *vb)
{
	bool last;

	mutex_lock(&vbp_vmpressure_mutex);
	spin_lock_irq(&vbp_vmpressure_lock);
	list_del_rcu(&vb->sensors.vmpressure);
	last = list_empty(&vbp_vmpressure_devices);
	spin_unlock_irq(&vbp_vmpressure_lock);
	if (last)
		vbp_vmpressure_uninstall();
	synchronize_rcu();
	mutex_unlock(&vbp_vmpressure_mutex);
	/* It finds nothing to do, but its code must stay until it has run. */
	cancel_delayed_work_sync(&vbp_vmpressure_look_work);
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
	return READ_ONCE(vbp_vmpressure_scan.on) ? "tracepoint" : "none";
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
