// SPDX-License-Identifier: GPL-2.0-only
/*
 * The OOM notifier: the last resort, when every other sensor was too late.
 *
 * A large step: the kernel looks at how much was freed, tries the allocation
 * again, and is here once more if it was not enough. Where nothing is left but
 * what a floor for the moment denies, the host is asked to look again.
 */
#include <linux/oom.h>

#include "device.h"

/* The in-tree driver's, so that the two answer in the same place. */
#define VBP_OOM_PRIORITY	80

static unsigned long vbp_oom_relieve(struct vbp_device *vb)
{
	if (vb->must_tell)
		return vbp_relief_told(vb);
	return vbp_relief_now(vb, VBP_BY_OOM, NUMA_NO_NODE);
}

static int vbp_oom_notify(struct notifier_block *nb, unsigned long unused,
			  void *parm)
{
	struct vbp_device *vb = container_of(nb, struct vbp_device, sensors.oom_nb);
	unsigned long *freed = parm;
	unsigned long given;

	given = vbp_oom_relieve(vb);
	if (!given && vbp_relief_ask(vb, &given))
		given += vbp_oom_relieve(vb);
	*freed += given;
	return NOTIFY_OK;
}

/**
 * vbp_oom_start() - be asked before the kernel kills
 * @vb: the device; its engine is initialised
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_oom_start(struct vbp_device *vb)
{
	vb->sensors.oom_nb.notifier_call = vbp_oom_notify;
	vb->sensors.oom_nb.priority = VBP_OOM_PRIORITY;
	return register_oom_notifier(&vb->sensors.oom_nb);
}

/**
 * vbp_oom_stop() - the end of vbp_oom_start(); harmless without it
 * @vb: the device
 *
 * Context: may sleep; waits for callers.
 */
void vbp_oom_stop(struct vbp_device *vb)
{
	if (vb->sensors.oom_nb.notifier_call)
		unregister_oom_notifier(&vb->sensors.oom_nb);
	vb->sensors.oom_nb.notifier_call = NULL;
}
