/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver sees and does, for who wants to watch: tracepoints. Sizes are
 * pages of the guest, and the balloon's. Documentation/admin-guide.rst
 * describes them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM virtio_balloon_pressure

#ifndef VBP_SOURCES_DEFINED
#define VBP_SOURCES_DEFINED
/* What made the balloon give pages back by itself. */
enum vbp_source {
	VBP_BY_KSWAPD,
	VBP_BY_WORKER,
	VBP_BY_SHRINKER,
	VBP_BY_OOM,
	VBP_BY_REFAULT,
	VBP_BY_POOL,
	VBP_SOURCES
};
#endif

#if !defined(VBP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VBP_TRACE_H

#include <linux/tracepoint.h>
#include <linux/virtio.h>

#include "policy/policy.h"

/* So that tools which read the format know them, too. */
TRACE_DEFINE_ENUM(VBP_BY_KSWAPD);
TRACE_DEFINE_ENUM(VBP_BY_WORKER);
TRACE_DEFINE_ENUM(VBP_BY_SHRINKER);
TRACE_DEFINE_ENUM(VBP_BY_OOM);
TRACE_DEFINE_ENUM(VBP_BY_REFAULT);
TRACE_DEFINE_ENUM(VBP_BY_POOL);

/* One look of the policy: what it saw, and what it answered. */
TRACE_EVENT(vbp_decision,
	TP_PROTO(const struct virtio_device *vdev,
		 const struct vbp_policy_sample *sample,
		 const struct vbp_policy_decision *decision),
	TP_ARGS(vdev, sample, decision),
	TP_STRUCT__entry(
		__field(int, device)
		__field(bool, reclaim)
		__field(bool, oom)
		__field(u64, available)
		__field(u64, headroom)
		__field(u64, yields)
		__field(u64, held)
		__field(u64, target)
		__field(u64, floor)
		__field(u64, relief)
		__field(u64, deflate)
		__field(u64, inflate)
		__field(u64, wanted)
		__field(u32, level)
		__field(bool, refault)
		__field(u32, wake_ms)
	),
	TP_fast_assign(
		__entry->device = vdev->index;
		__entry->reclaim = sample->reclaim;
		__entry->oom = sample->oom;
		__entry->available = sample->available_pages;
		__entry->headroom = sample->headroom_pages;
		__entry->yields = sample->yields_pages;
		__entry->held = sample->held_pages;
		__entry->target = sample->target_pages;
		__entry->floor = sample->floor_pages;
		__entry->relief = decision->relief_pages;
		__entry->deflate = decision->deflate_pages;
		__entry->inflate = decision->inflate_pages;
		__entry->wanted = decision->wanted_pages;
		__entry->level = decision->level;
		__entry->refault = decision->refault;
		__entry->wake_ms = decision->wake_ms;
	),
	TP_printk("virtio%d reclaim=%d oom=%d available=%llu headroom=%llu yields=%llu held=%llu target=%llu floor=%llu -> relief=%llu deflate=%llu inflate=%llu wanted=%llu level=%u refault=%d wake_ms=%u",
		  __entry->device, __entry->reclaim, __entry->oom,
		  __entry->available, __entry->headroom, __entry->yields,
		  __entry->held, __entry->target, __entry->floor, __entry->relief,
		  __entry->deflate, __entry->inflate, __entry->wanted,
		  __entry->level, __entry->refault, __entry->wake_ms)
);

/* Pages were given back under pressure; node is -1 where any would do. */
TRACE_EVENT(vbp_relief,
	TP_PROTO(const struct virtio_device *vdev, enum vbp_source source,
		 int nid, unsigned long nr_pages),
	TP_ARGS(vdev, source, nid, nr_pages),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned int, source)
		__field(int, node)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->device = vdev->index;
		__entry->source = source;
		__entry->node = nid;
		__entry->pages = nr_pages;
	),
	TP_printk("virtio%d source=%s node=%d pages=%lu",
		  __entry->device,
		  __print_symbolic(__entry->source,
				   { VBP_BY_KSWAPD, "kswapd" },
				   { VBP_BY_WORKER, "worker" },
				   { VBP_BY_SHRINKER, "shrinker" },
				   { VBP_BY_OOM, "oom" },
				   { VBP_BY_REFAULT, "refault" },
				   { VBP_BY_POOL, "pool" }),
		  __entry->node, __entry->pages)
);

/* Pages are on their way to the host: one block, or a buffer of single ones. */
TRACE_EVENT(vbp_inflate,
	TP_PROTO(const struct virtio_device *vdev, bool block,
		 unsigned long nr_pages, unsigned long in_flight),
	TP_ARGS(vdev, block, nr_pages, in_flight),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned int, blocks)
		__field(unsigned long, pages)
		__field(unsigned long, in_flight)
	),
	TP_fast_assign(
		__entry->device = vdev->index;
		__entry->blocks = block;
		__entry->pages = nr_pages;
		__entry->in_flight = in_flight;
	),
	TP_printk("virtio%d blocks=%u pages=%lu in_flight=%lu",
		  __entry->device, __entry->blocks, __entry->pages,
		  __entry->in_flight)
);

/* They have come back from the host: they are held from now on. */
TRACE_EVENT(vbp_landed,
	TP_PROTO(const struct virtio_device *vdev, unsigned long nr_pages,
		 unsigned long in_flight, unsigned long held),
	TP_ARGS(vdev, nr_pages, in_flight, held),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned long, pages)
		__field(unsigned long, in_flight)
		__field(unsigned long, held)
	),
	TP_fast_assign(
		__entry->device = vdev->index;
		__entry->pages = nr_pages;
		__entry->in_flight = in_flight;
		__entry->held = held;
	),
	TP_printk("virtio%d pages=%lu in_flight=%lu held=%lu",
		  __entry->device, __entry->pages, __entry->in_flight,
		  __entry->held)
);

/* What the host asks for, as read. */
TRACE_EVENT(vbp_config_read,
	TP_PROTO(const struct virtio_device *vdev, u64 target, u64 floor,
		 u64 floor_now, u32 host_pressure),
	TP_ARGS(vdev, target, floor, floor_now, host_pressure),
	TP_STRUCT__entry(
		__field(int, device)
		__field(u64, target)
		__field(u64, floor)
		__field(u64, floor_now)
		__field(u32, host_pressure)
	),
	TP_fast_assign(
		__entry->device = vdev->index;
		__entry->target = target;
		__entry->floor = floor;
		__entry->floor_now = floor_now;
		__entry->host_pressure = host_pressure;
	),
	TP_printk("virtio%d target=%llu floor=%llu floor_now=%llu host_pressure=%u",
		  __entry->device, __entry->target, __entry->floor,
		  __entry->floor_now, __entry->host_pressure)
);

/* What the host is told, whenever some of it has changed. */
TRACE_EVENT(vbp_config_write,
	TP_PROTO(const struct virtio_device *vdev, u64 held, u32 level,
		 u64 wanted),
	TP_ARGS(vdev, held, level, wanted),
	TP_STRUCT__entry(
		__field(int, device)
		__field(u64, held)
		__field(u32, level)
		__field(u64, wanted)
	),
	TP_fast_assign(
		__entry->device = vdev->index;
		__entry->held = held;
		__entry->level = level;
		__entry->wanted = wanted;
	),
	TP_printk("virtio%d held=%llu level=%u wanted=%llu",
		  __entry->device, __entry->held, __entry->level,
		  __entry->wanted)
);

/* kswapd scanned so much, and the kprobe on vmpressure() saw none of it. */
TRACE_EVENT(vbp_sensor_silent,
	TP_PROTO(u64 scanned),
	TP_ARGS(scanned),
	TP_STRUCT__entry(
		__field(u64, scanned)
	),
	TP_fast_assign(
		__entry->scanned = scanned;
	),
	TP_printk("vmpressure by kprobe, scanned=%llu", __entry->scanned)
);

#endif /* VBP_TRACE_H */

/* Not in the kernel's tree: Kbuild names this folder to the compiler. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
