/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/balloon.h came in 7.2, out of linux/balloon_compaction.h. With it the
 * kernel took over what drivers did before: putting the new page of a migration
 * on the list, its accounting and references. Older kernels get that here, around
 * their own functions. It would adjust managed pages, too; balloon/account.c does that.
 *
 * Before 6.0 (upstream commit 68f2736a8583 "mm: Convert all PageMovable users to
 * movable_operations") movable pages belonged to an inode, which a driver needed
 * a file system for: balloon_devinfo_prepare() and balloon_devinfo_release() are
 * around all use of a balloon, and do nothing elsewhere.
 *
 * Before 7.2 a page that is put on the list must not be locked (BUG_ON). One that
 * compaction gave us a moment ago may be, until compaction is done with it:
 * balloon_page_list_settle() waits for that, and does nothing elsewhere.
 */
#ifndef VBP_COMPAT_LINUX_BALLOON_H
#define VBP_COMPAT_LINUX_BALLOON_H

#ifdef VBP_HAVE_BALLOON_H
#include_next <linux/balloon.h>

static inline void balloon_page_list_settle(struct list_head *pages)
{
}
#else
#include <linux/balloon_compaction.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/vmstat.h>
#if defined(VBP_HAVE_BALLOON_INODE) && defined(CONFIG_BALLOON_COMPACTION)
#define VBP_COMPAT_BALLOON_FS
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#endif

struct vbp_compat_balloon {
	struct balloon_dev_info core;
	int (*migratepage)(struct vbp_compat_balloon *balloon,
			   struct page *newpage, struct page *page,
			   enum migrate_mode mode);
#ifdef VBP_COMPAT_BALLOON_FS
	struct vfsmount *mount;
#endif
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
	unsigned long flags;
	int err;

	err = balloon->migratepage(balloon, newpage, page, mode);
	if (err && err != -ENOENT)
		return err;

	if (err)
		count_vm_event(BALLOON_DEFLATE);

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
#ifdef CONFIG_BALLOON_COMPACTION
	balloon->core.migratepage = vbp_compat_balloon_migrate;
#endif
}

/* Who holds such a lock never waits for what the caller holds. */
static inline void balloon_page_list_settle(struct list_head *pages)
{
	struct page *page;

	list_for_each_entry(page, pages, lru) {
		lock_page(page);
		unlock_page(page);
	}
}

static inline size_t
vbp_compat_balloon_enqueue(struct vbp_compat_balloon *balloon,
			   struct list_head *pages)
{
	return balloon_page_list_enqueue(&balloon->core, pages);
}

static inline size_t
vbp_compat_balloon_dequeue(struct vbp_compat_balloon *balloon,
			   struct list_head *pages, size_t nr_pages)
{
	return balloon_page_list_dequeue(&balloon->core, pages, nr_pages);
}

#ifdef VBP_COMPAT_BALLOON_FS
static inline int vbp_compat_balloon_init_fs(struct fs_context *context)
{
	return init_pseudo(context, BALLOON_KVM_MAGIC) ? 0 : -ENOMEM;
}

static inline int
balloon_devinfo_prepare(struct vbp_compat_balloon *balloon)
{
	/* No owner: its own mount would keep the module from going. */
	static struct file_system_type type = {
		.name = "vbp-balloon",
		.init_fs_context = vbp_compat_balloon_init_fs,
		.kill_sb = kill_anon_super,
	};
	struct inode *inode;

	balloon->mount = kern_mount(&type);
	if (IS_ERR(balloon->mount))
		return PTR_ERR(balloon->mount);
	inode = alloc_anon_inode(balloon->mount->mnt_sb);
	if (IS_ERR(inode)) {
		kern_unmount(balloon->mount);
		return PTR_ERR(inode);
	}
	inode->i_mapping->a_ops = &balloon_aops;
	balloon->core.inode = inode;
	return 0;
}

static inline void
balloon_devinfo_release(struct vbp_compat_balloon *balloon)
{
	iput(balloon->core.inode);
	kern_unmount(balloon->mount);
}
#endif

#define balloon_dev_info		vbp_compat_balloon
#define balloon_devinfo_init		vbp_compat_balloon_init
#define balloon_page_list_enqueue	vbp_compat_balloon_enqueue
#define balloon_page_list_dequeue	vbp_compat_balloon_dequeue
#endif /* VBP_HAVE_BALLOON_H */

#ifndef VBP_COMPAT_BALLOON_FS
static inline int balloon_devinfo_prepare(struct balloon_dev_info *balloon)
{
	return 0;
}

static inline void balloon_devinfo_release(struct balloon_dev_info *balloon)
{
}
#endif

#endif /* VBP_COMPAT_LINUX_BALLOON_H */
