// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes balloon devices deaf: while the parameter "deaf" is 1 none of them hears
 * that there is something in a queue, or in the one named by "queue". Written 0,
 * all of them do at once. As on a host that is busy or stopped for a while, and
 * unlike one that has gone wrong, everything works again afterwards. "unheard"
 * says how often something was not heard.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <linux/virtio_ids.h>

#define DEAF_QUEUES	8

static bool deaf_on;
static char *queue = "";
static unsigned int unheard;
static struct virtqueue *deaf_queues[DEAF_QUEUES];
static unsigned int deaf_nr_queues;
static DEFINE_SPINLOCK(deaf_lock);

static bool deaf_notify(struct virtqueue *vq)
{
	return true;
}

static void deaf_remember(struct virtqueue *vq)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&deaf_lock, flags);
	unheard++;
	for (i = 0; i < deaf_nr_queues; i++)
		if (deaf_queues[i] == vq)
			break;
	if (i == deaf_nr_queues && i < DEAF_QUEUES)
		deaf_queues[deaf_nr_queues++] = vq;
	spin_unlock_irqrestore(&deaf_lock, flags);
}

static int deaf_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct virtqueue *vq = (void *)regs_get_kernel_argument(regs, 0);

	if (!READ_ONCE(deaf_on) || vq->vdev->id.device != VIRTIO_ID_BALLOON ||
	    (*queue && strcmp(vq->name, queue)))
		return 0;
	deaf_remember(vq);
	instruction_pointer_set(regs, (unsigned long)deaf_notify);
	return 1;
}

/* Without one a probe may be built so that the handler can't redirect. */
static void deaf_after(struct kprobe *probe, struct pt_regs *regs,
		       unsigned long flags)
{
}

static struct kprobe deaf_probe = {
	.symbol_name = "vp_notify",
	.pre_handler = deaf_entry,
	.post_handler = deaf_after,
};

static int deaf_set(const char *value, const struct kernel_param *param)
{
	int err = param_set_bool(value, param);
	unsigned int i;

	if (err || deaf_on)
		return err;
	for (i = 0; i < deaf_nr_queues; i++)
		virtqueue_notify(deaf_queues[i]);
	deaf_nr_queues = 0;
	return 0;
}

static const struct kernel_param_ops deaf_ops = {
	.set = deaf_set,
	.get = param_get_bool,
};

static int __init deaf_init(void)
{
	return register_kprobe(&deaf_probe);
}

static void __exit deaf_exit(void)
{
	unregister_kprobe(&deaf_probe);
}

module_init(deaf_init);
module_exit(deaf_exit);
module_param_cb(deaf, &deaf_ops, &deaf_on, 0600);
module_param(queue, charp, 0400);
module_param(unheard, uint, 0400);
MODULE_DESCRIPTION("Balloon devices that are deaf");
MODULE_LICENSE("GPL");
