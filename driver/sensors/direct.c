// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task begins to reclaim by itself, by tracepoint: for the guest, not for a
 * cgroup's own limit, which has tracepoints of its own.
 *
 * It is a sign like kswapd's. And if what the task lacks is a block for a pool
 * of huge pages that somebody asks for (nr_hugepages), it gets one: the balloon
 * holds just such blocks. By then the kernel has looked for a free one, and has
 * tried to make one by compaction. Next it would evict page cache and compact
 * again; what it does not get then the pool goes without.
 */
#include <linux/build_bug.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/mmzone.h>
#include <linux/tracepoint.h>
#include <trace/events/vmscan.h>

#include "device.h"

/*
 * Only a pool means it: it asks the allocator to try hard. A huge page for a
 * program's memory (THP) does not, but where memory goes offline; and then it
 * still may not touch the kernel's reserves, a flag that no pool sets.
 */
static bool vbp_direct_is_pool(int order, gfp_t gfp)
{
	return order == VBP_BLOCK_ORDER && (gfp & __GFP_RETRY_MAYFAIL) &&
	       (gfp & __GFP_COMP) && !(gfp & __GFP_NOMEMALLOC);
}

static void vbp_direct_begin(struct vbp_device *vb, int order, gfp_t gfp)
{
	if (order <= PAGE_ALLOC_COSTLY_ORDER)
		irq_work_queue(&vb->sensors.direct_sign);
	else if (vbp_direct_is_pool(order, gfp))
		vbp_relief_pool(vb, gfp_zone(gfp));
}

/* What the kernel calls up to 7.1. Both are kept, to be looked at by lint. */
static void __used vbp_direct_reclaim(void *data, int order, gfp_t gfp)
{
	vbp_direct_begin(data, order, gfp);
}

/* And later on, where it tells of a cgroup's limit, too. */
static void __used vbp_direct_reclaim_of(void *data, gfp_t gfp, int order,
					 struct mem_cgroup *memcg)
{
	if (!memcg)
		vbp_direct_begin(data, order, gfp);
}

/* Our prototype is compared with the kernel's, if that has tracepoints. */
#ifdef CONFIG_TRACEPOINTS
#define VBP_DIRECT_IS(...)						\
	__builtin_types_compatible_p(					\
		typeof(__traceiter_mm_vmscan_direct_reclaim_begin),	\
		int(void *, __VA_ARGS__))
#else
#define VBP_DIRECT_IS(...)	1
#endif
#define VBP_DIRECT_TELLS_MEMCG						\
	VBP_DIRECT_IS(gfp_t, int, struct mem_cgroup *)

static_assert(VBP_DIRECT_TELLS_MEMCG || VBP_DIRECT_IS(int, gfp_t));

#define VBP_DIRECT_FUNCTION						\
	__builtin_choose_expr(VBP_DIRECT_TELLS_MEMCG,			\
			      vbp_direct_reclaim_of, vbp_direct_reclaim)

/* Apart: the tracepoint may be reached with any lock held. */
static void vbp_direct_signal(struct irq_work *work)
{
	vbp_works_relief(container_of(work, struct vbp_device,
				      sensors.direct_sign));
}

/**
 * vbp_direct_start() - have tasks that reclaim by themselves looked at for @vb
 * @vb: the device; its engine is initialised
 *
 * Context: may sleep.
 */
void vbp_direct_start(struct vbp_device *vb)
{
	init_irq_work(&vb->sensors.direct_sign, vbp_direct_signal);
	vb->sensors.direct = (struct vbp_probe) {
		.name = "mm_vmscan_direct_reclaim_begin",
		.function = VBP_DIRECT_FUNCTION,
		.data = vb,
	};
	vbp_probe_on(&vb->sensors.direct);
}

/**
 * vbp_direct_stop() - the end of vbp_direct_start(); harmless without it
 * @vb: the device
 *
 * Context: may sleep; waits for callers.
 */
void vbp_direct_stop(struct vbp_device *vb)
{
	if (!vb->sensors.direct_sign.func)
		return;
	vbp_probe_off(&vb->sensors.direct);
	tracepoint_synchronize_unregister();
	irq_work_sync(&vb->sensors.direct_sign);
}
