// SPDX-License-Identifier: GPL-2.0-only
/* The queues' life. */
#include "device.h"

/**
 * vbp_host_init() - before there are queues
 * @vb: the device
 *
 * Context: any.
 */
void vbp_host_init(struct vbp_device *vb)
{
	struct vbp_host *host = &vb->host;

	init_waitqueue_head(&host->acked);
	spin_lock_init(&host->inflate.lock);
	spin_lock_init(&host->deflate.lock);
	spin_lock_init(&host->report.lock);
	vbp_batch_init(&host->in_flight);
	INIT_DELAYED_WORK(&host->stats_asked.work, vbp_stats_work);
	INIT_DELAYED_WORK(&host->hint.asked.work, vbp_hint_work);
	spin_lock_init(&host->hint.lock);
	INIT_LIST_HEAD(&host->hint.pages);
	INIT_LIST_HEAD(&host->hint.with_host);
}

/**
 * vbp_host_begin() - the device is fresh from reset, and has these queues
 * @vb: the device
 * @vqs: the transport's part of them
 *
 * It holds no buffer and knows nothing of us.
 *
 * Context: may sleep; takes @vb->host_lock: the memory notifier is there already
 * when this is a resume.
 */
void vbp_host_begin(struct vbp_device *vb, const struct vbp_host_vqs *vqs)
{
	struct vbp_host *host = &vb->host;

	mutex_lock(&vb->host_lock);
	host->stats_asked.next = jiffies;
	host->hint.asked.next = jiffies;
	host->stats_vq = vqs->stats;
	host->hint.vq = vqs->hint;
	vbp_queue_init(vb, &host->inflate, vqs->inflate);
	vbp_queue_init(vb, &host->deflate, vqs->deflate);
	vbp_reporting_init(vb, vqs->reporting);
	host->told_actual = U32_MAX;
	host->told_pressure = 0;
	host->told_wanted = 0;
	host->silent = false;
	mutex_unlock(&vb->host_lock);
}

/**
 * vbp_host_end() - the queues are about to go
 * @vb: the device, reset; works are stopped, and nothing is in flight
 *
 * Sensors and the memory notifier may still be at work, now and after a resume
 * that failed: what they can reach is gone before the queues are.
 *
 * Context: may sleep; takes @vb->host_lock.
 */
void vbp_host_end(struct vbp_device *vb)
{
	struct vbp_host *host = &vb->host;

	mutex_lock(&vb->host_lock);
	host->by_report = false;
	host->inflate.vq = NULL;
	host->deflate.vq = NULL;
	host->report.vq = NULL;
	host->stats_vq = NULL;
	host->hint.vq = NULL;
	mutex_unlock(&vb->host_lock);
}

/**
 * vbp_host_has_queues() - whether this is between vbp_host_begin() and _end()
 * @vb: the device
 *
 * Context: where neither is called meanwhile.
 * Return: false after a resume that failed.
 */
bool vbp_host_has_queues(struct vbp_device *vb)
{
	return vb->host.inflate.vq;
}

/**
 * vbp_host_start() - do what the device has asked for since it was ready
 * @vb: the device; works can be queued, which they could not be before
 *
 * Context: may sleep.
 */
void vbp_host_start(struct vbp_device *vb)
{
	if (vb->host.stats_vq)
		vbp_works_asked(vb, &vb->host.stats_asked, VBP_WAKE_STATS);
	if (vb->host.hint.vq)
		vbp_works_asked(vb, &vb->host.hint.asked, 0);
}

/**
 * vbp_host_leave() - the host has so long from now on for all it is asked
 * @vb: the device; works are about to stop
 *
 * Context: any.
 */
void vbp_host_leave(struct vbp_device *vb)
{
	WRITE_ONCE(vb->host.leave_by, jiffies + VBP_REMOVE_ALL);
}

/**
 * vbp_host_stop() - from now on waits for the host end as they do on removal
 * @vb: the device; no work can be queued any more
 *
 * Context: may sleep; waits for the works of statistics and hints.
 */
void vbp_host_stop(struct vbp_device *vb)
{
	wake_up(&vb->host.acked);
	cancel_delayed_work_sync(&vb->host.stats_asked.work);
	cancel_delayed_work_sync(&vb->host.hint.asked.work);
}

/**
 * vbp_host_ack() - the device has returned a buffer
 * @vq: one of the queues
 *
 * Context: interrupt.
 */
void vbp_host_ack(struct virtqueue *vq)
{
	struct vbp_device *vb = vq->vdev->priv;

	wake_up(&vb->host.acked);
}
