/* SPDX-License-Identifier: GPL-2.0-only */
/* When works run. */
#ifndef VBP_WORKS_H
#define VBP_WORKS_H

#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct vbp_device;

/* works.c's own. */
struct vbp_works {
	/* irq-safe; nests in anything: whether works may still be queued */
	spinlock_t lock;
	bool stopping;			/* Protected by @lock */
	bool awake;			/* pm_stay_awake in force. By @lock */
	u32 wake_reasons;		/* Protected by @lock */
	bool reclaim_sign;		/* for @relief. By @lock; once set, seen without */
	bool sampler;			/* the parameter; fixed */
	struct workqueue_struct *main_wq;
	struct workqueue_struct *relief_wq;
	struct delayed_work main;	/* talks to the host */
	unsigned long main_due;		/* jiffies, of a pending @main. By @lock */
	unsigned long ask_next;		/* jiffies: for the host not before. By @lock */
	struct delayed_work relief;	/* never waits for it */
};

/*
 * Another work that runs when the host asks, which it may do as often as it likes.
 */
struct vbp_works_asked {
	struct delayed_work work;
	unsigned long next;	/* jiffies: not before. Protected by works.lock */
};

/* Reasons to keep the system awake, see vbp_works_begin_wake(). */
#define VBP_WAKE_SIZE	BIT(0)
#define VBP_WAKE_STATS	BIT(1)

int vbp_works_init(struct vbp_device *vb, work_func_t main, work_func_t relief,
		   bool sampler);
void vbp_works_destroy(struct vbp_device *vb);
void vbp_works_open(struct vbp_device *vb);
void vbp_works_close(struct vbp_device *vb);
void vbp_works_wait(struct vbp_device *vb);
bool vbp_works_stopping(struct vbp_device *vb);
bool vbp_works_main_pending(struct vbp_device *vb);
void vbp_works_main(struct vbp_device *vb, u32 wake_reason);
void vbp_works_main_later(struct vbp_device *vb, unsigned int ms);
void vbp_works_relief(struct vbp_device *vb);
void vbp_works_watch(struct vbp_device *vb);
bool vbp_works_take_sign(struct vbp_device *vb);
void vbp_works_asked(struct vbp_device *vb, struct vbp_works_asked *asked,
		     u32 wake_reason);
void vbp_works_end_wake(struct vbp_device *vb, u32 wake_reason);

#endif /* VBP_WORKS_H */
