// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the works run: they are asked for here and nowhere else, so that none
 * can be queued any more once the engine stops.
 */
#include <linux/device.h>
#include <linux/pm_wakeup.h>

#include "device.h"

/* Between two looks at memory that moves. */
#define VBP_WATCH_MS	20

/* Keep the system awake while there is work. */
static void vbp_works_begin_wake(struct vbp_device *vb, u32 wake_reason)
{
	lockdep_assert_held(&vb->works_lock);
	vb->wake_reasons |= wake_reason;
	if (vb->wake_reasons && !vb->awake) {
		vb->awake = true;
		pm_stay_awake(&vb->vdev->dev);
	}
}

/**
 * vbp_works_end_wake() - what was asked for is done
 * @vb: the device
 * @wake_reason: VBP_WAKE_*
 *
 * Context: any.
 */
void vbp_works_end_wake(struct vbp_device *vb, u32 wake_reason)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->works_lock, flags);
	/* A request that came meanwhile has queued the work again. */
	if (!(wake_reason & VBP_WAKE_SIZE) || !delayed_work_pending(&vb->work))
		vb->wake_reasons &= ~wake_reason;
	if (!vb->wake_reasons && vb->awake) {
		vb->awake = false;
		pm_relax(&vb->vdev->dev);
	}
	spin_unlock_irqrestore(&vb->works_lock, flags);
}

/**
 * vbp_works_main() - have the main work run soon
 * @vb: the device
 * @wake_reason: VBP_WAKE_SIZE if the host asked, 0 if we did
 *
 * Context: any, also reclaim and interrupts. Nothing after vbp_engine_stop().
 */
void vbp_works_main(struct vbp_device *vb, u32 wake_reason)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->works_lock, flags);
	if (!vb->stopping) {
		vbp_works_begin_wake(vb, wake_reason);
		mod_delayed_work(vb->wq, &vb->work, 0);
	}
	spin_unlock_irqrestore(&vb->works_lock, flags);
}

/**
 * vbp_works_main_later() - have the main work run even if nothing happens
 * @vb: the device
 * @ms: after so long at the latest; 0 means not to
 *
 * Context: any.
 */
void vbp_works_main_later(struct vbp_device *vb, unsigned int ms)
{
	unsigned long flags;

	if (!ms)
		return;
	spin_lock_irqsave(&vb->works_lock, flags);
	if (!vb->stopping)
		queue_delayed_work(vb->wq, &vb->work, msecs_to_jiffies(ms));
	spin_unlock_irqrestore(&vb->works_lock, flags);
}

/**
 * vbp_works_other() - have another work run that stops with the engine
 * @vb: the device
 * @work: the work
 * @wake_reason: VBP_WAKE_*, or 0
 *
 * Context: any.
 */
void vbp_works_other(struct vbp_device *vb, struct work_struct *work,
		     u32 wake_reason)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->works_lock, flags);
	if (!vb->stopping) {
		vbp_works_begin_wake(vb, wake_reason);
		queue_work(vb->wq, work);
	}
	spin_unlock_irqrestore(&vb->works_lock, flags);
}

/**
 * vbp_works_relief() - reclaim runs: see whether it is need
 * @vb: the device
 *
 * Context: any; from an irq_work where the caller may hold any lock.
 */
void vbp_works_relief(struct vbp_device *vb)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->works_lock, flags);
	/* With a sign not yet looked at, the work is on its way. */
	if (!vb->stopping && !vb->reclaim_sign) {
		vb->reclaim_sign = true;
		mod_delayed_work(vb->relief_wq, &vb->relief_work, 0);
	}
	spin_unlock_irqrestore(&vb->works_lock, flags);
}

/**
 * vbp_works_watch() - memory moves: look again soon, sign or no sign
 * @vb: the device
 *
 * Context: any.
 */
void vbp_works_watch(struct vbp_device *vb)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->works_lock, flags);
	if (!vb->stopping && vb->sampler)
		queue_delayed_work(vb->relief_wq, &vb->relief_work,
				   msecs_to_jiffies(VBP_WATCH_MS));
	spin_unlock_irqrestore(&vb->works_lock, flags);
}

/**
 * vbp_works_take_sign() - has reclaim given a sign since the last time?
 * @vb: the device
 *
 * Context: any.
 * Return: true once for any number of vbp_works_relief().
 */
bool vbp_works_take_sign(struct vbp_device *vb)
{
	unsigned long flags;
	bool sign;

	spin_lock_irqsave(&vb->works_lock, flags);
	sign = vb->reclaim_sign;
	vb->reclaim_sign = false;
	spin_unlock_irqrestore(&vb->works_lock, flags);
	return sign;
}
