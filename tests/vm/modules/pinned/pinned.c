// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory as it is in a guest that has run for long: nearly free, and none of it
 * in one piece. Takes all blocks of 2 MiB that are free, up to nr_blocks, and
 * keeps one page of each, which no compaction can move.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>

static unsigned int nr_blocks = ~0u;
module_param(nr_blocks, uint, 0444);
static unsigned int kept;
module_param(kept, uint, 0444);

#define PINNED_ORDER	9
#define PINNED_GFP	((GFP_KERNEL & ~__GFP_RECLAIM) | __GFP_NORETRY | \
			 __GFP_NOWARN)

static LIST_HEAD(pinned_pages);

static int __init pinned_init(void)
{
	struct page *page;
	unsigned int i;

	while (kept < nr_blocks) {
		page = alloc_pages(PINNED_GFP, PINNED_ORDER);
		if (!page)
			break;
		split_page(page, PINNED_ORDER);
		list_add(&page->lru, &pinned_pages);
		kept++;
	}
	list_for_each_entry(page, &pinned_pages, lru)
		for (i = 1; i < BIT(PINNED_ORDER); i++)
			__free_page(page + i);
	return 0;
}

static void __exit pinned_exit(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &pinned_pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

module_init(pinned_init);
module_exit(pinned_exit);
MODULE_DESCRIPTION("Leaves no free memory in one piece");
MODULE_LICENSE("GPL");
