// SPDX-License-Identifier: GPL-2.0-only
/*
 * The inflate and deflate queues.
 *
 * A few buffers each, so that the host works on one while the guest fills the
 * next. The pages of an inflate buffer are in flight until the host has returned
 * it, and travel with it; then they land. With a host that must be told first,
 * the pages of a deflate buffer travel the same way. What has landed is returned
 * to the caller. The caller makes the pages held, or frees them, before it lets
 * go of host_lock. If something is in flight when it does, it has the main work
 * land that.
 *
 * Every wait for a buffer ends: when the device breaks, when the driver is being
 * removed and the host stays silent, or after a limit that the caller sets. A
 * caller that holds locks of other parts of the kernel sets a limit, because a
 * host may stay silent for ever. That goes for host_lock, too, because the main
 * work waits without a limit under it: see vbp_leave_range().
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/virtio_ring.h>

#include "device.h"

/* How often a wait looks whether the device broke: nothing wakes us for that. */
#define VBP_POLL	(HZ / 10)

/**
 * vbp_queue_init_bufs() - start with a queue whose buffers are all ours
 * @queue: one of the device's queues
 * @vq: the transport's part of it, or NULL
 * @nr_bufs: how many of the buffers are used in turn
 *
 * Context: before anything else uses the queue.
 */
void vbp_queue_init_bufs(struct vbp_queue *queue, struct virtqueue *vq,
			 unsigned int nr_bufs)
{
	unsigned int i;

	queue->vq = vq;
	queue->next = 0;
	queue->nr_bufs = nr_bufs;
	for (i = 0; i < VBP_BUFFERS; i++) {
		queue->bufs[i].out = 0;
		queue->bufs[i].nr = 0;
		queue->bufs[i].leaving = NULL;
		vbp_batch_init(&queue->bufs[i].pages);
	}
}

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
	unsigned int per_buf = DIV_ROUND_UP(VBP_PFNS_MAX, vb->max_pfns);

	/* So that no buffer ever lacks a descriptor. */
	vbp_queue_init_bufs(queue, vq,
			    clamp(virtqueue_get_vring_size(vq) / per_buf, 1U,
				  (unsigned int)VBP_BUFFERS));
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
	return !vb->host.inflate.vq || virtqueue_is_broken(vb->host.inflate.vq) ||
	       virtqueue_is_broken(vb->host.deflate.vq);
}

/**
 * vbp_queue_oldest() - the buffer to be used next: hosts return them in turn
 * @queue: one of the device's queues
 *
 * Context: @vb->host_lock held.
 * Return: the buffer; the host may still have it.
 */
struct vbp_buffer *vbp_queue_oldest(struct vbp_queue *queue)
{
	return &queue->bufs[queue->next % queue->nr_bufs];
}

/*
 * Whether @buf is ours again. The kernel's page reporting waits beside us: what
 * is taken from the ring may be what it waits for.
 */
static bool vbp_queue_reap(struct vbp_device *vb, struct vbp_queue *queue,
			   struct vbp_buffer *buf)
{
	bool others = false, done;
	struct vbp_buffer *back;
	unsigned int len;

	spin_lock(&queue->lock);
	while (buf->out) {
		back = virtqueue_get_buf(queue->vq, &len);
		if (!back)
			break;
		back->out--;
		others |= back != buf;
	}
	done = !buf->out;
	spin_unlock(&queue->lock);
	if (others)
		wake_up(&vb->host.acked);
	return done;
}

/* Whether all of @queue's buffers are ours. */
static bool vbp_queue_reap_all(struct vbp_device *vb, struct vbp_queue *queue)
{
	unsigned int i;

	for (i = 0; i < queue->nr_bufs; i++)
		if (!vbp_queue_reap(vb, queue, &queue->bufs[i]))
			return false;
	return true;
}

/**
 * vbp_queue_wait() - wait until the host has returned a buffer
 * @vb: the device
 * @queue: whose it is
 * @buf: the buffer
 * @limit: jiffies, from now
 *
 * Once the host was silent for too long during removal, there are no more waits.
 * Nor if it has answered all the time, but has had its time: what it was not told
 * of then is in flight until the reset.
 *
 * Context: may sleep.
 * Return: 0; -EIO if the queue is broken; -ETIMEDOUT after @limit; -ESHUTDOWN if
 * the driver is being removed and the host is silent.
 */
int vbp_queue_wait(struct vbp_device *vb, struct vbp_queue *queue,
		   struct vbp_buffer *buf, unsigned long limit)
{
	unsigned long start = jiffies, since = start;

	while (!vbp_queue_reap(vb, queue, buf)) {
		if (virtqueue_is_broken(queue->vq))
			return -EIO;
		if (time_after(jiffies, start + limit))
			return -ETIMEDOUT;
		/* From the removal on: a host that was late gets its time, too. */
		if (!vbp_works_stopping(vb))
			since = jiffies;
		else if (time_after(jiffies, since + VBP_REMOVE_WAIT) ||
			 time_after(jiffies, READ_ONCE(vb->host.leave_by)))
			WRITE_ONCE(vb->host.silent, true);
		if (READ_ONCE(vb->host.silent))
			return -ESHUTDOWN;
		wait_event_timeout(vb->host.acked, vbp_queue_reap(vb, queue, buf),
				   VBP_POLL);
	}
	return 0;
}

/* What came with @buf, which is ours again. */
static void vbp_queue_empty(struct vbp_buffer *buf, struct vbp_batch *to)
{
	vbp_batch_splice(&buf->pages, to);
	buf->nr = 0;
	if (buf->leaving)
		put_page(buf->leaving);
	buf->leaving = NULL;
}

/**
 * vbp_queue_land_one() - a buffer is ours again, and what came with it, too
 * @vb: the device
 * @queue: whose it is
 * @buf: the buffer
 * @limit: jiffies to wait
 * @to: its pages are added here
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, or as vbp_queue_wait().
 */
int vbp_queue_land_one(struct vbp_device *vb, struct vbp_queue *queue,
		       struct vbp_buffer *buf, unsigned long limit,
		       struct vbp_batch *to)
{
	int err = vbp_queue_wait(vb, queue, buf, limit);

	lockdep_assert_held(&vb->host_lock);
	if (!err)
		vbp_queue_empty(buf, to);
	return err;
}

/* All deflate buffers. */
static int vbp_queue_land_told(struct vbp_device *vb, unsigned long limit,
			       struct vbp_landed *landed)
{
	struct vbp_queue *queue = &vb->host.deflate;
	unsigned int i;
	int err = 0;

	for (i = 0; i < queue->nr_bufs && !err; i++)
		err = vbp_queue_land_one(vb, queue, &queue->bufs[i], limit,
					 &landed->out);
	return err;
}

/* An empty buffer. */
static int vbp_queue_get(struct vbp_device *vb, struct vbp_queue *queue,
			 struct vbp_buffer **buf, unsigned long limit,
			 struct vbp_batch *to)
{
	int err;

	*buf = vbp_queue_oldest(queue);
	err = vbp_queue_land_one(vb, queue, *buf, limit, to);
	if (!err)
		queue->next++;
	return err;
}

static void vbp_queue_add_pfns(struct vbp_device *vb, struct vbp_buffer *buf,
			       unsigned long pfn, unsigned long nr_pages)
{
	u32 first = pfn * VBP_PFNS_PER_PAGE;
	u32 i;

	for (i = 0; i < nr_pages * VBP_PFNS_PER_PAGE; i++)
		buf->pfns[buf->nr++] = cpu_to_virtio32(vb->vdev,
						       first + i);
}

/*
 * Hand @buf over, in as many parts as the host needs; does not wait. But a host
 * without a thread for it does its work during the kick. So who sends many never
 * finds one that has not been answered yet, and would not sleep for minutes.
 */
static int vbp_queue_send(struct vbp_device *vb, struct vbp_queue *queue,
			  struct vbp_buffer *buf)
{
	struct scatterlist sg;
	unsigned int i, part, out;
	int err = 0;

	lockdep_assert_held(&vb->host_lock);
	spin_lock(&queue->lock);
	for (i = 0; i < buf->nr; i += part) {
		part = min(buf->nr - i, vb->max_pfns);
		sg_init_one(&sg, buf->pfns + i, sizeof(buf->pfns[0]) * part);
		/* There is a descriptor: fails only on a broken device. */
		err = virtqueue_add_outbuf(queue->vq, &sg, 1, buf, GFP_NOWAIT);
		if (err)
			break;
		buf->out++;
	}
	out = buf->out;
	spin_unlock(&queue->lock);
	if (out)
		virtqueue_kick(queue->vq);
	cond_resched();
	return err;
}

/*
 * The same for pages that may be used only when the host has been told: what it
 * can't be told is in flight until a reset, as if it had kept the buffer.
 */
static int vbp_queue_send_leaving(struct vbp_device *vb, struct vbp_buffer *buf)
{
	int err = vbp_queue_send(vb, &vb->host.deflate, buf);

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
				  struct vbp_batch *batch, unsigned long limit,
				  struct vbp_landed *landed)
{
	struct vbp_buffer *buf;
	struct page *page;
	int err = vbp_queue_get(vb, &vb->host.deflate, &buf, limit, &landed->out);

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
	while (buf->nr + VBP_PFNS_PER_PAGE <= vb->max_pfns) {
		page = list_first_entry_or_null(&batch->small, struct page,
						lru);
		if (!page)
			break;
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
		vbp_queue_move(page, 1, batch, &buf->pages.small, &buf->pages);
	}
	return vbp_queue_send_leaving(vb, buf);
}

/**
 * vbp_queue_tell_untold() - tell the host what was given back meanwhile
 * @vb: the device
 * @landed: what has landed on the way is added
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, or a negative errno when the device broke.
 */
int vbp_queue_tell_untold(struct vbp_device *vb, struct vbp_landed *landed)
{
	unsigned int max_pages = VBP_PFNS_MAX / VBP_PFNS_PER_PAGE;
	struct vbp_buffer *buf;
	struct vbp_range range;
	int err;

	lockdep_assert_held(&vb->host_lock);
	for (;;) {
		err = vbp_queue_get(vb, &vb->host.deflate, &buf, VBP_OWN_WAIT,
				    &landed->out);
		if (err)
			return err;
		while (buf->nr < VBP_PFNS_MAX &&
		       vbp_untold_take(vb, &range, max_pages -
				       buf->nr / VBP_PFNS_PER_PAGE))
			vbp_queue_add_pfns(vb, buf, range.pfn, range.nr_pages);
		if (!buf->nr)
			return vbp_queue_land_told(vb, VBP_OWN_WAIT, landed);
		err = vbp_queue_send(vb, &vb->host.deflate, buf);
		if (err)
			return err;
	}
}

/**
 * vbp_queue_inflate() - put pages on their way to the host
 * @vb: the device; vbp_queue_tell_untold() has told all
 * @batch: private pages, one block or one buffer of single pages; emptied, but
 *	for what the host has not seen
 * @landed: what has landed on the way is added
 *
 * Context: may sleep, waits for an empty buffer; @vb->host_lock held.
 * Return: 0, then @batch is in flight until it lands; or a negative errno when
 * the device broke.
 */
int vbp_queue_inflate(struct vbp_device *vb, struct vbp_batch *batch,
		      struct vbp_landed *landed)
{
	struct vbp_buffer *buf;
	struct page *page;
	int err;

	lockdep_assert_held(&vb->host_lock);
	err = vbp_queue_get(vb, &vb->host.inflate, &buf, VBP_OWN_WAIT, &landed->in);
	if (err)
		return err;
	list_for_each_entry(page, &batch->blocks, lru)
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page),
				   VBP_BLOCK_PAGES);
	list_for_each_entry(page, &batch->small, lru)
		vbp_queue_add_pfns(vb, buf, page_to_pfn(page), 1);
	err = vbp_queue_send(vb, &vb->host.inflate, buf);
	if (!err || buf->out)
		vbp_batch_splice(batch, &buf->pages);
	return err;
}

/**
 * vbp_queue_land_next() - the next buffer with pages lands
 * @vb: the device
 * @queue: one of its queues
 * @limit: jiffies to wait for it
 * @to: its pages are added here
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0 when nothing is in flight any more, 1 when pages have landed, or a
 * negative errno: -ETIMEDOUT after @limit, another when the device broke; the
 * pages then stay in flight until the reset.
 */
int vbp_queue_land_next(struct vbp_device *vb, struct vbp_queue *queue,
			unsigned long limit, struct vbp_batch *to)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < queue->nr_bufs && !err && !to->nr_pages; i++)
		err = vbp_queue_land_one(vb, queue, &queue->bufs[i], limit, to);
	return err ? err : !!to->nr_pages;
}

/**
 * vbp_queue_land() - the same, of the inflate queue
 * @vb: the device
 * @limit: jiffies to wait
 * @landed: the pages are added
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: as vbp_queue_land_next().
 */
int vbp_queue_land(struct vbp_device *vb, unsigned long limit,
		   struct vbp_landed *landed)
{
	return vbp_queue_land_next(vb, &vb->host.inflate, limit, &landed->in);
}

/**
 * vbp_queue_deflate() - tell the host first, of pages that leave
 * @vb: the device
 * @batch: pages taken off the lists; emptied, but for those that may be held
 *	again
 * @limit: jiffies to wait for each answer
 * @landed: what the host knows of is added: it may be freed
 *
 * If the host does not answer in time, what it was not told of is left in
 * @batch; if it never will, that stays in flight until vbp_queue_forget().
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, and then all of it has landed; else a negative errno.
 */
int vbp_queue_deflate(struct vbp_device *vb, struct vbp_batch *batch,
		      unsigned long limit, struct vbp_landed *landed)
{
	int err = 0;

	lockdep_assert_held(&vb->host_lock);
	while (batch->nr_pages && !err)
		err = vbp_queue_deflate_some(vb, batch, limit, landed);
	if (!err)
		err = vbp_queue_land_told(vb, limit, landed);
	if (err && err != -ETIMEDOUT)
		vbp_batch_splice(batch, &vb->host.in_flight);
	return err;
}

/**
 * vbp_queue_inflate_page() - give one page to the host for compaction
 * @vb: the device
 * @page: compaction's page
 * @landed: what has landed on the way is added
 *
 * Context: may sleep, for a second at the most; @vb->host_lock held.
 * Return: 0; -EAGAIN if nothing was sent; another errno if the page was sent
 * but not acknowledged: it is in flight then, with a reference of its own.
 */
int vbp_queue_inflate_page(struct vbp_device *vb, struct page *page,
			   struct vbp_landed *landed)
{
	struct vbp_queue *queue = &vb->host.inflate;
	struct vbp_buffer *buf = vbp_queue_oldest(queue);
	bool untold;
	int err;

	lockdep_assert_held(&vb->host_lock);
	spin_lock(&vb->lock);
	untold = vb->host.untold_count;
	spin_unlock(&vb->lock);
	/* Others' pages do not land here: that needs locks of the balloon. */
	if (untold || buf->out || buf->pages.nr_pages ||
	    vbp_works_stopping(vb))
		return -EAGAIN;
	/* Told is not yet heard, and it may have been this page's deflation. */
	if (!vbp_queue_reap_all(vb, &vb->host.deflate))
		return -EAGAIN;
	/* It is used for the page whose place this one takes. */
	vbp_queue_empty(vbp_queue_oldest(&vb->host.deflate), &landed->out);

	queue->next++;
	buf->nr = 0;
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
	struct vbp_queue *queue = &vb->host.deflate;
	struct vbp_buffer *buf = vbp_queue_oldest(queue);
	struct vbp_batch none;
	int err;

	lockdep_assert_held(&vb->host_lock);
	vbp_batch_init(&none);
	queue->next++;
	buf->nr = 0;
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
	/* No batch travels with it. */
	return vbp_queue_land_one(vb, queue, buf, VBP_OTHERS_WAIT, &none);
}

/**
 * vbp_queue_take_all() - take back what the host has not returned
 * @queue: one of its queues, after a completed reset
 * @to: the pages are added here
 *
 * Context: may sleep; @vb->host_lock held.
 */
void vbp_queue_take_all(struct vbp_queue *queue, struct vbp_batch *to)
{
	unsigned int i;

	for (i = 0; i < VBP_BUFFERS; i++) {
		queue->bufs[i].out = 0;
		vbp_queue_empty(&queue->bufs[i], to);
	}
}

/**
 * vbp_queue_forget() - take back what was in flight
 * @vb: the device, after a completed reset: only then will the host not touch
 *	these pages any more
 * @landed: they are added: they may be freed
 *
 * Context: may sleep; @vb->host_lock held.
 */
void vbp_queue_forget(struct vbp_device *vb, struct vbp_landed *landed)
{
	lockdep_assert_held(&vb->host_lock);
	vbp_queue_take_all(&vb->host.inflate, &landed->out);
	vbp_queue_take_all(&vb->host.deflate, &landed->out);
	vbp_batch_splice(&vb->host.in_flight, &landed->out);
}
