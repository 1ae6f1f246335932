// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does what no driver may do, once for each name written to its parameter: what
 * watches on the debug kernel must see it, or sees nothing in our driver either.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

struct faulty_object {
	struct timer_list timer;
	char text[8];
};

static DEFINE_MUTEX(faulty_mutex);
static DEFINE_SPINLOCK(faulty_lock);
static int faulty_table[8];
static int faulty_sink;

static void faulty_timer(struct timer_list *timer)
{
}

/* KMEMLEAK: nothing points to it any more. */
static void faulty_leak(void)
{
	struct faulty_object *object = kmalloc(sizeof(*object), GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(object);
}

/* page_owner: nobody gives it back. */
static void faulty_page(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(page);
}

/* KASAN */
static void faulty_beyond(void)
{
	struct faulty_object *object = kzalloc(sizeof(*object), GFP_KERNEL);
	char *bytes = (char *)object;

	OPTIMIZER_HIDE_VAR(bytes);
	if (bytes)
		WRITE_ONCE(faulty_sink, bytes[sizeof(*object)]);
	kfree(object);
}

/* UBSAN */
static void faulty_bounds(void)
{
	int index = ARRAY_SIZE(faulty_table);

	OPTIMIZER_HIDE_VAR(index);
	WRITE_ONCE(faulty_sink, faulty_table[index]);
}

/* DEBUG_ATOMIC_SLEEP */
static void faulty_atomic(void)
{
	spin_lock(&faulty_lock);
	might_sleep();
	spin_unlock(&faulty_lock);
}

/* DEBUG_OBJECTS: it still runs. */
static void faulty_object(void)
{
	struct faulty_object *object = kzalloc(sizeof(*object), GFP_KERNEL);

	if (!object)
		return;
	timer_setup(&object->timer, faulty_timer, 0);
	mod_timer(&object->timer, jiffies + 1000 * HZ);
	kfree(object);
}

/* PROVE_LOCKING: reclaim takes a lock under which memory is allocated. */
static void faulty_order(void)
{
	mutex_lock(&faulty_mutex);
	kfree(kmalloc(8, GFP_KERNEL));
	mutex_unlock(&faulty_mutex);

	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&faulty_mutex);
	mutex_unlock(&faulty_mutex);
	fs_reclaim_release(GFP_KERNEL);
}

static const struct {
	const char *name;
	void (*function)(void);
} faulty_deeds[] = {
	{ "leak", faulty_leak },
	{ "page", faulty_page },
	{ "beyond", faulty_beyond },
	{ "bounds", faulty_bounds },
	{ "atomic", faulty_atomic },
	{ "object", faulty_object },
	{ "order", faulty_order },
};

static int faulty_set(const char *value, const struct kernel_param *param)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(faulty_deeds); i++) {
		if (!sysfs_streq(value, faulty_deeds[i].name))
			continue;
		faulty_deeds[i].function();
		return 0;
	}
	return -EINVAL;
}

static const struct kernel_param_ops faulty_ops = { .set = faulty_set };

module_param_cb(deed, &faulty_ops, NULL, 0200);
MODULE_DESCRIPTION("Does what no driver may do");
MODULE_LICENSE("GPL");
