// SPDX-License-Identifier: GPL-2.0-only
/*
 * The books: how much is held where, and what the rest of the kernel sees.
 *
 * Without an elastic range ballooned memory is gone, as with the in-tree driver:
 * MemTotal shrinks. With one it is only lent: MemTotal stays, and what the
 * driver may take back counts as reclaimable kernel memory, which makes it part
 * of MemAvailable. So free(1) and earlyoom see what the guest can have, and
 * malloc() is not refused what it would get.
 *
 * Single pages do part of their accounting in the kernel's balloon code; what
 * that does not know of is done here.
 */
#include <linux/mm.h>
#include <linux/vmstat.h>

#include "vbp.h"

/**
 * vbp_account_blocks() - a block becomes held, or no longer is
 * @vb: the device
 * @page: its head
 * @sign: 1 or -1
 *
 * Context: @vb->lock held.
 */
void vbp_account_blocks(struct vbp_device *vb, struct page *page, long sign)
{
	struct vbp_node *node = &vb->nodes[page_to_nid(page)];
	long nr_pages = sign * (long)VBP_BLOCK_PAGES;

	lockdep_assert_held(&vb->lock);
	node->block_pages += nr_pages;
	node->held_pages += nr_pages;
	vb->block_pages += nr_pages;
	vb->held_pages += nr_pages;

	count_vm_events(sign > 0 ? BALLOON_INFLATE : BALLOON_DEFLATE,
			VBP_BLOCK_PAGES);
	mod_node_balloon_pages(page_pgdat(page), nr_pages);
	if (!vb->elastic)
		adjust_managed_page_count(page, -nr_pages);
}

/**
 * vbp_account_small() - single pages become held, or no longer are
 * @vb: the device
 * @nid: their node
 * @nr_pages: how many; negative when they leave
 *
 * Context: @vb->lock held.
 */
void vbp_account_small(struct vbp_device *vb, int nid, long nr_pages)
{
	lockdep_assert_held(&vb->lock);
	vb->nodes[nid].held_pages += nr_pages;
	vb->small_pages += nr_pages;
	vb->held_pages += nr_pages;
}

/*
 * si_mem_available() never calls all of what is reclaimable available: half of
 * it, up to the low watermarks, it leaves out. Of the balloon all is, so as much
 * is added again. Otherwise inflating made MemAvailable fall by 50 of 2048 MiB,
 * and a program could touch 3 % more than it said (measured).
 */
static unsigned long vbp_account_discount(struct vbp_device *vb,
					  unsigned long elastic)
{
	unsigned long others = vbp_sample_reclaimable();
	unsigned long low = vbp_sample_low_watermarks();

	others -= min(others, vbp_account_credited(vb));
	return min(elastic, low - min(others / 2, low));
}

/**
 * vbp_account_update() - bring NR_KERNEL_MISC_RECLAIMABLE up to date
 * @vb: the device
 *
 * Once a batch, after the sizes or the floor changed. What lies above the floor
 * is spread over the nodes in proportion to what they hold.
 *
 * Context: @vb->lock held.
 */
void vbp_account_update(struct vbp_device *vb)
{
	unsigned long elastic = 0;
	int nid;

	lockdep_assert_held(&vb->lock);
	if (!vb->elastic)
		return;
	if (vb->held_pages > vb->floor_pages)
		elastic = vb->held_pages - vb->floor_pages;
	elastic += vbp_account_discount(vb, elastic);

	for (nid = 0; nid < nr_node_ids; nid++) {
		struct vbp_node *node = &vb->nodes[nid];
		unsigned long credit = 0;

		if (node->held_pages)
			credit = div64_u64((u64)node->held_pages * elastic,
					   vb->held_pages);
		if (credit == node->credited_pages)
			continue;
		mod_node_page_state(NODE_DATA(nid), NR_KERNEL_MISC_RECLAIMABLE,
				    (long)credit - (long)node->credited_pages);
		node->credited_pages = credit;
	}
}

/**
 * vbp_account_credited() - pages counted as reclaimable for this balloon
 * @vb: the device
 *
 * Context: @vb->lock held.
 * Return: pages, over all nodes.
 */
unsigned long vbp_account_credited(struct vbp_device *vb)
{
	unsigned long credited = 0;
	int nid;

	lockdep_assert_held(&vb->lock);
	for (nid = 0; nid < nr_node_ids; nid++)
		credited += vb->nodes[nid].credited_pages;
	return credited;
}
