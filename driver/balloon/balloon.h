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

/*
 * Single pages of one place. What moves stays on its list: when memory goes
 * offline, some come to lie elsewhere.
 */
struct vbp_small {
	struct balloon_dev_info info;	/* own lock inside */
	struct vbp_device *vb;
	unsigned long nr_pages;		/* on it, or isolated. By the device's lock */
};

/* Per NUMA node. Protected by @lock, but for @turn. */
struct vbp_node {
	struct list_head blocks;	/* held, whole */
	unsigned long block_pages;	/* on @blocks */
	unsigned long credited_pages;	/* as NR_KERNEL_MISC_RECLAIMABLE */
	struct vbp_zone zones[MAX_NR_ZONES];
	/* Of zones that the kernel can use, and of ZONE_MOVABLE. */
	struct vbp_small small[2];
	long turn;			/* to give pages; the main work's */
};

/* balloon/'s own. @lock is the device's. */
struct vbp_balloon {
	struct vbp_node *nodes;		/* nr_node_ids of them */
	unsigned long credited_pages;	/* of all nodes. By @lock */
	unsigned long gone_pages;	/* held, out of MemTotal. By @lock */
	unsigned long unnamed_pages;	/* at the last look; a guess */
	unsigned long leaving_pages;	/* decided on, not yet freed. By @lock */
	unsigned long coming_pages;	/* allocated, not yet held. By @lock */
	struct vbp_policy_floor floor;	/* as far as it has stood. By @lock */
	struct notifier_block memory_nb;	/* start to stop */
};

/**
 * struct vbp_places - where memory is shortest
 * @place: the shortest place; all zeroes where there is but one place, or nothing
 *	is held of any that matters
 * @lacks: so much less than its reserve it has; below zero: more
 * @nid: its node; NUMA_NO_NODE: it is what the kernel can use, on any
 */
struct vbp_places {
	struct vbp_policy_place place;
	long lacks;
	int nid;
};

/**
 * struct vbp_pick - where the next pages come from
 * @nid: the node
 * @movable_pages: free there, for single pages only
 * @zone: a block may come from this one or lower; below zero: none may
 * @kernel: single pages may come from the kernel's zones
 * @any: where the node has none, any page will do
 */
struct vbp_pick {
	int nid;
	unsigned long movable_pages;
	int zone;
	bool kernel;
	bool any;
};

/* balloon/places.c */
void vbp_places_look(struct vbp_device *vb, int nid, struct vbp_places *places);
unsigned long vbp_places_room(struct vbp_device *vb);
bool vbp_places_pick(struct vbp_device *vb, struct vbp_pick *pick);
unsigned long vbp_places_spare(struct zone *zone);

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
struct vbp_small *vbp_pages_of(struct vbp_device *vb, struct page *page);

/**
 * struct vbp_leave_where - which pages are given back
 * @nid: those of this node, or NUMA_NO_NODE for any
 * @only: and no others
 */
struct vbp_leave_where {
	int nid;
	bool only;
};

/* balloon/leave.c */
unsigned long vbp_leave_from(struct vbp_device *vb, int nid);
unsigned long vbp_leave_blocks(struct vbp_device *vb, int nid);
void vbp_leave_plan(struct vbp_device *vb, long nr_pages);
unsigned long vbp_leave_planned(struct vbp_device *vb);
unsigned long vbp_leave_now(struct vbp_device *vb, unsigned long nr_pages,
			    const struct vbp_leave_where *where);
unsigned long vbp_leave_by_work(struct vbp_device *vb, unsigned long nr_pages,
				const struct vbp_leave_where *where);
unsigned long vbp_leave_told(struct vbp_device *vb, unsigned long nr_pages,
			     const struct vbp_leave_where *where);
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
unsigned long vbp_account_unnamed(struct vbp_device *vb, unsigned long named);

#endif /* VBP_BALLOON_H */
