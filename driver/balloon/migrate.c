// SPDX-License-Identifier: GPL-2.0-only
/* Compaction moves pages of the balloon. */
#include <linux/mm.h>

#include "device.h"

#ifdef CONFIG_BALLOON_MIGRATION
/**
 * vbp_migrate_page() - a page of the balloon moves
 * @balloon: the kernel's part of the balloon
 * @newpage: a private page of compaction's
 * @page: the page that leaves, isolated
 * @mode: not of interest
 *
 * Compaction wants @page's place and offers @newpage. The host gets @newpage
 * first and gives up @page afterwards, so the balloon never shrinks.
 *
 * If the host does not answer in time, @newpage is in flight and may not go
 * back to compaction, which would use it: keep a reference. @page has been held
 * all along, so it may go. -ENOENT says just that: deflated, nothing in its
 * place.
 *
 * Context: may sleep, for some seconds at the most.
 * Return: 0, -ENOENT, or -EAGAIN if nothing has changed.
 */
int vbp_migrate_page(struct balloon_dev_info *balloon, struct page *newpage,
		     struct page *page, enum migrate_mode mode)
{
	struct vbp_small *list = container_of(balloon, struct vbp_small, info);
	struct vbp_device *vb = list->vb;
	struct vbp_landed landed;
	bool told = true;
	int err = -EAGAIN;

	/* Its holder may wait for the host. Compaction tries again. */
	if (!mutex_trylock(&vb->host_lock))
		return -EAGAIN;
	vbp_landed_init(&landed);
	if (vbp_queue_broken(vb))
		goto out;
	err = vbp_queue_inflate_page(vb, newpage, &landed);
	if (err == -EAGAIN)
		goto out;
	told = !vbp_queue_deflate_page(vb, page);

	spin_lock(&vb->lock);
	vbp_account_small(vb, page, -1);
	if (!err)
		vbp_account_small(vb, newpage, 1);
	else
		list->nr_pages--;
	vbp_account_update(vb);
	spin_unlock(&vb->lock);
	if (err)
		err = -ENOENT;
out:
	vbp_pages_landed(vb, &landed);
	mutex_unlock(&vb->host_lock);
	/* To make good for what has left, and to land what is in flight. */
	if (err == -ENOENT || !told)
		vbp_works_main(vb, 0);
	return err;
}
#endif /* CONFIG_BALLOON_MIGRATION */
