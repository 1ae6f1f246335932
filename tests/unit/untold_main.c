// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring of what the host has not been told of, in user space: `untold_test`
 * lists its cases, `untold_test NAME` runs one. With a wrong ring the host
 * discards pages that are in use, or never hears of pages that are: no guest
 * shows that by itself.
 */
#include <string.h>

#include "number_from.h"
#include "untold_user.h"

#define MOST	512u		/* pages in one buffer */

bool untold_no_memory;
unsigned int untold_allocations;
void (*untold_meanwhile)(void);

static struct vbp_device device;

static void reserve(unsigned long units)
{
	expect_eq(vbp_untold_reserve(&device, units), 0);
}

static bool fits(unsigned long units)
{
	bool answer;

	spin_lock(&device.lock);
	answer = vbp_untold_fits(&device, units);
	spin_unlock(&device.lock);
	return answer;
}

static void add(unsigned long pfn, unsigned long nr_pages)
{
	spin_lock(&device.lock);
	vbp_untold_add(&device, pfn, nr_pages);
	spin_unlock(&device.lock);
}

/* The next run is this one. */
static void told(unsigned long pfn, unsigned long nr_pages)
{
	struct vbp_range range;

	expect_eq(vbp_untold_take(&device, &range, MOST), nr_pages);
	expect_eq(range.nr_pages, nr_pages);
	expect_eq(range.pfn, pfn);
}

static void all_told(void)
{
	struct vbp_range range = { .nr_pages = 1 };

	expect_eq(vbp_untold_take(&device, &range, MOST), 0);
	expect_eq(range.nr_pages, 0);
	expect_eq(device.host.untold_count, 0);
}

/* A number of entries that do not touch: page 10 * i, of 1 to 3 pages. */
static void add_some(unsigned int first, unsigned int number)
{
	unsigned int i;

	for (i = first; i < first + number; i++)
		add(10 * i, 1 + i % 3);
}

static void told_some(unsigned int first, unsigned int number)
{
	unsigned int i;

	for (i = first; i < first + number; i++)
		told(10 * i, 1 + i % 3);
}

static void in_turn(void)
{
	reserve(1);
	all_told();
	add_some(1, 100);
	expect_eq(device.host.untold_count, 100);
	told_some(1, 100);
	all_told();
}

static void round_and_round(void)
{
	unsigned int size, i;

	reserve(1);
	size = device.host.untold_size;
	for (i = 0; i < 3 * size; i += 7) {
		add_some(i, 7);
		told_some(i, 7);
	}
	all_told();
	expect_eq(device.host.untold_size, size);
}

static void to_the_last_entry(void)
{
	unsigned int size;

	reserve(1);
	size = device.host.untold_size;
	/* From its middle, so that it wraps. */
	add_some(0, size / 2);
	told_some(0, size / 2);
	add_some(0, size);
	expect_eq(device.host.untold_count, size);
	told_some(0, size);
	all_told();
}

static void joins_what_follows(void)
{
	reserve(1);
	add(100, 5);
	add(105, 3);
	add(108, 1);
	expect_eq(device.host.untold_count, 1);
	told(100, 9);
	all_told();
}

/* Blocks leave in the reverse order of their coming. */
static void joins_what_precedes(void)
{
	reserve(1);
	add(100, 5);
	add(97, 3);
	add(96, 1);
	expect_eq(device.host.untold_count, 1);
	told(96, 9);
	all_told();
}

static void joins_nothing_else(void)
{
	reserve(1);
	add(100, 5);
	add(106, 3);
	add(110, 1);
	add(95, 5);			/* of the first, which is not the last */
	expect_eq(device.host.untold_count, 4);
	told(100, 5);
	told(106, 3);
	told(110, 1);
	told(95, 5);
	all_told();
}

/* What is told is no part of it any more. */
static void joins_nothing_told(void)
{
	reserve(1);
	add(100, 5);
	told(100, 5);
	add(105, 1);
	expect_eq(device.host.untold_count, 1);
	told(105, 1);
	all_told();
}

static void in_pieces(void)
{
	struct vbp_range range;

	reserve(1);
	add(1000, 3 * MOST + 7);
	add(50, 2);
	expect_eq(vbp_untold_take(&device, &range, 1), 1);
	expect_eq(range.pfn, 1000);
	expect_eq(vbp_untold_take(&device, &range, 6), 6);
	expect_eq(range.pfn, 1001);
	told(1007, MOST);
	told(1007 + MOST, MOST);
	expect_eq(device.host.untold_count, 2);
	/* To its end and no further, though there is room. */
	told(1007 + 2 * MOST, MOST);
	expect_eq(device.host.untold_count, 1);
	told(50, 2);
	all_told();
}

/* The rest of a run that was told of in part joins, on either side. */
static void joins_the_rest(void)
{
	struct vbp_range range;

	reserve(1);
	add(1000, 10);
	expect_eq(vbp_untold_take(&device, &range, 4), 4);
	add(1010, 2);
	add(1002, 2);
	expect_eq(device.host.untold_count, 1);
	told(1002, 10);
	all_told();
}

static void grows(void)
{
	unsigned int size;

	reserve(1);
	size = device.host.untold_size;
	add_some(0, size - 100);
	told_some(0, size - 100);
	add_some(0, 200);
	expect(device.host.untold_head);
	reserve(size);
	expect(device.host.untold_size > size);
	expect_eq(device.host.untold_count, 200);
	add_some(200, size);
	told_some(0, 200 + size);
	all_told();
}

static void no_larger_than_needed(void)
{
	unsigned int size;

	reserve(1);
	size = device.host.untold_size;
	expect_eq(size, roundup_pow_of_two(1 + VBP_BLOCK_PAGES));
	expect_eq(untold_allocations, 1);
	reserve(size - VBP_BLOCK_PAGES);
	expect_eq(untold_allocations, 1);
	reserve(size - VBP_BLOCK_PAGES + 1);
	expect_eq(untold_allocations, 2);
	expect_eq(device.host.untold_size, 2 * size);
	/* What is held and what is untold counts, each once. */
	device.block_pages = 500 * VBP_BLOCK_PAGES;
	device.small_pages = 600;
	add_some(0, 300);
	reserve(2 * size - VBP_BLOCK_PAGES - 1400);
	expect_eq(untold_allocations, 2);
	reserve(2 * size - VBP_BLOCK_PAGES - 1400 + 1);
	expect_eq(untold_allocations, 3);
	told_some(0, 300);
}

static void fits_to_the_entry(void)
{
	unsigned int size;

	reserve(1);
	size = device.host.untold_size;
	expect(fits(size));
	expect(!fits(size + 1));
	device.block_pages = 3 * VBP_BLOCK_PAGES;
	device.small_pages = 4;
	add_some(0, 5);
	expect(fits(size - 12));
	expect(!fits(size - 11));
	told_some(0, 1);
	expect(fits(size - 11));
}

/* One page out of a balloon of blocks alone: 511 single pages stay. */
static void room_to_split_a_block(void)
{
	unsigned int blocks;

	for (blocks = 1; blocks < 5000; blocks++) {
		reserve(1);
		device.block_pages += VBP_BLOCK_PAGES;
		expect_that(fits(VBP_BLOCK_PAGES - 1),
			    "with %u blocks there is no room to split one",
			    blocks);
	}
}

static void split_one(void)
{
	expect(fits(VBP_BLOCK_PAGES - 1));
	device.block_pages -= VBP_BLOCK_PAGES;
	device.small_pages += VBP_BLOCK_PAGES - 1;
	add(0, 1);
}

/* What others took of the ring while a larger one was made is made good for. */
static void room_though_others_take_some(void)
{
	reserve(1);
	device.block_pages = 513 * VBP_BLOCK_PAGES;
	untold_meanwhile = split_one;
	reserve(1023);
	expect(!untold_meanwhile);
	expect(fits(1023 + VBP_BLOCK_PAGES - 1));
	told(0, 1);
}

static void no_memory(void)
{
	unsigned int size;

	untold_no_memory = true;
	expect_eq(vbp_untold_reserve(&device, 1), (unsigned long)-ENOMEM);
	expect(!fits(1));
	all_told();
	untold_no_memory = false;
	reserve(1);
	size = device.host.untold_size;
	add_some(0, 10);
	untold_no_memory = true;
	expect_eq(vbp_untold_reserve(&device, size), (unsigned long)-ENOMEM);
	expect_eq(device.host.untold_size, size);
	told_some(0, 10);
	all_told();
}

static void destroyed(void)
{
	reserve(1);
	add_some(0, 10);
	told_some(0, 3);
	vbp_untold_destroy(&device);
	expect(!device.host.untold && !device.host.untold_size && !device.host.untold_head);
	all_told();
	expect(!fits(1));
	reserve(1);
	add_some(0, 3);
	told_some(0, 3);
}

/*
 * A life: blocks and single pages come in; come out, also in the middle of a block
 * and while the ring grows; and the host hears of them now and then. It must hear
 * of each page that has come out, once, and of no other.
 */
#define BLOCKS	4096u
#define PAGES	(BLOCKS * 512u)

enum { OUT, IN_BLOCK, SINGLE, UNTOLD };

static unsigned char page_state[PAGES];
static u64 dice;

static unsigned int roll(unsigned int sides)
{
	dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
	return (dice >> 33) % sides;
}

static void come_in(void)
{
	unsigned long first = roll(BLOCKS) * VBP_BLOCK_PAGES, i;
	unsigned long want = 1 + roll(256), units;

	for (i = first; i < first + VBP_BLOCK_PAGES; i++)
		if (page_state[i] != OUT)
			break;
	if (i == first + VBP_BLOCK_PAGES && roll(4)) {
		reserve(1);
		for (i = first; i < first + VBP_BLOCK_PAGES; i++)
			page_state[i] = IN_BLOCK;
		device.block_pages += VBP_BLOCK_PAGES;
		return;
	}
	units = 0;
	for (i = first; i < first + VBP_BLOCK_PAGES && units < want; i++)
		units += page_state[i] == OUT;
	reserve(units);
	for (i = first; i < first + VBP_BLOCK_PAGES && units; i++) {
		if (page_state[i] != OUT)
			continue;
		page_state[i] = SINGLE;
		device.small_pages++;
		units--;
	}
}

static void come_out(void)
{
	unsigned long first = roll(BLOCKS) * VBP_BLOCK_PAGES, i, part;

	spin_lock(&device.lock);
	if (page_state[first] == IN_BLOCK) {
		part = roll(3) ? VBP_BLOCK_PAGES : 1 + roll(VBP_BLOCK_PAGES - 1);
		if (part < VBP_BLOCK_PAGES &&
		    !vbp_untold_fits(&device, VBP_BLOCK_PAGES - 1)) {
			spin_unlock(&device.lock);
			return;
		}
		device.block_pages -= VBP_BLOCK_PAGES;
		device.small_pages += VBP_BLOCK_PAGES - part;
		for (i = 0; i < VBP_BLOCK_PAGES; i++)
			page_state[first + i] = i < part ? UNTOLD : SINGLE;
		vbp_untold_add(&device, first, part);
	} else {
		for (i = first, part = 1 + roll(20); i < first + VBP_BLOCK_PAGES && part; i++) {
			if (page_state[i] != SINGLE)
				continue;
			page_state[i] = UNTOLD;
			device.small_pages--;
			vbp_untold_add(&device, i, 1);
			part--;
		}
	}
	spin_unlock(&device.lock);
}

/* One run, or false if all is told. */
static bool hear_one(unsigned int max_pages)
{
	struct vbp_range range;
	unsigned long i;

	if (!vbp_untold_take(&device, &range, max_pages))
		return false;
	for (i = range.pfn; i < range.pfn + range.nr_pages; i++) {
		expect_that(page_state[i] == UNTOLD,
			    "told of page %lu, which had not come out", i);
		page_state[i] = OUT;
	}
	return true;
}

static void hear(void)
{
	while (hear_one(1 + roll(MOST)))
		if (!roll(10))
			return;
}

static void come_out_meanwhile(void)
{
	unsigned int i;

	for (i = roll(20); i; i--)
		come_out();
}

static void life(void)
{
	unsigned long steps = number_from("VBP_STEPS", 300000);
	unsigned long i, untold = 0;

	dice = number_from("VBP_SEED", 20240917);
	for (; steps; steps--) {
		untold_meanwhile = come_out_meanwhile;
		switch (roll(40)) {
		case 0:
			hear();
			break;
		case 1 ... 20:
			come_in();
			break;
		default:
			come_out();
		}
		expect(fits(0));
	}
	expect(untold_allocations > 1);
	while (hear_one(MOST))
		;
	for (i = 0; i < PAGES; i++)
		untold += page_state[i] == UNTOLD;
	expect_eq(untold, 0);
}

#define ENTRY(name)	{ #name, name }
static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	ENTRY(in_turn),
	ENTRY(round_and_round),
	ENTRY(to_the_last_entry),
	ENTRY(joins_what_follows),
	ENTRY(joins_what_precedes),
	ENTRY(joins_nothing_else),
	ENTRY(joins_nothing_told),
	ENTRY(in_pieces),
	ENTRY(joins_the_rest),
	ENTRY(grows),
	ENTRY(no_larger_than_needed),
	ENTRY(fits_to_the_entry),
	ENTRY(room_to_split_a_block),
	ENTRY(room_though_others_take_some),
	ENTRY(no_memory),
	ENTRY(destroyed),
	ENTRY(life),
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (argc < 2) {
			printf("untold_%s\n", cases[i].name);
			continue;
		}
		if (strncmp(argv[1], "untold_", 7) || strcmp(argv[1] + 7, cases[i].name))
			continue;
		cases[i].run();
		vbp_untold_destroy(&device);
		return 0;
	}
	if (argc < 2)
		return 0;
	fprintf(stderr, "error: no case is called %s\n", argv[1]);
	return 2;
}
