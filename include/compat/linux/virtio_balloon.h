/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 6.12 added six statistics tags. VIRTIO_BALLOON_S_NR stays as it is: how many this
 * kernel's own driver has.
 */
#ifndef VBP_COMPAT_LINUX_VIRTIO_BALLOON_H
#define VBP_COMPAT_LINUX_VIRTIO_BALLOON_H

#include_next <linux/virtio_balloon.h>

#ifndef VIRTIO_BALLOON_S_OOM_KILL
#define VIRTIO_BALLOON_S_OOM_KILL	10
#define VIRTIO_BALLOON_S_ALLOC_STALL	11
#define VIRTIO_BALLOON_S_ASYNC_SCAN	12
#define VIRTIO_BALLOON_S_DIRECT_SCAN	13
#define VIRTIO_BALLOON_S_ASYNC_RECLAIM	14
#define VIRTIO_BALLOON_S_DIRECT_RECLAIM	15
#endif

#endif /* VBP_COMPAT_LINUX_VIRTIO_BALLOON_H */
