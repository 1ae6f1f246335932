// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel's virtio core asks of a transport. */
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <uapi/linux/virtio_ids.h>

#include "hostile.h"

static u64 hostile_transport_get_features(struct virtio_device *vdev)
{
	return hostile_of(vdev)->offered;
}

static int hostile_transport_finalize(struct virtio_device *vdev)
{
	/* Not the driver's, but this transport does not have it. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	vring_transport_features(vdev);
	if (vdev->features & ~hostile_of(vdev)->offered)
		hostile_fault("it takes what was not offered: %llx of %llx",
			      vdev->features, hostile_of(vdev)->offered);
	/* Taken by others; what they mean the driver does not know. */
	if (vdev->features & (BIT_ULL(6) | BIT_ULL(7)))
		hostile_fault("it takes unknown features: %llx", vdev->features);
	return 0;
}

static u8 hostile_transport_get_status(struct virtio_device *vdev)
{
	return READ_ONCE(hostile_of(vdev)->status);
}

static void hostile_transport_set_status(struct virtio_device *vdev, u8 status)
{
	struct hostile_device *dev = hostile_of(vdev);

	mutex_lock(&dev->lock);
	dev->status = status;
	dev->ready = status & VIRTIO_CONFIG_S_DRIVER_OK;
	mutex_unlock(&dev->lock);
	wake_up_process(dev->host);
}

static void hostile_transport_reset(struct virtio_device *vdev)
{
	struct hostile_device *dev = hostile_of(vdev);

	mutex_lock(&dev->lock);
	hostile_queues_reset(dev);
	dev->ready = false;
	dev->status = 0;
	mutex_unlock(&dev->lock);
	irq_work_sync(&dev->interrupt);
}

static void hostile_transport_interrupted(struct irq_work *work)
{
	struct hostile_device *dev = container_of(work, struct hostile_device,
						  interrupt);
	/* Those are ready that are counted. */
	unsigned int i, nr = smp_load_acquire(&dev->nr_queues);
	unsigned long what = xchg(&dev->interrupts, 0);

	for (i = 0; i < nr && what & HOSTILE_IRQ_QUEUES; i++)
		vring_interrupt(0, dev->queues[i].vq);
	if (what & HOSTILE_IRQ_CONFIG)
		virtio_config_changed(&dev->vdev);
}

/* For all queues at once: they may share a line. */
void hostile_transport_interrupt(struct hostile_device *dev, unsigned long what)
{
	unsigned long before = READ_ONCE(dev->interrupts);

	while (!try_cmpxchg(&dev->interrupts, &before, before | what))
		;
	dev->counts.interrupts++;
	irq_work_queue(&dev->interrupt);
}

static bool hostile_transport_notify(struct virtqueue *vq)
{
	wake_up_process(hostile_of(vq->vdev)->host);
	return true;
}

/* Which queue has that number: each that is offered has one. */
static enum hostile_kind hostile_transport_kind(struct hostile_device *dev,
						unsigned int number)
{
	static const struct {
		enum hostile_kind kind;
		int feature;
	} optional[] = {
		{ HOSTILE_STATS, VIRTIO_BALLOON_F_STATS_VQ },
		{ HOSTILE_HINT, VIRTIO_BALLOON_F_FREE_PAGE_HINT },
		{ HOSTILE_REPORTING, VIRTIO_BALLOON_F_REPORTING },
	};
	unsigned int i, next = HOSTILE_STATS;

	if (number < next)
		return number;
	for (i = 0; i < ARRAY_SIZE(optional); i++)
		if (dev->offered & BIT_ULL(optional[i].feature) &&
		    next++ == number)
			return optional[i].kind;
	hostile_fault("queue %u was not offered", number);
	return HOSTILE_STATS;
}

static void hostile_transport_del_vqs(struct virtio_device *vdev)
{
	struct hostile_device *dev = hostile_of(vdev);
	struct virtqueue *vq, *next;

	mutex_lock(&dev->lock);
	if (dev->ready)
		hostile_fault("queues are deleted while the device is at work");
	WRITE_ONCE(dev->nr_queues, 0);
	mutex_unlock(&dev->lock);
	irq_work_sync(&dev->interrupt);
	list_for_each_entry_safe(vq, next, &vdev->vqs, list)
		vring_del_virtqueue(vq);
}

static int hostile_transport_add(struct hostile_device *dev,
				 struct virtqueue **vq, vq_callback_t *callback,
				 const char *name)
{
	struct hostile_queue *queue = &dev->queues[dev->nr_queues];
	bool packed = __virtio_test_bit(&dev->vdev, VIRTIO_F_RING_PACKED);

	*vq = NULL;
	if (!name)
		return 0;
	if (dev->nr_queues == HOSTILE_QUEUES)
		return -EINVAL;
	*vq = vring_create_virtqueue(dev->nr_queues, dev->temper.size, PAGE_SIZE,
				     &dev->vdev, true, true, false,
				     hostile_transport_notify, callback, name);
	if (!*vq)
		return -ENOMEM;
	queue->vq = *vq;
	queue->kind = hostile_transport_kind(dev, dev->nr_queues);
	hostile_ring_begin(queue, packed);
	/* From now on there are interrupts for it. */
	smp_store_release(&dev->nr_queues, dev->nr_queues + 1);
	return 0;
}

#ifdef HOSTILE_VIRTQUEUE_INFO
static int hostile_transport_find_vqs(struct virtio_device *vdev,
				      unsigned int nr, struct virtqueue *vqs[],
				      struct virtqueue_info info[],
				      struct irq_affinity *desc)
#else
static int hostile_transport_find_vqs(struct virtio_device *vdev,
				      unsigned int nr, struct virtqueue *vqs[],
				      vq_callback_t *callbacks[],
				      const char * const names[],
				      const bool *ctx, struct irq_affinity *desc)
#endif
{
	struct hostile_device *dev = hostile_of(vdev);
	unsigned int i;
	int err = 0;

	if (dev->temper.refuses)
		return -ENOENT;
	for (i = 0; i < nr && !err; i++) {
#ifdef HOSTILE_VIRTQUEUE_INFO
		err = hostile_transport_add(dev, &vqs[i], info[i].callback,
					    info[i].name);
#else
		err = hostile_transport_add(dev, &vqs[i], callbacks[i],
					    names[i]);
#endif
	}
	if (err)
		hostile_transport_del_vqs(vdev);
	return err;
}

static const char *hostile_transport_bus_name(struct virtio_device *vdev)
{
	return "hostile";
}

static const struct virtio_config_ops hostile_transport_ops = {
	.get = hostile_config_get,
	.set = hostile_config_set,
	.generation = hostile_config_generation,
	.get_status = hostile_transport_get_status,
	.set_status = hostile_transport_set_status,
	.reset = hostile_transport_reset,
	.find_vqs = hostile_transport_find_vqs,
	.del_vqs = hostile_transport_del_vqs,
	.get_features = hostile_transport_get_features,
	.finalize_features = hostile_transport_finalize,
	.bus_name = hostile_transport_bus_name,
};

static void hostile_transport_release(struct device *dev)
{
	complete(&hostile_of(dev_to_virtio(dev))->released);
}

/* Plugs it in; the driver, if there is one, has it then or has refused it. */
int hostile_transport_register(struct hostile_device *dev, struct device *parent)
{
	int err;

	init_irq_work(&dev->interrupt, hostile_transport_interrupted);
	dev->vdev.id.device = VIRTIO_ID_BALLOON;
	dev->vdev.id.vendor = VIRTIO_DEV_ANY_ID;
	dev->vdev.config = &hostile_transport_ops;
	dev->vdev.dev.parent = parent;
	dev->vdev.dev.release = hostile_transport_release;
	err = register_virtio_device(&dev->vdev);
	if (err)
		put_device(&dev->vdev.dev);
	return err;
}
