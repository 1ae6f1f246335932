/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 7.2 let drivers have a shutdown method. Before, the bus breaks and resets the
 * device by itself, and every wait of ours ends with that.
 */
#ifndef VBP_COMPAT_LINUX_VIRTIO_H
#define VBP_COMPAT_LINUX_VIRTIO_H

#include_next <linux/virtio.h>

#ifdef VBP_HAVE_DRIVER_SHUTDOWN
#define virtio_driver_shutdown(function)	.shutdown = (function),
#else
#define virtio_driver_shutdown(function)
static inline void virtio_device_shutdown(struct virtio_device *vdev)
{
}
#endif

#endif /* VBP_COMPAT_LINUX_VIRTIO_H */
