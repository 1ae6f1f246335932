// SPDX-License-Identifier: GPL-2.0-only
/*
 * The main work: the only one that inflates, and the one that tells the host
 * everything.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/mm.h>

#include "device.h"

/*
 * An episode of relief ends after so long without another. As long as relief
 * goes ahead of reclaim, or one growing program made a line every two seconds.
 */
#define VBP_EPISODE_MS		5000

/* The host is not told of pages until there was no relief for so long. */
#define VBP_TELL_MS		1000

/* Between two looks at the policy while inflating. */
#define VBP_PIECE_PAGES		((unsigned long)(SZ_64M >> PAGE_SHIFT))

#define VBP_PAGES_TO_MIB(x)	((unsigned long long)(x) >> (20 - PAGE_SHIFT))

static const char * const vbp_main_work_sources[VBP_SOURCES] = {
	[VBP_BY_KSWAPD] = "kswapd woke",
	[VBP_BY_WORKER] = "reclaim ran",
	[VBP_BY_SHRINKER] = "tasks reclaimed",
	[VBP_BY_OOM] = "out of memory",
	[VBP_BY_REFAULT] = "page cache was missed",
	[VBP_BY_POOL] = "a huge page pool grew",
};

/* What the host is to know of the balloon's size and of the guest's need. */
static void vbp_main_work_write(struct vbp_device *vb)
{
	u64 held, wanted;
	u32 level;

	spin_lock(&vb->lock);
	held = vbp_held_pages(vb);
	level = vb->engine.level;
	wanted = vb->engine.wanted_pages;
	spin_unlock(&vb->lock);
	vbp_config_write(vb, held, level, wanted);
}

/* The pages are leaving already, since the decision. */
static unsigned long
vbp_main_work_give_back(struct vbp_device *vb, unsigned long nr_pages,
			const struct vbp_leave_where *where)
{
	if (vb->must_tell)
		return vbp_leave_told(vb, nr_pages, where);
	return vbp_leave_by_work(vb, nr_pages, where);
}

/*
 * One line an episode, when it is over. Returns how long ago the last relief of
 * one that is not over was, or VBP_EPISODE_MS.
 */
static unsigned int vbp_main_work_log_episode(struct vbp_device *vb)
{
	u64 now = vbp_memory_now_ms();
	enum vbp_source source;
	u64 pages, held, floor;

	spin_lock(&vb->lock);
	pages = vb->engine.episode_pages;
	if (pages && now < vb->engine.episode_last_ms + VBP_EPISODE_MS) {
		now -= min(now, vb->engine.episode_last_ms);
		spin_unlock(&vb->lock);
		return now;
	}
	vb->engine.episode_pages = 0;
	source = vb->engine.episode_source;
	held = vbp_held_pages(vb);
	floor = vb->asks.floor_pages;
	spin_unlock(&vb->lock);

	if (pages)
		dev_info_ratelimited(&vb->vdev->dev,
				     "gave back %llu MiB under memory pressure (%s); balloon is %llu MiB%s\n",
				     VBP_PAGES_TO_MIB(pages),
				     vbp_main_work_sources[source],
				     VBP_PAGES_TO_MIB(held),
				     held <= floor ? ", its floor" : "");
	return VBP_EPISODE_MS;
}

/* Once for each target: the host's request is not forgotten, only not met. */
static void vbp_main_work_log_unreached(struct vbp_device *vb,
					const struct vbp_policy_sample *sample,
					bool unreached)
{
	if (!unreached || vb->engine.unreached_pages == sample->target_pages)
		return;
	vb->engine.unreached_pages = sample->target_pages;
	dev_info_rarely(&vb->vdev->dev,
			"balloon stays at %llu of %llu MiB: only %llu MiB of memory are available to the guest\n",
			VBP_PAGES_TO_MIB(sample->held_pages),
			VBP_PAGES_TO_MIB(sample->target_pages),
			VBP_PAGES_TO_MIB(sample->available_pages));
}

/* Once for each target, as above: it is tried for as long as that stands. */
static void vbp_main_work_log_no_memory(struct vbp_device *vb,
					const struct vbp_policy_sample *sample,
					u64 pages)
{
	if (vb->engine.unreached_pages == sample->target_pages)
		return;
	vb->engine.unreached_pages = sample->target_pages;
	dev_info_rarely(&vb->vdev->dev,
			"no memory to inflate by another %llu KiB now; trying on\n",
			pages << (PAGE_SHIFT - 10));
}

/*
 * Inflate by up to one piece, the host working on one buffer while the next is
 * filled. Ends early when there is something new to decide on: a new target, or
 * relief. Nothing is in flight afterwards, unless the device broke.
 */
static int vbp_main_work_inflate(struct vbp_device *vb, unsigned long nr_pages)
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
		err = vbp_pages_alloc(vb, nr_pages - done, &batch);
		if (err)
			break;
		units += list_empty(&batch.blocks) ? batch.nr_pages : 1;
		err = vbp_untold_reserve(vb, units);
		if (err) {
			vbp_pages_free(&batch);
			break;
		}
		done += batch.nr_pages;
		err = vbp_pages_inflate(vb, &batch);
	} while (!err && done < nr_pages && !vbp_works_stopping(vb) &&
		 !vbp_works_main_pending(vb));

	err_landing = vbp_pages_inflated(vb);
	if (err_landing)
		return err_landing;
	/* Out of memory after some progress: the next piece will see. */
	return err == -ENOMEM && done ? 0 : err;
}

static unsigned long
vbp_main_work_deflate(struct vbp_device *vb,
		      const struct vbp_policy_decision *what,
		      const struct vbp_leave_where *where, u64 now_ms)
{
	enum vbp_source source = what->refault ? VBP_BY_REFAULT : VBP_BY_WORKER;
	unsigned long nr_pages = what->deflate_pages + what->relief_pages;
	unsigned long given = vbp_main_work_give_back(vb, nr_pages, where);

	spin_lock(&vb->lock);
	if (given > what->deflate_pages)
		vbp_relief_note(vb, source, now_ms, where->nid,
				given - what->deflate_pages);
	spin_unlock(&vb->lock);
	return given;
}

/**
 * vbp_main_work_run() - one look at what host and guest want, and one step
 * @work: work
 */
void vbp_main_work_run(struct work_struct *work)
{
	struct vbp_device *vb = container_of(to_delayed_work(work),
					     struct vbp_device, works.main);
	struct vbp_policy_decision decision;
	struct vbp_memory_reading reading;
	struct vbp_policy_sample sample;
	struct vbp_leave_where where;
	struct vbp_places places;
	struct vbp_host_asks asks;
	unsigned int wake_ms, since_ms, floor_ms;
	unsigned long room;
	bool again = false, idle;
	int err = 0;

	if (vbp_queue_broken(vb)) {
		if (!vb->engine.told_broken)
			dev_err(&vb->vdev->dev,
				"the device is broken; the balloon does not move until it is reset\n");
		vb->engine.told_broken = true;
		/* The config space has no part in that. */
		vbp_main_work_write(vb);
		vbp_works_end_wake(vb, VBP_WAKE_SIZE);
		return;
	}

	vbp_config_read(vb, &asks);
	vbp_memory_read(&reading);
	vbp_places_look(vb, NUMA_NO_NODE, &places);
	room = vbp_places_room(vb);
	idle = asks.host_pressure >= VBP_LEVEL_CRITICAL &&
	       vbp_cpus_are_idle(&vb->engine.cpus);

	spin_lock(&vb->lock);
	vb->asks = asks;
	floor_ms = vbp_account_floor(vb, vbp_memory_now_ms());
	vbp_relief_sample(vb, &reading, &places, &sample);
	sample.bound_pages = sample.available_pages -
			     min_t(u64, sample.available_pages, room);
	sample.reclaim = vb->engine.reclaim_seen;
	vb->engine.reclaim_seen = false;
	sample.idle = idle;
	vbp_relief_decide(vb, &sample, &decision);
	spin_unlock(&vb->lock);
	if (decision.watch)
		vbp_works_watch(vb);

	where = vbp_relief_where(&decision, &places);
	wake_ms = decision.wake_ms;
	if (decision.deflate_pages || decision.relief_pages) {
		again = vbp_main_work_deflate(vb, &decision, &where,
					      sample.now_ms) > 0;
		if (!again)
			wake_ms = VBP_NO_MEMORY_MS;	/* all isolated */
	} else if (decision.inflate_pages) {
		err = vbp_main_work_inflate(vb, decision.inflate_pages);
		again = !err;
		if (asks.host_pressure >= VBP_LEVEL_CRITICAL)
			vbp_cpus_leave_out(&vb->engine.cpus);
		if (err == -ENOMEM) {
			vbp_main_work_log_no_memory(vb, &sample,
						    decision.inflate_pages);
			wake_ms = vbp_size_retry(&vb->engine.retry, &sample,
						 VBP_BLOCK_PAGES);
		}
	}
	vbp_main_work_write(vb);
	wake_up(&vb->engine.looked);
	vbp_main_work_log_unreached(vb, &sample, decision.unreached);
	since_ms = vbp_main_work_log_episode(vb);
	wake_ms = min_not_zero(wake_ms, min_not_zero(floor_ms,
						     VBP_EPISODE_MS - since_ms));
	/* Not beside the load that needed the pages: each buffer costs it time. */
	if (since_ms < VBP_TELL_MS)
		wake_ms = min_not_zero(wake_ms, VBP_TELL_MS - since_ms);
	else if (!err)
		err = vbp_pages_tell_untold(vb);

	/* Anew for each piece: a suspend need not wait for a whole inflation. */
	if (again || err == -EIO) {
		vbp_works_main(vb, 0);
	} else {
		/* First, or the next look would keep the system awake, too. */
		vbp_works_end_wake(vb, VBP_WAKE_SIZE);
		vbp_works_main_later(vb, wake_ms);
	}
}

/**
 * vbp_main_work_empty() - give everything back
 * @vb: the device; stopped, not yet reset
 *
 * Context: may sleep, waits for the host.
 */
void vbp_main_work_empty(struct vbp_device *vb)
{
	const struct vbp_leave_where anywhere = { .nid = NUMA_NO_NODE };
	unsigned long held;

	for (;;) {
		spin_lock(&vb->lock);
		held = vbp_held_pages(vb);
		vbp_leave_plan(vb, held);
		spin_unlock(&vb->lock);
		if (!held)
			break;
		/* The rest is isolated by compaction, which puts it back. */
		if (!vbp_main_work_give_back(vb, held, &anywhere))
			msleep(20);
	}
	spin_lock(&vb->lock);
	vb->engine.level = VBP_LEVEL_NONE;
	vb->engine.wanted_pages = 0;
	spin_unlock(&vb->lock);
	/* Also on a broken device: the host would go on counting these pages. */
	vbp_main_work_write(vb);
	if (!vbp_queue_broken(vb))
		vbp_pages_tell_untold(vb);
}
