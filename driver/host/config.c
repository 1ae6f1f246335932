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
 * @asks: filled in
 *
 * Target and floors are a range: all are read as of one moment. A host that
 * never stops changing them is not waited for: it sends an interrupt for the
 * last change, too, and then this runs again.
 *
 * Context: may sleep.
 */
void vbp_config_read(struct vbp_device *vb, struct vbp_host_asks *asks)
{
	u32 num_pages, min_pages = 0, host_pressure = 0, min_now_pages = 0;
	unsigned int tries = VBP_HOST_READ_TRIES;
	u32 generation;

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
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				min_now_pages, &min_now_pages);
	} while (generation != vbp_config_generation(vb->vdev) && --tries);

	asks->target_pages = vbp_config_to_pages(num_pages);
	/* The guest's own limit on the floor, also for what free(1) shows. */
	asks->floor_pages = vb->elastic ?
		min(vbp_config_to_pages(min_pages), asks->target_pages) :
		asks->target_pages;
	asks->floor_now_pages = min(vbp_config_to_pages(min_now_pages),
				    asks->target_pages);
	asks->host_pressure = host_pressure;
	trace_vbp_config_read(vb->vdev, asks->target_pages, asks->floor_pages,
			      asks->floor_now_pages, host_pressure);
}

/* False if the host knows already. */
static bool vbp_config_write_pressure(struct vbp_device *vb, u32 level,
				      u32 wanted)
{
	u32 seq = vb->host.told_pressure >> VIRTIO_BALLOON_PRESSURE_SEQ_SHIFT;
	u32 pressure;

	if (level == (vb->host.told_pressure & VIRTIO_BALLOON_PRESSURE_LEVEL_MASK) &&
	    wanted == vb->host.told_wanted)
		return false;

	pressure = level | (seq + 1) << VIRTIO_BALLOON_PRESSURE_SEQ_SHIFT;
	/* In this order: the second write commits the first. */
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_pressure_config,
			 wanted_pages, &wanted);
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_pressure_config,
			 guest_pressure, &pressure);
	vb->host.told_pressure = pressure;
	vb->host.told_wanted = wanted;
	return true;
}

/**
 * vbp_config_write() - write what changed since the last time
 * @vb: the device
 * @held_pages: size of the balloon
 * @level: the guest's need, VBP_LEVEL_*
 * @wanted_pages: how much
 *
 * Context: may sleep; takes @vb->host_lock. One at a time: the main work, or
 * what comes when it has ended.
 */
void vbp_config_write(struct vbp_device *vb, u64 held_pages, u32 level,
		      u64 wanted_pages)
{
	u32 actual = vbp_config_from_pages(held_pages);
	u32 wanted = vbp_config_from_pages(wanted_pages);
	bool written = false;

	mutex_lock(&vb->host_lock);
	if (actual != vb->host.told_actual) {
		written = true;
		virtio_cwrite_le(vb->vdev,
				 struct virtio_balloon_pressure_config, actual,
				 &actual);
		vb->host.told_actual = actual;
	}
	if (vb->pressure)
		written |= vbp_config_write_pressure(vb, level, wanted);
	if (written)
		trace_vbp_config_write(vb->vdev, held_pages, level,
				       wanted_pages);
	mutex_unlock(&vb->host_lock);
}
