// SPDX-License-Identifier: GPL-2.0-only
/* Split and packed rings, from the device's side. */
#include <linux/io.h>
#include <linux/virtio_config.h>
#include <uapi/linux/virtio_ring.h>

#include "hostile.h"

/* Ours is always a device of this byte order, whatever its features say. */
static u16 hostile_ring_16(const void *at)
{
	return READ_ONCE(*(const u16 *)at);
}

void hostile_ring_begin(struct hostile_queue *queue, bool packed)
{
	queue->packed = packed;
	queue->size = virtqueue_get_vring_size(queue->vq);
	queue->desc = phys_to_virt(virtqueue_get_desc_addr(queue->vq));
	queue->driver = phys_to_virt(virtqueue_get_avail_addr(queue->vq));
	queue->device = phys_to_virt(virtqueue_get_used_addr(queue->vq));
	queue->seen = 0;
	queue->used = 0;
	queue->seen_wrap = true;
	queue->used_wrap = true;
	queue->nr_bufs = 0;
}

static void hostile_ring_part(struct hostile_buffer *buf, u64 addr, u32 len)
{
	if (buf->nr_parts < HOSTILE_PARTS)
		buf->parts[buf->nr_parts++] = (struct hostile_part) {
			.addr = addr,
			.len = len,
		};
}

/* Both layouts of a descriptor begin with these two. */
static void hostile_ring_indirect(struct hostile_buffer *buf, u64 addr, u32 len)
{
	const struct vring_desc *table = phys_to_virt(addr);
	unsigned int i;

	for (i = 0; i < len / sizeof(*table); i++)
		hostile_ring_part(buf, (__force u64)table[i].addr,
				  (__force u32)table[i].len);
}

static void hostile_ring_descriptor(struct hostile_buffer *buf, u64 addr,
				    u32 len, u16 flags)
{
	if (flags & VRING_DESC_F_INDIRECT)
		hostile_ring_indirect(buf, addr, len);
	else
		hostile_ring_part(buf, addr, len);
	buf->descriptors++;
}

static bool hostile_ring_next_split(struct hostile_queue *queue,
				    struct hostile_buffer *buf)
{
	struct vring_avail *avail = queue->driver;
	struct vring_desc *table = queue->desc, *desc;
	u16 at;

	if (hostile_ring_16(&avail->idx) == queue->seen)
		return false;
	smp_rmb(); /* What the driver wrote before the index. */
	at = hostile_ring_16(&avail->ring[queue->seen++ % queue->size]);
	buf->id = at;
	do {
		desc = &table[at % queue->size];
		hostile_ring_descriptor(buf, (__force u64)desc->addr,
					(__force u32)desc->len,
					(__force u16)desc->flags);
		at = (__force u16)desc->next;
	} while (((__force u16)desc->flags & VRING_DESC_F_NEXT) &&
		 buf->descriptors < queue->size);
	return true;
}

static bool hostile_ring_next_packed(struct hostile_queue *queue,
				     struct hostile_buffer *buf)
{
	struct vring_packed_desc *ring = queue->desc, *desc;
	u16 flags;

	flags = hostile_ring_16(&ring[queue->seen].flags);
	if (!!(flags & BIT(VRING_PACKED_DESC_F_AVAIL)) != queue->seen_wrap ||
	    !!(flags & BIT(VRING_PACKED_DESC_F_USED)) == queue->seen_wrap)
		return false;
	smp_rmb(); /* What the driver wrote before the flags. */
	do {
		desc = &ring[queue->seen];
		flags = hostile_ring_16(&desc->flags);
		hostile_ring_descriptor(buf, (__force u64)desc->addr,
					(__force u32)desc->len, flags);
		buf->id = (__force u16)desc->id;
		if (++queue->seen == queue->size) {
			queue->seen = 0;
			queue->seen_wrap = !queue->seen_wrap;
		}
	} while ((flags & VRING_DESC_F_NEXT) && buf->descriptors < queue->size);
	return true;
}

/* The next buffer that the driver has made available, if there is one. */
bool hostile_ring_next(struct hostile_queue *queue, struct hostile_buffer *buf)
{
	buf->nr_parts = 0;
	buf->descriptors = 0;
	return queue->packed ? hostile_ring_next_packed(queue, buf) :
			       hostile_ring_next_split(queue, buf);
}

static void hostile_ring_return_split(struct hostile_queue *queue, u32 id,
				      u32 len)
{
	struct vring_used *used = queue->device;
	struct vring_used_elem *elem = &used->ring[queue->used % queue->size];

	elem->id = (__force __virtio32)id;
	elem->len = (__force __virtio32)len;
	smp_wmb(); /* Before the index says that it is there. */
	WRITE_ONCE(*(u16 *)&used->idx, ++queue->used);
}

static void hostile_ring_return_packed(struct hostile_queue *queue,
				       unsigned int descriptors, u32 id,
				       u32 len)
{
	struct vring_packed_desc *ring = queue->desc;
	struct vring_packed_desc *desc = &ring[queue->used];
	u16 flags = queue->used_wrap ? BIT(VRING_PACKED_DESC_F_AVAIL) |
				       BIT(VRING_PACKED_DESC_F_USED) : 0;

	desc->id = (__force __le16)(u16)id;
	desc->len = (__force __le32)len;
	smp_wmb(); /* Before the flags say that it is there. */
	WRITE_ONCE(*(u16 *)&desc->flags, flags);
	queue->used += descriptors;
	if (queue->used >= queue->size) {
		queue->used -= queue->size;
		queue->used_wrap = !queue->used_wrap;
	}
}

/* Say that the buffer @id is used, be there one or not. */
void hostile_ring_return(struct hostile_queue *queue, unsigned int descriptors,
			 u32 id, u32 len)
{
	if (queue->packed)
		hostile_ring_return_packed(queue, descriptors, id, len);
	else
		hostile_ring_return_split(queue, id, len);
}

/* What the device may write to be notified less often, or whatever it likes. */
void hostile_ring_suppress(struct hostile_queue *queue, u16 value)
{
	struct vring_used *used = queue->device;
	struct vring_packed_desc_event *event = queue->device;

	if (queue->packed) {
		WRITE_ONCE(*(u16 *)&event->off_wrap, value);
		WRITE_ONCE(*(u16 *)&event->flags, value % 4);
	} else {
		WRITE_ONCE(*(u16 *)&used->flags, value % 2);
		WRITE_ONCE(*(u16 *)&used->ring[queue->size], value);
	}
}
