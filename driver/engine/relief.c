// SPDX-License-Identifier: GPL-2.0-only
/*
 * Relief: asks the policy and gives back what it says.
 *
 * The relief work and the two relief paths in reclaim (shrinker, OOM notifier)
 * only take pages back: they never wait for the host, but for the OOM notifier,
 * which may ask it once more.
 */
#include <linux/mm.h>
#include <linux/swap.h>

#include "device.h"

/*
 * At most so much is given back in a hook: a tracepoint keeps preemption off,
 * and to free a block takes some microseconds. A task waits for it; kswapd is
 * the last before memory is swapped out.
 */
#define VBP_WAKER_PAGES		((unsigned long)(SZ_128M >> PAGE_SHIFT))
#define VBP_KSWAPD_PAGES	((unsigned long)(SZ_512M >> PAGE_SHIFT))

/* A host that has memory answers within its next look, which is sooner. */
#define VBP_ASK_WAIT		HZ

/* What others have decided on but not yet freed is as good as free. */
static unsigned long vbp_relief_held(struct vbp_device *vb)
{
	unsigned long held = vbp_held_pages(vb);

	return held - min(held, vbp_leave_planned(vb));
}

/**
 * vbp_relief_sample() - what the policy is to know
 * @vb: the device
 * @reading: of memory, made before the lock was taken
 * @places: as well
 * @sample: filled in
 *
 * Context: @vb->lock held, or a guess.
 */
void vbp_relief_sample(struct vbp_device *vb,
		       const struct vbp_memory_reading *reading,
		       const struct vbp_places *places,
		       struct vbp_policy_sample *sample)
{
	/* Others had the lock since the reading. */
	unsigned long more = vbp_memory_returned_since(reading);
	unsigned long here = places->place.held_pages;
	struct vbp_policy_config config;

	*sample = (struct vbp_policy_sample) {
		.now_ms = vbp_memory_now_ms(),
		.total_pages = vbp_account_memory(vb),
		.available_pages = reading->available_pages + more +
				   vbp_leave_planned(vb),
		.free_pages = reading->free_pages + reading->on_cpus_pages +
			      more,
		.headroom_pages = reading->headroom_pages + more,
		.cache_pages = reading->cache_pages,
		.refaults = reading->refaults,
		.written_back = reading->written_back,
		.reclaimed = reading->reclaimed,
		.unnamed_pages = vbp_account_unnamed(vb, reading->named_pages +
						     more),
		.swap_pages = max(get_nr_swap_pages(), 0l),
		.held_pages = vbp_relief_held(vb),
		.moving_pages = vbp_pages_moving(vb),
		.target_pages = vb->asks.target_pages,
		.floor_pages = vb->asks.floor_pages,
		.floor_now_pages = vb->asks.floor_now_pages,
		.elastic = vb->elastic,
		.limit_pages = ULONG_MAX,
		.host_pressure = vb->asks.host_pressure,
		.place = places->place,
	};
	sample->yields_pages = vbp_yield_pages(&vb->engine.policy.yield,
					       sample->unnamed_pages);
	/* It may have been given elsewhere: then the next look will see. */
	here = min(here, more + vbp_leave_planned(vb));
	sample->place.held_pages -= here;
	sample->place.available_pages += here;
	sample->place.headroom_pages += here;
	vbp_params_policy(&config);
	if (sample->available_pages < vbp_size_reserve(&config, sample))
		sample->available_pages +=
			vbp_size_kept(reading->on_cpus_pages,
				      sample->available_pages);
}

/**
 * vbp_relief_decide() - one decision
 * @vb: the device
 * @sample: of now
 * @decision: what the policy says
 *
 * The report and what leaves are noted at once.
 *
 * Context: @vb->lock held.
 */
void vbp_relief_decide(struct vbp_device *vb, struct vbp_policy_sample *sample,
		       struct vbp_policy_decision *decision)
{
	struct vbp_policy_config config;

	lockdep_assert_held(&vb->lock);
	vbp_params_policy(&config);
	/* Who read first may decide last; counts never go back. */
	sample->refaults = max(sample->refaults, vb->engine.refaults);
	sample->written_back = max(sample->written_back,
				   vb->engine.written_back);
	sample->reclaimed = max(sample->reclaimed, vb->engine.reclaimed);
	vb->engine.refaults = sample->refaults;
	vb->engine.written_back = sample->written_back;
	vb->engine.reclaimed = sample->reclaimed;
	sample->headroom_pages += vbp_hint_available(vb);
	vbp_policy_decide(&config, &vb->engine.policy, sample, decision);
	trace_vbp_decision(vb->vdev, sample, decision);
	vb->engine.level = decision->level;
	vb->engine.wanted_pages = decision->wanted_pages;
	vbp_leave_plan(vb, decision->deflate_pages + decision->relief_pages);
}

/**
 * vbp_relief_note() - pages were given back under pressure
 * @vb: the device
 * @source: who asked
 * @now_ms: when it was decided
 * @nid: from this node only, or NUMA_NO_NODE
 * @nr_pages: how many
 *
 * Context: @vb->lock held.
 */
void vbp_relief_note(struct vbp_device *vb, enum vbp_source source, u64 now_ms,
		     int nid, unsigned long nr_pages)
{
	lockdep_assert_held(&vb->lock);
	trace_vbp_relief(vb->vdev, source, nid, nr_pages);
	if (!vb->engine.episode_pages) {
		vb->engine.relief_episodes++;
		vb->engine.last_relief_ms = now_ms;
		vb->engine.episode_source = source;
	}
	vb->engine.episode_pages += nr_pages;
	vb->engine.episode_last_ms = now_ms;
	vb->engine.relief_pages[source] += nr_pages;
}

/**
 * vbp_relief_gate() - pages that a task in reclaim may take back now
 * @vb: the device
 * @nid: the node that it reclaims
 *
 * A guess, without the lock: each task in reclaim asks, on each CPU, and mostly
 * the gate is shut. What is given back is decided on with the lock.
 *
 * Context: reclaim.
 * Return: pages; 0 while the gate is shut.
 */
unsigned long vbp_relief_gate(struct vbp_device *vb, int nid)
{
	struct vbp_policy_config config;
	struct vbp_memory_reading reading;
	struct vbp_policy_sample sample;
	struct vbp_places places;

	if (vbp_held_pages(vb) <= READ_ONCE(vb->asks.floor_pages))
		return 0;
	vbp_params_policy(&config);
	vbp_memory_share(&reading);
	vbp_places_look(vb, nid, &places);
	vbp_relief_sample(vb, &reading, &places, &sample);
	return vbp_size_gate(&config, &sample);
}

/* What relief a sign of need is worth, and the moment of the decision. */
struct vbp_relief_plan {
	enum vbp_source source;
	u64 now_ms;
	unsigned long nr_pages;
	struct vbp_leave_where where;
	bool tell;
	bool watch;
};

/* What one look may give back; in a hook somebody waits, or swaps next. */
static unsigned long vbp_relief_limit(enum vbp_source source)
{
	if (source == VBP_BY_POOL)
		return VBP_BLOCK_PAGES;
	if (source != VBP_BY_KSWAPD)
		return ULONG_MAX;
	return current_is_kswapd() ? VBP_KSWAPD_PAGES : VBP_WAKER_PAGES;
}

/**
 * vbp_relief_where() - from where to give back what was decided on
 * @decision: what
 * @places: what that was decided by
 *
 * Return: from where.
 */
struct vbp_leave_where
vbp_relief_where(const struct vbp_policy_decision *decision,
		 const struct vbp_places *places)
{
	struct vbp_leave_where where = { .nid = NUMA_NO_NODE };

	if (decision->place)
		where.nid = places->nid;
	return where;
}

static void vbp_relief_begin(struct vbp_device *vb,
			     enum vbp_source source, bool reclaim, int nid,
			     struct vbp_relief_plan *plan)
{
	struct vbp_policy_decision decision;
	struct vbp_places places;
	struct vbp_memory_reading reading;
	struct vbp_policy_sample sample;
	u64 wanted;
	u32 level;

	/* The works look once for all; and nothing is asked after the killer. */
	if (source == VBP_BY_KSWAPD || source == VBP_BY_SHRINKER ||
	    source == VBP_BY_POOL)
		vbp_memory_share(&reading);
	else
		vbp_memory_read(&reading);
	vbp_places_look(vb, nid, &places);
	spin_lock(&vb->lock);
	vbp_relief_sample(vb, &reading, &places, &sample);
	/* What a pool asks for is not missing elsewhere. */
	sample.reclaim = reclaim && source != VBP_BY_POOL;
	sample.oom = source == VBP_BY_OOM;
	sample.pool_pages = source == VBP_BY_POOL ? VBP_BLOCK_PAGES : 0;
	sample.limit_pages = vbp_relief_limit(source);
	level = vb->engine.level;
	wanted = vb->engine.wanted_pages;
	vbp_relief_decide(vb, &sample, &decision);
	/* The host's own target is the main work's. */
	vbp_leave_plan(vb, -(long)decision.deflate_pages);
	plan->source = decision.refault ? VBP_BY_REFAULT : source;
	plan->now_ms = sample.now_ms;
	plan->nr_pages = decision.relief_pages;
	plan->where = vbp_relief_where(&decision, &places);
	if (nid != NUMA_NO_NODE)
		plan->where = (struct vbp_leave_where){ nid, true };
	/* The host need not follow each page: the next look is soon enough. */
	wanted = max(wanted, decision.wanted_pages) -
		 min(wanted, decision.wanted_pages);
	plan->tell = level != decision.level ||
		     wanted > decision.wanted_pages / 8;
	plan->watch = decision.watch;
	spin_unlock(&vb->lock);
}

static void vbp_relief_end(struct vbp_device *vb,
			   const struct vbp_relief_plan *plan,
			   unsigned long given)
{
	if (given) {
		spin_lock(&vb->lock);
		vbp_relief_note(vb, plan->source, plan->now_ms,
				plan->where.nid, given);
		spin_unlock(&vb->lock);
	}
	if (given || plan->tell)
		vbp_works_main(vb, 0);
	if (plan->watch)
		vbp_works_watch(vb);
}

/* What is there without us, or is others' to do. False if @plan is to be done. */
static bool vbp_relief_settled(struct vbp_device *vb, enum vbp_source source,
			       bool reclaim, int nid,
			       struct vbp_relief_plan *plan,
			       unsigned long *given)
{
	*given = 0;
	/* Hinted memory first: it is free but in name, and no relief. */
	if (reclaim)
		*given = vbp_hint_give_back(vb, vbp_relief_limit(source));
	if (*given)
		return true;
	if (vb->must_tell) {
		spin_lock(&vb->lock);
		vb->engine.reclaim_seen |= reclaim;
		spin_unlock(&vb->lock);
		vbp_works_main(vb, 0);
		return true;
	}
	vbp_relief_begin(vb, source, reclaim, nid, plan);
	return false;
}

/**
 * vbp_relief_now() - reclaim runs: give back what the policy says
 * @vb: the device
 * @source: who asks
 * @nid: take pages of this node only, or NUMA_NO_NODE
 *
 * With MUST_TELL_HOST the main work does it, which may wait for the host.
 *
 * Context: reclaim included. Frees at once, sleeps and allocates never.
 * Return: pages given back.
 */
unsigned long vbp_relief_now(struct vbp_device *vb, enum vbp_source source,
			     int nid)
{
	struct vbp_relief_plan plan;
	unsigned long given;

	if (vbp_relief_settled(vb, source, true, nid, &plan, &given))
		return given;
	if (plan.nr_pages)
		given = vbp_leave_now(vb, plan.nr_pages, &plan.where);
	vbp_relief_end(vb, &plan, given);
	return given;
}

/**
 * vbp_relief_told() - out of memory on a host that must be told first
 * @vb: the device; MUST_TELL_HOST negotiated
 *
 * Context: may sleep, waits for the host. For the OOM notifier alone, which has
 * no second chance.
 * Return: pages given back.
 */
unsigned long vbp_relief_told(struct vbp_device *vb)
{
	struct vbp_relief_plan plan;
	unsigned long given = vbp_hint_give_back(vb, ULONG_MAX);

	if (given)
		return given;
	vbp_relief_begin(vb, VBP_BY_OOM, true, NUMA_NO_NODE, &plan);
	if (plan.nr_pages)
		given = vbp_leave_told(vb, plan.nr_pages, &plan.where);
	vbp_relief_end(vb, &plan, given);
	return given;
}

/* Does a floor that may sink any moment keep all of the balloon back? */
static bool vbp_relief_denied(struct vbp_device *vb, unsigned long *held)
{
	bool denied;

	spin_lock(&vb->lock);
	*held = vbp_relief_held(vb);
	denied = vb->elastic && *held > vb->asks.floor_pages &&
		 *held <= vb->asks.floor_now_pages;
	spin_unlock(&vb->lock);
	return denied;
}

/* The host has answered, or never will. */
static bool vbp_relief_answered(struct vbp_device *vb, unsigned long before)
{
	unsigned long held;

	return !vbp_relief_denied(vb, &held) || held < before ||
	       vbp_works_stopping(vb) || vbp_queue_broken(vb);
}

/**
 * vbp_relief_ask() - out of memory, at a floor that is for the moment only
 * @vb: the device; what is missing has been noted
 * @given: pages given back meanwhile
 *
 * The main work tells the host, which looks at its own memory, and gives back
 * what it then allows.
 *
 * Context: may sleep, waits for the host, up to VBP_ASK_WAIT. For the OOM
 * notifier alone: what comes too late for it is a program killed for nothing.
 * Return: whether there was such a floor, and it is worth trying again.
 */
bool vbp_relief_ask(struct vbp_device *vb, unsigned long *given)
{
	unsigned long before, held;

	*given = 0;
	if (!vbp_relief_denied(vb, &before))
		return false;
	vbp_works_main(vb, 0);
	wait_event_timeout(vb->engine.looked, vbp_relief_answered(vb, before),
			   VBP_ASK_WAIT);
	vbp_relief_denied(vb, &held);
	*given = before - min(before, held);
	return true;
}

/**
 * vbp_relief_early() - reclaim is about to begin: see whether it is needed
 * @vb: the device
 * @nid: the node that is short
 *
 * What reclaim finds first may be memory to swap out. If pages come back now,
 * the watermarks are met before the first page is scanned.
 *
 * Context: a task that may sleep, but in a tracepoint, which keeps preemption
 * off. No spinlock is held.
 */
void vbp_relief_early(struct vbp_device *vb, int nid)
{
	/* Where spinlocks sleep or freeing takes long, the work has to do. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || want_init_on_free() ||
	    want_poison_on_free() || debug_pagealloc_enabled_static())
		return;
	if (vbp_hint_available(vb) || vbp_relief_gate(vb, nid))
		vbp_relief_now(vb, VBP_BY_KSWAPD, nid);
}

/**
 * vbp_relief_pool() - a huge page pool has found no free block
 * @vb: the device
 * @highest: the last zone that it may use
 *
 * Which node it asks is not known: each that has no free block of its own gives
 * one. So no more than a block a node is given in vain, and it serves the next.
 *
 * Context: a task that may sleep, but in a tracepoint, which keeps preemption
 * off. No spinlock is held.
 */
void vbp_relief_pool(struct vbp_device *vb, enum zone_type highest)
{
	int nid;

	/* Where spinlocks sleep there is no way; told first, it is too late. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || vb->must_tell)
		return;
	for_each_online_node(nid) {
		if (vbp_leave_blocks(vb, nid) &&
		    !vbp_memory_has_block(nid, highest))
			vbp_relief_now(vb, VBP_BY_POOL, nid);
	}
}

/**
 * vbp_relief_run() - see whether what happened is need
 * @work: relief_work
 */
void vbp_relief_run(struct work_struct *work)
{
	struct vbp_device *vb = container_of(to_delayed_work(work),
					     struct vbp_device, works.relief);
	bool reclaim = vbp_works_take_sign(vb);
	struct vbp_relief_plan plan;
	unsigned long given;

	if (vbp_relief_settled(vb, VBP_BY_WORKER, reclaim, NUMA_NO_NODE, &plan,
			       &given))
		return;
	if (plan.nr_pages)
		given = vbp_leave_by_work(vb, plan.nr_pages, &plan.where);
	vbp_relief_end(vb, &plan, given);
}
