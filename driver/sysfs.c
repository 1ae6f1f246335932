// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read-only state and counters, in the folder "pressure" of the virtio device.
 * Documentation/abi.rst describes each file.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "device.h"
#include "main.h"

static u64 vbp_sysfs_relief_pages(struct vbp_device *vb)
{
	u64 pages = 0;
	int i;

	for (i = 0; i < VBP_SOURCES; i++)
		pages += vb->engine.relief_pages[i];
	return pages;
}

static unsigned long vbp_sysfs_unnamed(struct vbp_device *vb)
{
	unsigned long others = vbp_account_memory(vb);

	others -= min(others, vbp_held_pages(vb) + vbp_pages_moving(vb));
	return vbp_memory_unnamed(others);
}

/* A file that shows one number, read under the lock. */
#define VBP_SYSFS_NUMBER(name, expression)				\
	static ssize_t name##_show(struct device *dev,			\
				   struct device_attribute *attr,	\
				   char *buf)				\
	{								\
		struct vbp_device *vb = dev_to_virtio(dev)->priv;	\
		u64 value;						\
									\
		spin_lock(&vb->lock);					\
		value = (expression);					\
		spin_unlock(&vb->lock);					\
		return sysfs_emit(buf, "%llu\n", value);		\
	}								\
	static DEVICE_ATTR_RO(name)

VBP_SYSFS_NUMBER(balloon_pages, vbp_held_pages(vb));
VBP_SYSFS_NUMBER(balloon_target_pages, vb->asks.target_pages);
VBP_SYSFS_NUMBER(balloon_floor_pages, vb->asks.floor_pages);
VBP_SYSFS_NUMBER(balloon_floor_now_pages, vb->asks.floor_now_pages);
VBP_SYSFS_NUMBER(available_pages, vbp_memory_available());
VBP_SYSFS_NUMBER(unnamed_pages, vbp_sysfs_unnamed(vb));
VBP_SYSFS_NUMBER(block_pages, vb->block_pages);
VBP_SYSFS_NUMBER(small_pages, vb->small_pages);
VBP_SYSFS_NUMBER(elastic, vb->elastic);
VBP_SYSFS_NUMBER(host_pressure, vb->asks.host_pressure);
VBP_SYSFS_NUMBER(guest_pressure, vb->engine.level);
VBP_SYSFS_NUMBER(wanted_pages, vb->engine.wanted_pages);
VBP_SYSFS_NUMBER(relief_episodes, vb->engine.relief_episodes);
VBP_SYSFS_NUMBER(relief_pages, vbp_sysfs_relief_pages(vb));
VBP_SYSFS_NUMBER(relief_kswapd_pages, vb->engine.relief_pages[VBP_BY_KSWAPD]);
VBP_SYSFS_NUMBER(relief_worker_pages, vb->engine.relief_pages[VBP_BY_WORKER]);
VBP_SYSFS_NUMBER(relief_shrinker_pages, vb->engine.relief_pages[VBP_BY_SHRINKER]);
VBP_SYSFS_NUMBER(relief_oom_pages, vb->engine.relief_pages[VBP_BY_OOM]);
VBP_SYSFS_NUMBER(relief_refault_pages, vb->engine.relief_pages[VBP_BY_REFAULT]);
VBP_SYSFS_NUMBER(relief_pool_pages, vb->engine.relief_pages[VBP_BY_POOL]);
VBP_SYSFS_NUMBER(last_relief_ms, vb->engine.last_relief_ms);
VBP_SYSFS_NUMBER(vmpressure_events, vbp_vmpressure_events());
VBP_SYSFS_NUMBER(kswapd_wakeups, atomic64_read(&vb->sensors.kswapd_wakeups));

static ssize_t vmpressure_hook_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", vbp_vmpressure_hook());
}
static DEVICE_ATTR_RO(vmpressure_hook);

static struct attribute *vbp_sysfs_attrs[] = {
	&dev_attr_balloon_pages.attr,
	&dev_attr_balloon_target_pages.attr,
	&dev_attr_balloon_floor_pages.attr,
	&dev_attr_balloon_floor_now_pages.attr,
	&dev_attr_available_pages.attr,
	&dev_attr_unnamed_pages.attr,
	&dev_attr_block_pages.attr,
	&dev_attr_small_pages.attr,
	&dev_attr_elastic.attr,
	&dev_attr_host_pressure.attr,
	&dev_attr_guest_pressure.attr,
	&dev_attr_wanted_pages.attr,
	&dev_attr_relief_episodes.attr,
	&dev_attr_relief_pages.attr,
	&dev_attr_relief_kswapd_pages.attr,
	&dev_attr_relief_worker_pages.attr,
	&dev_attr_relief_shrinker_pages.attr,
	&dev_attr_relief_oom_pages.attr,
	&dev_attr_relief_refault_pages.attr,
	&dev_attr_relief_pool_pages.attr,
	&dev_attr_last_relief_ms.attr,
	&dev_attr_vmpressure_events.attr,
	&dev_attr_kswapd_wakeups.attr,
	&dev_attr_vmpressure_hook.attr,
	NULL
};

static const struct attribute_group vbp_sysfs_group = {
	.name = "pressure",
	.attrs = vbp_sysfs_attrs,
};

/* The driver core adds them on binding and removes them before remove(). */
const struct attribute_group *vbp_sysfs_groups[] = {
	&vbp_sysfs_group,
	NULL
};
