// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module parameters. Documentation/admin-guide.rst has the same words; a value
 * out of range is refused with a message, on loading and later.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "device.h"

struct vbp_params_range {
	unsigned int *value;
	unsigned int min;
	unsigned int max;
};

static int vbp_params_set(const char *text, const struct kernel_param *param)
{
	const struct vbp_params_range *range = param->arg;
	unsigned int value;
	int err = kstrtouint(text, 0, &value);

	if (!err && (value < range->min || value > range->max))
		err = -ERANGE;
	if (err) {
		pr_err("virtio_balloon_pressure: %s must be a number from %u to %u, not \"%s\"\n",
		       param->name, range->min, range->max,
		       strim((char *)text));
		return -EINVAL;
	}
	WRITE_ONCE(*range->value, value);
	return 0;
}

static int vbp_params_show(char *buffer, const struct kernel_param *param)
{
	const struct vbp_params_range *range = param->arg;

	return sysfs_emit(buffer, "%u\n", READ_ONCE(*range->value));
}

static const struct kernel_param_ops vbp_params_ops = {
	.set = vbp_params_set,
	.get = vbp_params_show,
};

#define VBP_PARAM(name, lowest, highest, initial)			\
	static unsigned int vbp_params_##name = (initial);		\
	static struct vbp_params_range vbp_params_##name##_range = {	\
		.value = &vbp_params_##name,				\
		.min = (lowest),					\
		.max = (highest),					\
	};								\
	module_param_cb(name, &vbp_params_ops,				\
			&vbp_params_##name##_range, 0644)

VBP_PARAM(reserve_pct, VBP_RESERVE_PCT_MIN, VBP_RESERVE_PCT_MAX,
	  VBP_RESERVE_PCT_DEFAULT);
MODULE_PARM_DESC(reserve_pct,
		 "Available memory in percent of the guest's below which reclaim makes the balloon give pages back (1-50, default 10)");

VBP_PARAM(relief_step_pct, VBP_STEP_PCT_MIN, VBP_STEP_PCT_MAX,
	  VBP_STEP_PCT_DEFAULT);
MODULE_PARM_DESC(relief_step_pct,
		 "What is given back at once beyond the shortfall, in percent of the guest's memory (1-50, default 5)");

VBP_PARAM(reserve_max_mib, VBP_RESERVE_MAX_MIB_MIN, VBP_RESERVE_MAX_MIB_MAX,
	  VBP_RESERVE_MAX_MIB_DEFAULT);
MODULE_PARM_DESC(reserve_max_mib,
		 "MiB of available memory above which reclaim never makes the balloon give pages back, however large the guest is (64-1048576, default 4096)");

VBP_PARAM(relief_step_max_mib, VBP_STEP_MAX_MIB_MIN, VBP_STEP_MAX_MIB_MAX,
	  VBP_STEP_MAX_MIB_DEFAULT);
MODULE_PARM_DESC(relief_step_max_mib,
		 "MiB that are given back at once beyond the shortfall at most, however large the guest is (2-1048576, default 2048)");

VBP_PARAM(holdoff_ms, VBP_HOLDOFF_MS_MIN, VBP_HOLDOFF_MS_MAX,
	  VBP_HOLDOFF_MS_DEFAULT);
MODULE_PARM_DESC(holdoff_ms,
		 "Milliseconds without inflation after pages were given back under pressure; doubles when pressure comes back (2000-3600000, default 30000)");

VBP_PARAM(boot_ms, VBP_BOOT_MS_MIN, VBP_BOOT_MS_MAX, VBP_BOOT_MS_DEFAULT);
MODULE_PARM_DESC(boot_ms,
		 "Milliseconds after boot during which the balloon does not grow where it is elastic: what the guest will need can't be seen yet (0-3600000, default 10000)");

VBP_PARAM(stats_tags, VBP_STATS_TAGS_MIN, VBP_STATS_TAGS_MAX,
	  VBP_STATS_TAGS_DEFAULT);
MODULE_PARM_DESC(stats_tags,
		 "Statistics that the host gets: so many, by their tags; 0 means those that this kernel's own driver has (0-16, default 0)");

static bool vbp_params_unilateral;
module_param_named(unilateral, vbp_params_unilateral, bool, 0444);
MODULE_PARM_DESC(unilateral,
		 "Give pages back under pressure although the host offers neither pressure nor deflate-on-oom, against the letter of the virtio specification (default N)");

static const char * const vbp_params_takeover_names[VBP_TAKEOVER_MODES] = {
	[VBP_TAKEOVER_NO] = "N",
	[VBP_TAKEOVER_YES] = "Y",
	[VBP_TAKEOVER_FORCE] = "force",
};

static enum vbp_takeover_mode vbp_params_takeover = VBP_TAKEOVER_YES;

static int vbp_params_set_takeover(const char *text,
				   const struct kernel_param *param)
{
	enum vbp_takeover_mode mode;
	bool yes = true;

	/* First: to newer kernels whatever begins with f is false. */
	if (text && sysfs_streq(text, "force")) {
		mode = VBP_TAKEOVER_FORCE;
	} else if (!text || !kstrtobool(text, &yes)) {
		mode = yes ? VBP_TAKEOVER_YES : VBP_TAKEOVER_NO;
	} else {
		pr_err("virtio_balloon_pressure: takeover must be Y, N or force, not \"%s\"\n",
		       strim((char *)text));
		return -EINVAL;
	}
	WRITE_ONCE(vbp_params_takeover, mode);
	return 0;
}

static int vbp_params_show_takeover(char *buffer,
				    const struct kernel_param *param)
{
	enum vbp_takeover_mode mode = READ_ONCE(vbp_params_takeover);

	return sysfs_emit(buffer, "%s\n", vbp_params_takeover_names[mode]);
}

static const struct kernel_param_ops vbp_params_takeover_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = vbp_params_set_takeover,
	.get = vbp_params_show_takeover,
};
module_param_cb(takeover, &vbp_params_takeover_ops, NULL, 0644);
MODULE_PARM_DESC(takeover,
		 "Take balloon devices over from another driver on loading, and let it have them again on unloading: Y, N or force; force also where the kernel would oops (default Y)");

static const char * const vbp_params_hook_names[VBP_HOOK_MODES] = {
	[VBP_HOOK_AUTO] = "auto",
	[VBP_HOOK_KPROBE] = "kprobe",
	[VBP_HOOK_TRACEPOINT] = "tracepoint",
	[VBP_HOOK_NONE] = "none",
};

static enum vbp_hook_mode vbp_params_vmpressure_hook = VBP_HOOK_AUTO;

static int vbp_params_set_hook(const char *text,
			       const struct kernel_param *param)
{
	int mode = sysfs_match_string(vbp_params_hook_names, text);

	if (mode < 0) {
		pr_err("virtio_balloon_pressure: vmpressure_hook must be auto, kprobe, tracepoint or none, not \"%s\"\n",
		       strim((char *)text));
		return -EINVAL;
	}
	vbp_params_vmpressure_hook = mode;
	return 0;
}

static int vbp_params_show_hook(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n",
			  vbp_params_hook_names[vbp_params_vmpressure_hook]);
}

static const struct kernel_param_ops vbp_params_hook_ops = {
	.set = vbp_params_set_hook,
	.get = vbp_params_show_hook,
};
module_param_cb(vmpressure_hook, &vbp_params_hook_ops, NULL, 0444);
MODULE_PARM_DESC(vmpressure_hook,
		 "Sensor: how vmpressure() is hooked: auto, kprobe, tracepoint or none; auto is kprobe, and tracepoint where that is silent (default auto)");

static bool vbp_params_sampler = true;
module_param_named(sampler, vbp_params_sampler, bool, 0444);
MODULE_PARM_DESC(sampler,
		 "Sensor: look at memory every 20 ms while it moves, not only when reclaim gives a sign (default Y)");

static bool vbp_params_kswapd = true;
module_param_named(kswapd, vbp_params_kswapd, bool, 0444);
MODULE_PARM_DESC(kswapd, "Sensor: watch kswapd's wake-up tracepoints (default Y)");

static bool vbp_params_shrinker = true;
module_param_named(shrinker, vbp_params_shrinker, bool, 0444);
MODULE_PARM_DESC(shrinker,
		 "Sensor: let tasks in reclaim take pages back themselves (default Y)");

static bool vbp_params_direct = true;
module_param_named(direct, vbp_params_direct, bool, 0444);
MODULE_PARM_DESC(direct,
		 "Sensor: watch tasks that begin to reclaim, and let a pool of huge pages that is enlarged have blocks of the balloon (default Y)");

/**
 * vbp_params_get() - read the parameters
 * @params: filled in
 *
 * Context: any.
 */
void vbp_params_get(struct vbp_params *params)
{
	params->unilateral = vbp_params_unilateral;
	params->takeover = READ_ONCE(vbp_params_takeover);
	params->hook = vbp_params_vmpressure_hook;
	params->kswapd = vbp_params_kswapd;
	params->shrinker = vbp_params_shrinker;
	params->direct = vbp_params_direct;
	params->sampler = vbp_params_sampler;
	params->stats_tags = READ_ONCE(vbp_params_stats_tags);
}

/**
 * vbp_params_policy() - what the policy needs of them
 * @config: filled in
 *
 * Context: any.
 */
void vbp_params_policy(struct vbp_policy_config *config)
{
	config->reserve_pct = READ_ONCE(vbp_params_reserve_pct);
	config->step_pct = READ_ONCE(vbp_params_relief_step_pct);
	config->reserve_max_pages = (u64)READ_ONCE(vbp_params_reserve_max_mib)
				    << (20 - PAGE_SHIFT);
	config->step_max_pages = (u64)READ_ONCE(vbp_params_relief_step_max_mib)
				 << (20 - PAGE_SHIFT);
	config->holdoff_ms = READ_ONCE(vbp_params_holdoff_ms);
	/* The in-tree driver's 1 MiB an OOM event was far too little. */
	config->oom_step_pages = SZ_64M >> PAGE_SHIFT;
	config->block_pages = VBP_BLOCK_PAGES;
	config->boot_ms = READ_ONCE(vbp_params_boot_ms);
}
