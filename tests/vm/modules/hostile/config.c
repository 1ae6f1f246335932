// SPDX-License-Identifier: GPL-2.0-only
/* The config space. Its fields are of no use to the device: it only asks. */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/virtio_config.h>

#include "hostile.h"

static u32 hostile_config_end(struct hostile_device *dev)
{
	static const u32 ends[] = {
		0, 1, 2, 511, 512, 513, S32_MAX, 1U << 31, U32_MAX - 1, U32_MAX,
	};

	return ends[hostile_throw(dev, ARRAY_SIZE(ends))];
}

/* Mostly something that a guest could do. */
u32 hostile_config_size(struct hostile_device *dev)
{
	u32 pages = totalram_pages() << (PAGE_SHIFT - VIRTIO_BALLOON_PFN_SHIFT);

	if (dev->temper.wild && !hostile_throw(dev, 3))
		return hostile_config_end(dev);
	if (dev->temper.wild && !hostile_throw(dev, 8))
		return hostile_throw(dev, U32_MAX);
	return hostile_throw(dev, pages * 5 / 8);
}

static u32 hostile_config_value(struct hostile_device *dev, unsigned int word)
{
	switch (word) {
	case HOSTILE_NUM_PAGES:
		return hostile_config_size(dev);
	case HOSTILE_MIN_PAGES:
	case HOSTILE_MIN_NOW_PAGES:
		return hostile_throw(dev, 3) ? hostile_config_size(dev) : 0;
	case HOSTILE_HOST_PRESSURE:
		return hostile_throw(dev, 4) ? hostile_throw(dev, 5) :
					       hostile_config_end(dev);
	case HOSTILE_HINT_ID:
		/* 0 stops, 1 is done, higher ones begin. */
		return hostile_throw(dev, dev->temper.wild ? 4 : 6);
	default:
		return hostile_config_end(dev);
	}
}

static void hostile_config_write(struct hostile_device *dev, unsigned int word,
				 u32 value)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->dice_lock, flags);
	dev->config[word] = value;
	dev->generation++;
	spin_unlock_irqrestore(&dev->dice_lock, flags);
}

static void hostile_config_put(struct hostile_device *dev, unsigned int word)
{
	hostile_config_write(dev, word, hostile_config_value(dev, word));
}

/* What the host asks for to begin with; the driver's own fields are 0. */
void hostile_config_begin(struct hostile_device *dev)
{
	hostile_config_write(dev, HOSTILE_NUM_PAGES, dev->temper.target);
	if (hostile_throw(dev, 2))
		hostile_config_put(dev, HOSTILE_MIN_PAGES);
}

/* Asks for something else. */
void hostile_config_move(struct hostile_device *dev)
{
	static const u8 words[] = {
		HOSTILE_NUM_PAGES, HOSTILE_NUM_PAGES, HOSTILE_MIN_PAGES,
		HOSTILE_HOST_PRESSURE, HOSTILE_MIN_NOW_PAGES, HOSTILE_HINT_ID,
		HOSTILE_HINT_ID,
	};

	hostile_config_put(dev, words[hostile_throw(dev, ARRAY_SIZE(words))]);
}

void hostile_config_get(struct virtio_device *vdev, unsigned int offset,
			void *buf, unsigned int len)
{
	struct hostile_device *dev = hostile_of(vdev);
	unsigned long flags;

	dev->counts.reads++;
	if (dev->temper.slow && !dev->tame)
		usleep_range(500, 20000);
	if (dev->temper.restless)
		hostile_config_put(dev, offset / 4);
	if (offset + len > sizeof(dev->config)) {
		hostile_fault("it reads beyond the config space: %u, %u", offset,
			      len);
		return;
	}
	spin_lock_irqsave(&dev->dice_lock, flags);
	memcpy(buf, (char *)dev->config + offset, len);
	spin_unlock_irqrestore(&dev->dice_lock, flags);
}

static bool hostile_config_is_drivers(unsigned int offset)
{
	return offset == 4 * HOSTILE_ACTUAL || offset == 4 * HOSTILE_POISON_VAL ||
	       offset == 4 * HOSTILE_GUEST_PRESSURE ||
	       offset == 4 * HOSTILE_WANTED_PAGES;
}

void hostile_config_set(struct virtio_device *vdev, unsigned int offset,
			const void *buf, unsigned int len)
{
	struct hostile_device *dev = hostile_of(vdev);

	dev->counts.writes++;
	if (dev->temper.slow && !dev->tame)
		usleep_range(500, 20000);
	if (!hostile_config_is_drivers(offset) || len != 4)
		hostile_fault("it writes %u bytes at %u", len, offset);
	/* What is beyond the first four words is there with PRESSURE only. */
	if (offset >= 4 * HOSTILE_MIN_PAGES &&
	    !__virtio_test_bit(vdev, HOSTILE_F_PRESSURE))
		hostile_fault("it writes at %u without the feature", offset);
}

u32 hostile_config_generation(struct virtio_device *vdev)
{
	struct hostile_device *dev = hostile_of(vdev);

	if (dev->temper.restless)
		return hostile_throw(dev, U32_MAX);
	return READ_ONCE(dev->generation);
}
