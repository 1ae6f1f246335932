// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages out: held pages are taken off the lists and freed, and the host is told
 * of it, before or afterwards.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "device.h"

/* How much is taken in one hold of the lock, to keep others' waits short. */
#define VBP_TAKE_PAGES	((unsigned long)(SZ_16M >> PAGE_SHIFT))

/**
 * vbp_leave_blocks() - what is held of one node in blocks
 * @vb: the device
 * @nid: the node
 *
 * Context: any; a guess, without a lock.
 * Return: pages.
 */
unsigned long vbp_leave_blocks(struct vbp_device *vb, int nid)
{
	return READ_ONCE(vb->balloon.nodes[nid].block_pages);
}

/**
 * vbp_leave_from() - what could be taken from one node
 * @vb: the device
 * @nid: the node
 *
 * Context: any; a guess, without a lock.
 * Return: pages.
 */
unsigned long vbp_leave_from(struct vbp_device *vb, int nid)
{
	unsigned long pages = 0;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++)
		pages += READ_ONCE(vb->balloon.nodes[nid].zones[i].held_pages);
	return pages;
}

/**
 * vbp_leave_plan() - so many more pages are going to leave
 * @vb: the device
 * @nr_pages: how many more, or, if negative, how many fewer
 *
 * From now on they count as free in other decisions. vbp_leave_now() and
 * vbp_leave_told() take what they give back out of the plan again.
 *
 * Context: @vb->lock held.
 */
void vbp_leave_plan(struct vbp_device *vb, long nr_pages)
{
	lockdep_assert_held(&vb->lock);
	vb->balloon.leaving_pages += nr_pages;
}

/**
 * vbp_leave_planned() - pages that are going to leave
 * @vb: the device
 *
 * Context: @vb->lock held, or a guess.
 * Return: pages.
 */
unsigned long vbp_leave_planned(struct vbp_device *vb)
{
	return vb->balloon.leaving_pages;
}

/* Pages of a block leave: record what the host has to be told later. */
static void vbp_leave_record(struct vbp_device *vb, struct page *page,
			     unsigned long nr_pages)
{
	/* A report is over once it is answered; nothing takes it back. */
	if (!vb->must_tell && !vbp_reporting_takes_blocks(vb))
		vbp_untold_add(vb, page_to_pfn(page), nr_pages);
}

/* A held block, from @nid or from the node that holds most. */
static struct page *vbp_leave_take_block(struct vbp_device *vb, int nid)
{
	struct vbp_node *node = NULL;
	struct page *page;
	int i;

	if (nid != NUMA_NO_NODE) {
		node = &vb->balloon.nodes[nid];
	} else {
		for (i = 0; i < nr_node_ids; i++)
			if (!node || vb->balloon.nodes[i].block_pages >
			    node->block_pages)
				node = &vb->balloon.nodes[i];
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

/* Those that anybody can use first, of @nid or of the node that holds most. */
static struct vbp_small *vbp_leave_small_of(struct vbp_device *vb, int nid)
{
	struct vbp_small *most = NULL, *list;
	int i, movable;

	for (movable = 0; movable <= 1 && !most; movable++) {
		for (i = 0; i < nr_node_ids; i++) {
			list = &vb->balloon.nodes[i].small[movable];
			if ((nid == NUMA_NO_NODE || nid == i) &&
			    list->nr_pages > (most ? most->nr_pages : 0))
				most = list;
		}
	}
	return most;
}

static unsigned long vbp_leave_take_small(struct vbp_device *vb,
					  unsigned long nr_pages, int nid,
					  struct vbp_batch *batch)
{
	struct vbp_small *list = vbp_leave_small_of(vb, nid);
	struct page *page;
	unsigned long taken;
	LIST_HEAD(pages);

	if (!list)
		return 0;
	nr_pages = min(nr_pages, VBP_SMALL_AT_ONCE);
	/* Fewer than asked for while compaction has some isolated. */
	taken = balloon_page_list_dequeue(&list->info, &pages, nr_pages);
	list->nr_pages -= taken;
	list_for_each_entry(page, &pages, lru) {
		vbp_account_small(vb, page, -1);
		if (!vb->must_tell)
			vbp_untold_add(vb, page_to_pfn(page), 1);
	}
	list_splice_tail(&pages, &batch->small);
	batch->nr_pages += taken;
	return taken;
}

/* A block of which only a part leaves. */
struct vbp_leave_part {
	struct page *page;	/* NULL: there is none */
	unsigned long nr_pages;
};

/*
 * Take @nr_pages, less than a block, out of a block and keep the rest as single
 * pages. The host need not know: it has all of them already. They count as held
 * from now on; the lock is too dear to make them single pages under it, that is
 * vbp_leave_split()'s.
 */
static void vbp_leave_take_part(struct vbp_device *vb, unsigned long nr_pages,
				int nid, struct vbp_leave_part *part)
{
	if (!vb->must_tell && !vbp_untold_fits(vb, VBP_BLOCK_PAGES - 1))
		return;
	part->page = vbp_leave_take_block(vb, nid);
	if (!part->page)
		return;
	part->nr_pages = nr_pages;
	vbp_account_small(vb, part->page, VBP_BLOCK_PAGES - nr_pages);
	vbp_pages_of(vb, part->page)->nr_pages += VBP_BLOCK_PAGES - nr_pages;
	vbp_leave_record(vb, part->page, nr_pages);
}

static void vbp_leave_split(struct vbp_device *vb,
			    const struct vbp_leave_part *part,
			    struct vbp_batch *batch)
{
	struct page *page = part->page;
	unsigned long i;
	LIST_HEAD(keep);

	vbp_pages_unmark_block(page);
	split_page(page, VBP_BLOCK_ORDER);
	for (i = 0; i < VBP_BLOCK_PAGES; i++)
		list_add_tail(&page[i].lru,
			      i < part->nr_pages ? &batch->small : &keep);
	balloon_page_list_enqueue(&vbp_pages_of(vb, page)->info, &keep);
	batch->nr_pages += part->nr_pages;
}

/*
 * Take held pages off the lists, no more than @nr_pages and no more than one
 * hold of the lock may take; what is taken is private to the caller. Recorded as
 * untold, unless the host must be told first.
 */
static void vbp_leave_take(struct vbp_device *vb, unsigned long nr_pages,
			   int nid, struct vbp_batch *batch,
			   struct vbp_leave_part *part)
{
	lockdep_assert_held(&vb->lock);

	while (batch->nr_pages < nr_pages) {
		unsigned long left = nr_pages - batch->nr_pages;
		struct page *page = NULL;

		if (left >= VBP_BLOCK_PAGES)
			page = vbp_leave_take_block(vb, nid);
		if (page) {
			list_add_tail(&page->lru, &batch->blocks);
			batch->nr_pages += VBP_BLOCK_PAGES;
			vbp_leave_record(vb, page, VBP_BLOCK_PAGES);
			continue;
		}
		if (!vbp_leave_take_small(vb, left, nid, batch) &&
		    left < VBP_BLOCK_PAGES)
			vbp_leave_take_part(vb, left, nid, part);
		break;
	}
}

/* One piece of @nr_pages; what was to leave and did is no longer leaving. */
static unsigned long
vbp_leave_take_piece(struct vbp_device *vb, unsigned long nr_pages,
		     const struct vbp_leave_where *where,
		     struct vbp_batch *batch)
{
	unsigned long most = min(nr_pages, VBP_TAKE_PAGES);
	struct vbp_leave_part part = {};
	unsigned long taken;

	vbp_batch_init(batch);
	spin_lock(&vb->lock);
	vbp_leave_take(vb, most, where->nid, batch, &part);
	taken = batch->nr_pages + part.nr_pages;
	if (!taken && where->nid != NUMA_NO_NODE && !where->only) {
		vbp_leave_take(vb, most, NUMA_NO_NODE, batch, &part);
		taken = batch->nr_pages + part.nr_pages;
	}
	vbp_account_update(vb);
	vb->balloon.leaving_pages -= taken ? taken : nr_pages;
	if (!vb->must_tell)
		vbp_memory_returned(taken);
	spin_unlock(&vb->lock);
	if (part.page)
		vbp_leave_split(vb, &part, batch);
	return taken;
}

/* The same, and freed. */
static unsigned long vbp_leave_piece(struct vbp_device *vb,
				     unsigned long nr_pages,
				     const struct vbp_leave_where *where)
{
	struct vbp_batch batch;
	unsigned long taken = vbp_leave_take_piece(vb, nr_pages, where, &batch);

	vbp_pages_free(&batch);
	return taken;
}

/**
 * vbp_leave_now() - give held pages back now, tell the host later
 * @vb: the device; MUST_TELL_HOST not negotiated
 * @nr_pages: how many; planned, see vbp_leave_plan()
 * @where: which
 *
 * Context: reclaim included. Takes @vb->lock, sleeps for nothing, allocates
 * nothing.
 * Return: pages given back; fewer than @nr_pages if there were not more.
 */
unsigned long vbp_leave_now(struct vbp_device *vb, unsigned long nr_pages,
			    const struct vbp_leave_where *where)
{
	unsigned long done = 0, taken;

	do {
		taken = vbp_leave_piece(vb, nr_pages - done, where);
		done += taken;
	} while (taken && done < nr_pages);
	return done;
}

/**
 * vbp_leave_by_work() - the same, by gigabytes
 * @vb: the device; MUST_TELL_HOST not negotiated
 * @nr_pages: how many; planned, see vbp_leave_plan()
 * @where: which
 *
 * A gigabyte of single pages is a quarter of a million frees: others run in
 * between.
 *
 * Context: may sleep, but waits for nothing. Takes @vb->lock.
 * Return: pages given back; fewer than @nr_pages if there were not more.
 */
unsigned long vbp_leave_by_work(struct vbp_device *vb, unsigned long nr_pages,
				const struct vbp_leave_where *where)
{
	unsigned long done = 0, taken;

	do {
		taken = vbp_leave_piece(vb, nr_pages - done, where);
		done += taken;
		cond_resched();
	} while (taken && done < nr_pages);
	return done;
}

/* Tell the host first, then free. What it does not hear of in time is held. */
static int vbp_leave_tell(struct vbp_device *vb, struct vbp_batch *batch,
			  unsigned long limit)
{
	struct vbp_landed landed;
	int err;

	vbp_landed_init(&landed);
	err = vbp_queue_deflate(vb, batch, limit, &landed);
	vbp_pages_landed(vb, &landed);
	if (batch->nr_pages)
		vbp_pages_hold(vb, batch);
	return err;
}

/**
 * vbp_leave_told() - the same for a host that must be told first
 * @vb: the device; MUST_TELL_HOST negotiated
 * @nr_pages: how many; planned, see vbp_leave_plan()
 * @where: which
 *
 * If the device breaks on the way, the pages taken stay in flight.
 *
 * Context: may sleep, waits for the host; takes @vb->host_lock.
 * Return: pages given back.
 */
unsigned long vbp_leave_told(struct vbp_device *vb, unsigned long nr_pages,
			     const struct vbp_leave_where *where)
{
	unsigned long left = nr_pages, done = 0, taken;
	struct vbp_batch batch;

	mutex_lock(&vb->host_lock);
	while (left) {
		taken = vbp_leave_take_piece(vb, left, where, &batch);
		if (!taken)
			break;
		left -= taken;
		/* On an error go on: none may be left on the lists. */
		if (!vbp_leave_tell(vb, &batch, VBP_OWN_WAIT))
			done += taken;
		cond_resched();
	}
	mutex_unlock(&vb->host_lock);
	return done;
}

/*
 * Take host_lock with locks of other parts of the kernel held, and see that
 * nothing is in flight. This must not wait for a silent host, neither by itself
 * nor through a task that waits under host_lock. False if the host does not
 * answer; after true, pages are in flight only if the device broke.
 */
static bool vbp_leave_lock(struct vbp_device *vb)
{
	unsigned long start = jiffies;

	while (!mutex_trylock(&vb->host_lock)) {
		if (time_after(jiffies, start + VBP_OTHERS_WAIT))
			return false;
		usleep_range(1000, 2000);
	}
	if (vbp_pages_land(vb, VBP_OTHERS_WAIT) != -ETIMEDOUT)
		return true;
	mutex_unlock(&vb->host_lock);
	return false;
}

/*
 * The held blocks that begin in a range, found by their places: to look for them
 * among all that is held takes the longer the larger the guest is. What is taken
 * is added to @batch.
 */
static unsigned long vbp_leave_take_range(struct vbp_device *vb,
					  unsigned long pfn, unsigned long end,
					  struct vbp_batch *batch)
{
	unsigned long before = batch->nr_pages;
	struct page *page;

	spin_lock(&vb->lock);
	for (; pfn < end; pfn += VBP_BLOCK_PAGES) {
		page = pfn_to_online_page(pfn);
		if (!page || !vbp_account_has_block(vb, page))
			continue;
		list_move_tail(&page->lru, &batch->blocks);
		batch->nr_pages += VBP_BLOCK_PAGES;
		vbp_account_blocks(vb, page, -1);
		vbp_leave_record(vb, page, VBP_BLOCK_PAGES);
	}
	vbp_account_update(vb);
	spin_unlock(&vb->lock);
	return batch->nr_pages - before;
}

/**
 * vbp_leave_range() - give back the blocks in a range
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
long vbp_leave_range(struct vbp_device *vb,
		     unsigned long start_pfn,
		     unsigned long nr_pages)
{
	unsigned long pfn, end = start_pfn + nr_pages;
	struct vbp_batch batch;
	long taken = 0;

	vbp_batch_init(&batch);
	/* What is on its way to the host would be held a moment too late. */
	if (!vbp_leave_lock(vb))
		return -EBUSY;
	for (pfn = ALIGN_DOWN(start_pfn, VBP_BLOCK_PAGES); pfn < end;
	     pfn += VBP_TAKE_PAGES) {
		taken += vbp_leave_take_range(vb, pfn,
					      min(pfn + VBP_TAKE_PAGES, end),
					      &batch);
		if (!vb->must_tell)
			vbp_pages_free(&batch);
	}
	/* Nothing is left in it, unless the host is to be told first. */
	if (batch.nr_pages && vbp_leave_tell(vb, &batch, VBP_OTHERS_WAIT))
		taken = -EBUSY;
	mutex_unlock(&vb->host_lock);
	return taken;
}
