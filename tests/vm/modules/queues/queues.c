// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says of each driver that sets up queues on PCI whether there is a gap in what it
 * passes: a queue without a name before another one. Kernels from 6.11 on.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

static int queues_found(struct kprobe *probe, struct pt_regs *regs)
{
	struct virtio_device *vdev = (void *)regs_get_kernel_argument(regs, 0);
	unsigned int nvqs = regs_get_kernel_argument(regs, 1);
	struct virtqueue_info *info = (void *)regs_get_kernel_argument(regs, 3);
	bool unnamed = false, gap = false;
	unsigned int i;

	for (i = 0; i < nvqs; i++) {
		gap |= unnamed && info[i].name;
		unnamed |= !info[i].name;
	}
	pr_info("queues: %s passes %u with%s a gap\n", vdev->dev.driver->name,
		nvqs, gap ? "" : "out");
	return 0;
}

static struct kprobe queues_probe = {
	.symbol_name = "vp_modern_find_vqs",
	.pre_handler = queues_found,
};

static int __init queues_init(void)
{
	return register_kprobe(&queues_probe);
}

module_init(queues_init);
MODULE_DESCRIPTION("Says which drivers leave a gap among their queues");
MODULE_LICENSE("GPL");
