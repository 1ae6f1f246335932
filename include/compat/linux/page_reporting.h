/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 7.2 lets a driver say how many pages its queue takes at once, and calls the
 * default order -1. Before, the queue had to take PAGE_REPORTING_CAPACITY, and
 * the default order was 0. Before 5.14 (upstream series of June 2021,
 * "mm/page_reporting: Make page reporting work on arm64 with 64KB page size")
 * there was no other.
 */
#ifndef VBP_COMPAT_LINUX_PAGE_REPORTING_H
#define VBP_COMPAT_LINUX_PAGE_REPORTING_H

#include_next <linux/page_reporting.h>

#ifndef PAGE_REPORTING_ORDER_UNSPECIFIED
#define PAGE_REPORTING_ORDER_UNSPECIFIED	0
#endif

static inline int
page_reporting_register_sized(struct page_reporting_dev_info *info, int order,
			      unsigned int capacity)
{
#ifdef VBP_HAVE_REPORTING_ORDER
	info->order = order;
#endif
#ifdef VBP_HAVE_REPORTING_CAPACITY
	info->capacity = capacity;
#else
	if (capacity < PAGE_REPORTING_CAPACITY)
		return -ENOSPC;
#endif
	return page_reporting_register(info);
}

#endif /* VBP_COMPAT_LINUX_PAGE_REPORTING_H */
