// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine's life: its works are made here, begin and end.
 */
#include <linux/workqueue.h>

#include "device.h"

/**
 * vbp_engine_init() - make the works
 * @vb: the device
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int vbp_engine_init(struct vbp_device *vb)
{
	vbp_policy_init(&vb->policy);
	INIT_DELAYED_WORK(&vb->work, vbp_main_work_run);
	INIT_DELAYED_WORK(&vb->relief_work, vbp_relief_run);
	INIT_WORK(&vb->stats_work, vbp_stats_work);
	INIT_WORK(&vb->hint_work, vbp_hint_work);
	vb->stopping = true;

	/*
	 * Both with a rescuer: they make memory, so they may not need any to
	 * run. Freezable, because a suspended device can't be talked to.
	 */
	vb->wq = alloc_workqueue("vbp", WQ_UNBOUND | WQ_MEM_RECLAIM |
				 WQ_FREEZABLE, 0);
	if (!vb->wq)
		return -ENOMEM;
	vb->relief_wq = alloc_workqueue("vbp_relief", WQ_UNBOUND | WQ_HIGHPRI |
					WQ_MEM_RECLAIM | WQ_FREEZABLE, 0);
	if (!vb->relief_wq) {
		destroy_workqueue(vb->wq);
		return -ENOMEM;
	}
	return 0;
}

/**
 * vbp_engine_destroy() - the end of vbp_engine_init()
 * @vb: the device; stopped
 */
void vbp_engine_destroy(struct vbp_device *vb)
{
	destroy_workqueue(vb->relief_wq);
	destroy_workqueue(vb->wq);
}

/**
 * vbp_engine_start() - go, towards the host's target
 * @vb: the device; ready
 *
 * Context: may sleep.
 */
void vbp_engine_start(struct vbp_device *vb)
{
	struct vbp_host_asks asks;

	/* The gate needs the floor, and may be asked before the work has run. */
	vbp_config_read(vb, &asks);
	spin_lock(&vb->lock);
	vb->asks = asks;
	spin_unlock(&vb->lock);
	spin_lock_irq(&vb->works_lock);
	vb->stopping = false;
	spin_unlock_irq(&vb->works_lock);
	vbp_works_main(vb, VBP_WAKE_SIZE);
	/* What the device asked for since it was ready could not be queued. */
	if (vb->stats_vq)
		vbp_works_other(vb, &vb->stats_work, VBP_WAKE_STATS);
	if (vb->hint_vq)
		vbp_works_other(vb, &vb->hint_work, 0);
}

/**
 * vbp_engine_stop() - no work runs after this, and none can be queued
 * @vb: the device
 *
 * Context: may sleep. A silent host delays it by VBP_REMOVE_WAIT, no more.
 */
void vbp_engine_stop(struct vbp_device *vb)
{
	spin_lock_irq(&vb->works_lock);
	vb->stopping = true;
	/* The work it is for will not run; after a resume the next one must. */
	vb->reclaim_sign = false;
	spin_unlock_irq(&vb->works_lock);
	wake_up(&vb->acked);

	cancel_delayed_work_sync(&vb->work);
	cancel_delayed_work_sync(&vb->relief_work);
	cancel_work_sync(&vb->stats_work);
	cancel_work_sync(&vb->hint_work);
	vbp_works_end_wake(vb, VBP_WAKE_SIZE | VBP_WAKE_STATS);
}
