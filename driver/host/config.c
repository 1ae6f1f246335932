// SPDX-License-Identifier: GPL-2.0-only
/* The host's config space: what it asks for, and what it is told. */
#include <linux/virtio_config.h>

#include "device.h"

/* How often the host may change target and floor while both are read. */
#define VBP_HOST_READ_TRIES	10

/* The device counts in 4 KiB; up, or a target would never be met exactly. */
static u64 vbp_config_to_pages(u32 device_pages)
{
	return DIV_ROUND_UP((u64)device_pages, VBP_PFNS_PER_PAGE);
}

static u32 vbp_config_from_pages(u64 pages)
{
	return min_t(u64, pages * VBP_PFNS_PER_PAGE, U32_MAX);
}

/* As virtio_cread_bytes() asks; transports without it have none to compare. */
static u32 vbp_config_generation(struct virtio_device *vdev)
{
	return vdev->config->generation ? vdev->config->generation(vdev) : 0;
}

/**
 * vbp_config_read() - read what the host asks for
 * @vb: the device
 *
 * Target and floor are a range: both are read as of one moment. A host that
 * never stops changing them is not waited for: it sends an interrupt for the
 * last change, too, and then this runs again.
 *
 * Context: may sleep; takes @vb->lock.
 */
void vbp_config_read(struct vbp_device *vb)
{
	u32 num_pages, min_pages = 0, host_pressure = 0, generation;
	unsigned int tries = VBP_HOST_READ_TRIES;

	do {
		generation = vbp_config_generation(vb->vdev);
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				num_pages, &num_pages);
		if (!vb->pressure)
			break;
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				min_pages, &min_pages);
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				host_pressure, &host_pressure);
	} while (generation != vbp_config_generation(vb->vdev) && --tries);

	spin_lock(&vb->lock);
	vb->target_pages = vbp_config_to_pages(num_pages);
	/* The guest's own limit on the floor, also for what free(1) shows. */
	vb->floor_pages = vb->elastic ?
		min(vbp_config_to_pages(min_pages), vb->target_pages) :
		vb->target_pages;
	vb->host_pressure = host_pressure;
	vbp_account_update(vb);
	spin_unlock(&vb->lock);
}

static void vbp_config_write_pressure(struct vbp_device *vb, u32 level,
				      u32 wanted)
{
	u32 seq = vb->told_pressure >> VIRTIO_BALLOON_PRESSURE_SEQ_SHIFT;
	u32 pressure;

	if (level == (vb->told_pressure & VIRTIO_BALLOON_PRESSURE_LEVEL_MASK) &&
	    wanted == vb->told_wanted)
		return;

	pressure = level | (seq + 1) << VIRTIO_BALLOON_PRESSURE_SEQ_SHIFT;
	/* In this order: the second write commits the first. */
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_pressure_config,
			 wanted_pages, &wanted);
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_pressure_config,
			 guest_pressure, &pressure);
	vb->told_pressure = pressure;
	vb->told_wanted = wanted;
}

/**
 * vbp_config_write() - write what changed since the last time
 * @vb: the device
 *
 * Context: may sleep; takes @vb->host_lock.
 */
void vbp_config_write(struct vbp_device *vb)
{
	u32 actual, level, wanted;

	mutex_lock(&vb->host_lock);
	spin_lock(&vb->lock);
	actual = vbp_config_from_pages(vb->held_pages);
	level = vb->level;
	wanted = vbp_config_from_pages(vb->wanted_pages);
	spin_unlock(&vb->lock);

	if (actual != vb->told_actual) {
		virtio_cwrite_le(vb->vdev,
				 struct virtio_balloon_pressure_config, actual,
				 &actual);
		vb->told_actual = actual;
	}
	if (vb->pressure)
		vbp_config_write_pressure(vb, level, wanted);
	mutex_unlock(&vb->host_lock);
}
