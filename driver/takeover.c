// SPDX-License-Identifier: GPL-2.0-only
/*
 * Balloon devices that another driver has: the in-tree one, because it is built
 * in or came first. Both drivers match the device, and the one that is registered
 * first gets it. The device becomes free only when that driver lets go of it.
 *
 * The other driver lets go before ours starts, because the kernel's page
 * reporting has room for one only. It gives back all that is in its balloon. So
 * the host sees the guest at its full size until we have inflated again.
 */
#include <linux/crash_dump.h>
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include "device.h"
#include "main.h"

/* Longer ones are cut, in the log only. */
#define VBP_TAKEOVER_NAME	32

struct vbp_takeover {
	struct device_driver *ours;
	enum vbp_takeover_mode mode;
	unsigned int devices;
	unsigned int taken;
};

/* The driver may be about to go: copy its name while it can't. */
static bool vbp_takeover_holder(struct device *dev,
				struct device_driver *ours, char *name)
{
	bool other;

	device_lock(dev);
	other = dev->driver && dev->driver != ours;
	strscpy(name, dev->driver ? dev->driver->name : "",
		VBP_TAKEOVER_NAME);
	device_unlock(dev);
	return other;
}

static bool vbp_takeover_is_balloon(struct device *dev)
{
	return dev_to_virtio(dev)->id.device == VIRTIO_ID_BALLOON;
}

static noinline bool vbp_takeover_gap_oopses(void)
{
	return virtio_pci_gap_oopses();
}

/*
 * Whether the kernel would oops when the other driver lets go. The in-tree driver
 * has a place for each queue that there can be, in this order, and leaves the
 * place empty where the feature was not negotiated.
 */
static bool vbp_takeover_would_oops(struct device *dev)
{
	struct virtio_device *vdev = dev_to_virtio(dev);
	bool stats = virtio_has_feature(vdev, VIRTIO_BALLOON_F_STATS_VQ);
	bool hint = virtio_has_feature(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	bool report = virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING);
	bool gap = (!stats && (hint || report)) || (!hint && report);

	return gap && dev->parent && dev_is_pci(dev->parent) &&
	       vbp_takeover_gap_oopses();
}

static int vbp_takeover_release(struct device *dev, void *data)
{
	struct vbp_takeover *takeover = data;
	char name[VBP_TAKEOVER_NAME];

	if (!vbp_takeover_is_balloon(dev))
		return 0;
	takeover->devices++;
	if (!vbp_takeover_holder(dev, takeover->ours, name))
		return 0;
	/* Ours would not use it, and the other's pages are its own. */
	if (is_kdump_kernel()) {
		dev_info(dev, "left to %s in a crash kernel\n", name);
		return 0;
	}
	if (takeover->mode == VBP_TAKEOVER_NO) {
		dev_warn(dev, "held by %s; to use %s, load it with takeover=1, or unload %s or unbind it from this device, then load %s again\n",
			 name, takeover->ours->name, name,
			 takeover->ours->name);
		return 0;
	}
	if (takeover->mode == VBP_TAKEOVER_YES &&
	    vbp_takeover_would_oops(dev)) {
		dev_warn(dev, "left to %s: this kernel would oops as that lets go of it; %s has it from the next boot on if it is loaded first (softdep %s pre: %s), and now with takeover=force\n",
			 name, takeover->ours->name, name,
			 takeover->ours->name);
		return 0;
	}
	device_release_driver(dev);
	takeover->taken++;
	dev_info(dev, "taken over from %s\n", name);
	return 0;
}

/* A probe that failed leaves the device as it was then: half set up. */
static bool vbp_takeover_reset_unheld(struct device *dev)
{
	struct virtio_device *vdev = dev_to_virtio(dev);
	bool unheld;

	device_lock(dev);
	unheld = !dev->driver;
	if (unheld) {
		virtio_reset_device(vdev);
		vdev->config->set_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	}
	device_unlock(dev);
	return unheld;
}

/* To any driver: for a device that ours can't use, or has left. */
static int vbp_takeover_offer(struct device *dev, void *data)
{
	char name[VBP_TAKEOVER_NAME];

	if (!vbp_takeover_is_balloon(dev) || !vbp_takeover_reset_unheld(dev))
		return 0;
	if (device_attach(dev) > 0 && vbp_takeover_holder(dev, data, name))
		dev_info(dev, "handed back to %s\n", name);
	return 0;
}

/**
 * vbp_takeover_begin() - take balloon devices from other drivers
 * @driver: ours, just registered
 * @mode: the parameter; VBP_TAKEOVER_NO only says who has them
 *
 * A device with which our probe fails goes back to the driver it came from.
 *
 * Context: module init; probes and removes.
 * Return: balloon devices there are, whoever has them.
 */
unsigned int vbp_takeover_begin(struct virtio_driver *driver,
				enum vbp_takeover_mode mode)
{
	struct vbp_takeover takeover = {
		.ours = &driver->driver,
		.mode = mode,
	};

	bus_for_each_dev(driver->driver.bus, NULL, &takeover,
			 vbp_takeover_release);
	if (takeover.taken) {
		/* Not device_attach(): it asks who was registered first. */
		if (driver_attach(&driver->driver))
			pr_err("%s: the devices taken over can't be had\n",
			       driver->driver.name);
		bus_for_each_dev(driver->driver.bus, NULL, &driver->driver,
				 vbp_takeover_offer);
	}
	return takeover.devices;
}

/**
 * vbp_takeover_end() - let other drivers have the balloon devices
 * @driver: ours, just unregistered
 *
 * Context: module exit; probes.
 */
void vbp_takeover_end(struct virtio_driver *driver)
{
	bus_for_each_dev(driver->driver.bus, NULL, &driver->driver,
			 vbp_takeover_offer);
}
