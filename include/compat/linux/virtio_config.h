/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 6.11 replaced the arrays of callbacks and names by struct virtqueue_info
 * (upstream series of July 2024, "virtio: consolidate find_vqs()").
 *
 * 5.17 wrapped the device's reset (upstream commit d9679d0013a6 "virtio: wrap
 * config->reset calls").
 */
#ifndef VBP_COMPAT_LINUX_VIRTIO_CONFIG_H
#define VBP_COMPAT_LINUX_VIRTIO_CONFIG_H

#include_next <linux/virtio_config.h>

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
