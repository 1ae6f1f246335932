// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes: how large the balloon may be, what has to stay available, and by how
 * much it gives back. They follow from the tunables and the sample; only how
 * long a floor has stood and how often no page was found have to be remembered.
 */
#include "policy.h"

static u64 vbp_size_percent(u64 pages, u32 pct)
{
	/* Divide first: pages * pct may not fit, and 1 % is fine enough. */
	return div_u64(pages, 100) * pct;
}

/**
 * vbp_size_target() - the size that the host asks for
 * @sample: what is known now
 *
 * The host is not trusted: no balloon larger than the guest.
 *
 * Return: pages.
 */
u64 vbp_size_target(const struct vbp_policy_sample *sample)
{
	return min(sample->target_pages, sample->total_pages);
}

/**
 * vbp_size_available() - what is available, with unnamed memory that gives way
 * @sample: what is known now
 *
 * Return: pages.
 */
u64 vbp_size_available(const struct vbp_policy_sample *sample)
{
	u64 yields = min(sample->yields_pages, sample->unnamed_pages);

	return sample->available_pages +
	       min(yields, ~sample->available_pages);
}

/* No elastic range means that the floor is the target itself. */
static u64 vbp_size_floor(const struct vbp_policy_sample *sample)
{
	u64 floor = max(sample->floor_pages, sample->floor_now_pages);
	u64 target = vbp_size_target(sample);

	return sample->elastic ? min(floor, target) : target;
}

/**
 * vbp_size_elastic() - what the guest may take back by itself
 * @sample: what is known now
 *
 * Return: pages; 0 at the floor.
 */
u64 vbp_size_elastic(const struct vbp_policy_sample *sample)
{
	u64 floor = vbp_size_floor(sample);

	if (!sample->elastic || sample->held_pages <= floor)
		return 0;
	return sample->held_pages - floor;
}

/**
 * vbp_size_reserve() - available memory below which reclaim means need
 * @config: the tunables
 * @sample: sizes are read from it
 *
 * A share of the whole guest, because a large guest uses memory faster, up to
 * what any guest can use before the next look; but no more than a quarter of
 * what the balloon leaves, or a strongly ballooned guest could never be calm.
 * For the same reason a pool of huge pages is no part of the guest here: what is
 * in it is never available.
 *
 * Return: pages.
 */
u64 vbp_size_reserve(const struct vbp_policy_config *config,
		     const struct vbp_policy_sample *sample)
{
	u64 total = sample->total_pages;
	u64 left = 0;

	total -= min(total, sample->unnamed_pages);
	if (total > sample->held_pages)
		left = total - sample->held_pages;
	return min(min(vbp_size_percent(total, config->reserve_pct),
		       config->reserve_max_pages),
		   left / 4);
}

/* So many times what else there is counts of the pages that CPUs keep. */
#define VBP_SIZE_KEPT_TIMES	3

/**
 * vbp_size_kept() - what counts of the free pages that CPUs keep to themselves
 * @kept_pages: so many they keep
 * @available_pages: what is available besides, less than the reserve
 *
 * They help whoever is on one of these CPUs. But kswapd does not count them, and
 * a task gets what another CPU keeps only once it has reclaimed in vain. So where
 * little else is left, little of them counts, or nothing might ever be short: on
 * a node of 128 MiB CPUs kept 15 MiB, the reserve is 12 there, and relief came
 * when the kernel was about to kill.
 *
 * Return: pages.
 */
u64 vbp_size_kept(u64 kept_pages, u64 available_pages)
{
	return min(kept_pages, VBP_SIZE_KEPT_TIMES * available_pages);
}

static u64 vbp_size_share_of(const struct vbp_policy_config *config, u64 pages)
{
	return min(vbp_size_percent(pages, config->step_pct),
		   config->step_max_pages);
}

/**
 * vbp_size_share() - a share of the guest
 * @config: the tunables
 * @sample: sizes are read from it
 *
 * Return: pages; it may be less than a block.
 */
u64 vbp_size_share(const struct vbp_policy_config *config,
		   const struct vbp_policy_sample *sample)
{
	return vbp_size_share_of(config, sample->total_pages);
}

/**
 * vbp_size_step() - what is given back beyond a shortfall
 * @config: the tunables
 * @sample: sizes are read from it
 *
 * Return: pages; at least a block.
 */
u64 vbp_size_step(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample)
{
	return max_t(u64, vbp_size_share(config, sample),
		     config->block_pages);
}

/**
 * vbp_size_steps() - the same after reliefs that were too small
 * @config: the tunables
 * @pages: all memory of the guest, or of one place
 * @streak: how many times the step is doubled
 *
 * Return: pages; at least a block.
 */
u64 vbp_size_steps(const struct vbp_policy_config *config, u64 pages,
		   u32 streak)
{
	u64 step = vbp_size_share_of(config, pages);

	/* Bounded before the shift: sizes may be anything up to 2^64. */
	step = min(step, pages >> VBP_STREAK_MAX) << streak;
	return max_t(u64, step, config->block_pages);
}

/**
 * vbp_size_short() - would reclaim mean need now?
 * @config: the tunables
 * @sample: what is known now
 *
 * Return: whether less is available than has to be kept.
 */
bool vbp_size_short(const struct vbp_policy_config *config,
		    const struct vbp_policy_sample *sample)
{
	if (vbp_place_lacks(config, sample))
		return true;
	return sample->oom ||
	       vbp_size_available(sample) < vbp_size_reserve(config, sample);
}

/**
 * vbp_size_need() - what the guest needs to be well again, were there no floor
 * @config: the tunables
 * @sample: what is known now
 * @streak: how many times the step is doubled
 *
 * Return: pages; no more than the guest has.
 */
u64 vbp_size_need(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample, u32 streak)
{
	u64 reserve = vbp_size_reserve(config, sample);
	u64 step = vbp_size_steps(config, sample->total_pages, streak);
	u64 here = vbp_place_need(config, sample, streak);
	u64 available = vbp_size_available(sample);
	u64 need = 0;

	if (available < reserve)
		need = reserve - available;
	else if (here && !sample->oom)
		return here;
	/* Bounded before the sum: sizes may be anything up to 2^64. */
	if (step > sample->total_pages - need)
		return sample->total_pages;
	need += step;
	need = max(need, here);
	if (sample->oom)
		need = min(max(need, config->oom_step_pages),
			   sample->total_pages);
	return need;
}

/**
 * vbp_size_round() - what to give back of what is needed
 * @config: the tunables
 * @need: pages
 * @elastic: as vbp_size_elastic() says
 *
 * Whole blocks where the elastic range has them: splitting one is slow.
 *
 * Return: pages; no more than @elastic.
 */
u64 vbp_size_round(const struct vbp_policy_config *config, u64 need,
		   u64 elastic)
{
	u64 whole;

	if (need >= elastic)
		return elastic;
	whole = div_u64(need, config->block_pages) * config->block_pages;
	if (whole == need)
		return need;
	return config->block_pages > elastic - whole ?
		       elastic : whole + config->block_pages;
}

/**
 * vbp_size_gate() - what a task in reclaim may take back
 * @config: the tunables
 * @sample: taken by that task, so reclaim certainly runs; @sample->reclaim is
 *	not looked at
 *
 * What the shrinker counts. Changes no state, so it may be asked as often as
 * reclaim likes.
 *
 * Return: pages; 0 while the gate is shut.
 */
u64 vbp_size_gate(const struct vbp_policy_config *config,
		  const struct vbp_policy_sample *sample)
{
	u64 elastic = vbp_size_elastic(sample);

	if (!elastic || !vbp_size_short(config, sample))
		return 0;
	return vbp_size_round(config, vbp_size_need(config, sample, 0),
			      elastic);
}

/**
 * vbp_size_stand() - how much of the floor has stood long enough to count
 * @floor: what is remembered of it; all zeroes at first
 * @floor_pages: the floor now
 * @now_ms: the time; one that goes backwards begins the wait anew
 *
 * Return: when to ask again at the latest, in milliseconds; 0 if no part of the
 * floor is on its way.
 */
u32 vbp_size_stand(struct vbp_policy_floor *floor, u64 floor_pages,
		   u64 now_ms)
{
	if (floor_pages <= floor->standing_pages) {
		floor->standing_pages = floor_pages;
		floor->rising = false;
		return 0;
	}
	if (!floor->rising || now_ms < floor->rising_ms) {
		floor->rising = true;
		floor->rising_ms = now_ms;
		floor->rising_pages = floor_pages;
	}
	/* The least has stood all the time; what came on top waits anew. */
	floor->rising_pages = min(floor->rising_pages, floor_pages);
	if (now_ms - floor->rising_ms >= VBP_FLOOR_STANDS_MS) {
		floor->standing_pages = floor->rising_pages;
		floor->rising = floor_pages > floor->standing_pages;
		floor->rising_ms = now_ms;
		floor->rising_pages = floor_pages;
	}
	if (!floor->rising)
		return 0;
	return VBP_FLOOR_STANDS_MS - (u32)(now_ms - floor->rising_ms);
}

/**
 * vbp_size_retry() - how long to wait after no page was found to grow by
 * @retry: what is remembered of it; all zeroes at first
 * @sample: what was known when the balloon began to grow
 * @block_pages: size of a block
 *
 * Each wait is twice the last, until there is a new target or a block has gone
 * in. A balloon that the guest may take from grows by what is available only,
 * so that its wait need not be long.
 *
 * Return: milliseconds.
 */
u32 vbp_size_retry(struct vbp_policy_retry *retry,
		   const struct vbp_policy_sample *sample, u32 block_pages)
{
	u64 target = vbp_size_target(sample);

	if (sample->elastic || !retry->wait_ms ||
	    retry->target_pages != target ||
	    sample->held_pages < retry->held_pages ||
	    sample->held_pages - retry->held_pages >= block_pages) {
		retry->target_pages = target;
		retry->held_pages = sample->held_pages;
		retry->wait_ms = VBP_NO_MEMORY_MS;
	} else {
		retry->wait_ms = min_t(u32, retry->wait_ms * 2,
				       VBP_NO_MEMORY_MAX_MS);
	}
	return retry->wait_ms;
}
