// SPDX-License-Identifier: GPL-2.0-only
/* What the device does with the driver's buffers. */
#include <linux/jiffies.h>
#include <linux/string.h>
#include <linux/virtio_config.h>

#include "hostile.h"

/*
 * Whether what it says of pages can still be true. Once it has returned what it
 * was not given, the driver may take any later buffer for returned.
 */
static bool hostile_queues_honest(struct hostile_device *dev)
{
	return !dev->lied;
}

static void hostile_queues_fate(struct hostile_device *dev,
				struct hostile_queue *queue,
				struct hostile_buffer *buf)
{
	struct hostile_temper *temper = &dev->temper;
	unsigned int late_ms = temper->late_ms;

	if (dev->leaving)
		late_ms += temper->drags_ms;
	if (queue->kind == HOSTILE_STATS)
		late_ms = temper->stats_ms;
	else if (late_ms)
		late_ms = hostile_throw(dev, late_ms + 1);
	buf->due = jiffies + msecs_to_jiffies(late_ms);
	buf->kept = hostile_chance(dev, temper->keeps);
}

static void hostile_queues_arrive(struct hostile_device *dev,
				  struct hostile_queue *queue)
{
	struct hostile_buffer *buf;

	while (queue->nr_bufs < HOSTILE_BUFFERS) {
		buf = &queue->bufs[queue->nr_bufs];
		if (!hostile_ring_next(queue, buf))
			break;
		queue->nr_bufs++;
		dev->counts.buffers[queue->kind]++;
		hostile_queues_fate(dev, queue, buf);
		if (hostile_queues_honest(dev))
			hostile_pages_arrive(dev, queue->kind, buf);
	}
}

/* The length is of no use to a driver that expects none. */
static u32 hostile_queues_length(struct hostile_device *dev)
{
	return hostile_throw(dev, 2) ? 0 : hostile_throw(dev, U32_MAX);
}

static void hostile_queues_return(struct hostile_device *dev,
				  struct hostile_queue *queue, unsigned int i)
{
	struct hostile_buffer *buf = &queue->bufs[i];

	if (hostile_queues_honest(dev))
		hostile_pages_return(dev, queue->kind, buf);
	queue->last = buf->id;
	hostile_ring_return(queue, buf->descriptors, buf->id,
			    hostile_queues_length(dev));
	queue->nr_bufs--;
	memmove(buf, buf + 1, (queue->nr_bufs - i) * sizeof(*buf));
	dev->counts.returned++;
}

static bool hostile_queues_is_due(struct hostile_device *dev,
				  struct hostile_buffer *buf)
{
	if (dev->tame)
		return true;
	if (dev->leaving && dev->temper.silent)
		return false;
	return !buf->kept && time_after_eq(jiffies, buf->due);
}

/* Those that are due, in the order of their coming, or in any. */
static bool hostile_queues_return_due(struct hostile_device *dev,
				      struct hostile_queue *queue)
{
	unsigned int i = 0, first;
	bool any = false;

	while (i < queue->nr_bufs) {
		if (!hostile_queues_is_due(dev, &queue->bufs[i])) {
			/* One that is late holds up those behind it. */
			if (!dev->temper.shuffles && !queue->bufs[i].kept)
				break;
			i++;
			continue;
		}
		first = i;
		if (dev->temper.shuffles) {
			first = i + hostile_throw(dev, queue->nr_bufs - i);
			if (!hostile_queues_is_due(dev, &queue->bufs[first]))
				first = i;
		}
		hostile_queues_return(dev, queue, first);
		any = true;
	}
	return any;
}

/* Returns what it was not given: the kernel finds that the queue is broken. */
static void hostile_queues_lie(struct hostile_device *dev)
{
	struct hostile_queue *queue =
		&dev->queues[hostile_throw(dev, dev->nr_queues)];
	u32 id;

	/* What waits in a packed ring would be overwritten. */
	if (queue->nr_bufs == HOSTILE_BUFFERS)
		return;
	switch (hostile_throw(dev, 4)) {
	case 0:
		id = queue->size + hostile_throw(dev, 3);
		break;
	case 1:
		id = hostile_throw(dev, U32_MAX);
		break;
	case 2:
		id = queue->last;
		break;
	default:
		id = hostile_throw(dev, queue->size);
		break;
	}
	dev->lied |= (queue->packed ? (u16)id : id) < queue->size;
	hostile_ring_return(queue, 1, id, hostile_queues_length(dev));
	if (!queue->packed && !hostile_throw(dev, 4)) {
		dev->lied = true;
		queue->used += hostile_throw(dev, U16_MAX);
		hostile_ring_return(queue, 1, id, 0);
	}
}

/* One look at all queues, and what comes to its mind. Returns whether soon again. */
bool hostile_queues_look(struct hostile_device *dev)
{
	struct hostile_temper *temper = &dev->temper;
	bool returned = false;
	unsigned int i;

	lockdep_assert_held(&dev->lock);
	if (!dev->ready || dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return false;
	for (i = 0; i < dev->nr_queues; i++) {
		hostile_queues_arrive(dev, &dev->queues[i]);
		returned |= hostile_queues_return_due(dev, &dev->queues[i]);
		if (!hostile_throw(dev, 50))
			hostile_ring_suppress(&dev->queues[i],
					      hostile_throw(dev, U16_MAX));
	}
	if (!dev->tame && hostile_chance(dev, temper->lies))
		hostile_queues_lie(dev);
	if (returned && (dev->tame || !hostile_chance(dev, temper->quiet)))
		hostile_transport_interrupt(dev, HOSTILE_IRQ_QUEUES);
	return returned;
}

/* The device forgets all it has. */
void hostile_queues_reset(struct hostile_device *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->lock);
	if (hostile_queues_honest(dev))
		hostile_pages_check_reset(dev);
	hostile_pages_forget();
	for (i = 0; i < dev->nr_queues; i++)
		dev->queues[i].nr_bufs = 0;
	dev->lied = false;
}
