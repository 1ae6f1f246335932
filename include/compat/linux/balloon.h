/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/balloon.h came in 7.2, out of linux/balloon_compaction.h. With it the
 * kernel took over what drivers did before: putting the new page of a migration
 * on the list, its accounting and references, and adjusting managed pages.
 * Older kernels get that here, around their own functions.
 */
#ifndef VBP_COMPAT_LINUX_BALLOON_H
#define VBP_COMPAT_LINUX_BALLOON_H

#ifdef VBP_HAVE_BALLOON_H
#include_next <linux/balloon.h>
#else
#include <linux/balloon_compaction.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

struct vbp_compat_balloon {
	struct balloon_dev_info core;
	int (*migratepage)(struct vbp_compat_balloon *balloon,
			   struct page *newpage, struct page *page,
			   enum migrate_mode mode);
	bool adjust_managed_page_count;
};

#ifdef CONFIG_BALLOON_COMPACTION
#define CONFIG_BALLOON_MIGRATION 1

static inline int vbp_compat_balloon_migrate(struct balloon_dev_info *core,
					     struct page *newpage,
					     struct page *page,
					     enum migrate_mode mode)
{
	struct vbp_compat_balloon *balloon =
		container_of(core, struct vbp_compat_balloon, core);
	bool adjust = balloon->adjust_managed_page_count;
	unsigned long flags;
	int err;

	err = balloon->migratepage(balloon, newpage, page, mode);
	if (err && err != -ENOENT)
		return err;

	if (err) {
		count_vm_event(BALLOON_DEFLATE);
		if (adjust)
			adjust_managed_page_count(page, 1);
	} else if (adjust && page_zone(page) != page_zone(newpage)) {
		adjust_managed_page_count(page, 1);
		adjust_managed_page_count(newpage, -1);
	}

	spin_lock_irqsave(&core->pages_lock, flags);
	if (!err) {
		get_page(newpage);
		balloon_page_insert(core, newpage);
		__count_vm_event(BALLOON_MIGRATE);
	}
	core->isolated_pages--;
	spin_unlock_irqrestore(&core->pages_lock, flags);

	balloon_page_finalize(page);
	put_page(page);
	return 0;
}
#endif

static inline void vbp_compat_balloon_init(struct vbp_compat_balloon *balloon)
{
	balloon_devinfo_init(&balloon->core);
	balloon->migratepage = NULL;
	balloon->adjust_managed_page_count = false;
#ifdef CONFIG_BALLOON_COMPACTION
	balloon->core.migratepage = vbp_compat_balloon_migrate;
#endif
}

static inline size_t
vbp_compat_balloon_enqueue(struct vbp_compat_balloon *balloon,
			   struct list_head *pages)
{
	struct page *page;

	if (balloon->adjust_managed_page_count)
		list_for_each_entry(page, pages, lru)
			adjust_managed_page_count(page, -1);
	return balloon_page_list_enqueue(&balloon->core, pages);
}

static inline size_t
vbp_compat_balloon_dequeue(struct vbp_compat_balloon *balloon,
			   struct list_head *pages, size_t nr_pages)
{
	size_t done = balloon_page_list_dequeue(&balloon->core, pages,
						nr_pages);
	struct page *page;

	if (balloon->adjust_managed_page_count)
		list_for_each_entry(page, pages, lru)
			adjust_managed_page_count(page, 1);
	return done;
}

#define balloon_dev_info		vbp_compat_balloon
#define balloon_devinfo_init		vbp_compat_balloon_init
#define balloon_page_list_enqueue	vbp_compat_balloon_enqueue
#define balloon_page_list_dequeue	vbp_compat_balloon_dequeue
#endif /* VBP_HAVE_BALLOON_H */

#endif /* VBP_COMPAT_LINUX_BALLOON_H */
