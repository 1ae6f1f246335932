/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host is told and asked. It knows queues and pages, not the balloon. */
#ifndef VBP_HOST_H
#define VBP_HOST_H

#include <linux/mutex.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/virtio_balloon_pressure.h>

#include "host/untold.h"
#include "memory.h"
#include "works.h"

struct vbp_device;

/*
 * PFNs in one buffer. Hosts that offer PRESSURE take 512, the PFNs of a whole
 * huge page; of the others, Cloud Hypervisor skips more than 256 and
 * Firecracker never completes them.
 */
#define VBP_PFNS_LEGACY	256
#define VBP_PFNS_MAX	512

/* Pages of the device, always 4 KiB, in a page of the guest. */
#define VBP_PFNS_PER_PAGE	((u32)(PAGE_SIZE >> VIRTIO_BALLOON_PFN_SHIFT))

#define VBP_STATS_NR	16

/*
 * On removal a silent host is given this long, then the device is reset; and one
 * that answers slowly this long for all. The reset tells it the rest.
 */
#define VBP_REMOVE_WAIT	(5 * HZ)
#define VBP_REMOVE_ALL	(15 * HZ)

/**
 * struct vbp_landed - what the host has returned
 * @in: was inflated: to be held
 * @out: may be freed: the host knows that it leaves, or has never seen it
 */
struct vbp_landed {
	struct vbp_batch in;
	struct vbp_batch out;
};

/* Free ranges in one report. */
#define VBP_REPORT_BLOCKS	16

/**
 * struct vbp_buffer - PFNs or free ranges on their way to the host
 * @pfns: the host's while @out is not 0
 * @sg: the same, of a report
 * @nr: how many of either
 * @out: parts of it that the host still has. Protected by the queue's lock
 * @pages: in flight with it: the host was given them and may discard them at
 *	any time, so nothing may use them until it has returned the buffer. Of a
 *	deflate buffer: the host has to know of them before they are used
 * @leaving: the same, of a page that compaction has moved, with a reference
 *
 * The kernel's own report uses @out alone, and no lock but the queue's.
 */
struct vbp_buffer {
	union {
		__virtio32 pfns[VBP_PFNS_MAX];
		struct scatterlist sg[VBP_REPORT_BLOCKS];
	};
	unsigned int nr;
	unsigned int out;
	struct vbp_batch pages;
	struct page *leaving;
};

/* Enough for the host to be busy while the guest allocates the next block. */
#define VBP_BUFFERS	4

/* A queue and its buffers. Protected by host_lock. */
struct vbp_queue {
	struct virtqueue *vq;
	spinlock_t lock;		/* innermost; @vq's ring */
	unsigned int nr_bufs;		/* used in turn */
	unsigned int next;		/* the oldest buffer */
	struct vbp_buffer bufs[VBP_BUFFERS];
};

/* Reports: two of ours in turn, and the kernel's own. */
#define VBP_REPORT_KERNEL	2
#define VBP_REPORTS		3

/*
 * How long the host is waited for. Compaction, or memory that is to go offline,
 * goes on without us if it takes longer than a second to answer.
 */
#define VBP_OTHERS_WAIT	HZ
#define VBP_OWN_WAIT	MAX_JIFFY_OFFSET

static inline void vbp_landed_init(struct vbp_landed *landed)
{
	vbp_batch_init(&landed->in);
	vbp_batch_init(&landed->out);
}

/**
 * struct vbp_host_asks - what the config space says
 * @target_pages: size of the balloon
 * @floor_pages: by itself the guest does not make it smaller than this
 * @floor_now_pages: nor than this, until the host has looked at its memory again
 * @host_pressure: how short of memory the host is
 */
struct vbp_host_asks {
	u64 target_pages;
	u64 floor_pages;
	u64 floor_now_pages;
	u32 host_pressure;
};

/* Free page hinting. hint.c's own. */
struct vbp_hint {
	struct virtqueue *vq;		/* the work only */
	struct shrinker *shrinker;
	struct vbp_works_asked asked;
	unsigned long flags;		/* bit 0: the id in config may be new */
	u32 received;			/* the work only */
	__virtio32 active;		/* the work only */
	__virtio32 stop;
	struct list_head with_host;	/* the work only */
	unsigned int out;		/* blocks in it. The work only */
	bool enough;			/* somebody wants memory: end the round */
	spinlock_t lock;		/* innermost; the list of returned blocks */
	struct list_head pages;		/* Protected by @lock */
	unsigned long blocks;		/* Protected by @lock */
};

/* host/'s own. @host_lock and @lock are the device's. */
struct vbp_host {
	/* Woken by every queue's interrupt. */
	wait_queue_head_t acked;
	bool silent;			/* let a wait on removal run out; once */
	unsigned long leave_by;		/* jiffies: then it is silent. Set before
					 * works stop
					 */

	struct vbp_queue inflate;	/* Protected by @host_lock */
	struct vbp_queue deflate;	/* Protected by @host_lock */
	/*
	 * Pages of which a host that must be told first does not know that they
	 * leave: the device broke meanwhile. By @host_lock.
	 */
	struct vbp_batch in_flight;

	struct vbp_queue report;	/* Protected by @host_lock */
	bool by_report;			/* blocks inflate by reports; fixed */
	unsigned int report_blocks;	/* in one of ours; fixed */
	struct page_reporting_dev_info reporting;
	bool reporting_on;		/* start to stop */

	u32 told_actual;		/* Protected by @host_lock */
	u32 told_pressure;		/* Protected by @host_lock */
	u32 told_wanted;		/* Protected by @host_lock */

	struct vbp_range *untold;	/* ring. Protected by @lock */
	unsigned int untold_size;	/* power of two. By @lock */
	unsigned int untold_head;	/* By @lock */
	unsigned int untold_count;	/* By @lock */

	struct virtqueue *stats_vq;	/* the work only */
	struct vbp_works_asked stats_asked;
	unsigned int stats_tags;	/* lower ones are sent; the work only */
	struct virtio_balloon_stat stats[VBP_STATS_NR];	/* the work only */

	struct vbp_hint hint;
};

/* The queues that there are; NULL for those that are not. */
struct vbp_host_vqs {
	struct virtqueue *inflate;
	struct virtqueue *deflate;
	struct virtqueue *stats;
	struct virtqueue *hint;
	struct virtqueue *reporting;
};

/* host/host.c */
void vbp_host_init(struct vbp_device *vb);
void vbp_host_begin(struct vbp_device *vb, const struct vbp_host_vqs *vqs);
void vbp_host_end(struct vbp_device *vb);
bool vbp_host_has_queues(struct vbp_device *vb);
void vbp_host_start(struct vbp_device *vb);
void vbp_host_leave(struct vbp_device *vb);
void vbp_host_stop(struct vbp_device *vb);
void vbp_host_ack(struct virtqueue *vq);

/* host/config.c */
void vbp_config_read(struct vbp_device *vb, struct vbp_host_asks *asks);
void vbp_config_write(struct vbp_device *vb, u64 held_pages, u32 level,
		      u64 wanted_pages);

/* host/queue.c */
void vbp_queue_init_bufs(struct vbp_queue *queue, struct virtqueue *vq,
			 unsigned int nr_bufs);
void vbp_queue_init(struct vbp_device *vb, struct vbp_queue *queue,
		    struct virtqueue *vq);
bool vbp_queue_broken(struct vbp_device *vb);
int vbp_queue_wait(struct vbp_device *vb, struct vbp_queue *queue,
		   struct vbp_buffer *buf, unsigned long limit);
int vbp_queue_land_one(struct vbp_device *vb, struct vbp_queue *queue,
		       struct vbp_buffer *buf, unsigned long limit,
		       struct vbp_batch *to);
int vbp_queue_tell_untold(struct vbp_device *vb, struct vbp_landed *landed);
int vbp_queue_inflate(struct vbp_device *vb, struct vbp_batch *batch,
		      struct vbp_landed *landed);
struct vbp_buffer *vbp_queue_oldest(struct vbp_queue *queue);
int vbp_queue_land_next(struct vbp_device *vb, struct vbp_queue *queue,
			unsigned long limit, struct vbp_batch *to);
int vbp_queue_land(struct vbp_device *vb, unsigned long limit,
		   struct vbp_landed *landed);
int vbp_queue_deflate(struct vbp_device *vb, struct vbp_batch *batch,
		      unsigned long limit, struct vbp_landed *landed);
int vbp_queue_inflate_page(struct vbp_device *vb, struct page *page,
			   struct vbp_landed *landed);
int vbp_queue_deflate_page(struct vbp_device *vb, struct page *page);
void vbp_queue_take_all(struct vbp_queue *queue, struct vbp_batch *to);
void vbp_queue_forget(struct vbp_device *vb, struct vbp_landed *landed);

/* host/stats.c */
void vbp_stats_work(struct work_struct *work);
void vbp_stats_request(struct virtqueue *vq);
int vbp_stats_prime(struct vbp_device *vb);

/* host/hint.c */
void vbp_hint_work(struct work_struct *work);
int vbp_hint_init(struct vbp_device *vb);
void vbp_hint_destroy(struct vbp_device *vb);
void vbp_hint_changed(struct vbp_device *vb);
unsigned long vbp_hint_available(struct vbp_device *vb);
unsigned long vbp_hint_give_back(struct vbp_device *vb, unsigned long nr_pages);

/* host/reporting.c */
void vbp_reporting_init(struct vbp_device *vb, struct virtqueue *vq);
bool vbp_reporting_takes_blocks(struct vbp_device *vb);
int vbp_reporting_inflate(struct vbp_device *vb, struct vbp_batch *batch,
			  struct vbp_landed *landed);
int vbp_reporting_land(struct vbp_device *vb, unsigned long limit,
		       struct vbp_landed *landed);
void vbp_reporting_forget(struct vbp_device *vb, struct vbp_landed *landed);
void vbp_reporting_write_poison(struct vbp_device *vb);
void vbp_reporting_start(struct vbp_device *vb);
void vbp_reporting_stop(struct vbp_device *vb);

#endif /* VBP_HOST_H */
