// SPDX-License-Identifier: GPL-2.0-only
/*
 * The inflate and deflate queues.
 *
 * A few buffers each, so that the host works on one while the guest fills the
 * next. The pages of an inflate buffer are in flight until the host has returned
 * it, and travel with it; then they land, which makes them held. With a host
 * that must be told first, the pages of a deflate buffer travel the same way, and
 * are freed when they land. Whoever lets go of host_lock with something in
 * flight has the main work land it.
 *
 * A buffer that is waited for is waited for with an end: when the device breaks,
 * when the driver is being removed and the host stays silent, or after a limit
 * the caller sets. Who waits in another's context, where others' locks are held,
 * sets one: a host may stay silent for ever. host_lock is part of that, because
 * the main work waits without a limit under it: see vbp_queue_lock().
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/virtio_ring.h>

#include "device.h"

/* How often a wait looks whether the device broke: nothing wakes us for that. */
#define VBP_POLL	(HZ / 10)

/*
 * Compaction, or memory that is to go offline, goes on without us if the host
 * takes longer than this to answer.
 */
#define VBP_OTHERS_WAIT	HZ
#define VBP_OWN_WAIT	MAX_JIFFY_OFFSET

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
		queue->bufs[i].leaving = NULL;
		vbp_batch_init(&queue->bufs[i].pages);
	}
}

/**
 * vbp_queue_broken() - whether the device stopped working
 * @vb: the device
 *
 * Context: any.
 * Return: true if no buffer will ever come back.
 */
bool vbp_queue_broken(struct vbp_device *vb)
{
	return !vb->inflate.vq || virtqueue_is_broken(vb->inflate.vq) ||
	       virtqueue_is_broken(vb->deflate.vq);
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

static void vbp_queue_free(struct vbp_buffer *buf)
{
	vbp_pages_free(&buf->pages);
	if (buf->leaving)
		put_page(buf->leaving);
	buf->leaving = NULL;
}

/* @buf back from the host; its pages held, or free, if it had any. */
static int vbp_queue_land_one(struct vbp_device *vb, struct vbp_queue *queue,
			      struct vbp_buffer *buf, unsigned long limit)
{
	int err = vbp_queue_wait(vb, queue, buf, limit);

	if (err)
		return err;
	if (queue == &vb->deflate)
		vbp_queue_free(buf);
	else if (buf->pages.nr_pages)
		vbp_pages_hold(vb, &buf->pages);
	return 0;
}

static int vbp_queue_land(struct vbp_device *vb, struct vbp_queue *queue,
			  unsigned long limit)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < queue->nr_bufs && !err; i++)
		err = vbp_queue_land_one(vb, queue, &queue->bufs[i], limit);
	return err;
}

/* An empty buffer. Hosts return them in turn, so the oldest is the next. */
static int vbp_queue_get(struct vbp_device *vb, struct vbp_queue *queue,
			 struct vbp_buffer **buf, unsigned long limit)
{
	int err;

	*buf = &queue->bufs[queue->next % queue->nr_bufs];
	err = vbp_queue_land_one(vb, queue, *buf, limit);
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

/*
 * The same for pages that may be used only when the host has been told: what it
 * can't be told is in flight until a reset, as if it had kept the buffer.
 */
static int vbp_queue_send_leaving(struct vbp_device *vb, struct vbp_buffer *buf)
{
	int err = vbp_queue_send(vb, &vb->deflate, buf);

	if (err && !buf->out)
		buf->out = 1;
	return err;
}

static void vbp_queue_move(struct page *page, unsigned long nr_pages,
			   struct vbp_batch *from, struct list_head *list,
			   struct vbp_batch *to)
{
	list_move_tail(&page->lru, list);
	from->nr_pages -= nr_pages;
	to->nr_pages += nr_pages;
}

/* One buffer's worth of @batch, and on its way. */
static int vbp_queue_deflate_some(struct vbp_device *vb,
				  struct vbp_batch *batch, unsigned long limit)
{
	struct vbp_buffer *buf;
	struct page *page;
	int err = vbp_queue_get(vb, &vb->deflate, &buf, limit);

	if (err)
		return err;
	page = list_first_entry_or_null(&batch->blocks, struct page, lru);
	if (page) {
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page),
				   VBP_BLOCK_PAGES);
		vbp_queue_move(page, VBP_BLOCK_PAGES, batch,
			       &buf->pages.blocks, &buf->pages);
		return vbp_queue_send_leaving(vb, buf);
	}
	while (buf->nr_pfns + VBP_PFNS_PER_PAGE <= vb->max_pfns) {
		page = list_first_entry_or_null(&batch->small, struct page,
						lru);
		if (!page)
			break;
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
		vbp_queue_move(page, 1, batch, &buf->pages.small, &buf->pages);
	}
	return vbp_queue_send_leaving(vb, buf);
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
		err = vbp_queue_get(vb, queue, &buf, VBP_OWN_WAIT);
		if (err)
			return err;
		while (buf->nr_pfns < VBP_PFNS_MAX &&
		       vbp_untold_take(vb, &range, max_pages -
				       buf->nr_pfns / VBP_PFNS_PER_PAGE))
			vbp_queue_add_pfns(vb, buf, range.pfn, range.nr_pages);
		if (!buf->nr_pfns)
			return vbp_queue_land(vb, queue, VBP_OWN_WAIT);
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
		err = vbp_queue_get(vb, &vb->inflate, &buf, VBP_OWN_WAIT);
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
	vbp_pages_free(batch);
	return err;
}

static int vbp_queue_inflated_locked(struct vbp_device *vb, unsigned long limit)
{
	int err, err_report = 0;

	lockdep_assert_held(&vb->host_lock);
	err = vbp_queue_land(vb, &vb->inflate, limit);
	if (vb->by_report)
		err_report = vbp_reporting_land(vb, limit);
	return err ? err : err_report;
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
	int err;

	mutex_lock(&vb->host_lock);
	err = vbp_queue_inflated_locked(vb, VBP_OWN_WAIT);
	mutex_unlock(&vb->host_lock);
	return err;
}

/**
 * vbp_queue_lock() - take @vb->host_lock to do something for others, and see
 * that nothing is in flight
 * @vb: the device
 *
 * For who is called with others' locks held, and may not wait for a host that
 * stays silent: neither itself nor for whoever waits under host_lock.
 *
 * Context: may sleep, for some seconds at the most.
 * Return: true, with the lock held; pages are then in flight only if the device
 * broke. false if the host does not answer.
 */
bool vbp_queue_lock(struct vbp_device *vb)
{
	unsigned long start = jiffies;

	while (!mutex_trylock(&vb->host_lock)) {
		if (time_after(jiffies, start + VBP_OTHERS_WAIT))
			return false;
		usleep_range(1000, 2000);
	}
	if (vbp_queue_inflated_locked(vb, VBP_OTHERS_WAIT) != -ETIMEDOUT)
		return true;
	mutex_unlock(&vb->host_lock);
	return false;
}

/**
 * vbp_queue_deflate() - tell the host first, then free
 * @vb: the device
 * @batch: pages taken off the lists; emptied
 * @others: others' locks are held: end after a second without an answer
 *
 * What the host was told of is free as soon as it has answered. If it does not
 * in time, the rest is held again; if it never will, it stays in flight until
 * vbp_queue_forget().
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, and then all of it is free; else a negative errno.
 */
int vbp_queue_deflate(struct vbp_device *vb, struct vbp_batch *batch,
		      bool others)
{
	unsigned long limit = others ? VBP_OTHERS_WAIT : VBP_OWN_WAIT;
	int err = 0;

	lockdep_assert_held(&vb->host_lock);
	while (batch->nr_pages && !err)
		err = vbp_queue_deflate_some(vb, batch, limit);
	if (!err)
		err = vbp_queue_land(vb, &vb->deflate, limit);
	if (err == -ETIMEDOUT)
		vbp_pages_hold(vb, batch);
	else if (err)
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
	struct vbp_buffer *next;
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
	/* It is used for the page whose place this one takes. */
	next = &vb->deflate.bufs[vb->deflate.next % vb->deflate.nr_bufs];
	vbp_queue_free(next);

	queue->next++;
	buf->nr_pfns = 0;
	vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
	err = vbp_queue_send(vb, queue, buf);
	if (err)
		return -EAGAIN;
	err = vbp_queue_wait(vb, queue, buf, VBP_OTHERS_WAIT);
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
 * At once: told later, it would keep the next page from being moved. If the host
 * must be told first and does not answer, the page stays out of use until it
 * does, or until the reset.
 *
 * Context: may sleep, for a second at the most; @vb->host_lock held; after
 * vbp_queue_inflate_page(), which has seen that there is a buffer.
 * Return: 0, or a negative errno if the host has not answered.
 */
int vbp_queue_deflate_page(struct vbp_device *vb, struct page *page)
{
	struct vbp_queue *queue = &vb->deflate;
	struct vbp_buffer *buf = &queue->bufs[queue->next % queue->nr_bufs];
	int err;

	lockdep_assert_held(&vb->host_lock);
	queue->next++;
	buf->nr_pfns = 0;
	vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
	if (vb->must_tell) {
		/* Not through page->lru, which is compaction's. */
		get_page(page);
		buf->leaving = page;
		err = vbp_queue_send_leaving(vb, buf);
	} else {
		err = vbp_queue_send(vb, queue, buf);
	}
	if (err)
		return err;
	return vbp_queue_land_one(vb, queue, buf, VBP_OTHERS_WAIT);
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
		vbp_queue_free(&vb->inflate.bufs[i]);
		vbp_queue_free(&vb->deflate.bufs[i]);
	}
	vbp_reporting_forget(vb);
	vbp_pages_free(&vb->in_flight);
	mutex_unlock(&vb->host_lock);
}
