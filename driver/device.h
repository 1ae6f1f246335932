/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device put together, and what the files of the driver share.
 *
 * One arrow: sensors -> policy -> mechanism -> host.
 *
 *	sensors/	something happened
 *	engine/		asks the policy, does what it says
 *	balloon/	pages in, pages out, the books
 *	host/		what the host is told and asked
 *	policy/		what to do; pure
 *
 * main.c, takeover.c and sysfs.c are life cycle and faces; memory.c (readings),
 * works.c (when works run), params.c and trace.h are everybody's. Who is above
 * calls who is below, and never the other way round: what has happened below is
 * returned. A part of the device is touched by its own folder only; sysfs.c
 * reads.
 *
 * Units: "pages" are guest pages everywhere. Only host/ and what it writes
 * to the device know that the device counts in 4 KiB.
 *
 * Locks, outermost first:
 *
 *	host_lock	mutex. The inflate and deflate queues, their buffers,
 *			our reports, and config writes. Waiting for the host
 *			happens under it, so nothing may allocate under it: an
 *			allocation may reclaim, and reclaim may migrate our
 *			pages, which tries this lock. To wait for it is to
 *			wait for the host: who has others' locks waits as
 *			vbp_leave_range() does.
 *	lock		spinlock. Lists, counters, policy state. Taken in
 *			reclaim by the shrinker: no allocation under it either,
 *			and nothing whose length grows with the guest, be it
 *			memory or CPUs: memory is read before it is taken.
 *	works.lock	spinlock, irq-safe. Whether works may still be queued.
 *	a queue's lock	spinlock. Its ring, and which buffers are out: the
 *			kernel's page reporting uses one without host_lock.
 *
 * lock is never held while host_lock is taken; works.lock nests in anything.
 */
#ifndef VBP_DEVICE_H
#define VBP_DEVICE_H

#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>

#include "balloon/balloon.h"
#include "engine/engine.h"
#include "host/host.h"
#include "memory.h"
#include "params.h"
#include "policy/policy.h"
#include "sensors/sensors.h"
#include "trace.h"
#include "works.h"

struct vbp_device {
	struct virtio_device *vdev;

	/* Fixed from probe to remove. */
	bool elastic;		/* the guest may take pages back by itself */
	bool must_tell;		/* VIRTIO_BALLOON_F_MUST_TELL_HOST */
	bool pressure;		/* VIRTIO_BALLOON_F_PRESSURE */
	unsigned int max_pfns;	/* that the host takes in one piece */

	/* See the top of this file. */
	struct mutex host_lock;	/* around the host's answers */
	spinlock_t lock;	/* lists, counters, policy state */

	/* Held, of which balloon/account.c keeps count. Protected by @lock */
	unsigned long block_pages;	/* in blocks */
	unsigned long small_pages;	/* single */
	/* As the engine has last read it. Protected by @lock; the gate guesses */
	struct vbp_host_asks asks;

	struct vbp_sensors sensors;
	struct vbp_engine engine;
	struct vbp_balloon balloon;
	struct vbp_host host;
	struct vbp_works works;
};

/*
 * For what a host can bring about as often as it likes: five lines of each kind
 * in a minute, and how many there were besides.
 */
#define vbp_log_rarely(log, dev, ...) do {				\
	static DEFINE_RATELIMIT_STATE(rarely, 60 * HZ, 5);		\
									\
	if (__ratelimit(&rarely))					\
		log(dev, __VA_ARGS__);					\
} while (0)
#define dev_info_rarely(dev, ...) vbp_log_rarely(dev_info, dev, __VA_ARGS__)
#define dev_err_rarely(dev, ...) vbp_log_rarely(dev_err, dev, __VA_ARGS__)

/* Size of the balloon. @vb->lock held, or a guess. */
static inline unsigned long vbp_held_pages(struct vbp_device *vb)
{
	return vb->block_pages + vb->small_pages;
}

#endif /* VBP_DEVICE_H */
