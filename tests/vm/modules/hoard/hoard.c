// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cache in no counter of the kernel's, as ZFS has one: while warm is set it
 * takes pages, one MiB every 5 ms, as long as more than least MiB are free and it
 * has fewer than most MiB. It gives them to whoever calls its shrinker. held
 * says how many it has.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#define HOARD_PAGES_IN_MIB	(1ul << (20 - PAGE_SHIFT))

static unsigned int warm;
module_param(warm, uint, 0644);
static unsigned int least = 64;
module_param(least, uint, 0644);
static unsigned int most = ~0u;
module_param(most, uint, 0644);
static unsigned long held;
module_param(held, ulong, 0444);

static DEFINE_SPINLOCK(hoard_lock);
static LIST_HEAD(hoard_pages);
static struct task_struct *hoard_task;

static bool hoard_wants(void)
{
	return READ_ONCE(warm) &&
	       READ_ONCE(held) < READ_ONCE(most) * HOARD_PAGES_IN_MIB &&
	       global_zone_page_state(NR_FREE_PAGES) >
	       READ_ONCE(least) * HOARD_PAGES_IN_MIB;
}

static void hoard_take(void)
{
	struct page *page;
	unsigned long i;

	for (i = 0; i < HOARD_PAGES_IN_MIB; i++) {
		page = alloc_page(GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOWARN);
		if (!page)
			return;
		spin_lock(&hoard_lock);
		list_add(&page->lru, &hoard_pages);
		held++;
		spin_unlock(&hoard_lock);
	}
}

static int hoard_run(void *unused)
{
	while (!kthread_should_stop()) {
		if (hoard_wants())
			hoard_take();
		usleep_range(5000, 6000);
	}
	return 0;
}

static unsigned long hoard_free(unsigned long nr_pages)
{
	unsigned long freed = 0;
	struct page *page;

	while (freed < nr_pages) {
		spin_lock(&hoard_lock);
		page = list_first_entry_or_null(&hoard_pages, struct page, lru);
		if (page) {
			list_del(&page->lru);
			held--;
		}
		spin_unlock(&hoard_lock);
		if (!page)
			break;
		__free_page(page);
		freed++;
	}
	return freed;
}

static unsigned long hoard_count(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	return READ_ONCE(held);
}

static unsigned long hoard_scan(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	return hoard_free(sc->nr_to_scan) ?: SHRINK_STOP;
}

/* A shrinker is allocated since 6.7. */
#ifdef SHRINKER_ALLOCATED
static struct shrinker *hoard_shrinker;

static int hoard_register(void)
{
	hoard_shrinker = shrinker_alloc(0, "hoard");
	if (!hoard_shrinker)
		return -ENOMEM;
	hoard_shrinker->count_objects = hoard_count;
	hoard_shrinker->scan_objects = hoard_scan;
	shrinker_register(hoard_shrinker);
	return 0;
}

static void hoard_unregister(void)
{
	shrinker_free(hoard_shrinker);
}
#else
static struct shrinker hoard_shrinker = {
	.count_objects = hoard_count,
	.scan_objects = hoard_scan,
	.seeks = DEFAULT_SEEKS,
};

static int hoard_register(void)
{
	return register_shrinker(&hoard_shrinker, "hoard");
}

static void hoard_unregister(void)
{
	unregister_shrinker(&hoard_shrinker);
}
#endif

static int __init hoard_init(void)
{
	int err = hoard_register();

	if (err)
		return err;
	hoard_task = kthread_run(hoard_run, NULL, "hoard");
	if (IS_ERR(hoard_task)) {
		hoard_unregister();
		return PTR_ERR(hoard_task);
	}
	return 0;
}

static void __exit hoard_exit(void)
{
	kthread_stop(hoard_task);
	hoard_unregister();
	hoard_free(~0ul);
}

module_init(hoard_init);
module_exit(hoard_exit);
MODULE_DESCRIPTION("Keeps pages that no counter names");
MODULE_LICENSE("GPL");
