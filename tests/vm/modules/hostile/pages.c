// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages the device has. It may discard those it was given at any time until
 * it has returned the buffer, and it does: it fills them with a pattern. If that
 * is gone when the buffer goes back, somebody has used the page meanwhile. Where
 * the host must be told first, that goes on until the driver has told it.
 *
 * This file is not looked at by KASAN.
 */
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "hostile.h"

enum {
	HOSTILE_GUESTS,		/* the guest's, as far as the device knows */
	HOSTILE_COMING,		/* in an inflate buffer */
	HOSTILE_HELD,		/* that was returned */
	HOSTILE_LEAVING,	/* in a deflate buffer */
};

/* So far apart that nobody uses a page and misses them all. */
#define HOSTILE_STRIDE	512

static u8 *hostile_pages_state;
static unsigned long hostile_pages_nr;

int hostile_pages_init(void)
{
	/* What is plugged in later is nothing that tests here do. */
	hostile_pages_nr = PFN_DOWN(virt_to_phys(high_memory - 1)) + 1;
	hostile_pages_state = vzalloc(hostile_pages_nr);
	return hostile_pages_state ? 0 : -ENOMEM;
}

void hostile_pages_destroy(void)
{
	vfree(hostile_pages_state);
}

static u64 hostile_pages_pattern(unsigned long pfn)
{
	return 0x656c697473000000ULL ^ (pfn * 0x9e3779b97f4a7c15ULL);
}

static void hostile_pages_fill(unsigned long pfn)
{
	char *at = pfn_to_kaddr(pfn);
	unsigned int i;

	for (i = 0; i < PAGE_SIZE; i += HOSTILE_STRIDE)
		WRITE_ONCE(*(u64 *)(at + i), hostile_pages_pattern(pfn));
}

static bool hostile_pages_intact(unsigned long pfn)
{
	char *at = pfn_to_kaddr(pfn);
	unsigned int i;

	for (i = 0; i < PAGE_SIZE; i += HOSTILE_STRIDE)
		if (READ_ONCE(*(u64 *)(at + i)) != hostile_pages_pattern(pfn))
			return false;
	return true;
}

static bool hostile_pages_is_free(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	/* The tail of a block has no count of its own, but a mark. */
	return !page_count(page) && !PageOffline(page);
}

static void hostile_pages_check(unsigned long pfn, const char *when)
{
	if (hostile_pages_is_free(pfn))
		hostile_fault("page %lx is free %s", pfn, when);
	if (!hostile_pages_intact(pfn))
		hostile_fault("page %lx was used %s", pfn, when);
}

static bool hostile_pages_told_first(struct hostile_device *dev)
{
	return __virtio_test_bit(&dev->vdev, VIRTIO_BALLOON_F_MUST_TELL_HOST);
}

static void hostile_pages_one(struct hostile_device *dev,
			      enum hostile_kind kind, unsigned long pfn,
			      bool back)
{
	bool told_first = hostile_pages_told_first(dev);
	u8 *state = &hostile_pages_state[pfn];

	if (kind == HOSTILE_INFLATE && !back) {
		if (*state != HOSTILE_GUESTS)
			hostile_fault("page %lx is inflated in state %u", pfn,
				      *state);
		*state = HOSTILE_COMING;
		hostile_pages_fill(pfn);
	} else if (kind == HOSTILE_INFLATE) {
		hostile_pages_check(pfn, "while it is inflated");
		*state = HOSTILE_HELD;
	} else if (!back) {
		if (told_first && *state == HOSTILE_HELD)
			hostile_pages_check(pfn, "before its deflation");
		*state = HOSTILE_LEAVING;
	} else {
		if (told_first && *state == HOSTILE_LEAVING)
			hostile_pages_check(pfn, "before the host knows");
		*state = HOSTILE_GUESTS;
	}
}

static void hostile_pages_pfns(struct hostile_device *dev,
			       enum hostile_kind kind,
			       struct hostile_buffer *buf, bool back)
{
	unsigned int i, j;
	unsigned long pfn;
	const u32 *pfns;

	for (i = 0; i < buf->nr_parts; i++) {
		pfns = phys_to_virt(buf->parts[i].addr);
		for (j = 0; j < buf->parts[i].len / sizeof(*pfns); j++) {
			pfn = READ_ONCE(pfns[j]) >>
			      (PAGE_SHIFT - VIRTIO_BALLOON_PFN_SHIFT);
			if (pfn < hostile_pages_nr && pfn_valid(pfn))
				hostile_pages_one(dev, kind, pfn, back);
			else
				hostile_fault("no page is %lx", pfn);
		}
	}
}

/* Free memory, or blocks that are hinted. */
static void hostile_pages_ranges(struct hostile_buffer *buf, const char *what)
{
	unsigned long pfn, end;
	unsigned int i;

	for (i = 0; i < buf->nr_parts; i++) {
		pfn = PFN_DOWN(buf->parts[i].addr);
		end = pfn + PFN_DOWN(buf->parts[i].len);
		for (; pfn < end; pfn++) {
			if (!what)
				hostile_pages_fill(pfn);
			else if (!hostile_pages_intact(pfn))
				hostile_fault("page %lx was used while it is %s",
					      pfn, what);
		}
	}
}

/* Free pages are expected to contain a pattern: the host leaves them alone. */
static bool hostile_pages_keeps(struct hostile_device *dev)
{
	return __virtio_test_bit(&dev->vdev, VIRTIO_BALLOON_F_PAGE_POISON);
}

static bool hostile_pages_is_id(struct hostile_buffer *buf)
{
	return buf->nr_parts == 1 && buf->parts[0].len < PAGE_SIZE;
}

/* Does it have free pages in it, which the host may discard? */
static bool hostile_pages_has_free(struct hostile_device *dev,
				   enum hostile_kind kind,
				   struct hostile_buffer *buf)
{
	return kind >= HOSTILE_HINT && !hostile_pages_keeps(dev) &&
	       !hostile_pages_is_id(buf);
}

/* The device sees a buffer. */
void hostile_pages_arrive(struct hostile_device *dev, enum hostile_kind kind,
			  struct hostile_buffer *buf)
{
	if (kind <= HOSTILE_DEFLATE)
		hostile_pages_pfns(dev, kind, buf, false);
	else if (hostile_pages_has_free(dev, kind, buf))
		hostile_pages_ranges(buf, NULL);
}

/* It is about to return it. */
void hostile_pages_return(struct hostile_device *dev, enum hostile_kind kind,
			  struct hostile_buffer *buf)
{
	if (kind <= HOSTILE_DEFLATE)
		hostile_pages_pfns(dev, kind, buf, true);
	else if (hostile_pages_has_free(dev, kind, buf))
		hostile_pages_ranges(buf, kind == HOSTILE_HINT ? "hinted" :
								 "reported");
}

/* A reset: what the device has is not to be used before it is over. */
void hostile_pages_check_reset(struct hostile_device *dev)
{
	bool told_first = hostile_pages_told_first(dev);
	unsigned long pfn;

	for (pfn = 0; pfn < hostile_pages_nr; pfn++) {
		u8 state = hostile_pages_state[pfn];

		if (state == HOSTILE_COMING ||
		    (told_first && state == HOSTILE_LEAVING))
			hostile_pages_check(pfn, "before a reset");
	}
}

/* And then all pages are the guest's. */
void hostile_pages_forget(void)
{
	memset(hostile_pages_state, HOSTILE_GUESTS, hostile_pages_nr);
}
