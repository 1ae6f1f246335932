/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A CPU's free pages of a zone were in another struct until 5.14 (28f836b6777b).
 *
 * MAX_ORDER was the number of orders; 6.4 made it the largest (upstream commit
 * 23baf831a32c), and 6.8 renamed that to MAX_PAGE_ORDER (5e0a760b4441). The two
 * meanings of MAX_ORDER can be told apart by the version alone.
 */
#ifndef VBP_COMPAT_LINUX_MMZONE_H
#define VBP_COMPAT_LINUX_MMZONE_H

#include_next <linux/mmzone.h>
#include <linux/percpu.h>
#include <linux/version.h>

#ifndef MAX_PAGE_ORDER
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define MAX_PAGE_ORDER	MAX_ORDER
#else
#define MAX_PAGE_ORDER	(MAX_ORDER - 1)
#endif
#endif

/* Upstream has no such function, because nobody else asks. */
static inline int zone_pcp_count(struct zone *zone, int cpu)
{
#ifdef VBP_HAVE_PER_CPU_ZONESTAT
	return READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset, cpu)->count);
#else
	return READ_ONCE(per_cpu_ptr(zone->pageset, cpu)->pcp.count);
#endif
}

#endif /* VBP_COMPAT_LINUX_MMZONE_H */
