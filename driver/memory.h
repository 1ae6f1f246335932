/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages, and readings of the guest's memory. */
#ifndef VBP_MEMORY_H
#define VBP_MEMORY_H

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/vm_event_item.h>

#include "policy/policy.h"

/*
 * A block: 2 MiB, a huge page of the host, or the largest the buddy allocator
 * has. Not pageblock_order, which is 512 MiB on arm64 with 64 KiB pages.
 */
#define VBP_BLOCK_ORDER	\
	min_t(unsigned int, ilog2(SZ_2M) - PAGE_SHIFT, MAX_PAGE_ORDER)
#define VBP_BLOCK_PAGES	BIT(VBP_BLOCK_ORDER)

/**
 * struct vbp_batch - pages on their way into or out of the balloon
 * @blocks: heads of blocks, through page->lru
 * @small: single pages, through page->lru
 * @nr_pages: sum of both, in pages
 */
struct vbp_batch {
	struct list_head blocks;
	struct list_head small;
	unsigned long nr_pages;
};

static inline void vbp_batch_init(struct vbp_batch *batch)
{
	INIT_LIST_HEAD(&batch->blocks);
	INIT_LIST_HEAD(&batch->small);
	batch->nr_pages = 0;
}

static inline void vbp_batch_splice(struct vbp_batch *from,
				    struct vbp_batch *to)
{
	list_splice_tail_init(&from->blocks, &to->blocks);
	list_splice_tail_init(&from->small, &to->small);
	to->nr_pages += from->nr_pages;
	from->nr_pages = 0;
}

/**
 * struct vbp_memory_reading - the guest's memory at one moment
 * @when_ms: by vbp_memory_now_ms()
 * @returned_pages: what balloons had given back until then, ever
 * @on_cpus_pages: free pages that CPUs keep to themselves
 * @named_pages: what the kernel's counters name, these included
 * @available_pages: as in &struct vbp_policy_sample; so are the next ones
 * @free_pages: as above
 * @headroom_pages: as above
 * @cache_pages: as above
 * @refaults: as above
 * @written_back: as above
 * @reclaimed: as above
 */
struct vbp_memory_reading {
	u64 when_ms;
	unsigned long returned_pages;
	unsigned long on_cpus_pages;
	unsigned long named_pages;
	u64 available_pages;
	u64 free_pages;
	u64 headroom_pages;
	u64 cache_pages;
	u64 refaults;
	u64 written_back;
	u64 reclaimed;
};

u64 vbp_memory_now_ms(void);
void vbp_memory_lend(int nid, long nr_pages);
unsigned long vbp_memory_discount(unsigned long lent_pages,
				  unsigned long nr_pages);
unsigned long vbp_memory_available(void);
unsigned long vbp_memory_can_go(void);
unsigned long vbp_memory_low_watermarks(void);
unsigned long vbp_memory_unnamed(unsigned long nr_pages);
bool vbp_memory_has_block(int nid, enum zone_type highest);
unsigned long vbp_memory_kept_by_cpus(int nid);
u64 vbp_memory_event(enum vm_event_item item);
u64 vbp_memory_kswapd_scanned(void);
void vbp_memory_read(struct vbp_memory_reading *reading);
void vbp_memory_share(struct vbp_memory_reading *reading);
void vbp_memory_returned(unsigned long nr_pages);
unsigned long vbp_memory_returned_since(const struct vbp_memory_reading *reading);

#endif /* VBP_MEMORY_H */
