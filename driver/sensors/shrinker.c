// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shrinker: a task in reclaim takes blocks back itself.
 *
 * Being called says that reclaim runs, also where there is nothing on the LRU
 * lists to scan and vmpressure() is therefore silent. What is freed is credited
 * to the task, or it would go on and swap.
 *
 * The gate keeps out what undid the shrinker upstream had from 4.19 to 5.6:
 * recycling of page cache, drop_caches, and our own inflation.
 */
#include <linux/sched.h>
#include <linux/swap.h>

#include "device.h"

static unsigned long vbp_shrinker_count(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	struct vbp_device *vb = shrinker_private(shrinker);
	unsigned long nr_pages = 0;

	/* Without it this is drop_caches or debugfs, and not reclaim. */
	if (!current->reclaim_state)
		return 0;
	if (!vb->must_tell)
		nr_pages = min(vbp_relief_gate(vb, sc->nid),
			       vbp_leave_from(vb, sc->nid));
	/* Nothing to take here; but reclaim runs, and perhaps no hook says so. */
	if (!nr_pages)
		vbp_works_relief(vb);
	return nr_pages;
}

static unsigned long vbp_shrinker_scan(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	struct vbp_device *vb = shrinker_private(shrinker);
	unsigned long freed;

	/*
	 * What the policy says, not nr_to_scan: that is a small part of what
	 * was counted, and reclaim would go on to the LRU lists meanwhile.
	 */
	freed = vbp_relief_now(vb, VBP_BY_SHRINKER, sc->nid);
	if (!freed)
		return SHRINK_STOP;
	mm_account_reclaimed_pages(freed);
	return freed;
}

/**
 * vbp_shrinker_start() - have reclaim ask @vb
 * @vb: the device; its engine is initialised
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int vbp_shrinker_start(struct vbp_device *vb)
{
	vb->sensors.shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE,
					      "virtio-balloon-pressure");
	if (!vb->sensors.shrinker)
		return -ENOMEM;
	vb->sensors.shrinker->count_objects = vbp_shrinker_count;
	vb->sensors.shrinker->scan_objects = vbp_shrinker_scan;
	/*
	 * Nothing has to be read again. Otherwise the first passes would leave
	 * us out and swap: they want only a 4096th of what an object of some
	 * worth has.
	 */
	vb->sensors.shrinker->seeks = 0;
	shrinker_set_private(vb->sensors.shrinker, vb);
	shrinker_register(vb->sensors.shrinker);
	return 0;
}

/**
 * vbp_shrinker_stop() - the end of vbp_shrinker_start(); harmless without it
 * @vb: the device
 *
 * Context: may sleep; waits for callers in reclaim.
 */
void vbp_shrinker_stop(struct vbp_device *vb)
{
	if (vb->sensors.shrinker)
		shrinker_free(vb->sensors.shrinker);
	vb->sensors.shrinker = NULL;
}
