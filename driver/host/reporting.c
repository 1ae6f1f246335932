// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page reporting and page poison. The queue also carries the blocks of the
 * balloon; the kernel's reports and ours each wait for their own.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/scatterlist.h>

#include "device.h"

/*
 * The other queues may still work. What this one has stays in flight until the
 * reset, which may be far away. From now on blocks go by the inflate queue.
 */
static void vbp_reporting_give_up(struct vbp_device *vb)
{
	lockdep_assert_held(&vb->host_lock);
	if (!virtqueue_is_broken(vb->host.report.vq) || vbp_queue_broken(vb))
		return;
	dev_err(&vb->vdev->dev,
		"the reporting queue is broken; inflating without it\n");
	vb->host.by_report = false;
}

/* What free pages contain, as far as the host has to care. */
static u32 vbp_reporting_poison(struct vbp_device *vb)
{
	u32 poison = 0;

	/* Four equal bytes: no byte order to mind. */
	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_PAGE_POISON) &&
	    !want_init_on_free())
		memset(&poison, PAGE_POISON, sizeof(poison));
	return poison;
}

/* The queue is short: the kernel's own report may leave no room for ours. */
static int vbp_reporting_make_room(struct vbp_device *vb, unsigned long limit)
{
	struct vbp_queue *queue = &vb->host.report;
	unsigned int i;
	int err = 0;

	for (i = 0; i < VBP_REPORTS && !err; i++)
		err = vbp_queue_wait(vb, queue, &queue->bufs[i], limit);
	return err;
}

static int vbp_reporting_send(struct vbp_device *vb, struct vbp_buffer *report,
			      struct scatterlist *sg, unsigned int nents,
			      unsigned long limit)
{
	struct vbp_queue *queue = &vb->host.report;
	bool notify = false;
	int err;

	for (;;) {
		spin_lock(&queue->lock);
		err = virtqueue_add_inbuf(queue->vq, sg, nents, report,
					  GFP_NOWAIT);
		if (!err) {
			report->out++;
			notify = virtqueue_kick_prepare(queue->vq);
		}
		spin_unlock(&queue->lock);
		if (err != -ENOSPC)
			break;
		err = vbp_reporting_make_room(vb, limit);
		if (err)
			break;
	}
	if (notify)
		virtqueue_notify(queue->vq);
	return err;
}

/*
 * The kernel puts these pages back on its free lists as soon as this returns,
 * also with an error, and the host may discard them until it has returned the
 * buffer. If it never will, only a completed reset makes that safe.
 */
static int vbp_reporting_report(struct page_reporting_dev_info *info,
				struct scatterlist *sg, unsigned int nents)
{
	struct vbp_device *vb = container_of(info, struct vbp_device,
					     host.reporting);
	struct vbp_buffer *report = &vb->host.report.bufs[VBP_REPORT_KERNEL];
	int err;

	/* An error ends what the kernel is about, all of which we wait for. */
	if (vbp_works_stopping(vb))
		return -ESHUTDOWN;
	err = vbp_reporting_send(vb, report, sg, nents, VBP_OWN_WAIT);
	if (err)
		return err;
	/* No end: the pages can't go back before. Nobody but us waits for it. */
	err = vbp_queue_wait(vb, &vb->host.report, report, VBP_OWN_WAIT);
	if (err) {
		dev_err(&vb->vdev->dev,
			"the device does not return free pages; resetting it\n");
		virtio_break_device(vb->vdev);
		virtio_reset_device(vb->vdev);
	}
	return err ? -EIO : 0;
}

/* Send what is gathered; what can't be sent the host has not seen. */
static int vbp_reporting_flush(struct vbp_device *vb, struct vbp_buffer *report,
			       unsigned long limit, struct vbp_landed *landed)
{
	unsigned int i = 0;
	struct page *page;
	int err;

	sg_init_table(report->sg, report->nr);
	list_for_each_entry(page, &report->pages.blocks, lru)
		sg_set_page(&report->sg[i++], page,
			    VBP_BLOCK_PAGES << PAGE_SHIFT, 0);
	err = vbp_reporting_send(vb, report, report->sg, report->nr, limit);
	if (err)
		vbp_batch_splice(&report->pages, &landed->out);
	report->nr = 0;
	vb->host.report.next++;
	return err;
}

/**
 * vbp_reporting_inflate() - put a block on its way to the host as a free range
 * @vb: the device
 * @batch: one private block; emptied, but for what the host has not seen
 * @landed: what has landed on the way is added
 *
 * The host discards a block in one go, where a stock host's inflate queue takes
 * page by page.
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, then the block is in flight or about to be, until
 * vbp_reporting_land(); or a negative errno when the device broke.
 */
int vbp_reporting_inflate(struct vbp_device *vb, struct vbp_batch *batch,
			  struct vbp_landed *landed)
{
	struct vbp_buffer *report = vbp_queue_oldest(&vb->host.report);
	int err;

	lockdep_assert_held(&vb->host_lock);
	if (!report->nr) {
		err = vbp_queue_land_one(vb, &vb->host.report, report, VBP_OWN_WAIT,
					 &landed->in);
		if (err)
			goto out;
	}
	vbp_batch_splice(batch, &report->pages);
	report->nr++;
	if (report->nr < vb->host.report_blocks)
		return 0;
	err = vbp_reporting_flush(vb, report, VBP_OWN_WAIT, landed);
out:
	if (err == -EIO)
		vbp_reporting_give_up(vb);
	return err;
}

/**
 * vbp_reporting_land() - the next report of ours lands
 * @vb: the device
 * @limit: jiffies to wait for it
 * @landed: its blocks are added
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0 when no report is on its way any more, 1 when blocks have landed;
 * -ETIMEDOUT after @limit; another errno when the device broke.
 */
int vbp_reporting_land(struct vbp_device *vb, unsigned long limit,
		       struct vbp_landed *landed)
{
	struct vbp_queue *queue = &vb->host.report;
	struct vbp_buffer *report;
	int err = 0;

	lockdep_assert_held(&vb->host_lock);
	if (!vb->host.by_report)
		return 0;
	report = vbp_queue_oldest(queue);
	if (report->nr)
		err = vbp_reporting_flush(vb, report, limit, landed);
	if (!err)
		err = vbp_queue_land_next(vb, queue, limit, &landed->in);
	if (err == -EIO)
		vbp_reporting_give_up(vb);
	return err;
}

/**
 * vbp_reporting_forget() - take back what was in flight
 * @vb: the device, after a completed reset
 * @landed: the blocks are added: they may be freed
 *
 * Context: may sleep; @vb->host_lock held.
 */
void vbp_reporting_forget(struct vbp_device *vb, struct vbp_landed *landed)
{
	lockdep_assert_held(&vb->host_lock);
	vbp_queue_take_all(&vb->host.report, &landed->out);
}

/**
 * vbp_reporting_init() - see whether blocks can go through the reporting queue
 * @vb: the device
 * @vq: the transport's part of the queue, or NULL
 *
 * The host must not have to be told of pages that leave, nor expect free pages
 * to contain a pattern: it then ignores reports. With PRESSURE, too: no host is
 * quicker with PFNs than with ranges.
 *
 * Context: before anything else uses the queue.
 */
void vbp_reporting_init(struct vbp_device *vb, struct virtqueue *vq)
{
	vbp_queue_init_bufs(&vb->host.report, vq, VBP_REPORT_KERNEL);
	vb->host.report_blocks = 0;
	if (vq)
		vb->host.report_blocks =
			min(virtqueue_get_vring_size(vq) / 2,
			    (unsigned int)VBP_REPORT_BLOCKS);
	vb->host.by_report = vb->host.report_blocks && !vb->must_tell &&
			!vbp_reporting_poison(vb);
}

/**
 * vbp_reporting_takes_blocks() - whether blocks inflate as free ranges
 * @vb: the device
 *
 * A report is over once it is answered: nothing need be told to take it back.
 *
 * Context: any.
 * Return: true until the queue breaks.
 */
bool vbp_reporting_takes_blocks(struct vbp_device *vb)
{
	return vb->host.by_report;
}

/**
 * vbp_reporting_write_poison() - tell the host what free pages contain
 * @vb: the device
 *
 * Context: may sleep.
 */
void vbp_reporting_write_poison(struct vbp_device *vb)
{
	u32 poison = vbp_reporting_poison(vb);

	if (!virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		return;
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_config, poison_val,
			 &poison);
}

/**
 * vbp_reporting_start() - report free pages, if the device wants them
 * @vb: the device; ready
 *
 * The balloon works without it, so a failure is only logged.
 *
 * Context: may sleep.
 */
void vbp_reporting_start(struct vbp_device *vb)
{
	int order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	unsigned int capacity;
	int err;

	if (!vb->host.report.vq)
		return;
	capacity = virtqueue_get_vring_size(vb->host.report.vq);
	vb->host.reporting.report = vbp_reporting_report;
	/*
	 * The kernel's default, a pageblock, is 512 MiB on arm64 with 64 KiB
	 * pages, which hardly ever is free in one piece.
	 */
	if (IS_ENABLED(CONFIG_ARM64_64K_PAGES))
		order = VBP_BLOCK_ORDER;
	err = page_reporting_register_sized(&vb->host.reporting, order, capacity);
	if (err)
		dev_warn(&vb->vdev->dev,
			 "free page reporting is not available: %d\n", err);
	vb->host.reporting_on = !err;
}

/**
 * vbp_reporting_stop() - the end of vbp_reporting_start()
 * @vb: the device; not yet reset
 *
 * Context: may sleep.
 */
void vbp_reporting_stop(struct vbp_device *vb)
{
	if (vb->host.reporting_on)
		page_reporting_unregister(&vb->host.reporting);
	vb->host.reporting_on = false;
}
