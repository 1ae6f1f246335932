// SPDX-License-Identifier: GPL-2.0-only
/*
 * A part of memory that may be short while the rest has plenty: the sample's
 * place. It keeps its part of the reserve, and is given steps of its size.
 */
#include "policy.h"

/* A place is such a part of the guest, in 2^16ths. */
static u32 vbp_place_part(const struct vbp_policy_sample *sample,
			  const struct vbp_policy_place *place)
{
	u64 part;

	/* No guest has so much. */
	if (place->total_pages >> 47)
		return 1u << 16;
	part = div64_u64(place->total_pages << 16,
			 max_t(u64, sample->total_pages, 1));
	return (u32)min_t(u64, part, 1u << 16);
}

/**
 * vbp_place_reserve() - available memory below which a place is short
 * @config: the tunables
 * @sample: sizes of the guest are read from it
 * @place: the place
 *
 * Its part of the guest's reserve, whatever the balloon leaves of it: how much
 * that is the driver decides, not the host.
 *
 * Return: pages.
 */
u64 vbp_place_reserve(const struct vbp_policy_config *config,
		      const struct vbp_policy_sample *sample,
		      const struct vbp_policy_place *place)
{
	return mul_u64_u32_shr(vbp_size_reserve(config, sample),
			       vbp_place_part(sample, place), 16);
}

/**
 * vbp_place_lacks() - what the place lacks, whatever there is elsewhere
 * @config: the tunables
 * @sample: what is known now
 *
 * Where the balloon has nothing of it, giving back is no help.
 *
 * Return: pages; 0: it is not short.
 */
u64 vbp_place_lacks(const struct vbp_policy_config *config,
		    const struct vbp_policy_sample *sample)
{
	const struct vbp_policy_place *place = &sample->place;
	u64 reserve = vbp_place_reserve(config, sample, place);

	if (!place->held_pages || place->available_pages >= reserve)
		return 0;
	return reserve - place->available_pages;
}

/* What is given beyond that. */
static u64 vbp_place_step(const struct vbp_policy_config *config,
			  const struct vbp_policy_sample *sample, u32 streak)
{
	u64 total = min(sample->place.total_pages, sample->total_pages);

	return vbp_size_steps(config, total, streak);
}

/**
 * vbp_place_need() - what the place is to be given
 * @config: the tunables
 * @sample: what is known now
 * @streak: how often that was too little
 *
 * No more than the balloon has of it.
 *
 * Return: pages; 0: it is not short.
 */
u64 vbp_place_need(const struct vbp_policy_config *config,
		   const struct vbp_policy_sample *sample, u32 streak)
{
	u64 lacks = vbp_place_lacks(config, sample);
	u64 held = min(sample->place.held_pages, sample->total_pages);
	u64 step;

	if (!lacks)
		return 0;
	step = vbp_place_step(config, sample, streak);
	return step > held - min(lacks, held) ? held : lacks + step;
}

/**
 * vbp_place_runs_out() - is less free than the next step of a short place?
 * @config: the tunables
 * @sample: what is known now
 *
 * Return: whether reclaim is about to begin there.
 */
bool vbp_place_runs_out(const struct vbp_policy_config *config,
			const struct vbp_policy_sample *sample)
{
	return vbp_place_lacks(config, sample) &&
	       sample->place.headroom_pages < vbp_place_step(config, sample, 0);
}

/**
 * vbp_place_close() - is next to nothing left, and will be?
 * @config: the tunables
 * @sample: what is known now
 * @given: what is being given
 *
 * Return: whether whoever asks there is about to stall.
 */
bool vbp_place_close(const struct vbp_policy_config *config,
		     const struct vbp_policy_sample *sample, u64 given)
{
	u64 few = vbp_place_reserve(config, sample, &sample->place) / 4;
	u64 available = sample->place.available_pages;

	return sample->place.held_pages && available < few &&
	       given < few - available;
}
