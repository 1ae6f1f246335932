/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages in, pages out, and their books. */
#ifndef VBP_BALLOON_H
#define VBP_BALLOON_H

#include <linux/balloon.h>
#include <linux/list.h>
#include <linux/mmzone.h>
#include <linux/notifier.h>

#include "host/host.h"
#include "memory.h"
#include "policy/policy.h"

struct vbp_device;

/* Single pages that come or leave in one hold of @lock: reclaim waits for it. */
#define VBP_SMALL_AT_ONCE	256ul

/* Per zone. Protected by @lock. */
struct vbp_zone {
	unsigned long held_pages;
	unsigned long gone_pages;	/* of them out of MemTotal */
};

/* Per NUMA node. Protected by @lock. */
struct vbp_node {
	struct list_head blocks;	/* held, whole */
	unsigned long block_pages;	/* on @blocks */
	unsigned long credited_pages;	/* as NR_KERNEL_MISC_RECLAIMABLE */
	struct vbp_zone zones[MAX_NR_ZONES];
};

/* balloon/'s own. @lock is the device's. */
struct vbp_balloon {
	struct balloon_dev_info info;	/* single pages; own lock inside */
	struct vbp_node *nodes;		/* nr_node_ids of them */
	unsigned long credited_pages;	/* of all nodes. By @lock */
	unsigned long gone_pages;	/* held, out of MemTotal. By @lock */
	unsigned long leaving_pages;	/* decided on, not yet freed. By @lock */
	unsigned long coming_pages;	/* allocated, not yet held. By @lock */
	struct vbp_policy_floor floor;	/* as far as it has stood. By @lock */
	struct notifier_block memory_nb;	/* start to stop */
};

/* balloon/pages.c */
int vbp_pages_init(struct vbp_device *vb);
void vbp_pages_destroy(struct vbp_device *vb);
int vbp_pages_alloc(struct vbp_device *vb, unsigned long nr_pages,
		    struct vbp_batch *batch);
void vbp_pages_free(struct vbp_batch *batch);
void vbp_pages_hold(struct vbp_device *vb, struct vbp_batch *batch);
void vbp_pages_landed(struct vbp_device *vb, struct vbp_landed *landed);
int vbp_pages_inflate(struct vbp_device *vb, struct vbp_batch *batch);
int vbp_pages_land(struct vbp_device *vb, unsigned long limit);
int vbp_pages_inflated(struct vbp_device *vb);
unsigned long vbp_pages_moving(struct vbp_device *vb);
int vbp_pages_tell_untold(struct vbp_device *vb);
void vbp_pages_forget(struct vbp_device *vb);
void vbp_pages_unmark_block(struct page *page);

/* balloon/leave.c */
unsigned long vbp_leave_from(struct vbp_device *vb, int nid);
unsigned long vbp_leave_blocks(struct vbp_device *vb, int nid);
void vbp_leave_plan(struct vbp_device *vb, long nr_pages);
unsigned long vbp_leave_planned(struct vbp_device *vb);
unsigned long vbp_leave_now(struct vbp_device *vb, unsigned long nr_pages,
			    int nid);
unsigned long vbp_leave_by_work(struct vbp_device *vb, unsigned long nr_pages);
unsigned long vbp_leave_told(struct vbp_device *vb, unsigned long nr_pages);
long vbp_leave_range(struct vbp_device *vb, unsigned long start_pfn,
		     unsigned long nr_pages);

/* balloon/migrate.c */
int vbp_migrate_page(struct balloon_dev_info *balloon, struct page *newpage,
		     struct page *page, enum migrate_mode mode);

/* balloon/offline.c */
int vbp_offline_start(struct vbp_device *vb);
void vbp_offline_stop(struct vbp_device *vb);

/* balloon/account.c */
void vbp_account_blocks(struct vbp_device *vb, struct page *page, long sign);
bool vbp_account_has_block(struct vbp_device *vb, struct page *page);
void vbp_account_small(struct vbp_device *vb, struct page *page, long nr_pages);
void vbp_account_update(struct vbp_device *vb);
u32 vbp_account_floor(struct vbp_device *vb, u64 now_ms);
unsigned long vbp_account_memory(struct vbp_device *vb);

#endif /* VBP_BALLOON_H */
