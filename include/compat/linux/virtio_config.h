/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 6.11 replaced the arrays of callbacks and names by struct virtqueue_info
 * (upstream series of July 2024, "virtio: consolidate find_vqs()").
 *
 * Since then virtio_pci has kept what it knows of a queue by its place in that
 * array (upstream commit 89a1c435aec2), but looked it up by the queue's number
 * when the queues were deleted: an oops if there was a gap in the array, a queue
 * without a name before another one. Mended by upstream commit f7d380fb525c
 * "virtio_pci: fix vq info pointer lookup via wrong index" (7.2), and in the
 * stable releases 6.12.96, 6.18.39 and 7.1.4. No header tells of it, so a
 * distribution's kernel that has it may be taken for one that has not.
 *
 * 5.17 wrapped the device's reset (upstream commit d9679d0013a6 "virtio: wrap
 * config->reset calls").
 */
#ifndef VBP_COMPAT_LINUX_VIRTIO_CONFIG_H
#define VBP_COMPAT_LINUX_VIRTIO_CONFIG_H

#include_next <linux/virtio_config.h>
#include <linux/version.h>

static inline bool vbp_compat_gap_oopses_in(u32 version)
{
	return (version >= KERNEL_VERSION(6, 11, 0) &&
		version < KERNEL_VERSION(6, 12, 96)) ||
	       (version >= KERNEL_VERSION(6, 13, 0) &&
		version < KERNEL_VERSION(6, 18, 39)) ||
	       (version >= KERNEL_VERSION(6, 19, 0) &&
		version < KERNEL_VERSION(7, 1, 4));
}

/* Not for the compiler to decide: tests make any kernel such a one. */
static inline bool virtio_pci_gap_oopses(void)
{
	u32 version = LINUX_VERSION_CODE;

	OPTIMIZER_HIDE_VAR(version);
	return vbp_compat_gap_oopses_in(version);
}

#ifndef VBP_HAVE_RESET_DEVICE
static inline void virtio_reset_device(struct virtio_device *vdev)
{
	vdev->config->reset(vdev);
}
#endif

#ifndef VBP_HAVE_VIRTQUEUE_INFO
#define VBP_COMPAT_QUEUES	8

struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
};

static inline int vbp_compat_find_vqs(struct virtio_device *vdev,
				      unsigned int nvqs,
				      struct virtqueue *vqs[],
				      struct virtqueue_info info[],
				      struct irq_affinity *desc)
{
	vq_callback_t *callbacks[VBP_COMPAT_QUEUES];
	const char *names[VBP_COMPAT_QUEUES];
	unsigned int i;

	if (nvqs > VBP_COMPAT_QUEUES)
		return -EINVAL;
	for (i = 0; i < nvqs; i++) {
		callbacks[i] = info[i].callback;
		names[i] = info[i].name;
	}
	return virtio_find_vqs(vdev, nvqs, vqs, callbacks, names, desc);
}

#define virtio_find_vqs	vbp_compat_find_vqs
#endif

#endif /* VBP_COMPAT_LINUX_VIRTIO_CONFIG_H */
