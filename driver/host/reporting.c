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

#define VBP_REPORT_POLL	(HZ / 10)

/*
 * The other queues may work on. What this one has stays in flight until the
 * reset, which is long in coming: blocks go by the inflate queue from now on.
 */
static void vbp_reporting_give_up(struct vbp_device *vb)
{
	lockdep_assert_held(&vb->host_lock);
	if (!virtqueue_is_broken(vb->reporting_vq) || vbp_queue_broken(vb))
		return;
	dev_err(&vb->vdev->dev,
		"the reporting queue is broken; inflating without it\n");
	vb->by_report = false;
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

/* Whether @report is ours again, after taking back all that came. */
static bool vbp_reporting_reap(struct vbp_device *vb, struct vbp_report *report)
{
	struct vbp_report *back;
	bool others = false, done;
	unsigned int len;

	spin_lock(&vb->report_lock);
	while ((back = virtqueue_get_buf(vb->reporting_vq, &len))) {
		back->out = false;
		others |= back != report;
	}
	done = !report->out;
	spin_unlock(&vb->report_lock);
	if (others)
		wake_up(&vb->acked);
	return done;
}

static int vbp_reporting_wait(struct vbp_device *vb, struct vbp_report *report,
			      unsigned long limit)
{
	unsigned long start = jiffies;

	while (!wait_event_timeout(vb->acked, vbp_reporting_reap(vb, report),
				   VBP_REPORT_POLL)) {
		if (virtqueue_is_broken(vb->reporting_vq))
			return -EIO;
		if (time_after(jiffies, start + limit))
			return -ETIMEDOUT;
		if (READ_ONCE(vb->stopping) &&
		    time_after(jiffies, start + VBP_REMOVE_WAIT))
			return -ESHUTDOWN;
	}
	return 0;
}

/* The queue is short: the kernel's own report may leave no room for ours. */
static int vbp_reporting_make_room(struct vbp_device *vb, unsigned long limit)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < VBP_REPORTS && !err; i++)
		err = vbp_reporting_wait(vb, &vb->reports[i], limit);
	return err;
}

static int vbp_reporting_send(struct vbp_device *vb, struct vbp_report *report,
			      struct scatterlist *sg, unsigned int nents,
			      unsigned long limit)
{
	bool notify = false;
	int err;

	for (;;) {
		spin_lock(&vb->report_lock);
		err = virtqueue_add_inbuf(vb->reporting_vq, sg, nents, report,
					  GFP_NOWAIT);
		if (!err) {
			report->out = true;
			notify = virtqueue_kick_prepare(vb->reporting_vq);
		}
		spin_unlock(&vb->report_lock);
		if (err != -ENOSPC)
			break;
		err = vbp_reporting_make_room(vb, limit);
		if (err)
			break;
	}
	if (notify)
		virtqueue_notify(vb->reporting_vq);
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
					     reporting);
	struct vbp_report *report = &vb->reports[VBP_REPORT_KERNEL];
	int err = vbp_reporting_send(vb, report, sg, nents, MAX_JIFFY_OFFSET);

	if (err)
		return err;
	/* No end: the pages can't go back before. Nobody but us waits for it. */
	err = vbp_reporting_wait(vb, report, MAX_JIFFY_OFFSET);
	if (err && !vb->was_reset) {
		dev_err(&vb->vdev->dev,
			"the device does not return free pages; resetting it\n");
		virtio_break_device(vb->vdev);
		virtio_reset_device(vb->vdev);
		vb->was_reset = true;
	}
	return err ? -EIO : 0;
}

static int vbp_reporting_land_one(struct vbp_device *vb,
				  struct vbp_report *report,
				  unsigned long limit)
{
	int err = vbp_reporting_wait(vb, report, limit);

	if (!err && report->pages.nr_pages)
		vbp_pages_hold(vb, &report->pages);
	return err;
}

static int vbp_reporting_flush(struct vbp_device *vb, struct vbp_report *report,
			       unsigned long limit)
{
	unsigned int i = 0;
	struct page *page;
	int err;

	sg_init_table(report->sg, report->nr_blocks);
	list_for_each_entry(page, &report->pages.blocks, lru)
		sg_set_page(&report->sg[i++], page,
			    VBP_BLOCK_PAGES << PAGE_SHIFT, 0);
	err = vbp_reporting_send(vb, report, report->sg, report->nr_blocks,
				 limit);
	if (err)
		vbp_pages_free(&report->pages);
	report->nr_blocks = 0;
	vb->report_next = !vb->report_next;
	return err;
}

/**
 * vbp_reporting_inflate() - put a block on its way to the host as a free range
 * @vb: the device
 * @batch: one private block; emptied
 *
 * The host discards a block in one go, where a stock host's inflate queue takes
 * page by page.
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, then the block is in flight or about to be, until
 * vbp_reporting_land(); or a negative errno when the device broke.
 */
int vbp_reporting_inflate(struct vbp_device *vb, struct vbp_batch *batch)
{
	struct vbp_report *report = &vb->reports[vb->report_next];
	int err;

	lockdep_assert_held(&vb->host_lock);
	if (!report->nr_blocks) {
		err = vbp_reporting_land_one(vb, report, MAX_JIFFY_OFFSET);
		if (err)
			goto out;
	}
	vbp_batch_splice(batch, &report->pages);
	report->nr_blocks++;
	if (report->nr_blocks < vb->report_blocks)
		return 0;
	err = vbp_reporting_flush(vb, report, MAX_JIFFY_OFFSET);
out:
	if (err == -EIO)
		vbp_reporting_give_up(vb);
	return err;
}

/**
 * vbp_reporting_land() - all blocks given to vbp_reporting_inflate() are held
 * @vb: the device
 * @limit: jiffies to wait for each of the reports
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0; -ETIMEDOUT after @limit; another errno when the device broke.
 */
int vbp_reporting_land(struct vbp_device *vb, unsigned long limit)
{
	struct vbp_report *report = &vb->reports[vb->report_next];
	int err = 0;

	lockdep_assert_held(&vb->host_lock);
	if (report->nr_blocks)
		err = vbp_reporting_flush(vb, report, limit);
	if (!err)
		err = vbp_reporting_land_one(vb, &vb->reports[0], limit);
	if (!err)
		err = vbp_reporting_land_one(vb, &vb->reports[1], limit);
	if (err == -EIO)
		vbp_reporting_give_up(vb);
	return err;
}

/**
 * vbp_reporting_forget() - take back what was in flight
 * @vb: the device, after a completed reset
 *
 * Context: @vb->host_lock held.
 */
void vbp_reporting_forget(struct vbp_device *vb)
{
	unsigned int i;

	lockdep_assert_held(&vb->host_lock);
	for (i = 0; i < VBP_REPORTS; i++) {
		vb->reports[i].out = false;
		vb->reports[i].nr_blocks = 0;
		vbp_pages_free(&vb->reports[i].pages);
	}
}

/**
 * vbp_reporting_init() - see whether blocks can go through the reporting queue
 * @vb: the device; its queues are found
 *
 * The host must not have to be told of pages that leave, nor expect free pages
 * to contain a pattern: it then ignores reports. With PRESSURE, too: no host is
 * quicker with PFNs than with ranges.
 *
 * Context: before anything else uses the queue.
 */
void vbp_reporting_init(struct vbp_device *vb)
{
	unsigned int i;

	for (i = 0; i < VBP_REPORTS; i++) {
		vb->reports[i].out = false;
		vb->reports[i].nr_blocks = 0;
		vbp_batch_init(&vb->reports[i].pages);
	}
	vb->report_next = 0;
	vb->report_blocks = 0;
	if (vb->reporting_vq)
		vb->report_blocks =
			min(virtqueue_get_vring_size(vb->reporting_vq) / 2,
			    (unsigned int)VBP_REPORT_BLOCKS);
	vb->by_report = vb->report_blocks && !vb->must_tell &&
			!vbp_reporting_poison(vb);
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
 * The balloon works without it, so a failure is only told of.
 *
 * Context: may sleep.
 */
void vbp_reporting_start(struct vbp_device *vb)
{
	int order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	unsigned int capacity;
	int err;

	if (!vb->reporting_vq)
		return;
	capacity = virtqueue_get_vring_size(vb->reporting_vq);
	vb->reporting.report = vbp_reporting_report;
	/*
	 * The kernel's default, a pageblock, is 512 MiB on arm64 with 64 KiB
	 * pages, which hardly ever is free in one piece.
	 */
	if (IS_ENABLED(CONFIG_ARM64_64K_PAGES))
		order = VBP_BLOCK_ORDER;
	err = page_reporting_register_sized(&vb->reporting, order, capacity);
	if (err)
		dev_warn(&vb->vdev->dev,
			 "free page reporting is not available: %d\n", err);
	vb->reporting_on = !err;
}

/**
 * vbp_reporting_stop() - the end of vbp_reporting_start()
 * @vb: the device; not yet reset
 *
 * Context: may sleep.
 */
void vbp_reporting_stop(struct vbp_device *vb)
{
	if (vb->reporting_on)
		page_reporting_unregister(&vb->reporting);
	vb->reporting_on = false;
}
