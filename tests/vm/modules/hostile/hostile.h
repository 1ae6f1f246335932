/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A balloon device that does anything the wire allows, made by a module in the
 * guest: its own transport, and its own side of the queues, which it reads and
 * writes in memory as a device does.
 *
 *	life.c		one device after another, each drawn by the dice
 *	transport.c	what the kernel's virtio core asks of a transport
 *	config.c	the config space
 *	ring.c		split and packed rings, from the device's side
 *	queues.c	what it does with the buffers
 *	pages.c		which pages it has, and whether somebody uses them
 *
 * Lock: a device's @lock, a mutex. Interrupts and config accesses are outside.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>

#define HOSTILE_QUEUES	5
/* Buffers it has looked at and not returned; what is beyond waits in the ring. */
#define HOSTILE_BUFFERS	64
/* Parts of a buffer: the kernel's page reporting has no more. */
#define HOSTILE_PARTS	64

#define HOSTILE_F_PRESSURE	17
/* The config space with it, in words. */
#define HOSTILE_CONFIG_WORDS	9
enum {
	HOSTILE_NUM_PAGES,
	HOSTILE_ACTUAL,
	HOSTILE_HINT_ID,
	HOSTILE_POISON_VAL,
	HOSTILE_MIN_PAGES,
	HOSTILE_HOST_PRESSURE,
	HOSTILE_GUEST_PRESSURE,
	HOSTILE_WANTED_PAGES,
	HOSTILE_MIN_NOW_PAGES,
};

enum hostile_kind {
	HOSTILE_INFLATE,
	HOSTILE_DEFLATE,
	HOSTILE_STATS,
	HOSTILE_HINT,
	HOSTILE_REPORTING,
};

struct hostile_part {
	u64 addr;
	u32 len;
};

/* A buffer that the driver made available. */
struct hostile_buffer {
	u16 id;
	u16 descriptors;
	bool kept;			/* never to be returned */
	unsigned long due;		/* jiffies: not to be returned before */
	unsigned int nr_parts;
	struct hostile_part parts[HOSTILE_PARTS];
};

struct hostile_queue {
	struct virtqueue *vq;
	enum hostile_kind kind;
	bool packed;
	unsigned int size;
	void *desc, *driver, *device;	/* the ring's three parts */
	u16 seen, used;			/* where in it we are */
	bool seen_wrap, used_wrap;
	u16 last;			/* the buffer returned last */
	unsigned int nr_bufs;
	struct hostile_buffer bufs[HOSTILE_BUFFERS];
};

/* How this one is, until it goes. Chances are in 1000; the last ones are 0 or 1. */
struct hostile_temper {
	unsigned int size;		/* of the queues */
	unsigned int target;		/* to begin with */
	unsigned int late_ms;		/* at most, for a buffer */
	unsigned int drags_ms;		/* the same, once it is to go */
	unsigned int keeps;		/* chance that one is never returned */
	unsigned int lies;		/* chance of nonsense in a used ring */
	unsigned int storm;		/* interrupts without a cause, a look */
	unsigned int moves;		/* chance of a new config, a look */
	unsigned int quiet;		/* chance that such is not told of */
	unsigned int stats_ms;		/* between two questions; 0: at once */
	unsigned int life_ms;
	unsigned int shuffles;		/* returns in any order */
	unsigned int restless;		/* config values differ at each read */
	unsigned int wild;		/* and they are any value, not sizes */
	unsigned int slow;		/* each access to the config takes a while */
	unsigned int refuses;		/* has no queues at first */
	unsigned int breaks;		/* the transport finds it broken */
	unsigned int needs_reset;	/* says so, and stops working */
	unsigned int silent;		/* once it is to go, it answers no more */
};

/* What an interrupt may be for. */
#define HOSTILE_IRQ_QUEUES	BIT(0)
#define HOSTILE_IRQ_CONFIG	BIT(1)

struct hostile_counts {
	unsigned int reads, writes, buffers[HOSTILE_QUEUES], returned, interrupts;
};

struct hostile_device {
	struct virtio_device vdev;
	struct mutex lock;		/* the queues, @ready, pages */
	struct hostile_queue queues[HOSTILE_QUEUES];
	unsigned int nr_queues;
	bool ready;
	bool lied;			/* it returned what it had not */
	bool leaving;			/* asked to go */
	bool tame;			/* it took too long: let it end */
	u64 offered;
	u8 status;
	struct hostile_temper temper;
	struct hostile_counts counts;
	struct task_struct *host;
	unsigned long since;		/* jiffies: the driver is waited for; 0 */
	struct irq_work interrupt;
	unsigned long interrupts;	/* HOSTILE_IRQ_*; atomic */
	struct completion released;

	spinlock_t dice_lock;		/* @dice, @config, @generation */
	struct rnd_state dice;
	u32 config[HOSTILE_CONFIG_WORDS];
	u32 generation;
};

static inline struct hostile_device *hostile_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct hostile_device, vdev);
}

/* life.c */
u32 hostile_throw(struct hostile_device *dev, u32 sides);
bool hostile_chance(struct hostile_device *dev, u32 in_1000);
__printf(1, 2) void hostile_fault(const char *format, ...);

/* transport.c */
int hostile_transport_register(struct hostile_device *dev, struct device *parent);
void hostile_transport_interrupt(struct hostile_device *dev, unsigned long what);

/* config.c */
u32 hostile_config_size(struct hostile_device *dev);
void hostile_config_begin(struct hostile_device *dev);
void hostile_config_move(struct hostile_device *dev);
void hostile_config_get(struct virtio_device *vdev, unsigned int offset,
			void *buf, unsigned int len);
void hostile_config_set(struct virtio_device *vdev, unsigned int offset,
			const void *buf, unsigned int len);
u32 hostile_config_generation(struct virtio_device *vdev);

/* ring.c */
void hostile_ring_begin(struct hostile_queue *queue, bool packed);
bool hostile_ring_next(struct hostile_queue *queue, struct hostile_buffer *buf);
void hostile_ring_return(struct hostile_queue *queue, unsigned int descriptors,
			 u32 id, u32 len);
void hostile_ring_suppress(struct hostile_queue *queue, u16 value);

/* queues.c */
bool hostile_queues_look(struct hostile_device *dev);
void hostile_queues_reset(struct hostile_device *dev);

/* pages.c */
int hostile_pages_init(void);
void hostile_pages_destroy(void);
void hostile_pages_arrive(struct hostile_device *dev, enum hostile_kind kind,
			  struct hostile_buffer *buf);
void hostile_pages_return(struct hostile_device *dev, enum hostile_kind kind,
			  struct hostile_buffer *buf);
void hostile_pages_check_reset(struct hostile_device *dev);
void hostile_pages_forget(void);

#endif /* HOSTILE_H */
