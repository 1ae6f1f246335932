// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device whose driver takes mib MiB while the system goes to sleep, and gives them
 * back: page by page, so that reclaim runs when everything else is frozen.
 */
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm.h>

static unsigned int mib = 100;
module_param(mib, uint, 0444);

static struct platform_device *hungry_device;

static int hungry_suspend(struct device *dev)
{
	unsigned long nr = (unsigned long)mib << (20 - PAGE_SHIFT), got = 0;
	struct page *page, *next;
	LIST_HEAD(pages);

	while (got < nr) {
		page = alloc_page(GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOWARN);
		if (!page)
			break;
		list_add(&page->lru, &pages);
		got++;
	}
	list_for_each_entry_safe(page, next, &pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	pr_info("hungry: took %lu pages\n", got);
	return 0;
}

static const struct dev_pm_ops hungry_pm = {
	.suspend = hungry_suspend,
};

static struct platform_driver hungry_driver = {
	.driver.name = "hungry",
	.driver.pm = &hungry_pm,
};

static int __init hungry_init(void)
{
	int err = platform_driver_register(&hungry_driver);

	if (err)
		return err;
	/* The last to come is the first to sleep. */
	hungry_device = platform_device_register_simple("hungry", -1, NULL, 0);
	return PTR_ERR_OR_ZERO(hungry_device);
}

module_init(hungry_init);
MODULE_DESCRIPTION("Takes memory while the system goes to sleep");
MODULE_LICENSE("GPL");
