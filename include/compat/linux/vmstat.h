/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 7.x counts ballooned pages per node (NR_BALLOON_PAGES), and 7.2 moved the
 * counters of scanned and reclaimed pages from events to node state.
 */
#ifndef VBP_COMPAT_LINUX_VMSTAT_H
#define VBP_COMPAT_LINUX_VMSTAT_H

#include_next <linux/vmstat.h>
#include <linux/version.h>

static inline void mod_node_balloon_pages(struct pglist_data *pgdat,
					  long nr_pages)
{
#ifdef VBP_HAVE_NR_BALLOON_PAGES
	mod_node_page_state(pgdat, NR_BALLOON_PAGES, nr_pages);
#endif
}

#ifdef VBP_HAVE_NODE_PGSCAN
#define vmscan_state(read_event, item)	global_node_page_state(item)
#else
#define vmscan_state(read_event, item)	read_event(item)
#endif

/* What zswap has written to the disk behind it is counted since 6.8. */
#if defined(CONFIG_ZSWAP) && defined(VBP_HAVE_ZSWPWB)
#define zswap_written_back(read_event)	read_event(ZSWPWB)
#else
#define zswap_written_back(read_event)	0
#endif

/* Page tables were counted per zone until 5.11 (f0c0c115fb81). */
static inline unsigned long global_pagetables(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	return global_node_page_state(NR_PAGETABLE);
#else
	return global_zone_page_state(NR_PAGETABLE);
#endif
}

#endif /* VBP_COMPAT_LINUX_VMSTAT_H */
