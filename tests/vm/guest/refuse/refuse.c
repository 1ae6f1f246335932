// SPDX-License-Identifier: GPL-2.0-only
/* Makes our driver's probe fail, as on a device that it cannot use. */
#include <linux/errno.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>

#define REFUSE_MODULE	"virtio_balloon_pressure"
/* Early enough to leave nothing behind, late enough to have queues. */
#define REFUSE_FUNCTION	"vbp_hint_init"

static int refuse_return(struct kretprobe_instance *instance,
			 struct pt_regs *regs)
{
	regs_set_return_value(regs, -ENOMEM);
	pr_info("refuse: " REFUSE_FUNCTION "\n");
	return 0;
}

static struct kretprobe refuse_probe = {
	.kp.symbol_name = REFUSE_MODULE ":" REFUSE_FUNCTION,
	.handler = refuse_return,
};

/* Between its loading and its init function. */
static int refuse_notify(struct notifier_block *nb, unsigned long state,
			 void *data)
{
	struct module *module = data;
	int err;

	if (state != MODULE_STATE_COMING ||
	    strcmp(module->name, REFUSE_MODULE))
		return NOTIFY_DONE;
	err = register_kretprobe(&refuse_probe);
	if (err)
		pr_err("refuse: no kretprobe: %d\n", err);
	return NOTIFY_OK;
}

static struct notifier_block refuse_nb = {
	.notifier_call = refuse_notify,
	.priority = INT_MIN,	/* after the one that makes probes possible */
};

static int __init refuse_init(void)
{
	return register_module_notifier(&refuse_nb);
}

module_init(refuse_init);
MODULE_DESCRIPTION("Makes the probe of virtio_balloon_pressure fail");
MODULE_LICENSE("GPL");
