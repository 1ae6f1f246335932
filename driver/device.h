/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device put together, and what the files of the driver share.
 *
 * One arrow: sensors -> policy -> mechanism -> host.
 *
 *	sensors/	something happened
 *	engine/		asks the policy, does what it says
 *	balloon/	pages in, pages out, the books
 *	host/		what the host is told and asked
 *	policy/		what to do; pure
 *
 * main.c, takeover.c, params.c and sysfs.c are life cycle and faces; memory.c
 * (readings) and works.c (when works run) are everybody's.
 *
 * Units: "pages" are guest pages everywhere. Only host/ and what it writes
 * to the device know that the device counts in 4 KiB.
 *
 * Locks, outermost first:
 *
 *	host_lock	mutex. The inflate and deflate queues, their buffers,
 *			our reports, and config writes. Waiting for the host happens under
 *			it, so nothing may allocate under it: an allocation may
 *			reclaim, and reclaim may migrate our pages, which tries
 *			this lock. To wait for it is to wait for the host: who
 *			has others' locks waits as vbp_leave_range() does.
 *	lock		spinlock. Lists, counters, policy state. Taken in
 *			reclaim by the shrinker: no allocation under it either.
 *	works_lock	spinlock, irq-safe. Whether works may still be queued.
 *	a queue's lock	spinlock. Its ring, and which buffers are out: the kernel's
 *			page reporting uses one without host_lock.
 *
 * lock is never held while host_lock is taken; works_lock nests in anything.
 */
#ifndef VBP_DEVICE_H
#define VBP_DEVICE_H

#include <linux/balloon.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/vm_event_item.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/virtio_balloon_pressure.h>

#include "policy/policy.h"

/*
 * PFNs in one buffer. Hosts that offer PRESSURE take 512, the PFNs of a whole
 * huge page; of the others, Cloud Hypervisor skips more than 256 and
 * Firecracker never completes them.
 */
#define VBP_PFNS_LEGACY	256
#define VBP_PFNS_MAX	512

/* Pages of the device, always 4 KiB, in a page of the guest. */
#define VBP_PFNS_PER_PAGE	((u32)(PAGE_SIZE >> VIRTIO_BALLOON_PFN_SHIFT))

/*
 * A block: 2 MiB, a huge page of the host, or the largest the buddy allocator
 * has. Not pageblock_order, which is 512 MiB on arm64 with 64 KiB pages.
 */
#define VBP_BLOCK_ORDER	\
	min_t(unsigned int, ilog2(SZ_2M) - PAGE_SHIFT, MAX_PAGE_ORDER)
#define VBP_BLOCK_PAGES	BIT(VBP_BLOCK_ORDER)

#define VBP_STATS_NR	16

/* Range of the parameter. */
#define VBP_STATS_TAGS_MIN	0
#define VBP_STATS_TAGS_MAX	16
#define VBP_STATS_TAGS_DEFAULT	0

/* On removal a silent host is given this long, then the device is reset. */
#define VBP_REMOVE_WAIT	(5 * HZ)

/* What made the balloon give pages back by itself. */
enum vbp_source {
	VBP_BY_HOOK,
	VBP_BY_WORKER,
	VBP_BY_SHRINKER,
	VBP_BY_OOM,
	VBP_BY_REFAULT,
	VBP_SOURCES
};

/**
 * struct vbp_batch - pages on their way into or out of the balloon
 * @blocks: heads of blocks, through page->lru
 * @small: single pages, through page->lru
 * @nr_pages: sum of both, in pages
 */
struct vbp_batch {
	struct list_head blocks;
	struct list_head small;
	unsigned long nr_pages;
};

/* A run of pages given back that the host has not been told of. */
struct vbp_range {
	u32 pfn;
	u32 nr_pages;
};

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

/**
 * struct vbp_host_asks - what the config space says
 * @target_pages: size of the balloon
 * @floor_pages: by itself the guest does not make it smaller than this
 * @host_pressure: how short of memory the host is
 */
struct vbp_host_asks {
	u64 target_pages;
	u64 floor_pages;
	u32 host_pressure;
};

/* A function of ours at a tracepoint of the kernel's; its user's own. */
struct vbp_probe {
	const char *name;
	void *function;
	void *data;
	struct tracepoint *tp;
	bool on;
};

/* Per zone. Protected by vbp_device.lock. */
struct vbp_zone {
	unsigned long held_pages;
	unsigned long gone_pages;	/* of them out of MemTotal */
};

/* Per NUMA node. Protected by vbp_device.lock. */
struct vbp_node {
	struct list_head blocks;	/* held, whole */
	unsigned long block_pages;	/* on @blocks */
	unsigned long credited_pages;	/* as NR_KERNEL_MISC_RECLAIMABLE */
	struct vbp_zone zones[MAX_NR_ZONES];
};

struct vbp_device {
	struct virtio_device *vdev;

	/* Fixed from probe to remove. */
	bool elastic;		/* the guest may take pages back by itself */
	bool must_tell;		/* VIRTIO_BALLOON_F_MUST_TELL_HOST */
	bool pressure;		/* VIRTIO_BALLOON_F_PRESSURE */
	bool sampler;		/* the parameter */
	unsigned int max_pfns;	/* that the host takes in one piece */

	/* Set by find_vqs, cleared by del_vqs; see the user for its lock. */
	struct virtqueue *stats_vq;	/* stats_work only */
	struct virtqueue *hint_vq;	/* hint_work only */

	/* Woken by every queue's interrupt. */
	wait_queue_head_t acked;

	/* The queues, their buffers, config writes; see the top of this file */
	struct mutex host_lock;
	struct vbp_queue inflate;	/* Protected by @host_lock */
	struct vbp_queue deflate;	/* Protected by @host_lock */
	struct vbp_queue report;	/* Protected by @host_lock */
	/*
	 * Pages of which a host that must be told first does not know that they
	 * leave: the device broke meanwhile. By @host_lock.
	 */
	struct vbp_batch in_flight;
	bool silent;			/* let a wait on removal run out; once */
	u32 told_actual;		/* Protected by @host_lock */
	u32 told_pressure;		/* Protected by @host_lock */
	u32 told_wanted;		/* Protected by @host_lock */

	/* Lists, counters, policy; see the top of this file */
	spinlock_t lock;
	struct balloon_dev_info balloon;	/* single pages; own lock inside */
	struct vbp_node *nodes;		/* nr_node_ids of them */
	unsigned long block_pages;	/* held, in blocks. By @lock */
	unsigned long small_pages;	/* held, single. By @lock */
	unsigned long credited_pages;	/* of all nodes. By @lock */
	unsigned long gone_pages;	/* held, out of MemTotal. By @lock */
	unsigned long leaving_pages;	/* decided on, not yet freed. By @lock */
	unsigned long coming_pages;	/* allocated, not yet held. By @lock */
	struct vbp_range *untold;	/* ring. Protected by @lock */
	unsigned int untold_size;	/* power of two. By @lock */
	unsigned int untold_head;	/* By @lock */
	unsigned int untold_count;	/* By @lock */
	struct vbp_policy_state policy;	/* Protected by @lock */
	struct vbp_host_asks asks;	/* as last read. By @lock */
	struct vbp_policy_floor floor;	/* as far as it has stood. By @lock */
	u32 level;			/* to report. By @lock */
	u64 wanted_pages;		/* to report. By @lock */

	/* Counters for sysfs and the log. Protected by @lock. */
	u64 relief_pages[VBP_SOURCES];
	u64 relief_episodes;
	u64 last_relief_ms;		/* start of the last episode */
	u64 episode_pages;		/* 0: no episode is open */
	u64 episode_last_ms;
	enum vbp_source episode_source;

	bool reclaim_seen;		/* for a host told first. By @lock */
	u64 unreached_pages;		/* target already told of; work only */
	bool told_broken;		/* logged; work only */

	/* Whether works may be queued; see the top of this file */
	spinlock_t works_lock;
	bool stopping;			/* Protected by @works_lock */
	bool awake;			/* pm_stay_awake in force. By @works_lock */
	u32 wake_reasons;		/* Protected by @works_lock */
	struct workqueue_struct *wq;
	struct workqueue_struct *relief_wq;
	struct delayed_work work;	/* talks to the host */
	struct delayed_work relief_work;	/* never waits for it */
	bool reclaim_sign;	/* for relief_work. Protected by @works_lock */

	struct list_head hook_entry;	/* Protected by vmpressure.c, read by RCU */
	struct vbp_probe kswapd_wakeup;	/* kswapd.c, start to stop */
	struct vbp_probe kswapd_wake;	/* the same */
	atomic64_t kswapd_wakeups;
	struct shrinker *shrinker;
	struct notifier_block oom_nb;
	struct notifier_block memory_nb;

	struct work_struct stats_work;
	unsigned int stats_tags;	/* lower ones are sent; stats_work only */
	struct virtio_balloon_stat stats[VBP_STATS_NR];

	/* Free page hinting */
	struct shrinker *hint_shrinker;
	struct work_struct hint_work;
	unsigned long hint_flags;	/* bit 0: the id in config may be new */
	u32 hint_received;		/* hint_work only */
	__virtio32 hint_active;		/* hint_work only */
	__virtio32 hint_stop;
	struct list_head hint_with_host; /* hint_work only */
	unsigned int hint_out;		/* blocks in it. hint_work only */
	bool hint_enough;		/* somebody wants memory: end the round */
	spinlock_t hint_lock;		/* innermost; the list of returned blocks */
	struct list_head hint_pages;	/* Protected by @hint_lock */
	unsigned long hint_blocks;	/* Protected by @hint_lock */

	struct page_reporting_dev_info reporting;
	bool reporting_on;
	bool by_report;			/* blocks inflate by reports; fixed */
	unsigned int report_blocks;	/* in one of ours; fixed */
};

/* Reasons to keep the system awake, see vbp_works_begin_wake(). */
#define VBP_WAKE_SIZE	BIT(0)
#define VBP_WAKE_STATS	BIT(1)

/* Size of the balloon. @vb->lock held, or a guess. */
static inline unsigned long vbp_held_pages(struct vbp_device *vb)
{
	return vb->block_pages + vb->small_pages;
}

static inline void vbp_batch_init(struct vbp_batch *batch)
{
	INIT_LIST_HEAD(&batch->blocks);
	INIT_LIST_HEAD(&batch->small);
	batch->nr_pages = 0;
}

static inline void vbp_landed_init(struct vbp_landed *landed)
{
	vbp_batch_init(&landed->in);
	vbp_batch_init(&landed->out);
}

static inline void vbp_batch_splice(struct vbp_batch *from,
				    struct vbp_batch *to)
{
	list_splice_tail_init(&from->blocks, &to->blocks);
	list_splice_tail_init(&from->small, &to->small);
	to->nr_pages += from->nr_pages;
	from->nr_pages = 0;
}

/* params.c */
enum vbp_hook_mode {
	VBP_HOOK_AUTO,		/* by kprobe, by tracepoint if that goes silent */
	VBP_HOOK_KPROBE,
	VBP_HOOK_TRACEPOINT,
	VBP_HOOK_NONE,
	VBP_HOOK_MODES
};

enum vbp_takeover_mode {
	VBP_TAKEOVER_NO,
	VBP_TAKEOVER_YES,	/* where the kernel survives it */
	VBP_TAKEOVER_FORCE,
	VBP_TAKEOVER_MODES
};

struct vbp_params {
	bool unilateral;
	enum vbp_takeover_mode takeover;
	bool kswapd;
	bool shrinker;
	bool sampler;
	enum vbp_hook_mode hook;
	unsigned int stats_tags;
};

void vbp_params_get(struct vbp_params *params);
void vbp_params_policy(struct vbp_policy_config *config);

/* memory.c */
u64 vbp_memory_now_ms(void);
void vbp_memory_lend(int nid, long nr_pages);
unsigned long vbp_memory_discount(unsigned long lent_pages,
				  unsigned long nr_pages);
unsigned long vbp_memory_available(void);
unsigned long vbp_memory_with_margin(void);
unsigned long vbp_memory_low_watermarks(void);
u64 vbp_memory_event(enum vm_event_item item);
u64 vbp_memory_kswapd_scanned(void);
void vbp_memory_rates(struct vbp_policy_sample *sample);

/* engine/engine.c */
int vbp_engine_init(struct vbp_device *vb);
void vbp_engine_destroy(struct vbp_device *vb);
void vbp_engine_start(struct vbp_device *vb);
void vbp_engine_stop(struct vbp_device *vb);

/* engine/main_work.c */
void vbp_main_work_run(struct work_struct *work);
void vbp_main_work_empty(struct vbp_device *vb);

/* engine/relief.c */
void vbp_relief_sample(struct vbp_device *vb, struct vbp_policy_sample *sample);
void vbp_relief_decide(struct vbp_device *vb, struct vbp_policy_sample *sample,
		       struct vbp_policy_decision *decision);
void vbp_relief_note(struct vbp_device *vb, enum vbp_source source, u64 now_ms,
		     unsigned long nr_pages);
unsigned long vbp_relief_gate(struct vbp_device *vb);
unsigned long vbp_relief_now(struct vbp_device *vb, enum vbp_source source,
			     int nid);
unsigned long vbp_relief_told(struct vbp_device *vb);
void vbp_relief_early(struct vbp_device *vb, int nid);
void vbp_relief_run(struct work_struct *work);

/* works.c */
void vbp_works_main(struct vbp_device *vb, u32 wake_reason);
void vbp_works_main_later(struct vbp_device *vb, unsigned int ms);
void vbp_works_relief(struct vbp_device *vb);
void vbp_works_watch(struct vbp_device *vb);
bool vbp_works_take_sign(struct vbp_device *vb);
void vbp_works_other(struct vbp_device *vb, struct work_struct *work,
		     u32 wake_reason);
void vbp_works_end_wake(struct vbp_device *vb, u32 wake_reason);

/* balloon/pages.c */
int vbp_pages_init(struct vbp_device *vb);
void vbp_pages_destroy(struct vbp_device *vb);
int vbp_pages_alloc(struct vbp_device *vb, unsigned long nr_pages,
		    struct vbp_batch *batch);
void vbp_pages_free(struct vbp_batch *batch);
void vbp_pages_hold(struct vbp_device *vb, struct vbp_batch *batch);
void vbp_pages_landed(struct vbp_device *vb, struct vbp_landed *landed);
int vbp_pages_inflate(struct vbp_device *vb, struct vbp_batch *batch);
int vbp_pages_land(struct vbp_device *vb, unsigned long limit);
int vbp_pages_inflated(struct vbp_device *vb);
int vbp_pages_tell_untold(struct vbp_device *vb);
void vbp_pages_forget(struct vbp_device *vb);
void vbp_pages_unmark_block(struct page *page);

/* balloon/leave.c */
unsigned long vbp_leave_from(struct vbp_device *vb, int nid);
void vbp_leave_plan(struct vbp_device *vb, long nr_pages);
unsigned long vbp_leave_now(struct vbp_device *vb, unsigned long nr_pages,
			    int nid);
unsigned long vbp_leave_told(struct vbp_device *vb, unsigned long nr_pages);
long vbp_leave_range(struct vbp_device *vb, unsigned long start_pfn,
		     unsigned long nr_pages);

/* balloon/migrate.c */
int vbp_migrate_page(struct balloon_dev_info *balloon, struct page *newpage,
		     struct page *page, enum migrate_mode mode);

/* host/untold.c */
int vbp_untold_reserve(struct vbp_device *vb, unsigned long units);
bool vbp_untold_fits(struct vbp_device *vb, unsigned long units);
void vbp_untold_add(struct vbp_device *vb, unsigned long pfn,
		    unsigned long nr_pages);
unsigned int vbp_untold_take(struct vbp_device *vb, struct vbp_range *range,
			     unsigned int max_pages);
void vbp_untold_destroy(struct vbp_device *vb);

/* balloon/account.c */
void vbp_account_blocks(struct vbp_device *vb, struct page *page, long sign);
void vbp_account_small(struct vbp_device *vb, struct page *page, long sign);
void vbp_account_update(struct vbp_device *vb);
u32 vbp_account_floor(struct vbp_device *vb, u64 now_ms);
unsigned long vbp_account_memory(struct vbp_device *vb);

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
int vbp_reporting_inflate(struct vbp_device *vb, struct vbp_batch *batch,
			  struct vbp_landed *landed);
int vbp_reporting_land(struct vbp_device *vb, unsigned long limit,
		       struct vbp_landed *landed);
void vbp_reporting_forget(struct vbp_device *vb, struct vbp_landed *landed);
void vbp_reporting_write_poison(struct vbp_device *vb);
void vbp_reporting_start(struct vbp_device *vb);
void vbp_reporting_stop(struct vbp_device *vb);

/* Sensors. Each may be missing or fail; the driver works without it. */
void vbp_vmpressure_start(struct vbp_device *vb, enum vbp_hook_mode mode);
void vbp_vmpressure_stop(struct vbp_device *vb);
const char *vbp_vmpressure_hook(void);
u64 vbp_vmpressure_events(void);
void vbp_kswapd_start(struct vbp_device *vb);
void vbp_kswapd_stop(struct vbp_device *vb);
void vbp_probe_on(struct vbp_probe *probe);
void vbp_probe_off(struct vbp_probe *probe);
int vbp_shrinker_start(struct vbp_device *vb);
void vbp_shrinker_stop(struct vbp_device *vb);
int vbp_oom_start(struct vbp_device *vb);
void vbp_oom_stop(struct vbp_device *vb);

/* balloon/offline.c */
int vbp_offline_start(struct vbp_device *vb);
void vbp_offline_stop(struct vbp_device *vb);

/* takeover.c */
unsigned int vbp_takeover_begin(struct virtio_driver *driver,
				enum vbp_takeover_mode mode);
void vbp_takeover_end(struct virtio_driver *driver);

/* sysfs.c */
extern const struct attribute_group *vbp_sysfs_groups[];

#endif /* VBP_DEVICE_H */
