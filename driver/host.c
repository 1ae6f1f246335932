// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host: its inflate and deflate queues, and the config space.
 *
 * One buffer at a time on each queue. A buffer that is waited for is waited for
 * with an end: when the device breaks, when the driver is being removed and the
 * host stays silent, or after a limit the caller sets.
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

static void vbp_host_ack(struct virtqueue *vq)
{
	struct vbp_device *vb = vq->vdev->priv;

	wake_up(&vb->acked);
}

/**
 * vbp_host_find_vqs() - set the queues up
 * @vb: the device, reset, features negotiated
 *
 * A queue the device offers must keep its place even where it is not used: the
 * transport numbers the queues, and QEMU numbers them densely over what it
 * offers.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_host_find_vqs(struct vbp_device *vb)
{
	enum { INFLATE, DEFLATE, STATS, HINT, REPORTING, QUEUES };
	struct virtqueue_info info[QUEUES] = {
		[INFLATE] = { .name = "inflate", .callback = vbp_host_ack },
		[DEFLATE] = { .name = "deflate", .callback = vbp_host_ack },
	};
	struct virtqueue *vqs[QUEUES] = {};
	int err;

	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_STATS_VQ)) {
		info[STATS].name = "stats";
		info[STATS].callback = vbp_stats_request;
	}
	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		info[HINT].name = "hint";
	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_REPORTING)) {
		info[REPORTING].name = "reporting";
		info[REPORTING].callback = vbp_host_ack;
	}
	err = virtio_find_vqs(vb->vdev, QUEUES, vqs, info, NULL);
	if (err)
		return err;

	vb->inflate_vq = vqs[INFLATE];
	vb->deflate_vq = vqs[DEFLATE];
	vb->stats_vq = vqs[STATS];
	vb->hint_vq = vqs[HINT];
	vb->reporting_vq = vqs[REPORTING];

	/* A device fresh from reset holds no buffer and knows nothing of us. */
	vb->inflate_buf.busy = false;
	vb->deflate_buf.busy = false;
	vb->told_actual = U32_MAX;
	vb->told_pressure = 0;
	vb->told_wanted = 0;
	vb->silent = false;
	vb->was_reset = false;
	return 0;
}

/**
 * vbp_host_broken() - whether the device stopped working
 * @vb: the device
 *
 * Context: any.
 * Return: true if no buffer will ever come back.
 */
bool vbp_host_broken(struct vbp_device *vb)
{
	return virtqueue_is_broken(vb->inflate_vq) ||
	       virtqueue_is_broken(vb->deflate_vq);
}

/* Whether @buf is ours again. */
static bool vbp_host_reap(struct virtqueue *vq, struct vbp_buffer *buf)
{
	unsigned int len;

	if (buf->busy && virtqueue_get_buf(vq, &len))
		buf->busy = false;
	return !buf->busy;
}

static int vbp_host_wait(struct vbp_device *vb, struct virtqueue *vq,
			 struct vbp_buffer *buf, unsigned long limit)
{
	unsigned long start = jiffies;

	lockdep_assert_held(&vb->host_lock);
	while (!vbp_host_reap(vq, buf)) {
		if (virtqueue_is_broken(vq))
			return -EIO;
		if (time_after(jiffies, start + limit))
			return -ETIMEDOUT;
		if (READ_ONCE(vb->stopping) &&
		    time_after(jiffies, start + VBP_REMOVE_WAIT))
			vb->silent = true;
		if (vb->silent)
			return -ESHUTDOWN;
		wait_event_timeout(vb->acked, vbp_host_reap(vq, buf), VBP_POLL);
	}
	return 0;
}

/* An empty buffer to fill: one that was given up on may still be the host's. */
static int vbp_host_begin(struct vbp_device *vb, struct virtqueue *vq,
			  struct vbp_buffer *buf)
{
	int err = vbp_host_wait(vb, vq, buf, MAX_JIFFY_OFFSET);

	if (!err)
		buf->nr_pfns = 0;
	return err;
}

static int vbp_host_send(struct vbp_device *vb, struct virtqueue *vq,
			 struct vbp_buffer *buf, unsigned long limit)
{
	struct scatterlist sg;
	int err;

	lockdep_assert_held(&vb->host_lock);
	sg_init_one(&sg, buf->pfns, sizeof(buf->pfns[0]) * buf->nr_pfns);
	/* One entry on an empty queue: fails only on a broken device. */
	err = virtqueue_add_outbuf(vq, &sg, 1, buf, GFP_NOWAIT);
	if (err)
		return err;
	buf->busy = true;
	virtqueue_kick(vq);
	return vbp_host_wait(vb, vq, buf, limit);
}

static void vbp_host_add_pfns(struct vbp_device *vb, struct vbp_buffer *buf,
			      unsigned long pfn, unsigned long nr_pages)
{
	u32 first = pfn * VBP_PFNS_PER_PAGE;
	u32 i;

	for (i = 0; i < nr_pages * VBP_PFNS_PER_PAGE; i++)
		buf->pfns[buf->nr_pfns++] = cpu_to_virtio32(vb->vdev,
							    first + i);
}

/*
 * Tell the host all of @batch through @vq. On an error an unknown part of it
 * is the host's.
 */
static int vbp_host_send_batch(struct vbp_device *vb, struct virtqueue *vq,
			       struct vbp_buffer *buf, struct vbp_batch *batch)
{
	unsigned long max_pages = vb->max_pfns / VBP_PFNS_PER_PAGE;
	struct page *page;
	unsigned long i;
	int err;

	err = vbp_host_begin(vb, vq, buf);
	if (err)
		return err;
	list_for_each_entry(page, &batch->blocks, lru) {
		for (i = 0; i < VBP_BLOCK_PAGES; i += max_pages) {
			buf->nr_pfns = 0;
			vbp_host_add_pfns(vb, buf, page_to_pfn(page) + i,
					  min(max_pages, VBP_BLOCK_PAGES - i));
			err = vbp_host_send(vb, vq, buf, MAX_JIFFY_OFFSET);
			if (err)
				return err;
		}
	}
	buf->nr_pfns = 0;
	list_for_each_entry(page, &batch->small, lru) {
		vbp_host_add_pfns(vb, buf, page_to_pfn(page), 1);
		if (buf->nr_pfns + VBP_PFNS_PER_PAGE > vb->max_pfns ||
		    list_is_last(&page->lru, &batch->small)) {
			err = vbp_host_send(vb, vq, buf, MAX_JIFFY_OFFSET);
			if (err)
				return err;
			buf->nr_pfns = 0;
		}
	}
	return 0;
}

/* A buffer that a migration gave up waiting for comes back: hold its page. */
static int vbp_host_settle(struct vbp_device *vb)
{
	int err;

	if (!vb->inflate_buf.busy)
		return 0;
	err = vbp_host_wait(vb, vb->inflate_vq, &vb->inflate_buf,
			    MAX_JIFFY_OFFSET);
	if (!err)
		vbp_balloon_hold(vb, &vb->in_flight);
	return err;
}

static int vbp_host_tell_untold_locked(struct vbp_device *vb)
{
	struct vbp_buffer *buf = &vb->deflate_buf;
	unsigned int max_pages = vb->max_pfns / VBP_PFNS_PER_PAGE;
	struct vbp_range range;
	int err;

	lockdep_assert_held(&vb->host_lock);
	err = vbp_host_begin(vb, vb->deflate_vq, buf);
	while (!err) {
		buf->nr_pfns = 0;
		while (buf->nr_pfns < vb->max_pfns &&
		       vbp_untold_take(vb, &range, max_pages -
				       buf->nr_pfns / VBP_PFNS_PER_PAGE))
			vbp_host_add_pfns(vb, buf, range.pfn, range.nr_pages);
		if (!buf->nr_pfns)
			return 0;
		err = vbp_host_send(vb, vb->deflate_vq, buf, MAX_JIFFY_OFFSET);
	}
	return err;
}

/**
 * vbp_host_tell_untold() - tell the host what was given back meanwhile
 * @vb: the device
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: 0, or a negative errno when the device broke.
 */
int vbp_host_tell_untold(struct vbp_device *vb)
{
	int err;

	mutex_lock(&vb->host_lock);
	err = vbp_host_tell_untold_locked(vb);
	mutex_unlock(&vb->host_lock);
	return err;
}

/**
 * vbp_host_inflate() - give pages to the host and hold them
 * @vb: the device
 * @batch: private pages; emptied. On an error they are in flight.
 *
 * What was given back before is told before: a host that keeps track would
 * otherwise take a page's old deflation for the end of its new inflation.
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: 0, or a negative errno when the device broke.
 */
int vbp_host_inflate(struct vbp_device *vb, struct vbp_batch *batch)
{
	int err;

	mutex_lock(&vb->host_lock);
	err = vbp_host_settle(vb);
	if (!err)
		err = vbp_host_tell_untold_locked(vb);
	if (err) {
		/* Not one of them has been sent. */
		vbp_balloon_free(batch);
		goto out;
	}
	vbp_batch_splice(batch, &vb->in_flight);
	err = vbp_host_send_batch(vb, vb->inflate_vq, &vb->inflate_buf,
				  &vb->in_flight);
	if (!err)
		vbp_balloon_hold(vb, &vb->in_flight);
out:
	mutex_unlock(&vb->host_lock);
	return err;
}

/**
 * vbp_host_deflate() - tell the host first
 * @vb: the device
 * @batch: pages taken off the lists; on an error they are in flight
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0, and then @batch may be freed; else a negative errno.
 */
int vbp_host_deflate(struct vbp_device *vb, struct vbp_batch *batch)
{
	int err;

	lockdep_assert_held(&vb->host_lock);
	err = vbp_host_send_batch(vb, vb->deflate_vq, &vb->deflate_buf, batch);
	if (err)
		vbp_batch_splice(batch, &vb->in_flight);
	return err;
}

/**
 * vbp_host_inflate_page() - give one page to the host for compaction
 * @vb: the device
 * @page: compaction's page
 *
 * Context: may sleep, for a second at the most; @vb->host_lock held.
 * Return: 0; -EAGAIN if nothing was sent; another errno if the page was sent
 * but not acknowledged: it is in flight then, with a reference of its own.
 */
int vbp_host_inflate_page(struct vbp_device *vb, struct page *page)
{
	struct vbp_buffer *buf = &vb->inflate_buf;
	bool untold;
	int err;

	lockdep_assert_held(&vb->host_lock);
	spin_lock(&vb->lock);
	untold = vb->untold_count;
	spin_unlock(&vb->lock);
	if (untold || buf->busy || READ_ONCE(vb->stopping) ||
	    !vbp_host_reap(vb->deflate_vq, &vb->deflate_buf))
		return -EAGAIN;

	buf->nr_pfns = 0;
	vbp_host_add_pfns(vb, buf, page_to_pfn(page), 1);
	err = vbp_host_send(vb, vb->inflate_vq, buf, VBP_MIGRATE_WAIT);
	if (err && !buf->busy)
		return -EAGAIN;
	if (err) {
		get_page(page);
		list_add(&page->lru, &vb->in_flight.small);
		vb->in_flight.nr_pages++;
	}
	return err;
}

/**
 * vbp_host_deflate_page() - tell the host of a page that compaction takes
 * @vb: the device; its deflate buffer is free
 * @page: the page that leaves; still on compaction's list
 *
 * At once: told later, it would keep the next page from being moved.
 *
 * Context: may sleep, for a second at the most unless the host must be told
 * first; @vb->host_lock held.
 * Return: 0, or a negative errno if the host has not answered.
 */
int vbp_host_deflate_page(struct vbp_device *vb, struct page *page)
{
	struct vbp_buffer *buf = &vb->deflate_buf;
	int err;

	lockdep_assert_held(&vb->host_lock);
	err = vbp_host_begin(vb, vb->deflate_vq, buf);
	if (err)
		return err;
	vbp_host_add_pfns(vb, buf, page_to_pfn(page), 1);
	return vbp_host_send(vb, vb->deflate_vq, buf,
			     vb->must_tell ? MAX_JIFFY_OFFSET : VBP_MIGRATE_WAIT);
}

/**
 * vbp_host_keep_page() - the host was told of a page but did not answer
 * @vb: the device, broken or being removed: this happens once
 * @page: a page that compaction will drop; it stays out of use until the reset
 *
 * Context: @vb->host_lock held.
 */
void vbp_host_keep_page(struct vbp_device *vb, struct page *page)
{
	lockdep_assert_held(&vb->host_lock);
	/* Not through page->lru, which is compaction's. */
	get_page(page);
	vb->in_flight_page = page;
}

/* The device counts in 4 KiB; up, or a target would never be met exactly. */
static u64 vbp_host_to_pages(u32 device_pages)
{
	return DIV_ROUND_UP((u64)device_pages, VBP_PFNS_PER_PAGE);
}

static u32 vbp_host_from_pages(u64 pages)
{
	return min_t(u64, pages * VBP_PFNS_PER_PAGE, U32_MAX);
}

/**
 * vbp_host_read() - read what the host asks for
 * @vb: the device
 *
 * Context: may sleep; takes @vb->lock.
 */
void vbp_host_read(struct vbp_device *vb)
{
	u32 num_pages, min_pages = 0, host_pressure = 0;

	virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
			num_pages, &num_pages);
	if (vb->pressure) {
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				min_pages, &min_pages);
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				host_pressure, &host_pressure);
	}

	spin_lock(&vb->lock);
	vb->target_pages = vbp_host_to_pages(num_pages);
	/* The guest's own limit on the floor, also for what free(1) shows. */
	vb->floor_pages = vb->elastic ?
		min(vbp_host_to_pages(min_pages), vb->target_pages) :
		vb->target_pages;
	vb->host_pressure = host_pressure;
	vbp_account_update(vb);
	spin_unlock(&vb->lock);
}

static void vbp_host_write_pressure(struct vbp_device *vb, u32 level,
				    u32 wanted)
{
	u32 seq = vb->told_pressure >> VIRTIO_BALLOON_PRESSURE_SEQ_SHIFT;
	u32 pressure;

	if (level == (vb->told_pressure & VIRTIO_BALLOON_PRESSURE_LEVEL_MASK) &&
	    wanted == vb->told_wanted)
		return;

	pressure = level | (seq + 1) << VIRTIO_BALLOON_PRESSURE_SEQ_SHIFT;
	/* In this order: the second write commits the first. */
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_pressure_config,
			 wanted_pages, &wanted);
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_pressure_config,
			 guest_pressure, &pressure);
	vb->told_pressure = pressure;
	vb->told_wanted = wanted;
}

/**
 * vbp_host_write() - write what changed since the last time
 * @vb: the device
 *
 * Context: may sleep; takes @vb->host_lock.
 */
void vbp_host_write(struct vbp_device *vb)
{
	u32 actual, level, wanted;

	mutex_lock(&vb->host_lock);
	spin_lock(&vb->lock);
	actual = vbp_host_from_pages(vb->held_pages);
	level = vb->level;
	wanted = vbp_host_from_pages(vb->wanted_pages);
	spin_unlock(&vb->lock);

	if (actual != vb->told_actual) {
		virtio_cwrite_le(vb->vdev,
				 struct virtio_balloon_pressure_config, actual,
				 &actual);
		vb->told_actual = actual;
	}
	if (vb->pressure)
		vbp_host_write_pressure(vb, level, wanted);
	mutex_unlock(&vb->host_lock);
}

/**
 * vbp_host_forget() - take back what was in flight
 * @vb: the device, after a completed reset: only then will the host not touch
 *	these pages any more
 *
 * Context: may sleep.
 */
void vbp_host_forget(struct vbp_device *vb)
{
	mutex_lock(&vb->host_lock);
	vb->inflate_buf.busy = false;
	vb->deflate_buf.busy = false;
	vbp_balloon_free(&vb->in_flight);
	if (vb->in_flight_page)
		put_page(vb->in_flight_page);
	vb->in_flight_page = NULL;
	mutex_unlock(&vb->host_lock);
}
