// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory going offline: blocks can't be migrated, so they are given back. The
 * pages are isolated by then, so nothing else can get them. Single pages leave
 * by migration. The balloon makes good for the loss elsewhere.
 */
#include <linux/memory.h>

#include "device.h"

static int vbp_offline_notify(struct notifier_block *nb, unsigned long action,
			      void *arg)
{
	struct vbp_device *vb = container_of(nb, struct vbp_device,
					     balloon.memory_nb);
	struct memory_notify *memory = arg;
	long given;

	if (action != MEM_GOING_OFFLINE)
		return NOTIFY_OK;
	/* The locks of memory hotplug are held: removal waits for us, too. */
	given = vbp_leave_range(vb, memory->start_pfn,
				memory->nr_pages);
	if (given)
		vbp_works_main(vb, 0);
	if (given < 0)
		dev_info_rarely(&vb->vdev->dev,
				"memory can't go offline: the host does not answer\n");
	return given < 0 ? notifier_from_errno(given) : NOTIFY_OK;
}

/**
 * vbp_offline_start() - be asked before memory goes offline
 * @vb: the device; its engine is initialised
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_offline_start(struct vbp_device *vb)
{
	vb->balloon.memory_nb.notifier_call = vbp_offline_notify;
	return register_memory_notifier(&vb->balloon.memory_nb);
}

/**
 * vbp_offline_stop() - the end of vbp_offline_start(); harmless without it
 * @vb: the device
 *
 * Context: may sleep; waits for callers.
 */
void vbp_offline_stop(struct vbp_device *vb)
{
	if (vb->balloon.memory_nb.notifier_call)
		unregister_memory_notifier(&vb->balloon.memory_nb);
	vb->balloon.memory_nb.notifier_call = NULL;
}
