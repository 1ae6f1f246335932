// SPDX-License-Identifier: GPL-2.0-only
/* The host: which queues it offers, and its config space. */
#include <linux/virtio_config.h>

#include "device.h"

/* How often the host may change target and floor while both are read. */
#define VBP_HOST_READ_TRIES	10

static void vbp_host_ack(struct virtqueue *vq)
{
	struct vbp_device *vb = vq->vdev->priv;

	wake_up(&vb->acked);
}

/**
 * vbp_host_find_vqs() - set the queues up
 * @vb: the device, reset, features negotiated
 *
 * Only queues that there are: the transport numbers them without a gap, as the
 * device does, whether or not the array has one. But with a gap some kernels
 * can't delete the queues again (virtio_pci_gap_oopses()). A queue the device
 * offers has its number even where it is not used, so none is left out.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_host_find_vqs(struct vbp_device *vb)
{
	enum { INFLATE, DEFLATE, OTHERS, QUEUES = OTHERS + 3 };
	struct virtqueue_info info[QUEUES] = {
		[INFLATE] = { .name = "inflate", .callback = vbp_host_ack },
		[DEFLATE] = { .name = "deflate", .callback = vbp_host_ack },
	};
	unsigned int stats = QUEUES, hint = QUEUES, reporting = QUEUES;
	struct virtqueue *vqs[QUEUES + 1] = {};	/* the last is no queue */
	unsigned int nr = OTHERS;
	int err;

	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_STATS_VQ)) {
		stats = nr++;
		info[stats].name = "stats";
		info[stats].callback = vbp_stats_request;
	}
	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT)) {
		hint = nr++;
		info[hint].name = "hint";
	}
	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_REPORTING)) {
		reporting = nr++;
		info[reporting].name = "reporting";
		info[reporting].callback = vbp_host_ack;
	}
	err = virtio_find_vqs(vb->vdev, nr, vqs, info, NULL);
	if (err)
		return err;

	/* The memory notifier is there already when this is a resume. */
	mutex_lock(&vb->host_lock);
	vb->stats_vq = vqs[stats];
	vb->hint_vq = vqs[hint];
	vb->reporting_vq = vqs[reporting];

	/* A device fresh from reset holds no buffer and knows nothing of us. */
	vbp_queue_init(vb, &vb->inflate, vqs[INFLATE]);
	vbp_queue_init(vb, &vb->deflate, vqs[DEFLATE]);
	vbp_reporting_init(vb);
	vb->told_actual = U32_MAX;
	vb->told_pressure = 0;
	vb->told_wanted = 0;
	vb->silent = false;
	vb->was_reset = false;
	mutex_unlock(&vb->host_lock);
	return 0;
}

/**
 * vbp_host_del_vqs() - the end of vbp_host_find_vqs()
 * @vb: the device, reset; works are stopped, and nothing is in flight
 *
 * Sensors and the memory notifier may still be at work, now and after a resume
 * that failed: what they can reach is gone before the queues are.
 *
 * Context: may sleep; takes @vb->host_lock.
 */
void vbp_host_del_vqs(struct vbp_device *vb)
{
	mutex_lock(&vb->host_lock);
	vb->by_report = false;
	vb->inflate.vq = NULL;
	vb->deflate.vq = NULL;
	spin_lock(&vb->report_lock);
	vb->reporting_vq = NULL;
	spin_unlock(&vb->report_lock);
	vb->stats_vq = NULL;
	vb->hint_vq = NULL;
	mutex_unlock(&vb->host_lock);

	vb->vdev->config->del_vqs(vb->vdev);
}

/**
 * vbp_host_broken() - whether the device stopped working
 * @vb: the device
 *
 * Context: any.
 * Return: true if no buffer will ever come back.
 */
bool vbp_host_broken(struct vbp_device *vb)
{
	return !vb->inflate.vq || virtqueue_is_broken(vb->inflate.vq) ||
	       virtqueue_is_broken(vb->deflate.vq);
}

/* The device counts in 4 KiB; up, or a target would never be met exactly. */
static u64 vbp_host_to_pages(u32 device_pages)
{
	return DIV_ROUND_UP((u64)device_pages, VBP_PFNS_PER_PAGE);
}

static u32 vbp_host_from_pages(u64 pages)
{
	return min_t(u64, pages * VBP_PFNS_PER_PAGE, U32_MAX);
}

/* As virtio_cread_bytes() asks; transports without it have none to compare. */
static u32 vbp_host_generation(struct virtio_device *vdev)
{
	return vdev->config->generation ? vdev->config->generation(vdev) : 0;
}

/**
 * vbp_host_read() - read what the host asks for
 * @vb: the device
 *
 * Target and floor are a range: both are read as of one moment. A host that
 * never stops changing them is not waited for: it sends an interrupt for the
 * last change, too, and then this runs again.
 *
 * Context: may sleep; takes @vb->lock.
 */
void vbp_host_read(struct vbp_device *vb)
{
	u32 num_pages, min_pages = 0, host_pressure = 0, generation;
	unsigned int tries = VBP_HOST_READ_TRIES;

	do {
		generation = vbp_host_generation(vb->vdev);
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				num_pages, &num_pages);
		if (!vb->pressure)
			break;
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				min_pages, &min_pages);
		virtio_cread_le(vb->vdev, struct virtio_balloon_pressure_config,
				host_pressure, &host_pressure);
	} while (generation != vbp_host_generation(vb->vdev) && --tries);

	spin_lock(&vb->lock);
	vb->target_pages = vbp_host_to_pages(num_pages);
	/* The guest's own limit on the floor, also for what free(1) shows. */
	vb->floor_pages = vb->elastic ?
		min(vbp_host_to_pages(min_pages), vb->target_pages) :
		vb->target_pages;
	vb->host_pressure = host_pressure;
	vbp_account_update(vb);
	spin_unlock(&vb->lock);
}

static void vbp_host_write_pressure(struct vbp_device *vb, u32 level,
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
 * vbp_host_write() - write what changed since the last time
 * @vb: the device
 *
 * Context: may sleep; takes @vb->host_lock.
 */
void vbp_host_write(struct vbp_device *vb)
{
	u32 actual, level, wanted;

	mutex_lock(&vb->host_lock);
	spin_lock(&vb->lock);
	actual = vbp_host_from_pages(vb->held_pages);
	level = vb->level;
	wanted = vbp_host_from_pages(vb->wanted_pages);
	spin_unlock(&vb->lock);

	if (actual != vb->told_actual) {
		virtio_cwrite_le(vb->vdev,
				 struct virtio_balloon_pressure_config, actual,
				 &actual);
		vb->told_actual = actual;
	}
	if (vb->pressure)
		vbp_host_write_pressure(vb, level, wanted);
	mutex_unlock(&vb->host_lock);
}
