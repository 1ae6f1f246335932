// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long the page allocator alone takes for the blocks of a balloon: loading
 * this allocates nr_blocks of 2 MiB as the balloon does, logs the time, frees
 * them, and fails, so that it can be loaded again.
 */
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>

static unsigned int nr_blocks = 512;
module_param(nr_blocks, uint, 0444);
MODULE_PARM_DESC(nr_blocks, "blocks of 2 MiB to allocate");

#define BLOCK_ORDER	9
#define BLOCK_GFP	((GFP_HIGHUSER & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC | \
			 __GFP_NORETRY | __GFP_NOWARN)

static int __init alloc_blocks_init(void)
{
	unsigned int got = 0;
	struct page *page, *next;
	LIST_HEAD(blocks);
	u64 begin, allocated, freed;

	begin = ktime_get_ns();
	while (got < nr_blocks) {
		page = alloc_pages(BLOCK_GFP, BLOCK_ORDER);
		if (!page)
			break;
		list_add(&page->lru, &blocks);
		got++;
	}
	allocated = ktime_get_ns();
	list_for_each_entry_safe(page, next, &blocks, lru) {
		list_del(&page->lru);
		/* As the driver does, past the lists of CPUs. */
		set_page_count(page + BIT(BLOCK_ORDER - 1), 1);
		__free_pages(page + BIT(BLOCK_ORDER - 1), BLOCK_ORDER - 1);
		__free_pages(page, BLOCK_ORDER - 1);
	}
	freed = ktime_get_ns();
	pr_info("alloc_blocks: %u blocks, allocated in %llu us, freed in %llu us\n",
		got, (allocated - begin) / 1000, (freed - allocated) / 1000);
	return -ECANCELED;
}

module_init(alloc_blocks_init);
MODULE_DESCRIPTION("Times the allocation of blocks");
MODULE_LICENSE("GPL");
