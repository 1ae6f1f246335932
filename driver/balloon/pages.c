// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mechanism: pages into the balloon and out of it.
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

#include "device.h"

/*
 * Blocks come from memory that is free: no reclaim, which would make room by
 * evicting a huge page's worth of cache. Not movable: nothing migrates them, so
 * they must stay out of ZONE_MOVABLE and CMA.
 */
#define VBP_BLOCK_GFP	((GFP_HIGHUSER & ~__GFP_RECLAIM) | \
			 __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN)

/* How much is taken in one hold of the lock, to keep others' waits short. */
#define VBP_TAKE_PAGES	((unsigned long)(SZ_16M >> PAGE_SHIFT))

/*
 * From allocation to free: offlining, /proc/kcore, hibernation and makedumpfile
 * look at single pages, and must not read what the host may have discarded.
 */
static void vbp_balloon_mark_block(struct page *page)
{
	unsigned long i;

	for (i = 0; i < VBP_BLOCK_PAGES; i++)
		__SetPageOffline(page + i);
}

static void vbp_balloon_unmark_block(struct page *page)
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
static void vbp_balloon_free_block(struct page *page)
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
 * vbp_balloon_alloc() - get pages to inflate with
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
int vbp_balloon_alloc(struct vbp_device *vb, unsigned long nr_pages,
		      struct vbp_batch *batch)
{
	struct page *page;

	if (nr_pages >= VBP_BLOCK_PAGES) {
		page = alloc_pages(VBP_BLOCK_GFP, VBP_BLOCK_ORDER);
		if (page) {
			vbp_balloon_mark_block(page);
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
 * vbp_balloon_free() - give private pages back to the page allocator
 * @batch: emptied
 *
 * Context: any that may free pages; reclaim included.
 */
void vbp_balloon_free(struct vbp_batch *batch)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &batch->blocks, lru) {
		list_del(&page->lru);
		vbp_balloon_unmark_block(page);
		vbp_balloon_free_block(page);
	}
	list_for_each_entry_safe(page, next, &batch->small, lru) {
		list_del(&page->lru);
		put_page(page);
	}
	batch->nr_pages = 0;
}

/**
 * vbp_balloon_hold() - make pages held whose buffer the host has returned
 * @vb: the device
 * @batch: the pages; emptied
 *
 * Context: may sleep, for a moment; @vb->lock not held.
 */
void vbp_balloon_hold(struct vbp_device *vb, struct vbp_batch *batch)
{
	struct page *page, *next;

	balloon_page_list_settle(&batch->small);
	spin_lock(&vb->lock);
	list_for_each_entry_safe(page, next, &batch->blocks, lru) {
		list_move_tail(&page->lru,
			       &vb->nodes[page_to_nid(page)].blocks);
		vbp_account_blocks(vb, page, 1);
	}
	list_for_each_entry(page, &batch->small, lru)
		vbp_account_small(vb, page, 1);
	balloon_page_list_enqueue(&vb->balloon, &batch->small);
	vbp_account_update(vb);
	spin_unlock(&vb->lock);
	batch->nr_pages = 0;
}

/* Pages of a block leave: what the host has to hear of it, and later. */
static void vbp_balloon_leave(struct vbp_device *vb, struct page *page,
			      unsigned long nr_pages)
{
	/* A report is over once it is answered; nothing takes it back. */
	if (!vb->must_tell && !vb->by_report)
		vbp_untold_add(vb, page_to_pfn(page), nr_pages);
}

/* A held block, from @nid or from the node that holds most. */
static struct page *vbp_balloon_take_block(struct vbp_device *vb, int nid)
{
	struct vbp_node *node = NULL;
	struct page *page;
	int i;

	if (nid != NUMA_NO_NODE) {
		node = &vb->nodes[nid];
	} else {
		for (i = 0; i < nr_node_ids; i++)
			if (!node || vb->nodes[i].block_pages >
				     node->block_pages)
				node = &vb->nodes[i];
	}
	/* From the end: the most recently held, so that runs stay contiguous. */
	page = list_empty(&node->blocks) ?
	       NULL : list_last_entry(&node->blocks, struct page, lru);
	if (page) {
		list_del(&page->lru);
		vbp_account_blocks(vb, page, -1);
	}
	return page;
}

static unsigned long vbp_balloon_take_small(struct vbp_device *vb,
					    unsigned long nr_pages,
					    struct vbp_batch *batch)
{
	struct page *page;
	unsigned long taken;
	LIST_HEAD(pages);

	/* Fewer than asked for while compaction has some isolated. */
	taken = balloon_page_list_dequeue(&vb->balloon, &pages, nr_pages);
	list_for_each_entry(page, &pages, lru) {
		vbp_account_small(vb, page, -1);
		if (!vb->must_tell)
			vbp_untold_add(vb, page_to_pfn(page), 1);
	}
	list_splice_tail(&pages, &batch->small);
	batch->nr_pages += taken;
	return taken;
}

/*
 * Take @nr_pages, less than a block, out of a block and keep the rest as single
 * pages. The host need not know: it has all of them already.
 */
static unsigned long vbp_balloon_split(struct vbp_device *vb,
				       unsigned long nr_pages, int nid,
				       struct vbp_batch *batch)
{
	struct page *page;
	unsigned long i;
	LIST_HEAD(keep);

	if (!vb->must_tell && !vbp_untold_fits(vb, VBP_BLOCK_PAGES - 1))
		return 0;
	page = vbp_balloon_take_block(vb, nid);
	if (!page)
		return 0;
	vbp_balloon_unmark_block(page);
	split_page(page, VBP_BLOCK_ORDER);
	for (i = 0; i < VBP_BLOCK_PAGES; i++) {
		if (i < nr_pages) {
			list_add_tail(&page[i].lru, &batch->small);
		} else {
			vbp_account_small(vb, page + i, 1);
			list_add_tail(&page[i].lru, &keep);
		}
	}
	balloon_page_list_enqueue(&vb->balloon, &keep);
	vbp_balloon_leave(vb, page, nr_pages);
	batch->nr_pages += nr_pages;
	return nr_pages;
}

/*
 * Take held pages off the lists, no more than @nr_pages; what is taken is
 * private to the caller. Recorded as untold, unless the host must be told first.
 */
static void vbp_balloon_take(struct vbp_device *vb, unsigned long nr_pages,
			     int nid, struct vbp_batch *batch)
{
	lockdep_assert_held(&vb->lock);

	while (batch->nr_pages < nr_pages) {
		unsigned long left = nr_pages - batch->nr_pages;
		struct page *page = NULL;

		if (left >= VBP_BLOCK_PAGES)
			page = vbp_balloon_take_block(vb, nid);
		if (page) {
			list_add_tail(&page->lru, &batch->blocks);
			batch->nr_pages += VBP_BLOCK_PAGES;
			vbp_balloon_leave(vb, page, VBP_BLOCK_PAGES);
			continue;
		}
		/* Single pages are kept in one list for all nodes. */
		if ((nid == NUMA_NO_NODE || nr_online_nodes == 1) &&
		    vbp_balloon_take_small(vb, left, batch))
			continue;
		if (left >= VBP_BLOCK_PAGES ||
		    !vbp_balloon_split(vb, left, nid, batch))
			break;
	}
	vbp_account_update(vb);
}

/* One piece of @nr_pages; what was to leave and did is no longer leaving. */
static unsigned long vbp_balloon_take_piece(struct vbp_device *vb,
					    unsigned long nr_pages, int nid,
					    struct vbp_batch *batch)
{
	vbp_batch_init(batch);
	spin_lock(&vb->lock);
	vbp_balloon_take(vb, min(nr_pages, VBP_TAKE_PAGES), nid, batch);
	vb->leaving_pages -= batch->nr_pages ? batch->nr_pages : nr_pages;
	spin_unlock(&vb->lock);
	return batch->nr_pages;
}

/**
 * vbp_balloon_give_back() - give held pages back now, tell the host later
 * @vb: the device; MUST_TELL_HOST not negotiated
 * @nr_pages: how many; the caller has added them to @vb->leaving_pages
 * @nid: from this node only, or NUMA_NO_NODE
 *
 * Context: reclaim included. Takes @vb->lock, sleeps for nothing, allocates
 * nothing.
 * Return: pages given back; fewer than @nr_pages if there were not more.
 */
unsigned long vbp_balloon_give_back(struct vbp_device *vb,
				    unsigned long nr_pages, int nid)
{
	unsigned long done = 0, taken;
	struct vbp_batch batch;

	while (done < nr_pages) {
		taken = vbp_balloon_take_piece(vb, nr_pages - done, nid,
					       &batch);
		if (!taken)
			break;
		vbp_balloon_free(&batch);
		done += taken;
	}
	return done;
}

/**
 * vbp_balloon_give_back_told() - the same for a host that must be told first
 * @vb: the device; MUST_TELL_HOST negotiated
 * @nr_pages: how many; the caller has added them to @vb->leaving_pages
 *
 * If the device breaks on the way, the pages taken stay in flight.
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: pages given back.
 */
unsigned long vbp_balloon_give_back_told(struct vbp_device *vb,
					 unsigned long nr_pages)
{
	unsigned long left = nr_pages, done = 0, taken;
	struct vbp_batch batch;

	mutex_lock(&vb->host_lock);
	while (left) {
		taken = vbp_balloon_take_piece(vb, left, NUMA_NO_NODE, &batch);
		if (!taken)
			break;
		left -= taken;
		/* On an error go on: none may be left on the lists. */
		if (!vbp_queue_deflate(vb, &batch, false))
			done += taken;
	}
	mutex_unlock(&vb->host_lock);
	return done;
}

/**
 * vbp_balloon_give_back_range() - give back the blocks in a range
 * @vb: the device
 * @start_pfn: first page of the range
 * @nr_pages: its length
 *
 * For memory going offline. Single pages are movable and leave by themselves.
 *
 * Context: may sleep, for some seconds at the most if the host is silent.
 * Return: pages given back; -EBUSY if the host has some, perhaps of the range,
 * and does not answer.
 */
long vbp_balloon_give_back_range(struct vbp_device *vb,
				 unsigned long start_pfn,
				 unsigned long nr_pages)
{
	struct vbp_batch batch;
	struct page *page, *next;
	long taken;
	int i;

	vbp_batch_init(&batch);
	/* What is on its way to the host would be held a moment too late. */
	if (!vbp_queue_lock(vb))
		return -EBUSY;
	spin_lock(&vb->lock);
	for (i = 0; i < nr_node_ids; i++) {
		list_for_each_entry_safe(page, next, &vb->nodes[i].blocks,
					 lru) {
			unsigned long pfn = page_to_pfn(page);

			if (pfn + VBP_BLOCK_PAGES <= start_pfn ||
			    pfn >= start_pfn + nr_pages)
				continue;
			list_move_tail(&page->lru, &batch.blocks);
			batch.nr_pages += VBP_BLOCK_PAGES;
			vbp_account_blocks(vb, page, -1);
			vbp_balloon_leave(vb, page, VBP_BLOCK_PAGES);
		}
	}
	vbp_account_update(vb);
	spin_unlock(&vb->lock);

	taken = batch.nr_pages;
	if (!vb->must_tell)
		vbp_balloon_free(&batch);
	else if (taken && vbp_queue_deflate(vb, &batch, true))
		taken = -EBUSY;
	mutex_unlock(&vb->host_lock);
	return taken;
}

#ifdef CONFIG_BALLOON_MIGRATION
/*
 * Compaction wants @page's place and offers @newpage. The host gets @newpage
 * first and gives up @page afterwards, so the balloon never shrinks.
 *
 * If the host does not answer in time, @newpage is in flight and may not go
 * back to compaction, which would use it: keep a reference. @page has been held
 * all along, so it may go. -ENOENT says just that: deflated, nothing in its
 * place.
 */
static int vbp_balloon_migrate(struct balloon_dev_info *balloon,
			       struct page *newpage, struct page *page,
			       enum migrate_mode mode)
{
	struct vbp_device *vb = container_of(balloon, struct vbp_device,
					     balloon);
	bool told = true;
	int err = -EAGAIN;

	/* Whoever holds it may wait for the host; compaction tries again. */
	if (!mutex_trylock(&vb->host_lock))
		return -EAGAIN;
	if (vbp_host_broken(vb))
		goto out;
	err = vbp_queue_inflate_page(vb, newpage);
	if (err == -EAGAIN)
		goto out;
	told = !vbp_queue_deflate_page(vb, page);

	spin_lock(&vb->lock);
	vbp_account_small(vb, page, -1);
	if (!err)
		vbp_account_small(vb, newpage, 1);
	vbp_account_update(vb);
	spin_unlock(&vb->lock);
	if (err)
		err = -ENOENT;
out:
	mutex_unlock(&vb->host_lock);
	/* To make good for what has left, and to land what is in flight. */
	if (err == -ENOENT || !told)
		vbp_kick_main(vb, 0);
	return err;
}
#endif

/**
 * vbp_balloon_init() - make @vb's balloon empty
 * @vb: the device; its nodes are allocated and elastic is set
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_balloon_init(struct vbp_device *vb)
{
	int i;

	for (i = 0; i < nr_node_ids; i++)
		INIT_LIST_HEAD(&vb->nodes[i].blocks);
	vbp_batch_init(&vb->in_flight);
	balloon_devinfo_init(&vb->balloon);
#ifdef CONFIG_BALLOON_MIGRATION
	vb->balloon.migratepage = vbp_balloon_migrate;
#endif
	return balloon_devinfo_prepare(&vb->balloon);
}

/**
 * vbp_balloon_destroy() - the end of vbp_balloon_init()
 * @vb: the device; nothing is held or in flight any more
 *
 * Context: may sleep.
 */
void vbp_balloon_destroy(struct vbp_device *vb)
{
	balloon_devinfo_release(&vb->balloon);
}
