// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine: asks the policy and does what it says.
 *
 * Two works. The relief work and the two relief paths in reclaim (shrinker, OOM
 * notifier) only take pages back: they never wait for the host. The main work
 * is the only one that inflates, and the one that tells the host everything.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/mm.h>
#include <linux/swap.h>

#include "device.h"

/* After an allocation for inflation failed. */
#define VBP_NO_MEMORY_MS	200

/* An episode of relief ends after so long without another. */
#define VBP_EPISODE_MS		1000

/* Between two looks at the policy while inflating. */
#define VBP_PIECE_PAGES		((unsigned long)(SZ_64M >> PAGE_SHIFT))

/*
 * At most so much is given back in a hook: a tracepoint keeps preemption off,
 * and to free a block takes some microseconds. A task waits for it; kswapd is
 * the last before memory is swapped out.
 */
#define VBP_HOOK_PAGES		((unsigned long)(SZ_128M >> PAGE_SHIFT))
#define VBP_HOOK_KSWAPD_PAGES	((unsigned long)(SZ_512M >> PAGE_SHIFT))

#define VBP_PAGES_TO_MIB(x)	((unsigned long long)(x) >> (20 - PAGE_SHIFT))

static const char * const vbp_engine_sources[VBP_SOURCES] = {
	[VBP_BY_HOOK] = "kswapd woke",
	[VBP_BY_WORKER] = "reclaim ran",
	[VBP_BY_SHRINKER] = "tasks reclaimed",
	[VBP_BY_OOM] = "out of memory",
	[VBP_BY_REFAULT] = "page cache was missed",
};

static void vbp_engine_sample(struct vbp_device *vb,
			      struct vbp_policy_sample *sample)
{
	lockdep_assert_held(&vb->lock);
	/* What others have decided on but not yet freed is as good as free. */
	*sample = (struct vbp_policy_sample) {
		.now_ms = vbp_sample_now_ms(),
		.total_pages = vbp_sample_total(vb),
		.available_pages = vbp_sample_available(vbp_account_credited()) +
				   vbp_sample_margin() +
				   vb->leaving_pages,
		.held_pages = vb->held_pages -
			      min(vb->held_pages, vb->leaving_pages),
		.target_pages = vb->target_pages,
		.floor_pages = vb->floor_pages,
		.elastic = vb->elastic,
		.host_pressure = vb->host_pressure,
	};
}

/* One decision, of which the report and what leaves are noted at once. */
static void vbp_engine_decide(struct vbp_device *vb,
			      struct vbp_policy_sample *sample,
			      struct vbp_policy_decision *decision)
{
	struct vbp_policy_config config;

	lockdep_assert_held(&vb->lock);
	vbp_params_policy(&config);
	vbp_sample_rates(sample);
	sample->headroom_pages += vbp_hint_available(vb);
	vbp_policy_decide(&config, &vb->policy, sample, decision);
	vb->level = decision->level;
	vb->wanted_pages = decision->wanted_pages;
	vb->leaving_pages += decision->deflate_pages + decision->relief_pages;
}

/* The pages are leaving already, since the decision. */
static unsigned long vbp_engine_give_back(struct vbp_device *vb,
					  unsigned long nr_pages)
{
	if (vb->must_tell)
		return vbp_balloon_give_back_told(vb, nr_pages);
	return vbp_balloon_give_back(vb, nr_pages, NUMA_NO_NODE);
}

static void vbp_engine_note_relief(struct vbp_device *vb,
				   enum vbp_source source, u64 now_ms,
				   unsigned long nr_pages)
{
	lockdep_assert_held(&vb->lock);
	if (!vb->episode_pages) {
		vb->relief_episodes++;
		vb->last_relief_ms = now_ms;
		vb->episode_source = source;
	}
	vb->episode_pages += nr_pages;
	vb->episode_last_ms = now_ms;
	vb->relief_pages[source] += nr_pages;
}

/**
 * vbp_engine_gate() - pages that a task in reclaim may take back now
 * @vb: the device
 *
 * Context: reclaim; takes @vb->lock.
 * Return: pages; 0 while the gate is shut.
 */
unsigned long vbp_engine_gate(struct vbp_device *vb)
{
	struct vbp_policy_config config;
	struct vbp_policy_sample sample;

	vbp_params_policy(&config);
	spin_lock(&vb->lock);
	vbp_engine_sample(vb, &sample);
	spin_unlock(&vb->lock);
	return vbp_policy_gate(&config, &sample);
}

/* What relief a sign of need is worth, and the moment of the decision. */
struct vbp_engine_plan {
	enum vbp_source source;
	u64 now_ms;
	unsigned long nr_pages;
	bool tell;
	bool watch;
};

/* What one look may give back; in a hook somebody waits, or swaps next. */
static unsigned long vbp_engine_limit(enum vbp_source source)
{
	if (source != VBP_BY_HOOK)
		return ULONG_MAX;
	return current_is_kswapd() ? VBP_HOOK_KSWAPD_PAGES : VBP_HOOK_PAGES;
}

static void vbp_engine_begin_relief(struct vbp_device *vb,
				    enum vbp_source source, bool reclaim,
				    struct vbp_engine_plan *plan)
{
	struct vbp_policy_decision decision;
	struct vbp_policy_sample sample;
	u64 wanted;
	u32 level;

	spin_lock(&vb->lock);
	vbp_engine_sample(vb, &sample);
	sample.reclaim = reclaim;
	sample.oom = source == VBP_BY_OOM;
	level = vb->level;
	wanted = vb->wanted_pages;
	vbp_engine_decide(vb, &sample, &decision);
	/* The host's own target is the main work's. */
	vb->leaving_pages -= decision.deflate_pages;
	plan->source = decision.refault ? VBP_BY_REFAULT : source;
	plan->now_ms = sample.now_ms;
	plan->nr_pages = decision.relief_pages;
	plan->nr_pages = min(plan->nr_pages, vbp_engine_limit(source));
	vb->leaving_pages -= decision.relief_pages - plan->nr_pages;
	/* The host need not follow each page: the next look is soon enough. */
	wanted = max(wanted, decision.wanted_pages) -
		 min(wanted, decision.wanted_pages);
	plan->tell = level != decision.level ||
		     wanted > decision.wanted_pages / 8;
	plan->watch = decision.watch;
	spin_unlock(&vb->lock);
}

static void vbp_engine_end_relief(struct vbp_device *vb,
				  const struct vbp_engine_plan *plan,
				  unsigned long given)
{
	if (given) {
		spin_lock(&vb->lock);
		vbp_engine_note_relief(vb, plan->source, plan->now_ms, given);
		spin_unlock(&vb->lock);
	}
	if (given || plan->tell)
		vbp_kick_main(vb, 0);
	if (plan->watch)
		vbp_kick_watch(vb);
}

static unsigned long vbp_engine_look(struct vbp_device *vb,
				     enum vbp_source source, bool reclaim,
				     int nid)
{
	struct vbp_engine_plan plan;
	unsigned long given = 0;

	/* Hinted memory first: it is free but in name, and no relief. */
	if (reclaim)
		given = vbp_hint_give_back(vb, vbp_engine_limit(source));
	if (given)
		return given;
	/* Single pages are in one list for all nodes. */
	if (nr_online_nodes == 1)
		nid = NUMA_NO_NODE;
	if (vb->must_tell) {
		spin_lock(&vb->lock);
		vb->reclaim_seen |= reclaim;
		spin_unlock(&vb->lock);
		vbp_kick_main(vb, 0);
		return 0;
	}
	vbp_engine_begin_relief(vb, source, reclaim, &plan);
	if (plan.nr_pages)
		given = vbp_balloon_give_back(vb, plan.nr_pages, nid);
	vbp_engine_end_relief(vb, &plan, given);
	return given;
}

/**
 * vbp_engine_relieve() - reclaim runs: give back what the policy says
 * @vb: the device
 * @source: who asks
 * @nid: take pages of this node only, or NUMA_NO_NODE
 *
 * With MUST_TELL_HOST the main work does it, which may wait for the host.
 *
 * Context: reclaim included. Frees at once, sleeps and allocates never.
 * Return: pages given back.
 */
unsigned long vbp_engine_relieve(struct vbp_device *vb, enum vbp_source source,
				 int nid)
{
	return vbp_engine_look(vb, source, true, nid);
}

/**
 * vbp_engine_relieve_told() - out of memory on a host that must be told first
 * @vb: the device; MUST_TELL_HOST negotiated
 *
 * Context: may sleep, waits for the host. For the OOM notifier alone, which has
 * no second chance.
 * Return: pages given back.
 */
unsigned long vbp_engine_relieve_told(struct vbp_device *vb)
{
	struct vbp_engine_plan plan;
	unsigned long given = vbp_hint_give_back(vb, ULONG_MAX);

	if (given)
		return given;
	vbp_engine_begin_relief(vb, VBP_BY_OOM, true, &plan);
	if (plan.nr_pages)
		given = vbp_balloon_give_back_told(vb, plan.nr_pages);
	vbp_engine_end_relief(vb, &plan, given);
	return given;
}

/**
 * vbp_engine_relieve_early() - reclaim is about to begin: see whether it is needed
 * @vb: the device
 * @nid: the node that is short
 *
 * What reclaim finds first may be memory to swap out. If pages come back now,
 * the watermarks are met before the first page is scanned.
 *
 * Context: a task that may sleep, but in a tracepoint, which keeps preemption
 * off. No spinlock is held.
 */
void vbp_engine_relieve_early(struct vbp_device *vb, int nid)
{
	/* Where spinlocks sleep or freeing takes long, the work has to do. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || want_init_on_free() ||
	    want_poison_on_free() || debug_pagealloc_enabled_static())
		return;
	if (vbp_hint_available(vb) || vbp_engine_gate(vb))
		vbp_engine_look(vb, VBP_BY_HOOK, true, nid);
}

static void vbp_engine_relief_work(struct work_struct *work)
{
	struct vbp_device *vb = container_of(to_delayed_work(work),
					     struct vbp_device, relief_work);

	vbp_engine_look(vb, VBP_BY_WORKER, vbp_kick_take_sign(vb),
			NUMA_NO_NODE);
	vbp_hook_watch();
}

/* One line an episode, when it is over. Returns when to look again, or 0. */
static unsigned int vbp_engine_log_episode(struct vbp_device *vb)
{
	u64 now = vbp_sample_now_ms();
	enum vbp_source source;
	u64 pages, held, floor;

	spin_lock(&vb->lock);
	pages = vb->episode_pages;
	if (pages && now < vb->episode_last_ms + VBP_EPISODE_MS) {
		spin_unlock(&vb->lock);
		return VBP_EPISODE_MS;
	}
	vb->episode_pages = 0;
	source = vb->episode_source;
	held = vb->held_pages;
	floor = vb->floor_pages;
	spin_unlock(&vb->lock);

	if (pages)
		dev_info_ratelimited(&vb->vdev->dev,
				     "gave back %llu MiB under memory pressure (%s); balloon is %llu MiB%s\n",
				     VBP_PAGES_TO_MIB(pages),
				     vbp_engine_sources[source],
				     VBP_PAGES_TO_MIB(held),
				     held <= floor ? ", its floor" : "");
	return 0;
}

/* Once for each target: the host's request is not forgotten, only not met. */
static void vbp_engine_log_unreached(struct vbp_device *vb,
				     const struct vbp_policy_sample *sample,
				     bool unreached)
{
	if (!unreached || vb->unreached_pages == sample->target_pages)
		return;
	vb->unreached_pages = sample->target_pages;
	dev_info_ratelimited(&vb->vdev->dev,
			     "balloon stays at %llu of %llu MiB: only %llu MiB of memory are available to the guest\n",
			     VBP_PAGES_TO_MIB(sample->held_pages),
			     VBP_PAGES_TO_MIB(sample->target_pages),
			     VBP_PAGES_TO_MIB(sample->available_pages));
}

/*
 * Inflate by up to one piece, the host working on one buffer while the next is
 * filled. Ends early when there is something new to decide on: a new target, or
 * relief. Nothing is in flight afterwards, unless the device broke.
 */
static int vbp_engine_inflate(struct vbp_device *vb, unsigned long nr_pages)
{
	unsigned long done = 0, units = 0, piece;
	struct vbp_batch batch;
	int err, err_landing;

	/* What may go in is a guess: the less it is, the sooner look again. */
	piece = clamp(nr_pages / 4, VBP_BLOCK_PAGES, VBP_PIECE_PAGES);
	nr_pages = min(nr_pages, piece);
	/* What is hinted is free, and would be reclaimed for. */
	vbp_hint_give_back(vb, nr_pages);
	do {
		vbp_batch_init(&batch);
		err = vbp_balloon_alloc(vb, nr_pages - done, &batch);
		if (err)
			break;
		units += list_empty(&batch.blocks) ? batch.nr_pages : 1;
		err = vbp_untold_reserve(vb, units);
		if (err) {
			vbp_balloon_free(&batch);
			break;
		}
		done += batch.nr_pages;
		err = vbp_queue_inflate(vb, &batch);
	} while (!err && done < nr_pages && !READ_ONCE(vb->stopping) &&
		 !delayed_work_pending(&vb->work));

	err_landing = vbp_queue_inflated(vb);
	if (err_landing)
		return err_landing;
	/* Out of memory after some progress: the next piece will see. */
	return err == -ENOMEM && done ? 0 : err;
}

static unsigned long vbp_engine_deflate(struct vbp_device *vb,
					const struct vbp_policy_decision *what,
					u64 now_ms)
{
	enum vbp_source source = what->refault ? VBP_BY_REFAULT : VBP_BY_WORKER;
	unsigned long nr_pages = what->deflate_pages + what->relief_pages;
	unsigned long given = vbp_engine_give_back(vb, nr_pages);

	spin_lock(&vb->lock);
	if (given > what->deflate_pages)
		vbp_engine_note_relief(vb, source, now_ms,
				       given - what->deflate_pages);
	spin_unlock(&vb->lock);
	return given;
}

static void vbp_engine_main_work(struct work_struct *work)
{
	struct vbp_device *vb = container_of(to_delayed_work(work),
					     struct vbp_device, work);
	struct vbp_policy_decision decision;
	struct vbp_policy_sample sample;
	unsigned int wake_ms, episode_ms, floor_ms;
	bool again = false;
	int err = 0;

	if (vbp_host_broken(vb)) {
		if (!vb->told_broken)
			dev_err(&vb->vdev->dev,
				"the device is broken; the balloon does not move until it is reset\n");
		vb->told_broken = true;
		/* The config space has no part in that. */
		vbp_host_write(vb);
		vbp_kick_end_wake(vb, VBP_WAKE_SIZE);
		return;
	}

	vbp_host_read(vb);

	spin_lock(&vb->lock);
	floor_ms = vbp_account_floor(vb, vbp_sample_now_ms());
	vbp_engine_sample(vb, &sample);
	sample.reclaim = vb->reclaim_seen;
	vb->reclaim_seen = false;
	vbp_engine_decide(vb, &sample, &decision);
	spin_unlock(&vb->lock);
	if (decision.watch)
		vbp_kick_watch(vb);

	wake_ms = decision.wake_ms;
	if (decision.deflate_pages || decision.relief_pages) {
		again = vbp_engine_deflate(vb, &decision, sample.now_ms) > 0;
		if (!again)
			wake_ms = VBP_NO_MEMORY_MS;	/* all isolated */
	} else if (decision.inflate_pages) {
		err = vbp_engine_inflate(vb, decision.inflate_pages);
		again = !err;
		if (err == -ENOMEM) {
			dev_info_ratelimited(&vb->vdev->dev,
					     "no memory to inflate by another %llu KiB now; trying on\n",
					     decision.inflate_pages <<
					     (PAGE_SHIFT - 10));
			wake_ms = VBP_NO_MEMORY_MS;
		}
	}
	vbp_host_write(vb);
	vbp_engine_log_unreached(vb, &sample, decision.unreached);
	episode_ms = vbp_engine_log_episode(vb);
	wake_ms = min_not_zero(wake_ms, min_not_zero(episode_ms, floor_ms));
	/* Not beside the load that needed the pages: each buffer costs it time. */
	if (!episode_ms && !err)
		err = vbp_queue_tell_untold(vb);

	/* Anew for each piece: a suspend need not wait for a whole inflation. */
	if (again || err == -EIO) {
		vbp_kick_main(vb, 0);
	} else {
		/* First, or the next look would keep the system awake, too. */
		vbp_kick_end_wake(vb, VBP_WAKE_SIZE);
		vbp_kick_main_later(vb, wake_ms);
	}
}

/**
 * vbp_engine_init() - make the works
 * @vb: the device
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int vbp_engine_init(struct vbp_device *vb)
{
	vbp_policy_init(&vb->policy);
	INIT_DELAYED_WORK(&vb->work, vbp_engine_main_work);
	INIT_DELAYED_WORK(&vb->relief_work, vbp_engine_relief_work);
	INIT_WORK(&vb->stats_work, vbp_stats_work);
	INIT_WORK(&vb->hint_work, vbp_hint_work);
	vb->stopping = true;

	/*
	 * Both with a rescuer: they make memory, so they may not need any to
	 * run. Freezable, because a suspended device can't be talked to.
	 */
	vb->wq = alloc_workqueue("vbp", WQ_UNBOUND | WQ_MEM_RECLAIM |
				 WQ_FREEZABLE, 0);
	if (!vb->wq)
		return -ENOMEM;
	vb->relief_wq = alloc_workqueue("vbp_relief", WQ_UNBOUND | WQ_HIGHPRI |
					WQ_MEM_RECLAIM | WQ_FREEZABLE, 0);
	if (!vb->relief_wq) {
		destroy_workqueue(vb->wq);
		return -ENOMEM;
	}
	return 0;
}

/**
 * vbp_engine_destroy() - the end of vbp_engine_init()
 * @vb: the device; stopped
 */
void vbp_engine_destroy(struct vbp_device *vb)
{
	destroy_workqueue(vb->relief_wq);
	destroy_workqueue(vb->wq);
}

/**
 * vbp_engine_start() - go, towards the host's target
 * @vb: the device; ready
 *
 * Context: may sleep.
 */
void vbp_engine_start(struct vbp_device *vb)
{
	/* The gate needs the floor, and may be asked before the work has run. */
	vbp_host_read(vb);
	spin_lock_irq(&vb->kick_lock);
	vb->stopping = false;
	spin_unlock_irq(&vb->kick_lock);
	vbp_kick_main(vb, VBP_WAKE_SIZE);
	/* What the device asked for since it was ready could not be queued. */
	if (vb->stats_vq)
		vbp_kick_other(vb, &vb->stats_work, VBP_WAKE_STATS);
	if (vb->hint_vq)
		vbp_kick_other(vb, &vb->hint_work, 0);
}

/**
 * vbp_engine_stop() - no work runs after this, and none can be queued
 * @vb: the device
 *
 * Context: may sleep. A silent host delays it by VBP_REMOVE_WAIT, no more.
 */
void vbp_engine_stop(struct vbp_device *vb)
{
	spin_lock_irq(&vb->kick_lock);
	vb->stopping = true;
	/* The work it is for will not run; after a resume the next one must. */
	vb->reclaim_sign = false;
	spin_unlock_irq(&vb->kick_lock);
	wake_up(&vb->acked);

	cancel_delayed_work_sync(&vb->work);
	cancel_delayed_work_sync(&vb->relief_work);
	cancel_work_sync(&vb->stats_work);
	cancel_work_sync(&vb->hint_work);
	vbp_kick_end_wake(vb, VBP_WAKE_SIZE | VBP_WAKE_STATS);
}

/**
 * vbp_engine_empty() - give everything back
 * @vb: the device; stopped, not yet reset
 *
 * Context: may sleep, waits for the host.
 */
void vbp_engine_empty(struct vbp_device *vb)
{
	unsigned long held;

	for (;;) {
		spin_lock(&vb->lock);
		held = vb->held_pages;
		vb->leaving_pages += held;
		spin_unlock(&vb->lock);
		if (!held)
			break;
		/* The rest is isolated by compaction, which puts it back. */
		if (!vbp_engine_give_back(vb, held))
			msleep(20);
	}
	spin_lock(&vb->lock);
	vb->level = VBP_LEVEL_NONE;
	vb->wanted_pages = 0;
	spin_unlock(&vb->lock);
	/* Also on a broken device: the host would go on counting these pages. */
	vbp_host_write(vb);
	if (!vbp_host_broken(vb))
		vbp_queue_tell_untold(vb);
}
