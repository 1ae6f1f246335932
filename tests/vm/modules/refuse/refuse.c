// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a function of our driver return something else: by default one of its
 * probe's, which then fails, as on a device that it cannot use.
 */
#include <linux/errno.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>

#define REFUSE_MODULE	"virtio_balloon_pressure"

/* Early enough to leave nothing behind, late enough to have queues. */
static char *function = "vbp_hint_init";
module_param(function, charp, 0444);
static int value = -ENOMEM;
module_param(value, int, 0444);

static int refuse_return(struct kretprobe_instance *instance,
			 struct pt_regs *regs)
{
	regs_set_return_value(regs, value);
	pr_info("refuse: %s\n", function);
	return 0;
}

static bool refuse_on;
static char refuse_symbol[128];
static struct kretprobe refuse_probe = {
	.kp.symbol_name = refuse_symbol,
	.handler = refuse_return,
};

/* Between its loading and its init function. */
static int refuse_notify(struct notifier_block *nb, unsigned long state,
			 void *data)
{
	struct module *module = data;
	int err;

	if (strcmp(module->name, REFUSE_MODULE))
		return NOTIFY_DONE;
	if (state == MODULE_STATE_GOING && refuse_on) {
		unregister_kretprobe(&refuse_probe);
		refuse_on = false;
	}
	if (state != MODULE_STATE_COMING)
		return NOTIFY_DONE;
	/* The kernel wants it as new each time. */
	refuse_probe.kp.addr = NULL;
	refuse_probe.kp.flags = 0;
	err = register_kretprobe(&refuse_probe);
	refuse_on = !err;
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
	snprintf(refuse_symbol, sizeof(refuse_symbol), "%s:%s",
		 REFUSE_MODULE, function);
	return register_module_notifier(&refuse_nb);
}

module_init(refuse_init);
MODULE_DESCRIPTION("Makes a function of virtio_balloon_pressure fail");
MODULE_LICENSE("GPL");
