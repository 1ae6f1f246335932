/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host has not been told of. Unit tests build it in user space, too. */
#ifndef VBP_UNTOLD_H
#define VBP_UNTOLD_H

struct vbp_device;

/* A run of such pages. */
struct vbp_range {
	u32 pfn;
	u32 nr_pages;
};

int vbp_untold_reserve(struct vbp_device *vb, unsigned long units);
bool vbp_untold_fits(struct vbp_device *vb, unsigned long units);
void vbp_untold_add(struct vbp_device *vb, unsigned long pfn,
		    unsigned long nr_pages);
unsigned int vbp_untold_take(struct vbp_device *vb, struct vbp_range *range,
			     unsigned int max_pages);
void vbp_untold_destroy(struct vbp_device *vb);

#endif /* VBP_UNTOLD_H */
