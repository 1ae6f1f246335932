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

/*
 * Between two runs of a work that the host asks for. Each costs some
 * microseconds and an exit, and no host that means it asks so often; one that
 * does could have a CPU of the guest's to itself.
 */
#define VBP_ASKED_GAP	(HZ / 50)

/* Keep the system awake while there is work. */
static void vbp_works_begin_wake(struct vbp_device *vb, u32 wake_reason)
{
	lockdep_assert_held(&vb->works.lock);
	vb->works.wake_reasons |= wake_reason;
	if (vb->works.wake_reasons && !vb->works.awake) {
		vb->works.awake = true;
		pm_stay_awake(&vb->vdev->dev);
	}
}

/**
 * vbp_works_init() - make the works; none can be queued yet
 * @vb: the device
 * @main: the main work
 * @relief: the relief work
 * @sampler: whether memory is looked at while it moves, sign or no sign
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int vbp_works_init(struct vbp_device *vb, work_func_t main, work_func_t relief,
		   bool sampler)
{
	struct vbp_works *works = &vb->works;

	spin_lock_init(&works->lock);
	INIT_DELAYED_WORK(&works->main, main);
	INIT_DELAYED_WORK(&works->relief, relief);
	works->sampler = sampler;
	works->stopping = true;

	/*
	 * Both with a rescuer: they make memory, so they may not need any to
	 * run. Not freezable: the device is stopped before it sleeps, and from
	 * 6.9 on an unbound workqueue whose frozen work is cancelled, as it is
	 * then, may run none on that CPU any more (nobody takes its pool's
	 * queue off those that wait for their turn).
	 */
	works->main_wq = alloc_workqueue("vbp", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!works->main_wq)
		return -ENOMEM;
	works->relief_wq = alloc_workqueue("vbp_relief", WQ_UNBOUND |
					   WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!works->relief_wq) {
		destroy_workqueue(works->main_wq);
		return -ENOMEM;
	}
	return 0;
}

/**
 * vbp_works_destroy() - the end of vbp_works_init()
 * @vb: the device; closed, and nothing runs
 */
void vbp_works_destroy(struct vbp_device *vb)
{
	destroy_workqueue(vb->works.relief_wq);
	destroy_workqueue(vb->works.main_wq);
}

/**
 * vbp_works_open() - works can be queued from now on
 * @vb: the device
 *
 * Context: may sleep.
 */
void vbp_works_open(struct vbp_device *vb)
{
	spin_lock_irq(&vb->works.lock);
	vb->works.stopping = false;
	vb->works.ask_next = jiffies;
	spin_unlock_irq(&vb->works.lock);
}

/**
 * vbp_works_close() - none can be queued any more; what runs sees it
 * @vb: the device
 *
 * Context: may sleep.
 */
void vbp_works_close(struct vbp_device *vb)
{
	spin_lock_irq(&vb->works.lock);
	/* Whoever sees it sees what was set before: vbp_host_leave(). */
	smp_store_release(&vb->works.stopping, true);
	/* The work it is for will not run; after a resume the next one must. */
	vb->works.reclaim_sign = false;
	spin_unlock_irq(&vb->works.lock);
}

/**
 * vbp_works_wait() - wait for what still runs
 * @vb: the device; closed
 *
 * Context: may sleep.
 */
void vbp_works_wait(struct vbp_device *vb)
{
	cancel_delayed_work_sync(&vb->works.main);
	cancel_delayed_work_sync(&vb->works.relief);
	vbp_works_end_wake(vb, VBP_WAKE_SIZE | VBP_WAKE_STATS);
}

/**
 * vbp_works_stopping() - whether the driver is being stopped
 * @vb: the device
 *
 * Context: any.
 * Return: true from vbp_works_close() to vbp_works_open().
 */
bool vbp_works_stopping(struct vbp_device *vb)
{
	/* Pairs with vbp_works_close(). */
	return smp_load_acquire(&vb->works.stopping);
}

/**
 * vbp_works_main_pending() - whether the main work is asked for
 * @vb: the device
 *
 * Context: any.
 * Return: true if it runs again soon.
 */
bool vbp_works_main_pending(struct vbp_device *vb)
{
	return delayed_work_pending(&vb->works.main);
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

	spin_lock_irqsave(&vb->works.lock, flags);
	/* A request that came meanwhile has queued the work again. */
	if (!(wake_reason & VBP_WAKE_SIZE) || !delayed_work_pending(&vb->works.main))
		vb->works.wake_reasons &= ~wake_reason;
	if (!vb->works.wake_reasons && vb->works.awake) {
		vb->works.awake = false;
		pm_relax(&vb->vdev->dev);
	}
	spin_unlock_irqrestore(&vb->works.lock, flags);
}

/* Jiffies to wait, if it may not be before @next. */
static unsigned long vbp_works_until(unsigned long next)
{
	unsigned long now = jiffies;

	return time_before(now, next) ? next - now : 0;
}

/**
 * vbp_works_main() - have the main work run soon
 * @vb: the device
 * @wake_reason: VBP_WAKE_SIZE if the host asked, 0 if we did
 *
 * At once, unless it is for the host and was a moment ago.
 *
 * Context: any, also reclaim and interrupts. Nothing after vbp_works_close().
 */
void vbp_works_main(struct vbp_device *vb, u32 wake_reason)
{
	struct vbp_works *works = &vb->works;
	unsigned long flags, wait = 0, due;

	spin_lock_irqsave(&works->lock, flags);
	if (!works->stopping) {
		vbp_works_begin_wake(vb, wake_reason);
		if (wake_reason)
			wait = vbp_works_until(works->ask_next);
		due = jiffies + wait;
		/* What is to run sooner is not put off. */
		if (!delayed_work_pending(&works->main) ||
		    time_before(due, works->main_due)) {
			mod_delayed_work(works->main_wq, &works->main, wait);
			works->main_due = due;
			if (wake_reason)
				works->ask_next = due + VBP_ASKED_GAP;
		}
	}
	spin_unlock_irqrestore(&works->lock, flags);
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
	unsigned long flags, wait = msecs_to_jiffies(ms);

	if (!ms)
		return;
	spin_lock_irqsave(&vb->works.lock, flags);
	if (!vb->works.stopping &&
	    queue_delayed_work(vb->works.main_wq, &vb->works.main, wait))
		vb->works.main_due = jiffies + wait;
	spin_unlock_irqrestore(&vb->works.lock, flags);
}

/**
 * vbp_works_asked() - have another work run that stops with the engine
 * @vb: the device
 * @asked: the work
 * @wake_reason: VBP_WAKE_*, or 0
 *
 * At once, unless it did a moment ago.
 *
 * Context: any.
 */
void vbp_works_asked(struct vbp_device *vb, struct vbp_works_asked *asked,
		     u32 wake_reason)
{
	unsigned long flags, wait;

	spin_lock_irqsave(&vb->works.lock, flags);
	if (!vb->works.stopping) {
		vbp_works_begin_wake(vb, wake_reason);
		wait = vbp_works_until(asked->next);
		if (queue_delayed_work(vb->works.main_wq, &asked->work, wait))
			asked->next = jiffies + wait + VBP_ASKED_GAP;
	}
	spin_unlock_irqrestore(&vb->works.lock, flags);
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

	/* Each task in reclaim says so, and one sign is enough. */
	if (READ_ONCE(vb->works.reclaim_sign))
		return;
	spin_lock_irqsave(&vb->works.lock, flags);
	/* With a sign not yet looked at, the work is on its way. */
	if (!vb->works.stopping && !vb->works.reclaim_sign) {
		vb->works.reclaim_sign = true;
		mod_delayed_work(vb->works.relief_wq, &vb->works.relief, 0);
	}
	spin_unlock_irqrestore(&vb->works.lock, flags);
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

	spin_lock_irqsave(&vb->works.lock, flags);
	if (!vb->works.stopping && vb->works.sampler)
		queue_delayed_work(vb->works.relief_wq, &vb->works.relief,
				   msecs_to_jiffies(VBP_WATCH_MS));
	spin_unlock_irqrestore(&vb->works.lock, flags);
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

	spin_lock_irqsave(&vb->works.lock, flags);
	sign = vb->works.reclaim_sign;
	vb->works.reclaim_sign = false;
	spin_unlock_irqrestore(&vb->works.lock, flags);
	return sign;
}
