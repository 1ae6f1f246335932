// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a host late: buffers of the queue named in parameter "queue" look as if
 * they had not been returned, until "none" is written to it.
 *
 * With "linger_ms" that ends by itself when compaction, having waited in vain for
 * one, unlocks the first page afterwards; which then takes so long.
 *
 * "free_at_reset": free pages when a virtio device was first reset, without those
 * that CPUs keep to themselves.
 *
 * With "refuse", resuming fails, with the queues set up already. "gone_used": how
 * often a buffer was asked of a queue that had been deleted. For these two the
 * module is to be loaded after the driver.
 *
 * "broken" names a queue that breaks, by itself, when the balloon's own works
 * next look at it.
 */
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <linux/vmstat.h>

static char late_queue[16] = "none";
module_param_string(queue, late_queue, sizeof(late_queue), 0644);

static unsigned int late_linger_ms;
module_param_named(linger_ms, late_linger_ms, uint, 0644);

static unsigned int late_lingered;
module_param_named(lingered, late_lingered, uint, 0444);

static unsigned long late_free_at_reset;
module_param_named(free_at_reset, late_free_at_reset, ulong, 0444);

static bool late_refuse;
module_param_named(refuse, late_refuse, bool, 0644);

static char late_broken[16] = "none";
module_param_string(broken, late_broken, sizeof(late_broken), 0644);

static unsigned int late_gone_used;
module_param_named(gone_used, late_gone_used, uint, 0444);

static struct task_struct *late_waiting;
static struct virtqueue *late_gone[16];
static unsigned int late_gone_count;

static bool late_is_gone(struct virtqueue *vq)
{
	unsigned int i;

	for (i = 0; i < min_t(unsigned int, late_gone_count, 16); i++)
		if (late_gone[i] == vq)
			return true;
	return false;
}

/* Not mdelay(), which the kernel has not measured in an emulator. */
static void late_spin(unsigned int ms)
{
	ktime_t end = ktime_add_ms(ktime_get(), ms);

	while (ktime_before(ktime_get(), end))
		cpu_relax();
}

static void *late_nothing(void)
{
	return NULL;
}

/* Nothing is taken from the ring: a later call finds it there. */
static int late_get_buf(struct kprobe *probe, struct pt_regs *regs)
{
	struct virtqueue *vq = (void *)regs_get_kernel_argument(regs, 0);

	if (late_is_gone(vq)) {
		late_gone_used++;
		goto nothing;
	}
	/* Those run wherever they like, the kernel's page reporting does not. */
	if (sysfs_streq(late_broken, vq->name) &&
	    !strncmp(current->comm, "kworker/u", 9))
		__virtqueue_break(vq);
	/* Sysfs leaves a line's end. */
	if (!sysfs_streq(late_queue, vq->name))
		return 0;
	if (late_linger_ms && !(current->flags & PF_KTHREAD))
		WRITE_ONCE(late_waiting, current);
nothing:
	instruction_pointer_set(regs, (unsigned long)late_nothing);
	return 1;
}

static int late_unlock(struct kprobe *probe, struct pt_regs *regs)
{
	if (READ_ONCE(late_waiting) != current)
		return 0;
	WRITE_ONCE(late_waiting, NULL);
	strscpy(late_queue, "none", sizeof(late_queue));
	late_lingered++;
	late_spin(late_linger_ms);
	return 0;
}

static int late_reset(struct kprobe *probe, struct pt_regs *regs)
{
	if (!late_free_at_reset)
		late_free_at_reset = global_zone_page_state(NR_FREE_PAGES);
	return 0;
}

static int late_del(struct kprobe *probe, struct pt_regs *regs)
{
	late_gone[late_gone_count++ % ARRAY_SIZE(late_gone)] =
		(void *)regs_get_kernel_argument(regs, 0);
	return 0;
}

/* The memory of one that is gone is used again: for a queue that is there. */
static int late_created(struct kretprobe_instance *instance,
			struct pt_regs *regs)
{
	struct virtqueue *vq = (void *)regs_return_value(regs);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(late_gone); i++)
		if (late_gone[i] == vq)
			late_gone[i] = NULL;
	return 0;
}

/* Kernels have one or the other, newer ones two. */
static struct kretprobe late_create_probes[] = {
	{ .kp.symbol_name = "vring_create_virtqueue", .handler = late_created },
	{ .kp.symbol_name = "vring_create_virtqueue_dma", .handler = late_created },
	{ .kp.symbol_name = "vring_create_virtqueue_map", .handler = late_created },
};

static bool late_creates[ARRAY_SIZE(late_create_probes)];

static int late_resumed(struct kretprobe_instance *instance,
			struct pt_regs *regs)
{
	if (late_refuse)
		regs_set_return_value(regs, -ENOMEM);
	return 0;
}

static bool late_resumes;	/* the driver was there */

static struct kretprobe late_resume_probe = {
	.kp.symbol_name = "virtio_balloon_pressure:vbp_hint_init",
	.handler = late_resumed,
};

static struct kprobe late_probes[] = {
	{ .symbol_name = "virtqueue_get_buf", .pre_handler = late_get_buf },
	{ .symbol_name = "folio_unlock", .pre_handler = late_unlock },
	{ .symbol_name = "virtio_reset_device", .pre_handler = late_reset },
	{ .symbol_name = "vring_del_virtqueue", .pre_handler = late_del },
};

static struct kprobe *late_list[] = {
	&late_probes[0], &late_probes[1], &late_probes[2], &late_probes[3],
};

static int __init late_init(void)
{
	int err = register_kprobes(late_list, ARRAY_SIZE(late_list));
	unsigned int i;

	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(late_creates); i++)
		late_creates[i] = !register_kretprobe(&late_create_probes[i]);
	late_resumes = !register_kretprobe(&late_resume_probe);
	return 0;
}

static void __exit late_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(late_creates); i++)
		if (late_creates[i])
			unregister_kretprobe(&late_create_probes[i]);
	if (late_resumes)
		unregister_kretprobe(&late_resume_probe);
	unregister_kprobes(late_list, ARRAY_SIZE(late_list));
}

module_init(late_init);
module_exit(late_exit);
MODULE_DESCRIPTION("A host that is late");
MODULE_LICENSE("GPL");
