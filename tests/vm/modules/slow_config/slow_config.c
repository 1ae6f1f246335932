// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes reading the balloon device's num_pages slow, so that the host can change
 * its config space before the next field is read. A real device, real values;
 * only the guest takes its time.
 *
 * stalls: how many of the next reads are slow; stall_ms: how slow;
 * stalled: how many have begun. To be unloaded before the device goes.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#define SLOW_CONFIG_VENDOR	0x1af4
#define SLOW_CONFIG_DEVICE	(0x1040 + VIRTIO_ID_BALLOON)
#define SLOW_CONFIG_OLD_DEVICE	0x1002		/* transitional */

static unsigned int stalls, stall_ms = 2000, stalled;
module_param(stalls, uint, 0644);
module_param(stall_ms, uint, 0644);
module_param(stalled, uint, 0444);

static const struct virtio_config_ops *slow_config_real;
static struct virtio_config_ops slow_config_ops;
static struct virtio_device *slow_config_vdev;

static void slow_config_get(struct virtio_device *vdev, unsigned int offset,
			    void *buf, unsigned int len)
{
	slow_config_real->get(vdev, offset, buf, len);
	if (offset || !stalls)
		return;
	stalls--;
	stalled++;
	msleep(stall_ms);
}

static int slow_config_match(struct device *dev, void *data)
{
	slow_config_vdev = dev_to_virtio(dev);
	return 1;
}

static int __init slow_config_init(void)
{
	struct pci_dev *pdev;

	pdev = pci_get_device(SLOW_CONFIG_VENDOR, SLOW_CONFIG_DEVICE, NULL);
	if (!pdev)
		pdev = pci_get_device(SLOW_CONFIG_VENDOR,
				      SLOW_CONFIG_OLD_DEVICE, NULL);
	if (!pdev)
		return -ENODEV;
	device_for_each_child(&pdev->dev, NULL, slow_config_match);
	pci_dev_put(pdev);
	if (!slow_config_vdev)
		return -ENODEV;
	slow_config_real = slow_config_vdev->config;
	slow_config_ops = *slow_config_real;
	slow_config_ops.get = slow_config_get;
	slow_config_vdev->config = &slow_config_ops;
	return 0;
}

static void __exit slow_config_exit(void)
{
	slow_config_vdev->config = slow_config_real;
	/* Whoever is in slow_config_get() comes out first. */
	msleep(2 * stall_ms);
}

module_init(slow_config_init);
module_exit(slow_config_exit);
MODULE_DESCRIPTION("A balloon device whose config space is read slowly");
MODULE_LICENSE("GPL");
