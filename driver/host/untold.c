// SPDX-License-Identifier: GPL-2.0-only
/*
 * The record of pages given back that the host has not been told of.
 *
 * Relief frees pages at once, in contexts that can neither wait for the host
 * nor allocate. So room for the record is made when pages come in: the ring
 * always has a free entry for every block and every single page held, plus
 * enough to split one block.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "device.h"

/* Entries that must be free for what is held now. */
static unsigned long vbp_untold_units(struct vbp_device *vb)
{
	return vb->block_pages / VBP_BLOCK_PAGES + vb->small_pages;
}

static struct vbp_range *vbp_untold_entry(struct vbp_device *vb,
					  unsigned int i)
{
	return &vb->host.untold[(vb->host.untold_head + i) & (vb->host.untold_size - 1)];
}

/**
 * vbp_untold_fits() - whether more units could be held
 * @vb: the device
 * @units: how many more
 *
 * Context: @vb->lock held.
 * Return: true if the ring has room for them.
 */
bool vbp_untold_fits(struct vbp_device *vb, unsigned long units)
{
	lockdep_assert_held(&vb->lock);
	return vb->host.untold_count + vbp_untold_units(vb) + units <=
	       vb->host.untold_size;
}

/* How large the ring must be for @units more; 0 if it is. */
static unsigned long vbp_untold_lacks(struct vbp_device *vb,
				      unsigned long units)
{
	unsigned long size = 0;

	spin_lock(&vb->lock);
	if (!vbp_untold_fits(vb, units))
		size = vb->host.untold_count + vbp_untold_units(vb) + units;
	spin_unlock(&vb->lock);
	return size;
}

static int vbp_untold_grow(struct vbp_device *vb, unsigned long size)
{
	struct vbp_range *ring, *old;
	unsigned int i;

	size = roundup_pow_of_two(size);
	ring = kvmalloc_array(size, sizeof(*ring),
			      GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (!ring)
		return -ENOMEM;

	spin_lock(&vb->lock);
	for (i = 0; i < vb->host.untold_count; i++)
		ring[i] = *vbp_untold_entry(vb, i);
	old = vb->host.untold;
	vb->host.untold = ring;
	vb->host.untold_size = size;
	vb->host.untold_head = 0;
	spin_unlock(&vb->lock);
	kvfree(old);
	return 0;
}

/**
 * vbp_untold_reserve() - make room before pages come in
 * @vb: the device
 * @units: blocks and single pages about to be held
 *
 * Context: may sleep; the only one to grow the ring is the work.
 * Return: 0 or -ENOMEM.
 */
int vbp_untold_reserve(struct vbp_device *vb, unsigned long units)
{
	unsigned long size;
	int err;

	units += VBP_BLOCK_PAGES;
	/* Again: a block that is split meanwhile needs more of the new ring. */
	do {
		size = vbp_untold_lacks(vb, units);
		err = size ? vbp_untold_grow(vb, size) : 0;
	} while (size && !err);
	return err;
}

/**
 * vbp_untold_add() - record pages that are about to be freed
 * @vb: the device
 * @pfn: first page
 * @nr_pages: how many
 *
 * Context: @vb->lock held.
 */
void vbp_untold_add(struct vbp_device *vb, unsigned long pfn,
		    unsigned long nr_pages)
{
	struct vbp_range *last;

	lockdep_assert_held(&vb->lock);
	if (vb->host.untold_count) {
		last = vbp_untold_entry(vb, vb->host.untold_count - 1);
		if (last->pfn + last->nr_pages == pfn) {
			last->nr_pages += nr_pages;
			return;
		}
		/* Blocks leave in the reverse order of their coming. */
		if (pfn + nr_pages == last->pfn) {
			last->pfn = pfn;
			last->nr_pages += nr_pages;
			return;
		}
	}
	if (WARN_ON_ONCE(vb->host.untold_count == vb->host.untold_size))
		return;
	vb->host.untold_count++;
	last = vbp_untold_entry(vb, vb->host.untold_count - 1);
	last->pfn = pfn;
	last->nr_pages = nr_pages;
}

/**
 * vbp_untold_take() - next run to tell the host of
 * @vb: the device
 * @range: the run, at most @max_pages long
 * @max_pages: not 0
 *
 * Context: takes @vb->lock.
 * Return: length of the run; 0 if all is told.
 */
unsigned int vbp_untold_take(struct vbp_device *vb, struct vbp_range *range,
			     unsigned int max_pages)
{
	struct vbp_range *first;

	range->nr_pages = 0;
	spin_lock(&vb->lock);
	if (vb->host.untold_count) {
		first = vbp_untold_entry(vb, 0);
		range->pfn = first->pfn;
		range->nr_pages = min(first->nr_pages, max_pages);
		first->pfn += range->nr_pages;
		first->nr_pages -= range->nr_pages;
		if (!first->nr_pages) {
			vb->host.untold_head = (vb->host.untold_head + 1) &
					  (vb->host.untold_size - 1);
			vb->host.untold_count--;
		}
	}
	spin_unlock(&vb->lock);
	return range->nr_pages;
}

/**
 * vbp_untold_destroy() - forget the record
 * @vb: the device; nothing is held any more
 */
void vbp_untold_destroy(struct vbp_device *vb)
{
	kvfree(vb->host.untold);
	vb->host.untold = NULL;
	vb->host.untold_size = 0;
	vb->host.untold_head = 0;
	vb->host.untold_count = 0;
}
