// SPDX-License-Identifier: GPL-2.0-only
/*
 * kswapd's wake-up, by the tracepoints of both ends.
 *
 * It is the earliest sign there is: it comes before the first page is scanned,
 * so before anything is swapped. A work may be late then, and none is needed: a
 * task that may sleep, and kswapd, hold no spinlock and give back themselves.
 * The wake-up falls silent once a node counts as hopeless, and vmpressure() is
 * silent where there is nothing to scan, so neither suffices alone.
 */
#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/mmzone.h>
#include <linux/tracepoint.h>
#include <trace/events/vmscan.h>

#include "device.h"

static void vbp_kswapd_relieve(struct vbp_device *vb, int nid)
{
	atomic64_inc(&vb->sensors.kswapd_wakeups);
	vbp_relief_early(vb, nid);
}

/*
 * In the task whose allocation found a zone below its low watermark. One that
 * may reclaim may sleep, and does reclaim if it is faster than kswapd.
 */
static void vbp_kswapd_wakeup(void *data, int nid, int zid, int order,
			      gfp_t gfp_flags)
{
	/* Huge pages are worth compacting for, not worth deflating for. */
	if (order <= PAGE_ALLOC_COSTLY_ORDER && gfpflags_allow_blocking(gfp_flags))
		vbp_kswapd_relieve(data, nid);
}

/* In kswapd, also when it goes round again without having slept. */
static void vbp_kswapd_wake(void *data, int nid, int zid, int order)
{
	struct vbp_device *vb = data;

	if (order > PAGE_ALLOC_COSTLY_ORDER)
		return;
	vbp_kswapd_relieve(vb, nid);
	/* The work does what that could not do, and what is needed next. */
	irq_work_queue(&vb->sensors.kswapd_sign);
}

/* Apart: a tracepoint keeps preemption off, and with PREEMPT_RT locks sleep. */
static void vbp_kswapd_signal(struct irq_work *work)
{
	vbp_works_relief(container_of(work, struct vbp_device,
				      sensors.kswapd_sign));
}

/**
 * vbp_kswapd_start() - have kswapd's wake-ups looked at for @vb
 * @vb: the device; its engine is initialised
 *
 * Context: may sleep.
 */
void vbp_kswapd_start(struct vbp_device *vb)
{
	/* The compiler compares our prototypes with the kernel's. */
	check_trace_callback_type_mm_vmscan_wakeup_kswapd(vbp_kswapd_wakeup);
	check_trace_callback_type_mm_vmscan_kswapd_wake(vbp_kswapd_wake);

	init_irq_work(&vb->sensors.kswapd_sign, vbp_kswapd_signal);
	vb->sensors.kswapd_wakeup = (struct vbp_probe) {
		.name = "mm_vmscan_wakeup_kswapd",
		.function = vbp_kswapd_wakeup,
		.data = vb,
	};
	vb->sensors.kswapd_wake = (struct vbp_probe) {
		.name = "mm_vmscan_kswapd_wake",
		.function = vbp_kswapd_wake,
		.data = vb,
	};
	vbp_probe_on(&vb->sensors.kswapd_wakeup);
	vbp_probe_on(&vb->sensors.kswapd_wake);
}

/**
 * vbp_kswapd_stop() - the end of vbp_kswapd_start(); harmless without it
 * @vb: the device
 *
 * Context: may sleep; waits for callers.
 */
void vbp_kswapd_stop(struct vbp_device *vb)
{
	if (!vb->sensors.kswapd_sign.func)
		return;
	vbp_probe_off(&vb->sensors.kswapd_wakeup);
	vbp_probe_off(&vb->sensors.kswapd_wake);
	tracepoint_synchronize_unregister();
	irq_work_sync(&vb->sensors.kswapd_sign);
}
