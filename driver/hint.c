// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page hinting: during migration the host asks which memory is free.
 *
 * The host puts an id into the config space. The driver sends the id, then free
 * blocks, as many as it can get without reclaim, then a stop mark. The blocks
 * stay allocated until the host says that it is done, or reclaim wants them:
 * unlike ballooned pages they may be used at any time, because the host checks
 * for writes after it took the hint.
 */
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/swap.h>

#include "vbp.h"

#define VBP_HINT_ORDER	MAX_PAGE_ORDER
#define VBP_HINT_PAGES	BIT(VBP_HINT_ORDER)

/* Only what is free already. */
#define VBP_HINT_GFP	(__GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC)

/* Bit in hint_flags */
#define VBP_HINT_READ_ID	0

static u32 vbp_hint_received(struct vbp_device *vb)
{
	if (test_and_clear_bit(VBP_HINT_READ_ID, &vb->hint_flags))
		virtio_cread_le(vb->vdev, struct virtio_balloon_config,
				free_page_hint_cmd_id, &vb->hint_received);
	return vb->hint_received;
}

static unsigned long vbp_hint_free(struct vbp_device *vb,
				   unsigned long nr_blocks)
{
	unsigned long freed = 0;
	struct page *page;

	while (freed < nr_blocks) {
		spin_lock(&vb->hint_lock);
		page = list_first_entry_or_null(&vb->hint_pages, struct page,
						lru);
		if (page) {
			list_del(&page->lru);
			vb->hint_blocks--;
		}
		spin_unlock(&vb->hint_lock);
		if (!page)
			break;
		__free_pages(page, VBP_HINT_ORDER);
		freed++;
	}
	return freed;
}

/**
 * vbp_hint_return() - give all hinted blocks back
 * @vb: the device
 *
 * Context: any that may free pages.
 */
void vbp_hint_return(struct vbp_device *vb)
{
	if (vb->hint_shrinker)
		vbp_hint_free(vb, ULONG_MAX);
}

/* The queue has no interrupt: entries the host is through with are taken here. */
static void vbp_hint_reap(struct vbp_device *vb)
{
	unsigned int len;

	while (virtqueue_get_buf(vb->hint_vq, &len))
		;
}

static int vbp_hint_send_id(struct vbp_device *vb, __virtio32 *id)
{
	struct scatterlist sg;
	int err;

	vbp_hint_reap(vb);
	sg_init_one(&sg, id, sizeof(*id));
	err = virtqueue_add_outbuf(vb->hint_vq, &sg, 1, id, GFP_KERNEL);
	if (!err)
		virtqueue_kick(vb->hint_vq);
	return err;
}

/* One block. Returns 0, -ENOMEM when memory has no more, or another errno. */
static int vbp_hint_send_block(struct vbp_device *vb)
{
	struct scatterlist sg;
	struct page *page;
	int err;

	vbp_hint_reap(vb);
	page = alloc_pages(VBP_HINT_GFP, VBP_HINT_ORDER);
	if (!page)
		return -ENOMEM;
	/* A full queue is no error: this block goes unreported. */
	if (vb->hint_vq->num_free <= 1) {	/* one is kept for the id */
		__free_pages(page, VBP_HINT_ORDER);
		return 0;
	}
	sg_init_table(&sg, 1);
	sg_set_page(&sg, page, VBP_HINT_PAGES << PAGE_SHIFT, 0);
	err = virtqueue_add_inbuf(vb->hint_vq, &sg, 1, page, GFP_KERNEL);
	if (err) {
		__free_pages(page, VBP_HINT_ORDER);
		return err;
	}
	virtqueue_kick(vb->hint_vq);
	spin_lock(&vb->hint_lock);
	list_add(&page->lru, &vb->hint_pages);
	vb->hint_blocks++;
	spin_unlock(&vb->hint_lock);
	return 0;
}

static int vbp_hint_send_all(struct vbp_device *vb)
{
	int err = 0;

	/* Until memory has no more, or the host wants something else. */
	while (!err && !READ_ONCE(vb->stopping) &&
	       virtio32_to_cpu(vb->vdev, vb->hint_active) ==
	       vbp_hint_received(vb))
		err = vbp_hint_send_block(vb);
	return err == -ENOMEM ? 0 : err;
}

/**
 * vbp_hint_work() - do what the id in the config space says
 * @work: hint_work
 */
void vbp_hint_work(struct work_struct *work)
{
	struct vbp_device *vb = container_of(work, struct vbp_device,
					     hint_work);
	u32 id = vbp_hint_received(vb);
	int err;

	if (id == VIRTIO_BALLOON_CMD_ID_DONE) {
		vbp_hint_return(vb);
		return;
	}
	if (id == VIRTIO_BALLOON_CMD_ID_STOP ||
	    id == virtio32_to_cpu(vb->vdev, vb->hint_active))
		return;

	vb->hint_active = cpu_to_virtio32(vb->vdev, id);
	err = vbp_hint_send_id(vb, &vb->hint_active);
	if (!err)
		err = vbp_hint_send_all(vb);
	if (!err)
		err = vbp_hint_send_id(vb, &vb->hint_stop);
	if (err)
		dev_err_ratelimited(&vb->vdev->dev,
				    "free page hinting ended early: %d\n", err);
}

/**
 * vbp_hint_changed() - the config space may have a new id
 * @vb: the device
 *
 * Context: interrupt.
 */
void vbp_hint_changed(struct vbp_device *vb)
{
	if (!vb->hint_vq || test_and_set_bit(VBP_HINT_READ_ID, &vb->hint_flags))
		return;
	vbp_kick_other(vb, &vb->hint_work, 0);
}

static unsigned long vbp_hint_count(struct shrinker *shrinker,
				    struct shrink_control *sc)
{
	struct vbp_device *vb = shrinker_private(shrinker);

	return READ_ONCE(vb->hint_blocks) * VBP_HINT_PAGES;
}

static unsigned long vbp_hint_scan(struct shrinker *shrinker,
				   struct shrink_control *sc)
{
	struct vbp_device *vb = shrinker_private(shrinker);
	unsigned long freed;

	freed = vbp_hint_free(vb, DIV_ROUND_UP(sc->nr_to_scan, VBP_HINT_PAGES));
	freed *= VBP_HINT_PAGES;
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
	spin_lock_init(&vb->hint_lock);
	INIT_LIST_HEAD(&vb->hint_pages);
	vb->hint_flags = 0;
	vb->hint_received = VIRTIO_BALLOON_CMD_ID_STOP;
	vb->hint_active = cpu_to_virtio32(vb->vdev, VIRTIO_BALLOON_CMD_ID_STOP);
	vb->hint_stop = vb->hint_active;
	if (!vb->hint_vq)
		return 0;

	/* One entry for an id and at least one for a block. */
	if (virtqueue_get_vring_size(vb->hint_vq) < 2) {
		dev_err(&vb->vdev->dev,
			"the hint queue has fewer than 2 entries\n");
		return -ENOSPC;
	}
	vb->hint_shrinker = shrinker_alloc(0, "virtio-balloon-hint");
	if (!vb->hint_shrinker)
		return -ENOMEM;
	vb->hint_shrinker->count_objects = vbp_hint_count;
	vb->hint_shrinker->scan_objects = vbp_hint_scan;
	shrinker_set_private(vb->hint_shrinker, vb);
	shrinker_register(vb->hint_shrinker);
	return 0;
}

/**
 * vbp_hint_destroy() - the end of vbp_hint_init()
 * @vb: the device; the work is stopped
 */
void vbp_hint_destroy(struct vbp_device *vb)
{
	if (!vb->hint_shrinker)
		return;
	vbp_hint_free(vb, ULONG_MAX);
	shrinker_free(vb->hint_shrinker);
	vb->hint_shrinker = NULL;
}
