// SPDX-License-Identifier: GPL-2.0-only
/* Readings of the guest's memory. */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/vm_event_item.h>
#include <linux/vmstat.h>

#include "device.h"

/**
 * vbp_memory_now_ms() - the policy's clock
 *
 * Context: any.
 * Return: milliseconds, monotonic.
 */
u64 vbp_memory_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

/**
 * vbp_memory_low_watermarks() - of all zones
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_memory_low_watermarks(void)
{
	unsigned long pages = 0;
	int nid, i;

	for_each_online_node(nid) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];

			pages += low_wmark_pages(zone);
		}
	}
	return pages;
}

/**
 * vbp_memory_reclaimable() - kernel memory that counts as reclaimable
 *
 * Context: any.
 * Return: pages; the balloon's share is in it.
 */
unsigned long vbp_memory_reclaimable(void)
{
	return global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
	       global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);
}

/**
 * vbp_memory_available() - memory that programs can still get without us
 * @credited_pages: what account.c counts as reclaimable for all balloons
 *
 * si_mem_available() without the balloon's own share. That function halves
 * small amounts of reclaimable memory, so a plain difference would be off by up
 * to the low watermarks, which is as much as decides between calm and reclaim.
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_memory_available(unsigned long credited_pages)
{
	unsigned long low = vbp_memory_low_watermarks();
	unsigned long all, others, share;
	long available = si_mem_available();

	all = vbp_memory_reclaimable();
	others = all - min(all, credited_pages);
	share = (all - min(all / 2, low)) - (others - min(others / 2, low));

	return available > (long)share ? available - (long)share : 0;
}

/**
 * vbp_memory_margin() - memory that si_mem_available() leaves out
 *
 * It never calls all of the page cache available. So a cache that fills, as it
 * does when a device is read once, would look like memory that runs out: in a
 * guest that the balloon has left little, like the shortage that opens the gate.
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_memory_margin(void)
{
	unsigned long cache = global_node_page_state(NR_ACTIVE_FILE) +
			      global_node_page_state(NR_INACTIVE_FILE);

	return min(cache / 2, vbp_memory_low_watermarks());
}

/**
 * vbp_memory_event() - one of the kernel's event counters
 * @item: which
 *
 * Not all_vm_events(), which sleeps: for CPUs that come and go.
 *
 * Context: any.
 * Return: the count since boot; 0 in a kernel that does not count.
 */
u64 vbp_memory_event(enum vm_event_item item)
{
	u64 sum = 0;
#ifdef CONFIG_VM_EVENT_COUNTERS
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(vm_event_states, cpu).event[item]);
#endif
	return sum;
}

/**
 * vbp_memory_kswapd_scanned() - what kswapd has looked at
 *
 * Context: any.
 * Return: pages, since boot.
 */
u64 vbp_memory_kswapd_scanned(void)
{
	return vmscan_state(vbp_memory_event, PGSCAN_KSWAPD);
}

/* Free pages that may go before any zone wakes kswapd. */
static u64 vbp_memory_headroom(void)
{
	const enum zone_type highest = gfp_zone(GFP_HIGHUSER_MOVABLE);
	u64 pages = 0;
	int nid, i;

	for_each_online_node(nid) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];
			unsigned long nr_free, keep;

			nr_free = zone_page_state(zone, NR_FREE_PAGES);
			keep = high_wmark_pages(zone) +
			       zone->lowmem_reserve[highest];
			pages += nr_free - min(nr_free, keep);
		}
	}
	return pages;
}

/**
 * vbp_memory_rates() - the readings of which the policy looks at the change
 * @sample: filled in: free pages, headroom, page cache, refaults and what is reclaimed
 *
 * Context: any.
 */
void vbp_memory_rates(struct vbp_policy_sample *sample)
{
	sample->free_pages = global_zone_page_state(NR_FREE_PAGES);
	sample->headroom_pages = vbp_memory_headroom();
	sample->cache_pages = global_node_page_state(NR_ACTIVE_FILE) +
			      global_node_page_state(NR_INACTIVE_FILE);
	sample->refaults = global_node_page_state(WORKINGSET_REFAULT_ANON) +
			   global_node_page_state(WORKINGSET_REFAULT_FILE);
	sample->reclaimed = vmscan_state(vbp_memory_event, PGSTEAL_KSWAPD) +
			    vmscan_state(vbp_memory_event, PGSTEAL_DIRECT);
}

/**
 * vbp_memory_total() - the guest's memory with an empty balloon
 * @vb: the device
 *
 * Context: @vb->lock held.
 * Return: pages.
 */
unsigned long vbp_memory_total(struct vbp_device *vb)
{
	lockdep_assert_held(&vb->lock);
	return totalram_pages() + vb->gone_pages;
}
