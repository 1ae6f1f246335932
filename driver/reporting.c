// SPDX-License-Identifier: GPL-2.0-only
/* Free page reporting and page poison. */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/poison.h>

#include "vbp.h"

#define VBP_REPORT_POLL	(HZ / 10)

/*
 * The kernel puts these pages back on its free lists as soon as this returns,
 * also with an error, and the host may discard them until it has returned the
 * buffer. If it never will, only a completed reset makes that safe.
 */
static int vbp_reporting_wait(struct vbp_device *vb)
{
	unsigned long start = jiffies;
	unsigned int len;

	while (!wait_event_timeout(vb->acked,
				   virtqueue_get_buf(vb->reporting_vq, &len),
				   VBP_REPORT_POLL)) {
		if (!virtqueue_is_broken(vb->reporting_vq) &&
		    !(READ_ONCE(vb->stopping) &&
		      time_after(jiffies, start + VBP_REMOVE_WAIT)))
			continue;
		if (!vb->was_reset) {
			dev_err(&vb->vdev->dev,
				"the device does not return free pages; resetting it\n");
			virtio_break_device(vb->vdev);
			virtio_reset_device(vb->vdev);
			vb->was_reset = true;
		}
		return -EIO;
	}
	return 0;
}

static int vbp_reporting_report(struct page_reporting_dev_info *info,
				struct scatterlist *sg, unsigned int nents)
{
	struct vbp_device *vb = container_of(info, struct vbp_device,
					     reporting);
	int err;

	err = virtqueue_add_inbuf(vb->reporting_vq, sg, nents, vb, GFP_NOWAIT);
	if (err)
		return err;
	virtqueue_kick(vb->reporting_vq);
	return vbp_reporting_wait(vb);
}

/**
 * vbp_reporting_write_poison() - tell the host what free pages contain
 * @vb: the device
 *
 * Context: may sleep.
 */
void vbp_reporting_write_poison(struct vbp_device *vb)
{
	u32 poison = 0;

	if (!virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		return;
	/* Four equal bytes: no byte order to mind. */
	if (!want_init_on_free())
		memset(&poison, PAGE_POISON, sizeof(poison));
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_config, poison_val,
			 &poison);
}

/**
 * vbp_reporting_start() - report free pages, if the device wants them
 * @vb: the device; ready
 *
 * The balloon works without it, so a failure is only told of.
 *
 * Context: may sleep.
 */
void vbp_reporting_start(struct vbp_device *vb)
{
	unsigned int capacity;
	int err;

	if (!vb->reporting_vq)
		return;
	capacity = virtqueue_get_vring_size(vb->reporting_vq);
	vb->reporting.report = vbp_reporting_report;
	/*
	 * The kernel's default, a pageblock, is 512 MiB on arm64 with 64 KiB
	 * pages, which hardly ever is free in one piece.
	 */
	vb->reporting.order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	if (IS_ENABLED(CONFIG_ARM64_64K_PAGES))
		vb->reporting.order = VBP_BLOCK_ORDER;
	err = page_reporting_register_capacity(&vb->reporting, capacity);
	if (err)
		dev_warn(&vb->vdev->dev,
			 "free page reporting is not available: %d\n", err);
	vb->reporting_on = !err;
}

/**
 * vbp_reporting_stop() - the end of vbp_reporting_start()
 * @vb: the device; not yet reset
 *
 * Context: may sleep.
 */
void vbp_reporting_stop(struct vbp_device *vb)
{
	if (vb->reporting_on)
		page_reporting_unregister(&vb->reporting);
	vb->reporting_on = false;
}
