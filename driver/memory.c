// SPDX-License-Identifier: GPL-2.0-only
/* Readings of the guest's memory. */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>
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

/*
 * How much of the kernel memory that counts as reclaimable si_mem_available()
 * calls available: not all, half of it is left out, up to the low watermarks.
 */
static unsigned long vbp_memory_counted(unsigned long pages, unsigned long low)
{
	return pages - min(pages / 2, low);
}

static unsigned long vbp_memory_reclaimable(void)
{
	return global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
	       global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);
}

/* Of all devices: each must leave out of its readings what any may give back. */
static atomic_long_t vbp_memory_lent;

/**
 * vbp_memory_lend() - more of a node's memory can be had from a balloon, or less
 * @nid: the node
 * @nr_pages: so much more
 *
 * It counts as reclaimable kernel memory, so that MemAvailable shows it.
 *
 * Context: any.
 */
void vbp_memory_lend(int nid, long nr_pages)
{
	mod_node_page_state(NODE_DATA(nid), NR_KERNEL_MISC_RECLAIMABLE,
			    nr_pages);
	atomic_long_add(nr_pages, &vbp_memory_lent);
}

/**
 * vbp_memory_discount() - what has to be lent beyond what can be had
 * @lent_pages: of this balloon, until now
 * @nr_pages: what can be had
 *
 * The inverse of what vbp_memory_counted() leaves out. Otherwise inflating made
 * MemAvailable fall by 50 of 2048 MiB, and a program could touch 3 % more than
 * it said (measured).
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_memory_discount(unsigned long lent_pages,
				  unsigned long nr_pages)
{
	unsigned long others = vbp_memory_reclaimable();
	unsigned long low = vbp_memory_low_watermarks();

	others -= min(others, lent_pages);
	return min(nr_pages, low - min(others / 2, low));
}

static unsigned long vbp_memory_cache(void)
{
	return global_node_page_state(NR_ACTIVE_FILE) +
	       global_node_page_state(NR_INACTIVE_FILE);
}

static unsigned long vbp_memory_without(unsigned long low)
{
	unsigned long all = vbp_memory_reclaimable();
	unsigned long lent = atomic_long_read(&vbp_memory_lent);
	unsigned long share;
	long available = si_mem_available();

	share = vbp_memory_counted(all, low) -
		vbp_memory_counted(all - min(all, lent), low);
	return available > (long)share ? available - (long)share : 0;
}

/**
 * vbp_memory_available() - memory that programs can still get without us
 *
 * si_mem_available() without the balloons' share. That function halves small
 * amounts of reclaimable memory, so a plain difference would be off by up to the
 * low watermarks, which is as much as decides between calm and reclaim.
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_memory_available(void)
{
	return vbp_memory_without(vbp_memory_low_watermarks());
}

/*
 * Page cache that has to be written first. It can't be reclaimed before, and a
 * slow disk takes minutes for it. What is on its way to swap counts, too: the
 * kernel does not tell the two apart.
 */
static unsigned long vbp_memory_unwritten(void)
{
	return global_node_page_state(NR_FILE_DIRTY) +
	       global_node_page_state(NR_WRITEBACK);
}

/**
 * vbp_memory_can_go() - memory that programs can get at once, without us
 *
 * The same, but for what has to be written first; and page cache that it leaves
 * out. si_mem_available() never calls all of the page cache available. So a cache
 * that fills, as it does when a device is read once, would look like memory that
 * runs out: in a guest that the balloon has left little, like the shortage that
 * opens the gate.
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_memory_can_go(void)
{
	unsigned long low = vbp_memory_low_watermarks();
	unsigned long cache = vbp_memory_cache();
	unsigned long pages = vbp_memory_without(low) + min(cache / 2, low);

	return pages - min3(pages, cache, vbp_memory_unwritten());
}

/* What the last reading found of these, by node. */
static unsigned long vbp_memory_cpus_keep[MAX_NUMNODES];
static unsigned long vbp_memory_cpus_keep_kernel;

/*
 * Free pages that CPUs keep to themselves. They are neither free nor available
 * to the kernel's counters, but any CPU gets them before anything is killed.
 * From 6.7 on a CPU may keep very many: 60 MiB of a guest of 2 GiB with two CPUs
 * were seen.
 */
static unsigned long vbp_memory_on_cpus(void)
{
	unsigned long pages, all = 0, kernel = 0;
	int nid, i, cpu;

	for_each_online_node(nid) {
		pages = 0;
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[i];

			if (i == ZONE_MOVABLE)
				kernel += pages;
			if (!populated_zone(zone))
				continue;
			for_each_online_cpu(cpu)
				pages += max(zone_pcp_count(zone, cpu), 0);
		}
		all += pages;
		WRITE_ONCE(vbp_memory_cpus_keep[nid], pages);
	}
	WRITE_ONCE(vbp_memory_cpus_keep_kernel, kernel);
	return all;
}

/**
 * vbp_memory_kept_by_cpus() - of the free pages that CPUs keep to themselves
 * @nid: those of a node; NUMA_NO_NODE: those of all zones that the kernel can use
 *
 * Context: any.
 * Return: pages, at the last reading.
 */
unsigned long vbp_memory_kept_by_cpus(int nid)
{
	if (nid == NUMA_NO_NODE)
		return READ_ONCE(vbp_memory_cpus_keep_kernel);
	return READ_ONCE(vbp_memory_cpus_keep[nid]);
}

/* What the kernel's counters name, and free pages that CPUs have. */
static unsigned long vbp_memory_named(unsigned long on_cpus)
{
	unsigned long named = global_zone_page_state(NR_FREE_PAGES) + on_cpus;
	unsigned long misc;
	int i;

	for (i = 0; i < NR_LRU_LISTS; i++)
		named += global_node_page_state(NR_LRU_BASE + i);
	named += global_node_page_state(NR_ISOLATED_ANON) +
		 global_node_page_state(NR_ISOLATED_FILE) +
		 global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B) +
		 (global_node_page_state(NR_KERNEL_STACK_KB) >>
		  (PAGE_SHIFT - 10)) + global_pagetables();
#if IS_ENABLED(CONFIG_ZSMALLOC)
	/* What zram and zswap have compressed: no cache, it does not give way. */
	named += global_zone_page_state(NR_ZSPAGES);
#endif
	misc = vbp_memory_reclaimable();
	named += misc - min_t(unsigned long, misc,
			      atomic_long_read(&vbp_memory_lent));
	return named;
}

/**
 * vbp_memory_unnamed() - memory that none of the kernel's counters names
 * @nr_pages: the guest's, without the balloon
 *
 * Caches that file systems have for themselves, buffers of drivers, pools of
 * huge pages, vmalloc(): a module cannot read the counters of the last two.
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_memory_unnamed(unsigned long nr_pages)
{
	unsigned long named = vbp_memory_named(vbp_memory_on_cpus());

	return nr_pages - min(nr_pages, named);
}

static bool vbp_memory_block_in(struct zone *zone, enum zone_type highest)
{
	unsigned long keep = low_wmark_pages(zone) +
			     zone->lowmem_reserve[highest] +
			     zone->nr_reserved_highatomic +
			     zone_page_state(zone, NR_FREE_CMA_PAGES);
	int order, type;

	/* Some more than the allocator insists on: its count is exact. */
	if (zone_page_state(zone, NR_FREE_PAGES) < keep + VBP_BLOCK_PAGES)
		return false;
	for (order = VBP_BLOCK_ORDER; order <= MAX_PAGE_ORDER; order++)
		for (type = 0; type < MIGRATE_PCPTYPES; type++)
			if (!list_empty(&zone->free_area[order].free_list[type]))
				return true;
	return false;
}

/**
 * vbp_memory_has_block() - whether a node has a block that is free
 * @nid: the node
 * @highest: the last zone that may be used
 *
 * Context: any; a guess, without the zones' locks.
 * Return: true if an allocation of a block is likely to succeed.
 */
bool vbp_memory_has_block(int nid, enum zone_type highest)
{
	int i;

	for (i = 0; i <= highest; i++) {
		struct zone *zone = &NODE_DATA(nid)->node_zones[i];

		if (populated_zone(zone) && vbp_memory_block_in(zone, highest))
			return true;
	}
	return false;
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

/* What all balloons have given back, ever: it corrects readings made before. */
static atomic_long_t vbp_memory_all_returned;

/**
 * vbp_memory_returned() - pages are being given back
 * @nr_pages: how many
 *
 * Context: any.
 */
void vbp_memory_returned(unsigned long nr_pages)
{
	atomic_long_add(nr_pages, &vbp_memory_all_returned);
}

/**
 * vbp_memory_returned_since() - what has become free since a reading
 * @reading: of then
 *
 * Whoever decides on it must count that, or it is given back once more for the
 * same need.
 *
 * Context: any.
 * Return: pages.
 */
unsigned long
vbp_memory_returned_since(const struct vbp_memory_reading *reading)
{
	return atomic_long_read(&vbp_memory_all_returned) -
	       reading->returned_pages;
}

/**
 * vbp_memory_read() - all that a decision needs to know of memory
 * @reading: filled in
 *
 * Asks each CPU that there may be, so not under a lock that reclaim waits for.
 *
 * Context: any.
 */
void vbp_memory_read(struct vbp_memory_reading *reading)
{
	reading->when_ms = vbp_memory_now_ms();
	reading->returned_pages = atomic_long_read(&vbp_memory_all_returned);
	reading->on_cpus_pages = vbp_memory_on_cpus();
	reading->available_pages = vbp_memory_can_go();
	reading->named_pages = vbp_memory_named(reading->on_cpus_pages);
	reading->free_pages = global_zone_page_state(NR_FREE_PAGES);
	reading->headroom_pages = vbp_memory_headroom();
	reading->cache_pages = vbp_memory_cache();
	reading->refaults = global_node_page_state(WORKINGSET_REFAULT_ANON) +
			    global_node_page_state(WORKINGSET_REFAULT_FILE);
	reading->written_back = zswap_written_back(vbp_memory_event);
	reading->reclaimed = vmscan_state(vbp_memory_event, PGSTEAL_KSWAPD) +
			     vmscan_state(vbp_memory_event, PGSTEAL_DIRECT);
}

/*
 * The last reading that was made to be shared, read without waiting for another
 * CPU that makes one.
 */
static DEFINE_SPINLOCK(vbp_memory_lock);
static seqcount_spinlock_t vbp_memory_seq =
	SEQCNT_SPINLOCK_ZERO(vbp_memory_seq, &vbp_memory_lock);
static struct vbp_memory_reading vbp_memory_last;

/* So old may a reading be that others have made. */
#define VBP_MEMORY_FRESH_MS	1

/**
 * vbp_memory_share() - the same, or what another CPU read a moment ago
 * @reading: filled in
 *
 * For tasks in reclaim: there may be as many as CPUs, and the work of each grows
 * with the number of CPUs, too.
 *
 * Context: any that may spin for a moment, but interrupts.
 */
void vbp_memory_share(struct vbp_memory_reading *reading)
{
	unsigned int seq;

	do {
		seq = read_seqcount_begin(&vbp_memory_seq);
		*reading = vbp_memory_last;
	} while (read_seqcount_retry(&vbp_memory_seq, seq));
	if (reading->when_ms &&
	    vbp_memory_now_ms() <= reading->when_ms + VBP_MEMORY_FRESH_MS)
		return;

	vbp_memory_read(reading);
	if (!spin_trylock(&vbp_memory_lock))
		return;
	write_seqcount_begin(&vbp_memory_seq);
	vbp_memory_last = *reading;
	write_seqcount_end(&vbp_memory_seq);
	spin_unlock(&vbp_memory_lock);
}
