// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages in: where they come from, and where they are while they are held.
 *
 * Memory is taken in blocks of 2 MiB where the buddy allocator has them free,
 * and in single pages where it does not. Blocks stay whole while they are held:
 * that keeps the host's huge pages whole, and giving back 1 GiB takes 512 frees.
 *
 * A page is in one of three places. Private to whoever allocated it; in flight,
 * when the host may discard it at any moment and nothing may use it; or held,
 * once the host has returned the buffer. Only held pages can be given back, so
 * the relief paths know of no others.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "device.h"

/*
 * Blocks come from memory that is free: no reclaim, which would make room by
 * evicting a huge page's worth of cache. Not movable: nothing migrates them, so
 * they must stay out of ZONE_MOVABLE and CMA.
 */
#define VBP_BLOCK_GFP	((GFP_HIGHUSER & ~__GFP_RECLAIM) | \
			 __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN)

/*
 * From allocation to free: offlining, /proc/kcore, hibernation and makedumpfile
 * look at single pages, and must not read what the host may have discarded.
 */
static void vbp_pages_mark_block(struct page *page)
{
	unsigned long i;

	for (i = 0; i < VBP_BLOCK_PAGES; i++)
		__SetPageOffline(page + i);
}

/**
 * vbp_pages_unmark_block() - a block is about to be used again, or split
 * @page: its head
 *
 * Context: any.
 */
void vbp_pages_unmark_block(struct page *page)
{
	unsigned long i;

	for (i = 0; i < VBP_BLOCK_PAGES; i++)
		__ClearPageOffline(page + i);
}

/*
 * By halves, which the buddy allocator joins again. A whole one is of the size of
 * a huge page, and those the kernel keeps on a list of the CPU that freed them
 * (upstream commit 44042b449872, 5.14), up to an eighth of the memory since it
 * tunes that by itself (90b41691b988, 6.7): free, but to no one else and to no
 * smaller allocation. A guest that needed them was killed beside them.
 */
static void vbp_pages_free_block(struct page *page)
{
	const unsigned int half = VBP_BLOCK_ORDER - 1;

	/*
	 * Allocation profiling knows a block by its head and would take half of
	 * it for all. What is left of a block when somebody else still has its
	 * head the kernel frees by pieces and accounts for, head last.
	 */
	if (IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING)) {
		get_page(page);
		__free_pages(page, VBP_BLOCK_ORDER);
		put_page(page);
		return;
	}
	set_page_count(page + BIT(half), 1);
	__free_pages(page + BIT(half), half);
	__free_pages(page, half);
}

/**
 * vbp_pages_alloc() - get pages to inflate with
 * @vb: the device
 * @nr_pages: how many are wanted
 * @batch: where to; empty before
 *
 * Gets one block or one buffer's worth of single pages, and never more than
 * @nr_pages. Single pages may reclaim, blocks never do.
 *
 * Context: may sleep; no lock held, because it may reclaim.
 * Return: 0, or -ENOMEM if not a single page was to be had.
 */
int vbp_pages_alloc(struct vbp_device *vb, unsigned long nr_pages,
		    struct vbp_batch *batch)
{
	struct page *page;

	if (nr_pages >= VBP_BLOCK_PAGES) {
		page = alloc_pages(VBP_BLOCK_GFP, VBP_BLOCK_ORDER);
		if (page) {
			vbp_pages_mark_block(page);
			list_add(&page->lru, &batch->blocks);
			batch->nr_pages = VBP_BLOCK_PAGES;
			return 0;
		}
	}
	nr_pages = min(nr_pages,
		       (unsigned long)(vb->max_pfns / VBP_PFNS_PER_PAGE));
	while (batch->nr_pages < nr_pages) {
		page = balloon_page_alloc();
		if (!page)
			break;
		list_add_tail(&page->lru, &batch->small);
		batch->nr_pages++;
	}
	return batch->nr_pages ? 0 : -ENOMEM;
}

/**
 * vbp_pages_free() - give private pages back to the page allocator
 * @batch: emptied
 *
 * Context: any that may free pages; reclaim included.
 */
void vbp_pages_free(struct vbp_batch *batch)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &batch->blocks, lru) {
		list_del(&page->lru);
		vbp_pages_unmark_block(page);
		vbp_pages_free_block(page);
	}
	list_for_each_entry_safe(page, next, &batch->small, lru) {
		list_del(&page->lru);
		put_page(page);
	}
	batch->nr_pages = 0;
}

/* The blocks, and as many of the single pages as one hold of the lock may take. */
static void vbp_pages_hold_some(struct vbp_device *vb, struct vbp_batch *batch)
{
	unsigned long nr_pages = 0, nr_small = 0;
	struct page *page, *next;
	LIST_HEAD(small);

	spin_lock(&vb->lock);
	list_for_each_entry_safe(page, next, &batch->blocks, lru) {
		list_move_tail(&page->lru,
			       &vb->balloon.nodes[page_to_nid(page)].blocks);
		vbp_account_blocks(vb, page, 1);
		nr_pages += VBP_BLOCK_PAGES;
	}
	list_for_each_entry_safe(page, next, &batch->small, lru) {
		if (nr_small == VBP_SMALL_AT_ONCE)
			break;
		list_move_tail(&page->lru, &small);
		vbp_account_small(vb, page, 1);
		nr_small++;
	}
	balloon_page_list_enqueue(&vb->balloon.info, &small);
	nr_pages += nr_small;
	vb->balloon.coming_pages -= min(vb->balloon.coming_pages, nr_pages);
	vbp_account_update(vb);
	trace_vbp_landed(vb->vdev, nr_pages, vb->balloon.coming_pages,
			 vbp_held_pages(vb));
	spin_unlock(&vb->lock);
	batch->nr_pages -= nr_pages;
}

/**
 * vbp_pages_hold() - make pages held whose buffer the host has returned
 * @vb: the device
 * @batch: the pages; emptied
 *
 * Context: may sleep, for a moment; @vb->lock not held.
 */
void vbp_pages_hold(struct vbp_device *vb, struct vbp_batch *batch)
{
	balloon_page_list_settle(&batch->small);
	do {
		vbp_pages_hold_some(vb, batch);
	} while (batch->nr_pages);
}

/**
 * vbp_pages_landed() - hold and free what the host has returned
 * @vb: the device
 * @landed: emptied
 *
 * Context: may sleep, for a moment; @vb->host_lock held: to whoever gets it next
 * no page is missing.
 */
void vbp_pages_landed(struct vbp_device *vb, struct vbp_landed *landed)
{
	lockdep_assert_held(&vb->host_lock);
	if (landed->in.nr_pages)
		vbp_pages_hold(vb, &landed->in);
	vbp_pages_free(&landed->out);
}

/**
 * vbp_pages_inflate() - put pages on their way to the host
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
int vbp_pages_inflate(struct vbp_device *vb, struct vbp_batch *batch)
{
	struct vbp_landed landed;
	int err;

	spin_lock(&vb->lock);
	vb->balloon.coming_pages += batch->nr_pages;
	trace_vbp_inflate(vb->vdev, !list_empty(&batch->blocks),
			  batch->nr_pages, vb->balloon.coming_pages);
	spin_unlock(&vb->lock);
	vbp_landed_init(&landed);
	mutex_lock(&vb->host_lock);
	err = vbp_queue_tell_untold(vb, &landed);
	if (!err && vbp_reporting_takes_blocks(vb) && !list_empty(&batch->blocks))
		err = vbp_reporting_inflate(vb, batch, &landed);
	else if (!err)
		err = vbp_queue_inflate(vb, batch, &landed);
	vbp_pages_landed(vb, &landed);
	mutex_unlock(&vb->host_lock);
	/* What is left in it the host has not seen. */
	vbp_pages_free(batch);
	return err;
}

/**
 * vbp_pages_land() - all that is in flight lands
 * @vb: the device
 * @limit: jiffies to wait for each answer of the host
 *
 * Context: may sleep, waits for the host; @vb->host_lock held.
 * Return: 0; -ETIMEDOUT after @limit; another errno when the device broke: the
 * pages then stay in flight until vbp_pages_forget().
 */
int vbp_pages_land(struct vbp_device *vb, unsigned long limit)
{
	struct vbp_landed landed;
	int err, err_report;

	lockdep_assert_held(&vb->host_lock);
	vbp_landed_init(&landed);
	/* Held as soon as they land: relief need not wait for the rest. */
	do {
		err = vbp_queue_land(vb, limit, &landed);
		vbp_pages_landed(vb, &landed);
	} while (err > 0);
	do {
		err_report = vbp_reporting_land(vb, limit, &landed);
		vbp_pages_landed(vb, &landed);
	} while (err_report > 0);
	return err ? err : err_report;
}

/**
 * vbp_pages_inflated() - the same, for as long as it takes
 * @vb: the device
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: 0, or a negative errno when the device broke.
 */
int vbp_pages_inflated(struct vbp_device *vb)
{
	int err;

	mutex_lock(&vb->host_lock);
	err = vbp_pages_land(vb, VBP_OWN_WAIT);
	mutex_unlock(&vb->host_lock);
	/* What has not landed now will not soon. */
	spin_lock(&vb->lock);
	vb->balloon.coming_pages = 0;
	spin_unlock(&vb->lock);
	return err;
}

/**
 * vbp_pages_moving() - pages on their way into the balloon or out of it
 * @vb: the device
 *
 * Context: @vb->lock held, or a guess.
 * Return: pages, neither held nor free.
 */
unsigned long vbp_pages_moving(struct vbp_device *vb)
{
	return vb->balloon.coming_pages + vb->balloon.leaving_pages;
}

/**
 * vbp_pages_tell_untold() - tell the host what was given back meanwhile
 * @vb: the device
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: 0, or a negative errno when the device broke.
 */
int vbp_pages_tell_untold(struct vbp_device *vb)
{
	struct vbp_landed landed;
	int err;

	vbp_landed_init(&landed);
	mutex_lock(&vb->host_lock);
	err = vbp_queue_tell_untold(vb, &landed);
	vbp_pages_landed(vb, &landed);
	mutex_unlock(&vb->host_lock);
	return err;
}

/**
 * vbp_pages_forget() - take back what was in flight
 * @vb: the device, after a completed reset: only then will the host not touch
 *	these pages any more
 *
 * Context: may sleep; takes @vb->host_lock.
 */
void vbp_pages_forget(struct vbp_device *vb)
{
	struct vbp_landed landed;

	vbp_landed_init(&landed);
	mutex_lock(&vb->host_lock);
	vbp_queue_forget(vb, &landed);
	vbp_reporting_forget(vb, &landed);
	vbp_pages_landed(vb, &landed);
	mutex_unlock(&vb->host_lock);
}

/**
 * vbp_pages_init() - make @vb's balloon empty
 * @vb: the device
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_pages_init(struct vbp_device *vb)
{
	struct vbp_balloon *balloon = &vb->balloon;
	int i, err;

	balloon->nodes = kcalloc(nr_node_ids, sizeof(*balloon->nodes),
				 GFP_KERNEL);
	if (!balloon->nodes)
		return -ENOMEM;
	for (i = 0; i < nr_node_ids; i++)
		INIT_LIST_HEAD(&balloon->nodes[i].blocks);
	balloon_devinfo_init(&balloon->info);
#ifdef CONFIG_BALLOON_MIGRATION
	balloon->info.migratepage = vbp_migrate_page;
#endif
	err = balloon_devinfo_prepare(&balloon->info);
	if (err)
		kfree(balloon->nodes);
	return err;
}

/**
 * vbp_pages_destroy() - the end of vbp_pages_init()
 * @vb: the device; nothing is held or in flight any more
 *
 * Context: may sleep.
 */
void vbp_pages_destroy(struct vbp_device *vb)
{
	balloon_devinfo_release(&vb->balloon.info);
	kfree(vb->balloon.nodes);
}
