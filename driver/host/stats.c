// SPDX-License-Identifier: GPL-2.0-only
/*
 * The statistics queue.
 *
 * It runs the other way round: the driver leaves a buffer with the device, and
 * the device gives it back when it wants fresh numbers.
 */
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/vm_event_item.h>
#include <linux/vmstat.h>

#include "device.h"

static unsigned int vbp_stats_put(struct vbp_device *vb, unsigned int nr,
				  u16 tag, u64 value)
{
	if (tag >= vb->host.stats_tags)
		return nr;
	vb->host.stats[nr].tag = cpu_to_virtio16(vb->vdev, tag);
	vb->host.stats[nr].val = cpu_to_virtio64(vb->vdev, value);
	return nr + 1;
}

static u64 vbp_stats_bytes(u64 pages)
{
	return pages << PAGE_SHIFT;
}

static unsigned int vbp_stats_put_events(struct vbp_device *vb,
					 unsigned int nr)
{
#ifdef CONFIG_VM_EVENT_COUNTERS
	u64 stalls = 0;
	int zone;

	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		stalls += vbp_memory_event(ALLOCSTALL_NORMAL - ZONE_NORMAL + zone);

	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_SWAP_IN,
			   vbp_stats_bytes(vbp_memory_event(PSWPIN)));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_SWAP_OUT,
			   vbp_stats_bytes(vbp_memory_event(PSWPOUT)));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_MAJFLT, vbp_memory_event(PGMAJFAULT));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_MINFLT, vbp_memory_event(PGFAULT));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_OOM_KILL, vbp_memory_event(OOM_KILL));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_ALLOC_STALL, stalls);
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_ASYNC_SCAN,
			   vbp_stats_bytes(vmscan_state(vbp_memory_event, PGSCAN_KSWAPD)));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_DIRECT_SCAN,
			   vbp_stats_bytes(vmscan_state(vbp_memory_event, PGSCAN_DIRECT)));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_ASYNC_RECLAIM,
			   vbp_stats_bytes(vmscan_state(vbp_memory_event, PGSTEAL_KSWAPD)));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_DIRECT_RECLAIM,
			   vbp_stats_bytes(vmscan_state(vbp_memory_event, PGSTEAL_DIRECT)));
#ifdef CONFIG_HUGETLB_PAGE
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_HTLB_PGALLOC,
			   vbp_memory_event(HTLB_BUDDY_PGALLOC));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_HTLB_PGFAIL,
			   vbp_memory_event(HTLB_BUDDY_PGALLOC_FAIL));
#endif
#endif
	return nr;
}

static int vbp_stats_send(struct vbp_device *vb)
{
	unsigned long available;
	struct vbp_params params;
	struct scatterlist sg;
	struct sysinfo info;
	unsigned int nr = 0;
	int err;

	/*
	 * Without what the balloon could give back: a host that polls this to
	 * size balloons would otherwise take the same memory twice.
	 */
	available = vbp_memory_available();
	si_meminfo(&info);

	/*
	 * Firecracker before late 2025 never asks again once it was sent a tag
	 * that it does not know. So no tag that it would not get without us.
	 */
	vbp_params_get(&params);
	vb->host.stats_tags = params.stats_tags ?: VIRTIO_BALLOON_S_NR;

	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_MEMFREE,
			   vbp_stats_bytes(info.freeram));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_MEMTOT,
			   vbp_stats_bytes(info.totalram));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_AVAIL,
			   vbp_stats_bytes(available));
	nr = vbp_stats_put(vb, nr, VIRTIO_BALLOON_S_CACHES,
			   vbp_stats_bytes(global_node_page_state(NR_FILE_PAGES)));
	nr = vbp_stats_put_events(vb, nr);

	sg_init_one(&sg, vb->host.stats, sizeof(vb->host.stats[0]) * nr);
	err = virtqueue_add_outbuf(vb->host.stats_vq, &sg, 1, vb, GFP_KERNEL);
	if (!err)
		virtqueue_kick(vb->host.stats_vq);
	return err;
}

/**
 * vbp_stats_prime() - leave the first buffer with the device
 * @vb: the device; ready
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int vbp_stats_prime(struct vbp_device *vb)
{
	return vb->host.stats_vq ? vbp_stats_send(vb) : 0;
}

/**
 * vbp_stats_request() - the device wants fresh numbers
 * @vq: the statistics queue
 *
 * Context: interrupt.
 */
void vbp_stats_request(struct virtqueue *vq)
{
	struct vbp_device *vb = vq->vdev->priv;

	vbp_works_asked(vb, &vb->host.stats_asked, VBP_WAKE_STATS);
}

/**
 * vbp_stats_work() - fill the buffer the device gave back
 * @work: stats_asked's
 */
void vbp_stats_work(struct work_struct *work)
{
	struct vbp_device *vb = container_of(to_delayed_work(work),
					     struct vbp_device,
					     host.stats_asked.work);
	unsigned int len;

	if (virtqueue_get_buf(vb->host.stats_vq, &len) && vbp_stats_send(vb))
		dev_err_rarely(&vb->vdev->dev,
			       "statistics stop: the queue takes no buffer\n");
	vbp_works_end_wake(vb, VBP_WAKE_STATS);
}
