/* SPDX-License-Identifier: GPL-2.0-only */
/* What the life cycle uses of its neighbours. */
#ifndef VBP_MAIN_H
#define VBP_MAIN_H

#include <linux/sysfs.h>
#include <linux/virtio.h>

#include "params.h"

/* takeover.c */
unsigned int vbp_takeover_begin(struct virtio_driver *driver,
				enum vbp_takeover_mode mode);
void vbp_takeover_end(struct virtio_driver *driver);

/* sysfs.c */
extern const struct attribute_group *vbp_sysfs_groups[];

#endif /* VBP_MAIN_H */
