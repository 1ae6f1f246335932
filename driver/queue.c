// SPDX-License-Identifier: GPL-2.0-only
/*
 * The inflate and deflate queues.
 *
 * A few buffers each, so that the host works on one while the guest fills the
 * next. The pages of an inflate buffer are in flight until the host has returned
 * it, and travel with it; then they land, which makes them held. Whoever lets
 * go of host_lock with something in flight has the main work land it.
 *
 * A buffer that is waited for is waited for with an end: when the device breaks,
 * when the driver is being removed and the host stays silent, or after a limit
 * the caller sets.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/virtio_ring.h>

#include "vbp.h"

/* How often a wait looks whether the device broke: nothing wakes us for that. */
#define VBP_POLL	(HZ / 10)

/* A compaction that waits longer than this for the host goes on without us. */
#define VBP_MIGRATE_WAIT	HZ

/**
 * vbp_queue_init() - start with a device that holds no buffer
 * @vb: the device, fresh from reset
 * @queue: one of its queues
 * @vq: the transport's part of it
 *
 * Context: before anything else uses the queue.
 */
void vbp_queue_init(struct vbp_device *vb, struct vbp_queue *queue,
		    struct virtqueue *vq)
{
	unsigned int i, per_buf = DIV_ROUND_UP(VBP_PFNS_MAX, vb->max_pfns);

	queue->vq = vq;
	queue->next = 0;
	/* So that no buffer ever lacks a descriptor. */
	queue->nr_bufs = clamp(virtqueue_get_vring_size(vq) / per_buf, 1U,
			       (unsigned int)VBP_BUFFERS);
	for (i = 0; i < VBP_BUFFERS; i++) {
		queue->bufs[i].out = 0;
		vbp_batch_init(&queue->bufs[i].pages);
	}
}

/* Whether @buf is ours again. */
static bool vbp_queue_reap(struct vbp_queue *queue, struct vbp_buffer *buf)
{
	struct vbp_buffer *back;
	unsigned int len;

	while (buf->out) {
		back = virtqueue_get_buf(queue->vq, &len);
		if (!back)
			return false;
		back->out--;
	}
	return true;
}

/* Whether all of @queue's buffers are ours. */
static bool vbp_queue_reap_all(struct vbp_queue *queue)
{
	unsigned int i;

	for (i = 0; i < queue->nr_bufs; i++)
		if (!vbp_queue_reap(queue, &queue->bufs[i]))
			return false;
	return true;
}

static int vbp_queue_wait(struct vbp_device *vb, struct vbp_queue *queue,
			  struct vbp_buffer *buf, unsigned long limit)
{
	unsigned long start = jiffies, since = start;

	lockdep_assert_held(&vb->host_lock);
	while (!vbp_queue_reap(queue, buf)) {
		if (virtqueue_is_broken(queue->vq))
			return -EIO;
		if (time_after(jiffies, start + limit))
			return -ETIMEDOUT;
		/* From the removal on: a host that was late gets its time, too. */
		if (!READ_ONCE(vb->stopping))
			since = jiffies;
		else if (time_after(jiffies, since + VBP_REMOVE_WAIT))
			vb->silent = true;
		if (vb->silent)
			return -ESHUTDOWN;
		wait_event_timeout(vb->acked, vbp_queue_reap(queue, buf),
				   VBP_POLL);
	}
	return 0;
}

/* @buf back from the host, its pages held, if it had any. */
static int vbp_queue_land_one(struct vbp_device *vb, struct vbp_queue *queue,
			      struct vbp_buffer *buf)
{
	int err = vbp_queue_wait(vb, queue, buf, MAX_JIFFY_OFFSET);

	if (!err && buf->pages.nr_pages)
		vbp_balloon_hold(vb, &buf->pages);
	return err;
}

static int vbp_queue_land(struct vbp_device *vb, struct vbp_queue *queue)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < queue->nr_bufs && !err; i++)
		err = vbp_queue_land_one(vb, queue, &queue->bufs[i]);
	return err;
}

/* An empty buffer. Hosts return them in turn, so the oldest is the next. */
static int vbp_queue_get(struct vbp_device *vb, struct vbp_queue *queue,
			 struct vbp_buffer **buf)
{
	int err;

	*buf = &queue->bufs[queue->next % queue->nr_bufs];
	err = vbp_queue_land_one(vb, queue, *buf);
	if (err)
		return err;
	queue->next++;
	(*buf)->nr_pfns = 0;
	return 0;
}

static void vbp_queue_add_pfns(struct vbp_device *vb, struct vbp_buffer *buf,
			       unsigned long pfn, unsigned long nr_pages)
{
	u32 first = pfn * VBP_PFNS_PER_PAGE;
	u32 i;

	for (i = 0; i < nr_pages * VBP_PFNS_PER_PAGE; i++)
		buf->pfns[buf->nr_pfns++] = cpu_to_virtio32(vb->vdev,
							    first + i);
}

/* Hand @buf over, in as many parts as the host needs; does not wait. */
static int vbp_queue_send(struct vbp_device *vb, struct vbp_queue *queue,
			  struct vbp_buffer *buf)
{
	struct scatterlist sg;
	unsigned int i, part;
	int err = 0;

	lockdep_assert_held(&vb->host_lock);
	for (i = 0; i < buf->nr_pfns; i += part) {
		part = min(buf->nr_pfns - i, vb->max_pfns);
		sg_init_one(&sg, buf->pfns + i, sizeof(buf->pfns[0]) * part);
		/* There is a descriptor: fails only on a broken device. */
		err = virtqueue_add_outbuf(queue->vq, &sg, 1, buf, GFP_NOWAIT);
		if (err)
			break;
		buf->out++;
	}
	if (buf->out)
		virtqueue_kick(queue->vq);
	return err;
}

/* @batch through @queue, without its pages; waits until the host has it all. */
static int vbp_queue_tell_batch(struct vbp_device *vb, struct vbp_queue *queue,
				struct vbp_batch *batch)
{
	struct vbp_buffer *buf;
	struct page *page;
	int err;

	list_for_each_entry(page, &batch->blocks, lru) {
		err = vbp_queue_get(vb, queue, &buf);
		if (err)
			return err;
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page),
				   VBP_BLOCK_PAGES);
		err = vbp_queue_send(vb, queue, buf);
		if (err)
			return err;
	}
	buf = NULL;
	list_for_each_entry(page, &batch->small, lru) {
		if (!buf) {
			err = vbp_queue_get(vb, queue, &buf);
			if (err)
				return err;
		}
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
		if (buf->nr_pfns + VBP_PFNS_PER_PAGE <= vb->max_pfns &&
		    !list_is_last(&page->lru, &batch->small))
			continue;
		err = vbp_queue_send(vb, queue, buf);
		if (err)
			return err;
		buf = NULL;
	}
	return vbp_queue_land(vb, queue);
}

static int vbp_queue_tell_untold_locked(struct vbp_device *vb)
{
	unsigned int max_pages = VBP_PFNS_MAX / VBP_PFNS_PER_PAGE;
	struct vbp_queue *queue = &vb->deflate;
	struct vbp_buffer *buf;
	struct vbp_range range;
	int err;

	lockdep_assert_held(&vb->host_lock);
	for (;;) {
		err = vbp_queue_get(vb, queue, &buf);
		if (err)
			return err;
		while (buf->nr_pfns < VBP_PFNS_MAX &&
		       vbp_untold_take(vb, &range, max_pages -
				       buf->nr_pfns / VBP_PFNS_PER_PAGE))
			vbp_queue_add_pfns(vb, buf, range.pfn, range.nr_pages);
		if (!buf->nr_pfns)
			return vbp_queue_land(vb, queue);
		err = vbp_queue_send(vb, queue, buf);
		if (err)
			return err;
	}
}

/**
 * vbp_queue_tell_untold() - tell the host what was given back meanwhile
 * @vb: the device
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: 0, or a negative errno when the device broke.
 */
int vbp_queue_tell_untold(struct vbp_device *vb)
{
	int err;

	mutex_lock(&vb->host_lock);
	err = vbp_queue_tell_untold_locked(vb);
	mutex_unlock(&vb->host_lock);
	return err;
}

/**
 * vbp_queue_inflate() - put pages on their way to the host
 * @vb: the device
 * @batch: private pages, one block or one buffer of single pages; emptied
 *
 * What was given back before is told before: a host that keeps track would
 * otherwise take a page's old deflation for the end of its new inflation.
 *
 * Context: may sleep, waits for an empty buffer; takes @vb->host_lock.
 * Return: 0, then @batch is in flight until it lands; or a negative errno when
 * the device broke.
 */
int vbp_queue_inflate(struct vbp_device *vb, struct vbp_batch *batch)
{
	struct vbp_buffer *buf;
	struct page *page;
	int err;

	mutex_lock(&vb->host_lock);
	err = vbp_queue_tell_untold_locked(vb);
	if (!err && vb->by_report && !list_empty(&batch->blocks)) {
		err = vbp_reporting_inflate(vb, batch);
		goto out;
	}
	if (!err)
		err = vbp_queue_get(vb, &vb->inflate, &buf);
	if (err)
		goto out;
	list_for_each_entry(page, &batch->blocks, lru)
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page),
				   VBP_BLOCK_PAGES);
	list_for_each_entry(page, &batch->small, lru)
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
	err = vbp_queue_send(vb, &vb->inflate, buf);
	if (!err || buf->out)
		vbp_batch_splice(batch, &buf->pages);
out:
	mutex_unlock(&vb->host_lock);
	/* What is left in it the host has not seen. */
	vbp_balloon_free(batch);
	return err;
}

/**
 * vbp_queue_inflated() - all that is in flight lands
 * @vb: the device
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: 0, or a negative errno when the device broke: the pages then stay in
 * flight until vbp_queue_forget().
 */
int vbp_queue_inflated(struct vbp_device *vb)
{
	int err, err_report = 0;

	mutex_lock(&vb->host_lock);
	err = vbp_queue_land(vb, &vb->inflate);
	if (vb->by_report)
		err_report = vbp_reporting_land(vb);
	mutex_unlock(&vb->host_lock);
	return err ? err : err_report;
}

/**
 * vbp_queue_deflate() - tell the host first
 * @vb: the device
 * @batch: pages taken off the lists; on an error they are in flight
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, and then @batch may be freed; else a negative errno.
 */
int vbp_queue_deflate(struct vbp_device *vb, struct vbp_batch *batch)
{
	int err;

	lockdep_assert_held(&vb->host_lock);
	err = vbp_queue_tell_batch(vb, &vb->deflate, batch);
	if (err)
		vbp_batch_splice(batch, &vb->in_flight);
	return err;
}

/**
 * vbp_queue_inflate_page() - give one page to the host for compaction
 * @vb: the device
 * @page: compaction's page
 *
 * Context: may sleep, for a second at the most; @vb->host_lock held.
 * Return: 0; -EAGAIN if nothing was sent; another errno if the page was sent
 * but not acknowledged: it is in flight then, with a reference of its own.
 */
int vbp_queue_inflate_page(struct vbp_device *vb, struct page *page)
{
	struct vbp_queue *queue = &vb->inflate;
	struct vbp_buffer *buf = &queue->bufs[queue->next % queue->nr_bufs];
	bool untold;
	int err;

	lockdep_assert_held(&vb->host_lock);
	spin_lock(&vb->lock);
	untold = vb->untold_count;
	spin_unlock(&vb->lock);
	/* Others' pages do not land here: that needs locks of the balloon. */
	if (untold || buf->out || buf->pages.nr_pages ||
	    READ_ONCE(vb->stopping))
		return -EAGAIN;
	/* Told is not yet heard, and it may have been this page's deflation. */
	if (!vbp_queue_reap_all(&vb->deflate))
		return -EAGAIN;

	queue->next++;
	buf->nr_pfns = 0;
	vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
	err = vbp_queue_send(vb, queue, buf);
	if (err)
		return -EAGAIN;
	err = vbp_queue_wait(vb, queue, buf, VBP_MIGRATE_WAIT);
	if (err) {
		get_page(page);
		list_add(&page->lru, &buf->pages.small);
		buf->pages.nr_pages++;
	}
	return err;
}

/**
 * vbp_queue_deflate_page() - tell the host of a page that compaction takes
 * @vb: the device
 * @page: the page that leaves; still on compaction's list
 *
 * At once: told later, it would keep the next page from being moved.
 *
 * Context: may sleep, for a second at the most unless the host must be told
 * first; @vb->host_lock held.
 * Return: 0, or a negative errno if the host has not answered.
 */
int vbp_queue_deflate_page(struct vbp_device *vb, struct page *page)
{
	unsigned long limit = vb->must_tell ? MAX_JIFFY_OFFSET :
					      VBP_MIGRATE_WAIT;
	struct vbp_queue *queue = &vb->deflate;
	struct vbp_buffer *buf = &queue->bufs[queue->next % queue->nr_bufs];
	int err;

	lockdep_assert_held(&vb->host_lock);
	err = vbp_queue_wait(vb, queue, buf, limit);
	if (err)
		return err;
	queue->next++;
	buf->nr_pfns = 0;
	vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
	err = vbp_queue_send(vb, queue, buf);
	if (err)
		return err;
	return vbp_queue_wait(vb, queue, buf, limit);
}

/**
 * vbp_queue_keep_page() - the host was told of a page but did not answer
 * @vb: the device, broken or being removed: this happens once
 * @page: a page that compaction will drop; it stays out of use until the reset
 *
 * Context: @vb->host_lock held.
 */
void vbp_queue_keep_page(struct vbp_device *vb, struct page *page)
{
	lockdep_assert_held(&vb->host_lock);
	/* Not through page->lru, which is compaction's. */
	get_page(page);
	vb->in_flight_page = page;
}

/**
 * vbp_queue_forget() - take back what was in flight
 * @vb: the device, after a completed reset: only then will the host not touch
 *	these pages any more
 *
 * Context: may sleep.
 */
void vbp_queue_forget(struct vbp_device *vb)
{
	unsigned int i;

	mutex_lock(&vb->host_lock);
	for (i = 0; i < VBP_BUFFERS; i++) {
		vb->inflate.bufs[i].out = 0;
		vb->deflate.bufs[i].out = 0;
		vbp_balloon_free(&vb->inflate.bufs[i].pages);
	}
	vbp_reporting_forget(vb);
	vbp_balloon_free(&vb->in_flight);
	if (vb->in_flight_page)
		put_page(vb->in_flight_page);
	vb->in_flight_page = NULL;
	mutex_unlock(&vb->host_lock);
}
