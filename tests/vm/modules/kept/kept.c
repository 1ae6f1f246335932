// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches the pages that compaction takes out of our balloon, which the driver
 * keeps if the host, which must be told first, does not answer. It holds a
 * reference of its own to each, so that none becomes another page meanwhile, and
 * its parameter "users" tells how many references others have to them: 0 once
 * the driver has let go of all.
 *
 * To be loaded after the driver.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>

#define KEPT_PAGES	16
#define KEPT_FUNCTION	"virtio_balloon_pressure:vbp_queue_deflate_page"

static struct page *kept_pages[KEPT_PAGES];
static unsigned int kept_nr;

static int kept_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct page *page = (void *)regs_get_kernel_argument(regs, 1);

	if (kept_nr < KEPT_PAGES) {
		get_page(page);
		kept_pages[kept_nr++] = page;
	}
	return 0;
}

static struct kprobe kept_probe = {
	.symbol_name = KEPT_FUNCTION,
	.pre_handler = kept_entry,
};

static int kept_get_users(char *buffer, const struct kernel_param *param)
{
	unsigned int i, users = 0;

	for (i = 0; i < kept_nr; i++)
		users += page_count(kept_pages[i]) - 1;
	return sysfs_emit(buffer, "%u pages %u users\n", kept_nr, users);
}

static const struct kernel_param_ops kept_ops = { .get = kept_get_users };

static int __init kept_init(void)
{
	return register_kprobe(&kept_probe);
}

module_init(kept_init);
module_param_cb(users, &kept_ops, NULL, 0400);
MODULE_DESCRIPTION("Watches pages that virtio_balloon_pressure keeps");
MODULE_LICENSE("GPL");
