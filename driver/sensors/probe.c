// SPDX-License-Identifier: GPL-2.0-only
/* Tracepoints of the kernel's, by name: modules can't see them otherwise. */
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "device.h"

static void vbp_probe_find(struct tracepoint *tp, void *data)
{
	struct vbp_probe *probe = data;

	if (!strcmp(tp->name, probe->name))
		probe->tp = tp;
}

/**
 * vbp_probe_on() - have a function called at a tracepoint
 * @probe: name, function and data are set
 *
 * If there is no such tracepoint, that is logged, and all goes on without it.
 *
 * Context: may sleep.
 */
void vbp_probe_on(struct vbp_probe *probe)
{
	int err = -ENOENT;

	/* Without tracepoints the functions are declared, but not there. */
	if (IS_ENABLED(CONFIG_TRACEPOINTS)) {
		for_each_kernel_tracepoint(vbp_probe_find, probe);
		if (probe->tp)
			err = tracepoint_probe_register(probe->tp,
							probe->function,
							probe->data);
	}
	if (err)
		pr_warn("virtio_balloon_pressure: sensor %s is not available: %d\n",
			probe->name, err);
	WRITE_ONCE(probe->on, !err);
}

/**
 * vbp_probe_off() - the end of vbp_probe_on(); harmless without it
 * @probe: which
 *
 * The function may still be at work: tracepoint_synchronize_unregister() waits
 * for it.
 *
 * Context: may sleep.
 */
void vbp_probe_off(struct vbp_probe *probe)
{
	if (IS_ENABLED(CONFIG_TRACEPOINTS) && probe->on)
		tracepoint_probe_unregister(probe->tp, probe->function,
					    probe->data);
	WRITE_ONCE(probe->on, false);
}
