// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes balloon devices offer VIRTIO_BALLOON_F_MUST_TELL_HOST, which QEMU never
 * does: a real device, one injected bit. QEMU takes the bit when the driver
 * acknowledges it, and otherwise behaves as ever; crosvm, which always offers
 * it, behaves the same.
 *
 * To be loaded before the balloon's driver.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci_modern.h>

struct must_tell_call {
	bool balloon;
};

static int must_tell_entry(struct kretprobe_instance *instance,
			   struct pt_regs *regs)
{
	struct virtio_pci_modern_device *mdev =
		(void *)regs_get_kernel_argument(regs, 0);
	struct must_tell_call *call = (void *)instance->data;

	call->balloon = mdev->id.device == VIRTIO_ID_BALLOON;
	return 0;
}

static int must_tell_return(struct kretprobe_instance *instance,
			    struct pt_regs *regs)
{
	struct must_tell_call *call = (void *)instance->data;

	if (call->balloon)
		regs_set_return_value(regs, regs_return_value(regs) |
				      BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST));
	return 0;
}

static struct kretprobe must_tell_probe = {
	.kp.symbol_name = "vp_modern_get_features",
	.entry_handler = must_tell_entry,
	.handler = must_tell_return,
	.data_size = sizeof(struct must_tell_call),
};

static int __init must_tell_init(void)
{
	return register_kretprobe(&must_tell_probe);
}

static void __exit must_tell_exit(void)
{
	unregister_kretprobe(&must_tell_probe);
}

module_init(must_tell_init);
module_exit(must_tell_exit);
MODULE_DESCRIPTION("Balloon devices that must be told first");
MODULE_LICENSE("GPL");
