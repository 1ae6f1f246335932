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

#define VBP_PICKED_GFP	(__GFP_THISNODE | __GFP_NOMEMALLOC | __GFP_NORETRY | \
			 __GFP_NOWARN)

/*
 * Blocks come from memory that is free: no reclaim, which would make room by
 * evicting a huge page's worth of cache. Not movable: nothing migrates them, so
 * they must stay out of ZONE_MOVABLE and CMA.
 */
#define VBP_BLOCK_GFP	((GFP_USER & ~__GFP_RECLAIM) | VBP_PICKED_GFP)

/* Single pages may move, where the kernel can do that. */
#define VBP_SMALL_GFP	\
	((IS_ENABLED(CONFIG_BALLOON_MIGRATION) ? GFP_HIGHUSER_MOVABLE : \
						 GFP_HIGHUSER) | VBP_PICKED_GFP)

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

/* What makes the allocator begin with that zone. */
static gfp_t vbp_pages_zone_gfp(int zone)
{
#ifdef CONFIG_ZONE_DMA
	if (zone == ZONE_DMA)
		return __GFP_DMA;
#endif
#ifdef CONFIG_ZONE_DMA32
	if (zone == ZONE_DMA32)
		return __GFP_DMA32;
#endif
#ifdef CONFIG_HIGHMEM
	if (zone == ZONE_HIGHMEM)
		return __GFP_HIGHMEM;
#endif
	return 0;
}

/*
 * The allocator goes on to lower zones, and down to where only the kernel itself
 * gets anything. What a zone is to keep it gets back.
 */
static struct page *vbp_pages_alloc_block(const struct vbp_pick *pick)
{
	struct page *page;

	if (pick->zone < 0)
		return NULL;
	page = alloc_pages_node(pick->nid, VBP_BLOCK_GFP |
				vbp_pages_zone_gfp(pick->zone),
				VBP_BLOCK_ORDER);
	if (page && !vbp_places_spare(page_zone(page))) {
		vbp_pages_free_block(page);
		return NULL;
	}
	if (page)
		vbp_pages_mark_block(page);
	return page;
}

/*
 * Single pages in ascending order, where they need not be left to the kernel: a
 * piece as large as a buffer comes apart.
 */
static void vbp_pages_alloc_run(const struct vbp_pick *pick,
				unsigned int order, struct vbp_batch *batch)
{
	struct page *page;
	unsigned long i;

	page = alloc_pages_node(pick->nid, VBP_SMALL_GFP & ~__GFP_RECLAIM,
				order);
	if (!page)
		return;
	if (page_zonenum(page) != ZONE_MOVABLE) {
		__free_pages(page, order);
		return;
	}
	split_page(page, order);
	for (i = 0; i < BIT(order); i++)
		list_add_tail(&page[i].lru, &batch->small);
	batch->nr_pages = BIT(order);
}

static struct page *vbp_pages_alloc_small(const struct vbp_pick *pick)
{
	struct page *page = alloc_pages_node(pick->nid, VBP_SMALL_GFP, 0);

	if (!page && pick->any)
		page = balloon_page_alloc();
	if (page && !pick->kernel && page_zonenum(page) != ZONE_MOVABLE) {
		put_page(page);
		return NULL;
	}
	return page;
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
	unsigned int most = vb->max_pfns / VBP_PFNS_PER_PAGE;
	unsigned int order = min_t(unsigned int, ilog2(most),
				   VBP_BLOCK_ORDER);
	struct vbp_pick pick;
	struct page *page;

	if (!vbp_places_pick(vb, &pick))
		return -ENOMEM;
	if (min(pick.movable_pages, nr_pages) >= BIT(order)) {
		vbp_pages_alloc_run(&pick, order, batch);
		if (batch->nr_pages)
			return 0;
	} else if (nr_pages >= VBP_BLOCK_PAGES) {
		page = vbp_pages_alloc_block(&pick);
		if (page) {
			list_add(&page->lru, &batch->blocks);
			batch->nr_pages = VBP_BLOCK_PAGES;
			return 0;
		}
	}
	nr_pages = min_t(unsigned long, nr_pages, most);
	while (batch->nr_pages < nr_pages) {
		page = vbp_pages_alloc_small(&pick);
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

/**
 * vbp_pages_of() - the list that a single page belongs on
 * @vb: the device
 * @page: the page
 *
 * Context: any.
 * Return: the list.
 */
struct vbp_small *vbp_pages_of(struct vbp_device *vb, struct page *page)
{
	struct vbp_node *node = &vb->balloon.nodes[page_to_nid(page)];

	return &node->small[page_zonenum(page) == ZONE_MOVABLE];
}

/* The blocks, and as many of the single pages as one hold of the lock may take. */
static void vbp_pages_hold_some(struct vbp_device *vb, struct vbp_batch *batch)
{
	unsigned long nr_pages = 0, nr_small = 0;
	struct vbp_small *list = NULL;
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
		/* Those of one list together: it has a lock, too. */
		if (list != vbp_pages_of(vb, page)) {
			if (list)
				balloon_page_list_enqueue(&list->info, &small);
			list = vbp_pages_of(vb, page);
		}
		list_move_tail(&page->lru, &small);
		list->nr_pages++;
		vbp_account_small(vb, page, 1);
		nr_small++;
	}
	if (list)
		balloon_page_list_enqueue(&list->info, &small);
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

static int vbp_pages_init_small(struct vbp_device *vb, struct vbp_small *small)
{
	int err;

	balloon_devinfo_init(&small->info);
#ifdef CONFIG_BALLOON_MIGRATION
	small->info.migratepage = vbp_migrate_page;
#endif
	err = balloon_devinfo_prepare(&small->info);
	if (!err)
		small->vb = vb;
	return err;
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
	int i, j, err = 0;

	balloon->nodes = kcalloc(nr_node_ids, sizeof(*balloon->nodes),
				 GFP_KERNEL);
	if (!balloon->nodes)
		return -ENOMEM;
	for (i = 0; i < nr_node_ids; i++) {
		INIT_LIST_HEAD(&balloon->nodes[i].blocks);
		for (j = 0; j < ARRAY_SIZE(balloon->nodes[i].small); j++)
			err = err ? err : vbp_pages_init_small(vb,
				&balloon->nodes[i].small[j]);
	}
	if (err)
		vbp_pages_destroy(vb);
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
	int i, j;

	for (i = 0; i < nr_node_ids; i++) {
		struct vbp_small *small = vb->balloon.nodes[i].small;

		for (j = 0; j < ARRAY_SIZE(vb->balloon.nodes[i].small); j++)
			if (small[j].vb)
				balloon_devinfo_release(&small[j].info);
	}
	kfree(vb->balloon.nodes);
}
