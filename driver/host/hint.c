// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page hinting: during migration the host asks which memory is free.
 *
 * The host puts an id into the config space. The driver sends the id, then free
 * blocks, as many as it can get without reclaim, then a stop mark. The host may
 * discard a block until it has returned its buffer, so until then nothing may use
 * it; if it never does, not before a reset.
 *
 * Returned blocks stay allocated until the host says that it is done, so that
 * they are not hinted again. They may be used at any time, because the host
 * checks for writes after it took the hint. So when memory is needed, they are
 * given first.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "device.h"

#define VBP_HINT_ORDER	MAX_PAGE_ORDER
#define VBP_HINT_PAGES	BIT(VBP_HINT_ORDER)

/* Blocks with the host at a time: a silent host can keep no more. */
#define VBP_HINT_OUT	16

/* Between two looks at what it has returned: at the end, and while it has all. */
#define VBP_HINT_POLL_MS	10
#define VBP_HINT_WAIT		HZ
#define VBP_HINT_PAUSE_MS	100U

/* Only what is free already. */
#define VBP_HINT_GFP	(__GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC)

/* Bit in hint_flags */
#define VBP_HINT_READ_ID	0

static u32 vbp_hint_received(struct vbp_device *vb)
{
	if (test_and_clear_bit(VBP_HINT_READ_ID, &vb->host.hint.flags))
		virtio_cread_le(vb->vdev, struct virtio_balloon_config,
				free_page_hint_cmd_id, &vb->host.hint.received);
	return vb->host.hint.received;
}

/*
 * The queue has no interrupt: what the host is through with is taken here, and
 * may be used from now on. It is as good as free memory, so it counts as
 * reclaimable: free(1) and our own sensors see it in what is available.
 */
static void vbp_hint_reap(struct vbp_device *vb)
{
	struct page *page;
	unsigned int len;
	void *token;

	while ((token = virtqueue_get_buf(vb->host.hint.vq, &len))) {
		if (token == &vb->host.hint.active || token == &vb->host.hint.stop)
			continue;
		page = token;
		list_del(&page->lru);
		vb->host.hint.out--;
		mod_node_page_state(page_pgdat(page),
				    NR_KERNEL_MISC_RECLAIMABLE, VBP_HINT_PAGES);
		spin_lock(&vb->host.hint.lock);
		list_add(&page->lru, &vb->host.hint.pages);
		vb->host.hint.blocks++;
		spin_unlock(&vb->host.hint.lock);
	}
}

/**
 * vbp_hint_available() - hinted memory that can be taken back at once
 * @vb: the device
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_hint_available(struct vbp_device *vb)
{
	return READ_ONCE(vb->host.hint.blocks) * VBP_HINT_PAGES;
}

/**
 * vbp_hint_give_back() - free hinted blocks that the host has returned
 * @vb: the device
 * @nr_pages: how many pages are wanted
 *
 * Who wants memory does not want it hinted again at once: the round ends.
 *
 * Context: any that may free pages; reclaim included.
 * Return: pages freed, of whole blocks.
 */
unsigned long vbp_hint_give_back(struct vbp_device *vb, unsigned long nr_pages)
{
	unsigned long freed = 0;
	struct page *page;

	while (freed < nr_pages && READ_ONCE(vb->host.hint.blocks)) {
		spin_lock(&vb->host.hint.lock);
		page = list_first_entry_or_null(&vb->host.hint.pages, struct page,
						lru);
		if (page) {
			list_del(&page->lru);
			vb->host.hint.blocks--;
		}
		spin_unlock(&vb->host.hint.lock);
		if (!page)
			break;
		mod_node_page_state(page_pgdat(page),
				    NR_KERNEL_MISC_RECLAIMABLE,
				    -(long)VBP_HINT_PAGES);
		__free_pages(page, VBP_HINT_ORDER);
		freed += VBP_HINT_PAGES;
	}
	if (freed)
		WRITE_ONCE(vb->host.hint.enough, true);
	return freed;
}

/*
 * Wait a moment for what the host still has. It is told to look: one that has
 * just come to another machine does not know that there is something. What it
 * keeps comes back with the next round, or after the reset.
 */
static void vbp_hint_settle(struct vbp_device *vb)
{
	unsigned long start = jiffies;

	vbp_hint_reap(vb);
	if (vb->host.hint.out)
		virtqueue_notify(vb->host.hint.vq);
	while (vb->host.hint.out && !vbp_works_stopping(vb) &&
	       !virtqueue_is_broken(vb->host.hint.vq) &&
	       time_before(jiffies, start + VBP_HINT_WAIT)) {
		msleep(VBP_HINT_POLL_MS);
		vbp_hint_reap(vb);
	}
}

static int vbp_hint_send_id(struct vbp_device *vb, __virtio32 *id)
{
	struct scatterlist sg;
	int err;

	vbp_hint_reap(vb);
	sg_init_one(&sg, id, sizeof(*id));
	err = virtqueue_add_outbuf(vb->host.hint.vq, &sg, 1, id, GFP_KERNEL);
	if (!err)
		virtqueue_kick(vb->host.hint.vq);
	return err;
}

/*
 * One block. Returns 0, -EAGAIN when the host has as many as it may, -ENOMEM when
 * memory has no more, or another errno.
 */
static int vbp_hint_send_block(struct vbp_device *vb)
{
	struct scatterlist sg;
	struct page *page;
	int err;

	vbp_hint_reap(vb);
	/* One entry is kept for the id. */
	if (vb->host.hint.out == VBP_HINT_OUT || vb->host.hint.vq->num_free <= 1)
		return -EAGAIN;
	page = alloc_pages(VBP_HINT_GFP, VBP_HINT_ORDER);
	if (!page)
		return -ENOMEM;
	sg_init_table(&sg, 1);
	sg_set_page(&sg, page, VBP_HINT_PAGES << PAGE_SHIFT, 0);
	err = virtqueue_add_inbuf(vb->host.hint.vq, &sg, 1, page, GFP_KERNEL);
	if (err) {
		__free_pages(page, VBP_HINT_ORDER);
		return err;
	}
	virtqueue_kick(vb->host.hint.vq);
	list_add(&page->lru, &vb->host.hint.with_host);
	vb->host.hint.out++;
	return 0;
}

/* Until no block is left, memory is needed, or the host asks for something else. */
static int vbp_hint_send_all(struct vbp_device *vb)
{
	unsigned int pause_ms = 1;
	int err = 0;

	WRITE_ONCE(vb->host.hint.enough, false);
	while (!err && !vbp_works_stopping(vb) &&
	       !READ_ONCE(vb->host.hint.enough) &&
	       virtio32_to_cpu(vb->vdev, vb->host.hint.active) ==
	       vbp_hint_received(vb)) {
		err = vbp_hint_send_block(vb);
		if (err != -EAGAIN) {
			pause_ms = 1;
			continue;
		}
		err = virtqueue_is_broken(vb->host.hint.vq) ? -EIO : 0;
		msleep(pause_ms);
		pause_ms = min(2 * pause_ms, VBP_HINT_PAUSE_MS);
	}
	return err == -ENOMEM ? 0 : err;
}

/**
 * vbp_hint_work() - do what the id in the config space says
 * @work: asked's
 */
void vbp_hint_work(struct work_struct *work)
{
	struct vbp_device *vb = container_of(to_delayed_work(work),
					     struct vbp_device,
					     host.hint.asked.work);
	u32 id;
	int err;

	if (!vb->host.hint.vq)
		return;
	id = vbp_hint_received(vb);
	if (id == VIRTIO_BALLOON_CMD_ID_DONE) {
		vbp_hint_settle(vb);
		vbp_hint_give_back(vb, ULONG_MAX);
		return;
	}
	if (id == VIRTIO_BALLOON_CMD_ID_STOP ||
	    id == virtio32_to_cpu(vb->vdev, vb->host.hint.active))
		return;

	vb->host.hint.active = cpu_to_virtio32(vb->vdev, id);
	err = vbp_hint_send_id(vb, &vb->host.hint.active);
	if (!err)
		err = vbp_hint_send_all(vb);
	if (!err)
		err = vbp_hint_send_id(vb, &vb->host.hint.stop);
	if (err)
		dev_err_rarely(&vb->vdev->dev,
			       "free page hinting ended early: %d\n", err);
	vbp_hint_settle(vb);
}

/**
 * vbp_hint_changed() - the config space may have a new id
 * @vb: the device
 *
 * Context: interrupt.
 */
void vbp_hint_changed(struct vbp_device *vb)
{
	if (!vb->host.hint.vq || test_and_set_bit(VBP_HINT_READ_ID, &vb->host.hint.flags))
		return;
	vbp_works_asked(vb, &vb->host.hint.asked, 0);
}

static unsigned long vbp_hint_count(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	struct vbp_device *vb = shrinker_private(shrinker);

	return vbp_hint_available(vb);
}

static unsigned long vbp_hint_scan(struct shrinker *shrinker,
				   struct shrink_control *sc)
{
	struct vbp_device *vb = shrinker_private(shrinker);
	unsigned long freed;

	freed = vbp_hint_give_back(vb, sc->nr_to_scan);
	mm_account_reclaimed_pages(freed);
	return freed ? freed : SHRINK_STOP;
}

/**
 * vbp_hint_init() - get ready for hinting, if the device has it
 * @vb: the device; queues are set up
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_hint_init(struct vbp_device *vb)
{
	vb->host.hint.flags = 0;
	vb->host.hint.received = VIRTIO_BALLOON_CMD_ID_STOP;
	vb->host.hint.active = cpu_to_virtio32(vb->vdev, VIRTIO_BALLOON_CMD_ID_STOP);
	vb->host.hint.stop = vb->host.hint.active;
	if (!vb->host.hint.vq)
		return 0;

	/* One entry for an id and at least one for a block. */
	if (virtqueue_get_vring_size(vb->host.hint.vq) < 2) {
		dev_err(&vb->vdev->dev,
			"the hint queue has fewer than 2 entries\n");
		return -ENOSPC;
	}
	vb->host.hint.shrinker = shrinker_alloc(0, "virtio-balloon-hint");
	if (!vb->host.hint.shrinker)
		return -ENOMEM;
	vb->host.hint.shrinker->count_objects = vbp_hint_count;
	vb->host.hint.shrinker->scan_objects = vbp_hint_scan;
	shrinker_set_private(vb->host.hint.shrinker, vb);
	shrinker_register(vb->host.hint.shrinker);
	return 0;
}

/**
 * vbp_hint_destroy() - the end of vbp_hint_init(); harmless without it
 * @vb: the device; the work is stopped, and the device reset: it will not touch
 *	what it has not returned any more
 *
 * Context: may sleep; waits for callers in reclaim.
 */
void vbp_hint_destroy(struct vbp_device *vb)
{
	struct page *page, *next;

	if (vb->host.hint.shrinker)
		shrinker_free(vb->host.hint.shrinker);
	vb->host.hint.shrinker = NULL;
	vbp_hint_give_back(vb, ULONG_MAX);
	list_for_each_entry_safe(page, next, &vb->host.hint.with_host, lru) {
		list_del(&page->lru);
		__free_pages(page, VBP_HINT_ORDER);
	}
	vb->host.hint.out = 0;
}
