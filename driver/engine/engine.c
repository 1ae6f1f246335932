// SPDX-License-Identifier: GPL-2.0-only
/* The engine's life. */
#include "device.h"

/**
 * vbp_engine_init() - make the works
 * @vb: the device
 * @sampler: whether memory is looked at while it moves, sign or no sign
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int vbp_engine_init(struct vbp_device *vb, bool sampler)
{
	vbp_policy_init(&vb->engine.policy);
	init_waitqueue_head(&vb->engine.looked);
	return vbp_works_init(vb, vbp_main_work_run, vbp_relief_run, sampler);
}

/**
 * vbp_engine_destroy() - the end of vbp_engine_init()
 * @vb: the device; stopped
 */
void vbp_engine_destroy(struct vbp_device *vb)
{
	vbp_works_destroy(vb);
}

/**
 * vbp_engine_start() - go, towards the host's target
 * @vb: the device; ready
 *
 * Context: may sleep.
 */
void vbp_engine_start(struct vbp_device *vb)
{
	struct vbp_host_asks asks;

	/* The gate needs the floor, and may be asked before the work has run. */
	vbp_config_read(vb, &asks);
	spin_lock(&vb->lock);
	vb->asks = asks;
	spin_unlock(&vb->lock);
	vbp_works_open(vb);
	vbp_works_main(vb, VBP_WAKE_SIZE);
	vbp_host_start(vb);
}

/**
 * vbp_engine_stop() - no work runs after this, and none can be queued
 * @vb: the device
 *
 * Context: may sleep. A silent host delays it by VBP_REMOVE_WAIT, a slow one by
 * VBP_REMOVE_ALL, no more.
 */
void vbp_engine_stop(struct vbp_device *vb)
{
	vbp_host_leave(vb);
	vbp_works_close(vb);
	wake_up(&vb->engine.looked);
	vbp_host_stop(vb);
	vbp_works_wait(vb);
}
