// SPDX-License-Identifier: GPL-2.0-only
/*
 * A balloon device that answers on its inflate queue and not on its deflate
 * queue: while hold=1 it does not hear that something is in there. hold=0 tells
 * it. held says how often that was. x86 only, as the tests' guests are.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/virtio.h>

static bool hold;
static unsigned int held;
static struct virtqueue *hold_deflate_vq;

static int hold_deflate_set(const char *text, const struct kernel_param *param)
{
	int err = param_set_bool(text, param);

	if (!err && !hold && hold_deflate_vq)
		virtqueue_notify(hold_deflate_vq);
	return err;
}

static const struct kernel_param_ops hold_deflate_ops = {
	.set = hold_deflate_set,
	.get = param_get_bool,
};
module_param_cb(hold, &hold_deflate_ops, &hold, 0644);
module_param(held, uint, 0444);

/* What the transport's function does instead: says that all went well. */
static noinline bool hold_deflate_return(struct virtqueue *vq)
{
	return true;
}

static int hold_deflate_notify(struct kprobe *probe, struct pt_regs *regs)
{
	struct virtqueue *vq = (void *)regs_get_kernel_argument(regs, 0);

	if (!hold || strcmp(vq->name, "deflate"))
		return 0;
	hold_deflate_vq = vq;
	held++;
	instruction_pointer_set(regs, (unsigned long)hold_deflate_return);
	return 1;
}

/* With one of these the probe may change where the kernel goes on. */
static void hold_deflate_after(struct kprobe *probe, struct pt_regs *regs,
			       unsigned long flags)
{
}

static struct kprobe hold_deflate_probe = {
	.symbol_name = "vp_notify",
	.pre_handler = hold_deflate_notify,
	.post_handler = hold_deflate_after,
};

static int __init hold_deflate_init(void)
{
	return register_kprobe(&hold_deflate_probe);
}

static void __exit hold_deflate_exit(void)
{
	unregister_kprobe(&hold_deflate_probe);
}

module_init(hold_deflate_init);
module_exit(hold_deflate_exit);
MODULE_DESCRIPTION("A balloon device that leaves its deflate queue alone");
MODULE_LICENSE("GPL");
