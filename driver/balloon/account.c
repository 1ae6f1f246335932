// SPDX-License-Identifier: GPL-2.0-only
/*
 * The books: how much is held where, and what the rest of the kernel sees.
 *
 * MemTotal is what the guest can have. What lies below the floor has left it;
 * without an elastic range that is all of the balloon, as with the in-tree
 * driver. The rest is only lent: it stays in MemTotal, and counts as
 * reclaimable kernel memory, which makes it part of MemAvailable. So free(1) and
 * earlyoom see what the guest can have, and malloc() refuses what it can never
 * get and nothing else.
 *
 * What left MemTotal left the zones' managed pages. It is counted by zone, not
 * by page: relief takes any page, and changes nothing here while it stays above
 * the floor. No zone has more gone than is held in it, so what is gone always
 * can come back. Once a batch, because newer kernels make the zones' reserves
 * anew each time (upstream, 7.2).
 *
 * Single pages do part of their accounting in the kernel's balloon code; what
 * that does not know of is done here.
 */
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

#include "device.h"

static void vbp_account_held(struct vbp_device *vb, struct page *page,
			     long nr_pages)
{
	struct vbp_node *node = &vb->balloon.nodes[page_to_nid(page)];

	lockdep_assert_held(&vb->lock);
	node->zones[page_zonenum(page)].held_pages += nr_pages;
}

static unsigned long vbp_account_on_node(struct vbp_node *node)
{
	unsigned long pages = 0;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++)
		pages += node->zones[i].held_pages;
	return pages;
}

/**
 * vbp_account_blocks() - a block becomes held, or no longer is
 * @vb: the device
 * @page: its head
 * @sign: 1 or -1
 *
 * While it is held its head names the device: see vbp_account_has_block().
 *
 * Context: @vb->lock held until vbp_account_update().
 */
void vbp_account_blocks(struct vbp_device *vb, struct page *page, long sign)
{
	long nr_pages = sign * (long)VBP_BLOCK_PAGES;

	vbp_account_held(vb, page, nr_pages);
	vb->balloon.nodes[page_to_nid(page)].block_pages += nr_pages;
	vb->block_pages += nr_pages;

	count_vm_events(sign > 0 ? BALLOON_INFLATE : BALLOON_DEFLATE,
			VBP_BLOCK_PAGES);
	mod_node_balloon_pages(page_pgdat(page), nr_pages);
	set_page_private(page, sign > 0 ? (unsigned long)vb : 0);
}

/**
 * vbp_account_has_block() - does a held block begin here?
 * @vb: the device
 * @page: any online page; others' are marked as offline, too, but not as ours
 *
 * Context: @vb->lock held.
 * Return: true if @page is the head of a block that @vb holds.
 */
bool vbp_account_has_block(struct vbp_device *vb, struct page *page)
{
	lockdep_assert_held(&vb->lock);
	return PageOffline(page) && page_private(page) == (unsigned long)vb;
}

/**
 * vbp_account_small() - single pages become held, or no longer are
 * @vb: the device
 * @page: one of them; the others are of the same zone
 * @nr_pages: how many; negative if they no longer are
 *
 * Context: @vb->lock held until vbp_account_update().
 */
void vbp_account_small(struct vbp_device *vb, struct page *page,
		       long nr_pages)
{
	vbp_account_held(vb, page, nr_pages);
	vb->small_pages += nr_pages;
}

/*
 * Any page of @zone, in which something is held: so a part of it is online, and
 * nearly always its beginning.
 */
static struct page *vbp_account_page_of(struct zone *zone)
{
	unsigned long pfn = zone->zone_start_pfn;
	struct page *page;

	for (; pfn < zone_end_pfn(zone);
	     pfn = ALIGN(pfn + 1, pageblock_nr_pages)) {
		page = pfn_to_online_page(pfn);
		if (page && page_zone(page) == zone)
			return page;
	}
	return NULL;
}

/* @nr_pages of what is held in a zone leave MemTotal, or come back. */
static void vbp_account_move(struct vbp_device *vb, int nid, int i,
			     long nr_pages)
{
	struct page *page;

	if (!nr_pages)
		return;
	page = vbp_account_page_of(&NODE_DATA(nid)->node_zones[i]);
	if (WARN_ON_ONCE(!page))
		return;
	adjust_managed_page_count(page, -nr_pages);
	vb->balloon.nodes[nid].zones[i].gone_pages += nr_pages;
	vb->balloon.gone_pages += nr_pages;
}

/* Bring MemTotal up to date, moving as little as possible. */
static void vbp_account_total(struct vbp_device *vb)
{
	unsigned long gone = vbp_held_pages(vb);
	struct vbp_zone *zone;
	int nid, i;

	if (vb->elastic)
		gone = min_t(u64, gone, vb->balloon.floor.standing_pages);

	/* What has left a zone first, which may make room for the rest. */
	for (nid = 0; nid < nr_node_ids; nid++) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			zone = &vb->balloon.nodes[nid].zones[i];
			if (zone->gone_pages > zone->held_pages)
				vbp_account_move(vb, nid, i,
						 zone->held_pages -
						 zone->gone_pages);
		}
	}
	for (nid = 0; nid < nr_node_ids && vb->balloon.gone_pages != gone; nid++) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			zone = &vb->balloon.nodes[nid].zones[i];
			if (vb->balloon.gone_pages > gone)
				vbp_account_move(vb, nid, i,
						 -min(vb->balloon.gone_pages - gone,
						      zone->gone_pages));
			else
				vbp_account_move(vb, nid, i,
						 min(gone - vb->balloon.gone_pages,
						     zone->held_pages -
						     zone->gone_pages));
		}
	}
}

/**
 * vbp_account_update() - bring MemTotal and NR_KERNEL_MISC_RECLAIMABLE up to date
 * @vb: the device
 *
 * Once a batch, after the sizes or the floor changed. What lies above the floor
 * is spread over the nodes in proportion to what they hold.
 *
 * Context: @vb->lock held, since the sizes changed; reclaim included.
 */
void vbp_account_update(struct vbp_device *vb)
{
	unsigned long held = vbp_held_pages(vb), elastic = 0;
	u64 floor = vb->asks.floor_pages;
	int nid;

	lockdep_assert_held(&vb->lock);
	vbp_account_total(vb);
	if (!vb->elastic)
		return;
	/* Else it is lifted as soon as it is reached; now it may not be. */
	if (vb->asks.host_pressure >= VBP_LEVEL_CRITICAL)
		floor = max(floor, vb->asks.floor_now_pages);
	if (held > floor)
		elastic = held - floor;
	elastic += vbp_memory_discount(vb->balloon.credited_pages, elastic);

	for (nid = 0; nid < nr_node_ids; nid++) {
		struct vbp_node *node = &vb->balloon.nodes[nid];
		u64 here = vbp_account_on_node(node);
		unsigned long credit = 0;

		if (here)
			credit = div64_u64(here * elastic, held);
		if (credit == node->credited_pages)
			continue;
		vbp_memory_lend(nid, (long)credit - (long)node->credited_pages);
		vb->balloon.credited_pages += credit - node->credited_pages;
		node->credited_pages = credit;
	}
}

/**
 * vbp_account_floor() - the floor as it is now, and MemTotal with it
 * @vb: the device
 * @now_ms: the time
 *
 * Context: @vb->lock held.
 * Return: when the floor has to be looked at again, in milliseconds, or 0.
 */
u32 vbp_account_floor(struct vbp_device *vb, u64 now_ms)
{
	u32 wake_ms;

	lockdep_assert_held(&vb->lock);
	/* All of the balloon is gone then, at once. */
	if (!vb->elastic)
		return 0;
	wake_ms = vbp_size_stand(&vb->balloon.floor, vb->asks.floor_pages, now_ms);
	vbp_account_update(vb);
	return wake_ms;
}

/**
 * vbp_account_memory() - the guest's memory with an empty balloon
 * @vb: the device
 *
 * Context: @vb->lock held, or a guess.
 * Return: pages.
 */
unsigned long vbp_account_memory(struct vbp_device *vb)
{
	return totalram_pages() + vb->balloon.gone_pages;
}

/**
 * vbp_account_unnamed() - memory that is in no counter
 * @vb: the device
 * @named: what the kernel's counters name
 *
 * That is a pool of huge pages, mostly. What the balloon or a hint has is
 * neither. Remembered for balloon/places.c.
 *
 * Context: @vb->lock held, or a guess.
 * Return: pages.
 */
unsigned long vbp_account_unnamed(struct vbp_device *vb, unsigned long named)
{
	unsigned long pages = vbp_account_memory(vb);

	named += vbp_held_pages(vb) + vbp_pages_moving(vb) +
		 vbp_hint_available(vb);
	pages -= min(pages, named);
	WRITE_ONCE(vb->balloon.unnamed_pages, pages);
	return pages;
}
