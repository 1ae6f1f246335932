// SPDX-License-Identifier: GPL-2.0-only
/*
 * Places: memory is not the same everywhere.
 *
 * A place is a NUMA node, for there are programs that may have memory of one only;
 * or all zones that the kernel itself can use, where there are others. Any of
 * them may be short while the guest as a whole is not. So the policy is told of
 * the shortest, and pages come from where most is free: from the nodes in
 * proportion, within a node first from what only programs can use.
 *
 * What is read here takes a few loads a zone, and no CPU is asked.
 */
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/vmstat.h>

#include "device.h"

/* Zones of a node: those that the kernel can use, or the others. */
struct vbp_part {
	unsigned long total_pages;
	unsigned long free_pages;
	unsigned long held_pages;
	unsigned long spare_pages;	/* free, beyond what the zones keep */
	long available_pages;		/* below zero: less than they keep */
};

static void vbp_part_add(struct vbp_part *sum, const struct vbp_part *part)
{
	sum->total_pages += part->total_pages;
	sum->free_pages += part->free_pages;
	sum->held_pages += part->held_pages;
	sum->spare_pages += part->spare_pages;
	sum->available_pages += part->available_pages;
}

static bool vbp_part_has(int zone, bool movable)
{
	return (zone == ZONE_MOVABLE) == movable;
}

/* What a zone is left, whoever else may be short. */
static unsigned long vbp_zone_keeps(const struct zone *zone)
{
	unsigned long most = 0;
	int i;

	for (i = 0; i < MAX_NR_ZONES; i++)
		most = max_t(unsigned long, most, zone->lowmem_reserve[i]);
	return high_wmark_pages(zone) + most;
}

/**
 * vbp_places_spare() - free pages that a zone need not keep
 * @zone: the zone
 *
 * It keeps its high watermark, and what others must leave to the kernel in it.
 *
 * Context: any.
 * Return: pages.
 */
unsigned long vbp_places_spare(struct zone *zone)
{
	unsigned long free = zone_page_state(zone, NR_FREE_PAGES);

	return free - min(free, vbp_zone_keeps(zone));
}

/* As si_mem_available() does it for all of memory. */
static long vbp_zone_available(struct zone *zone)
{
	unsigned long keeps = min(vbp_zone_keeps(zone),
				  zone_managed_pages(zone));
	unsigned long cache = zone_page_state(zone, NR_ZONE_ACTIVE_FILE) +
			      zone_page_state(zone, NR_ZONE_INACTIVE_FILE);
	unsigned long dirty = zone_page_state(zone, NR_ZONE_WRITE_PENDING);

	return (long)(zone_page_state(zone, NR_FREE_PAGES) + cache -
		      min(cache, dirty)) - (long)keeps;
}

/* Half of what the kernel can give back of its own memory there. */
static unsigned long vbp_node_reclaimable(struct pglist_data *node)
{
	long pages = atomic_long_read(&node->vm_stat[NR_SLAB_RECLAIMABLE_B]);

	return max(pages, 0l) / 2;
}

static void vbp_part_read(struct vbp_device *vb, int nid, bool movable,
			  struct vbp_part *part)
{
	struct pglist_data *node = NODE_DATA(nid);
	int i;

	*part = (struct vbp_part){};
	for (i = 0; i < MAX_NR_ZONES; i++) {
		struct vbp_zone *ours = &vb->balloon.nodes[nid].zones[i];
		struct zone *zone = &node->node_zones[i];

		if (!vbp_part_has(i, movable) || !populated_zone(zone))
			continue;
		/* A guess, where the lock is not held. */
		part->held_pages += READ_ONCE(ours->held_pages);
		part->total_pages += zone_managed_pages(zone) +
				     READ_ONCE(ours->gone_pages);
		part->free_pages += zone_page_state(zone, NR_FREE_PAGES);
		part->spare_pages += vbp_places_spare(zone);
		part->available_pages += vbp_zone_available(zone);
	}
	if (!movable && part->total_pages)
		part->available_pages += vbp_node_reclaimable(node);
}

static bool vbp_places_movable(void)
{
	int nid;

	for_each_node_state(nid, N_MEMORY)
		if (populated_zone(&NODE_DATA(nid)->node_zones[ZONE_MOVABLE]))
			return true;
	return false;
}

static bool vbp_places_nodes(void)
{
	return next_node(first_memory_node, node_states[N_MEMORY]) <
	       MAX_NUMNODES;
}

/* Most guests have one node, all of which the kernel can use. */
static bool vbp_places_many(void)
{
	return vbp_places_nodes() || vbp_places_movable();
}

/* What the reserve of a place follows from. */
struct vbp_places_guest {
	struct vbp_policy_config config;
	struct vbp_policy_sample sample;	/* sizes only */
};

static void vbp_places_know(struct vbp_device *vb,
			    struct vbp_places_guest *guest)
{
	vbp_params_policy(&guest->config);
	guest->sample = (struct vbp_policy_sample) {
		.total_pages = vbp_account_memory(vb),
		.unnamed_pages = READ_ONCE(vb->balloon.unnamed_pages),
		.held_pages = vbp_held_pages(vb),
	};
}

/* One place, and how much it lacks. */
static long vbp_place_set(const struct vbp_places_guest *guest,
			  const struct vbp_part *part,
			  struct vbp_policy_place *place)
{
	*place = (struct vbp_policy_place) {
		.total_pages = part->total_pages,
		.available_pages = max(part->available_pages, 0l),
		.headroom_pages = part->spare_pages,
		.held_pages = part->held_pages,
	};
	return (long)vbp_place_reserve(&guest->config, &guest->sample, place) -
	       max(part->available_pages, 0l);
}

/* Beyond the line where relief would begin again. */
static unsigned long vbp_place_room(const struct vbp_places_guest *guest,
				    const struct vbp_part *part)
{
	struct vbp_policy_place place;
	long lacks = vbp_place_set(guest, part, &place);
	long reserve = lacks + (long)place.available_pages;

	return max((long)place.available_pages - reserve - reserve / 4, 0l);
}

/* Remember a place if it is the shortest; one of which nothing is held is none. */
static void vbp_places_compare(const struct vbp_places_guest *guest,
			       const struct vbp_part *part, int nid,
			       struct vbp_places *places)
{
	struct vbp_policy_place place;
	long lacks, kept;

	if (!part->held_pages)
		return;
	lacks = vbp_place_set(guest, part, &place);
	if (places->place.held_pages && lacks <= places->lacks)
		return;
	if (lacks > 0) {
		kept = vbp_size_kept(vbp_memory_kept_by_cpus(nid),
				     place.available_pages);
		place.available_pages += kept;
		lacks -= kept;
	}
	if (places->place.held_pages && lacks <= places->lacks)
		return;
	places->place = place;
	places->lacks = lacks;
	places->nid = nid;
}

/**
 * vbp_places_look() - where is memory shortest?
 * @vb: the device
 * @nid: a node that others are of no help to, or NUMA_NO_NODE for any
 * @places: filled in
 *
 * Context: any; before @vb->lock is taken, because it takes the longer the more
 * nodes there are. A guess.
 */
void vbp_places_look(struct vbp_device *vb, int nid, struct vbp_places *places)
{
	struct vbp_part kernel = {}, part, movable;
	struct vbp_places_guest guest;
	int i;

	*places = (struct vbp_places){ .nid = NUMA_NO_NODE };
	if (!vb->elastic || !vbp_places_many())
		return;
	vbp_places_know(vb, &guest);
	for_each_node_state(i, N_MEMORY) {
		vbp_part_read(vb, i, false, &part);
		vbp_part_add(&kernel, &part);
		if (nid != NUMA_NO_NODE && nid != i)
			continue;
		vbp_part_read(vb, i, true, &movable);
		vbp_part_add(&part, &movable);
		if (vbp_places_nodes())
			vbp_places_compare(&guest, &part, i, places);
	}
	if (vbp_places_movable())
		vbp_places_compare(&guest, &kernel, NUMA_NO_NODE, places);
}

/* What there is to take, and what of it may be taken. */
struct vbp_places_room {
	bool limited;			/* by what the places need */
	unsigned long kernel_pages;	/* from the kernel's zones, in all */
	unsigned long node_pages;	/* from a node, in all */
	struct vbp_part kernel;
	struct vbp_part movable;
};

static void vbp_room_begin(struct vbp_device *vb,
			   const struct vbp_places_guest *guest,
			   struct vbp_places_room *room)
{
	struct vbp_part kernel = {}, part;
	int nid;

	room->kernel_pages = ULONG_MAX;
	room->node_pages = ULONG_MAX;
	room->limited = vb->elastic && vbp_places_many();
	if (!room->limited || !vbp_places_movable())
		return;
	for_each_node_state(nid, N_MEMORY) {
		vbp_part_read(vb, nid, false, &part);
		vbp_part_add(&kernel, &part);
	}
	room->kernel_pages = vbp_place_room(guest, &kernel);
}

static void vbp_room_of(struct vbp_device *vb, int nid,
			const struct vbp_places_guest *guest,
			struct vbp_places_room *room)
{
	struct vbp_part all;

	vbp_part_read(vb, nid, false, &room->kernel);
	vbp_part_read(vb, nid, true, &room->movable);
	if (!IS_ENABLED(CONFIG_BALLOON_MIGRATION))
		room->movable = (struct vbp_part){};
	if (!room->limited || !vbp_places_nodes())
		return;
	all = room->kernel;
	vbp_part_add(&all, &room->movable);
	room->node_pages = vbp_place_room(guest, &all);
}

/* Free pages that the node can give. */
static unsigned long vbp_room_free(const struct vbp_places_room *room)
{
	return min(room->node_pages, room->movable.spare_pages +
		   min(room->kernel.spare_pages, room->kernel_pages));
}

/*
 * The same with page cache. An allocation that may have any zone makes room in
 * none while the kernel's have some left; so where those may not be taken, only
 * what is free elsewhere can be had.
 */
static unsigned long vbp_room_all(const struct vbp_places_room *room)
{
	unsigned long kernel = max(room->kernel.available_pages, 0l);
	unsigned long movable = max(room->movable.available_pages, 0l);

	if (!room->kernel_pages)
		movable = min(movable, room->movable.spare_pages);
	return min(room->node_pages, movable +
		   min(kernel, room->kernel_pages));
}

/**
 * vbp_places_room() - how far the balloon may grow, for all that places need
 * @vb: the device
 *
 * Context: any; a guess. As vbp_places_look().
 * Return: pages; ULONG_MAX where there is but one place.
 */
unsigned long vbp_places_room(struct vbp_device *vb)
{
	unsigned long kernel = 0, pages = 0;
	struct vbp_places_guest guest;
	struct vbp_places_room room;
	int nid;

	vbp_places_know(vb, &guest);
	vbp_room_begin(vb, &guest, &room);
	if (!room.limited)
		return ULONG_MAX;
	for_each_node_state(nid, N_MEMORY) {
		vbp_room_of(vb, nid, &guest, &room);
		pages += vbp_room_all(&room);
		/* What nodes have together may be taken once. */
		kernel = max(room.kernel.available_pages, 0l);
		room.kernel_pages -= min(room.kernel_pages, kernel);
	}
	return pages;
}

/* The highest zone that can spare a block: the kernel needs the others more. */
static int vbp_places_zone(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	int i;

	for (i = ZONE_MOVABLE - 1; i >= 0; i--)
		if (populated_zone(&zones[i]) &&
		    vbp_places_spare(&zones[i]) >= VBP_BLOCK_PAGES)
			return i;
	return -1;
}

/* What of @nid may be taken now. */
static void vbp_places_offer(const struct vbp_places_room *room, int nid,
			     struct vbp_pick *pick)
{
	*pick = (struct vbp_pick) {
		.nid = nid,
		.any = !room->limited,
		.movable_pages = min(room->movable.spare_pages,
				     room->node_pages),
		.kernel = room->kernel_pages > 0,
		.zone = -1,
	};
	if (min(room->kernel_pages, room->node_pages) >= VBP_BLOCK_PAGES)
		pick->zone = vbp_places_zone(nid);
}

/**
 * vbp_places_pick() - where do the next pages come from?
 * @vb: the device
 * @pick: filled in
 *
 * From the nodes in proportion to what is free on each: each time all get so
 * much nearer to their turn, and one has it. Where nothing is free, from where
 * most page cache is.
 *
 * Context: the main work.
 * Return: whether there is such a place.
 */
bool vbp_places_pick(struct vbp_device *vb, struct vbp_pick *pick)
{
	struct vbp_node *chosen = NULL, *node;
	unsigned long sum = 0, most = 0, all;
	struct vbp_places_guest guest;
	struct vbp_places_room room;
	int nid;

	vbp_places_know(vb, &guest);
	vbp_room_begin(vb, &guest, &room);
	for_each_node_state(nid, N_MEMORY) {
		node = &vb->balloon.nodes[nid];
		vbp_room_of(vb, nid, &guest, &room);
		all = vbp_room_all(&room);
		if (!chosen && all >= most) {
			most = all;
			vbp_places_offer(&room, nid, pick);
		}
		if (vbp_room_free(&room) < VBP_BLOCK_PAGES)
			continue;
		all = room.kernel.free_pages + room.movable.free_pages;
		node->turn += all;
		sum += all;
		if (chosen && node->turn <= chosen->turn)
			continue;
		chosen = node;
		most = all;
		vbp_places_offer(&room, nid, pick);
	}
	if (chosen)
		chosen->turn -= sum;
	return most > 0 || pick->any;
}
