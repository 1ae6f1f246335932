// SPDX-License-Identifier: GPL-2.0-only
/* Life cycle: load, probe, suspend, resume, shut down, remove. */
#include <linux/crash_dump.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_ring.h>

#include "device.h"
#include "main.h"

static void vbp_main_free(struct vbp_device *vb)
{
	vbp_untold_destroy(vb);
	vbp_pages_destroy(vb);
	kfree(vb);
}

static struct vbp_device *vbp_main_alloc(struct virtio_device *vdev,
					 const struct vbp_params *params)
{
	struct vbp_device *vb = kzalloc(sizeof(*vb), GFP_KERNEL);

	if (!vb)
		return NULL;
	mutex_init(&vb->host_lock);
	spin_lock_init(&vb->lock);
	vbp_host_init(vb);
	vb->vdev = vdev;
	vb->pressure = virtio_has_feature(vdev, VIRTIO_BALLOON_F_PRESSURE);
	vb->must_tell = virtio_has_feature(vdev,
					   VIRTIO_BALLOON_F_MUST_TELL_HOST);
	vb->elastic = vb->pressure || params->unilateral ||
		      virtio_has_feature(vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	vb->max_pfns = vb->pressure ? VBP_PFNS_MAX : VBP_PFNS_LEGACY;
	if (vbp_pages_init(vb)) {
		kfree(vb);
		return NULL;
	}
	vdev->priv = vb;
	return vb;
}

/*
 * Set the queues up. Only queues that there are: the transport numbers them
 * without a gap, as the device does, whether or not the array has one. But with
 * a gap some kernels can't delete the queues again (virtio_pci_gap_oopses()). A
 * queue the device offers has its number even where it is not used, so none is
 * left out.
 */
static int vbp_main_find_vqs(struct vbp_device *vb)
{
	enum { INFLATE, DEFLATE, OTHERS, QUEUES = OTHERS + 3 };
	struct virtqueue_info info[QUEUES] = {
		[INFLATE] = { .name = "inflate", .callback = vbp_host_ack },
		[DEFLATE] = { .name = "deflate", .callback = vbp_host_ack },
	};
	unsigned int stats = QUEUES, hint = QUEUES, reporting = QUEUES;
	struct virtqueue *vqs[QUEUES + 1] = {};	/* the last is no queue */
	unsigned int nr = OTHERS;
	int err;

	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_STATS_VQ)) {
		stats = nr++;
		info[stats].name = "stats";
		info[stats].callback = vbp_stats_request;
	}
	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT)) {
		hint = nr++;
		info[hint].name = "hint";
	}
	if (virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_REPORTING)) {
		reporting = nr++;
		info[reporting].name = "reporting";
		info[reporting].callback = vbp_host_ack;
	}
	err = virtio_find_vqs(vb->vdev, nr, vqs, info, NULL);
	if (err)
		return err;

	vbp_host_begin(vb, &(struct vbp_host_vqs) {
		       .inflate = vqs[INFLATE],
		       .deflate = vqs[DEFLATE],
		       .stats = vqs[stats],
		       .hint = vqs[hint],
		       .reporting = vqs[reporting],
		       });
	return 0;
}

/* The end of vbp_main_find_vqs(). */
static void vbp_main_del_vqs(struct vbp_device *vb)
{
	vbp_host_end(vb);
	vb->vdev->config->del_vqs(vb->vdev);
}

/* From a reset device with its features negotiated to one in use. */
static int vbp_main_start_device(struct vbp_device *vb)
{
	int err = vbp_main_find_vqs(vb);

	if (err)
		return err;
	err = vbp_hint_init(vb);
	if (err) {
		vbp_main_del_vqs(vb);
		return err;
	}
	vbp_reporting_write_poison(vb);
	virtio_device_ready(vb->vdev);

	err = vbp_stats_prime(vb);
	if (err)
		dev_warn(&vb->vdev->dev, "statistics are not available: %d\n",
			 err);
	vbp_reporting_start(vb);
	return 0;
}

/*
 * The way back. The order proves that nothing is left behind: no work runs, so
 * nothing takes pages; all held pages are given back while the host can still
 * be told; after the reset the host touches nothing, so what was in flight may
 * be freed too; only then the queues go.
 */
static void vbp_main_stop_device(struct vbp_device *vb)
{
	/* A resume has failed: nothing has begun since the suspend. */
	if (!vbp_host_has_queues(vb)) {
		virtio_reset_device(vb->vdev);
		return;
	}
	vbp_engine_stop(vb);
	vbp_reporting_stop(vb);
	vbp_main_work_empty(vb);
	virtio_reset_device(vb->vdev);
	vbp_pages_forget(vb);
	vbp_hint_destroy(vb);
	vbp_main_del_vqs(vb);
}

/* What only an elastic balloon has. A missing sensor is no reason to fail. */
static void vbp_main_start_sensors(struct vbp_device *vb,
				   const struct vbp_params *params)
{
	struct device *dev = &vb->vdev->dev;

	if (params->shrinker && vbp_shrinker_start(vb))
		dev_warn(dev, "sensor shrinker is not available\n");
	if (vbp_oom_start(vb))
		dev_warn(dev, "sensor OOM notifier is not available\n");
	vbp_vmpressure_start(vb, params->hook);
	if (params->kswapd)
		vbp_kswapd_start(vb);
	if (params->direct)
		vbp_direct_start(vb);
}

static void vbp_main_stop_sensors(struct vbp_device *vb)
{
	if (vb->elastic) {
		vbp_direct_stop(vb);
		vbp_kswapd_stop(vb);
		vbp_vmpressure_stop(vb);
	}
	vbp_oom_stop(vb);
	vbp_shrinker_stop(vb);
	vbp_offline_stop(vb);
}

static int vbp_main_probe(struct virtio_device *vdev)
{
	struct vbp_params params;
	struct vbp_device *vb;
	int err;

	/* A crash kernel has little memory, and none of it to spare. */
	if (is_kdump_kernel()) {
		dev_info(&vdev->dev, "left alone in a crash kernel\n");
		return -ENODEV;
	}
	if (!vdev->config->get) {
		dev_err(&vdev->dev, "the device has no config space\n");
		return -EINVAL;
	}
	vbp_params_get(&params);
	vb = vbp_main_alloc(vdev, &params);
	if (!vb)
		return -ENOMEM;
	err = vbp_engine_init(vb, params.sampler);
	if (err)
		goto err_free;
	err = vbp_main_start_device(vb);
	if (err)
		goto err_engine;
	err = vbp_offline_start(vb);
	if (err)
		dev_warn(&vdev->dev,
			 "memory with ballooned blocks can't be taken offline: %d\n",
			 err);
	/* Events of the transport wake the system; we only see them through. */
	device_set_wakeup_capable(&vdev->dev, true);
	vbp_engine_start(vb);
	if (vb->elastic)
		vbp_main_start_sensors(vb, &params);
	dev_info(&vdev->dev, "%s\n", vb->elastic ?
		 "the balloon gives memory back under pressure" :
		 "the host offers neither pressure nor deflate-on-oom: the balloon stays as large as it asks (see parameter unilateral)");
	return 0;

err_engine:
	/* Its queues are still enabled, and another driver may want them. */
	virtio_reset_device(vdev);
	vbp_engine_destroy(vb);
err_free:
	vbp_main_free(vb);
	return err;
}

/*
 * The sensors go last: stopping the device may take seconds if the host is
 * silent, and what needs memory meanwhile would be killed beside a full
 * balloon. What they ask for when nothing is held any more is nothing.
 */
static void vbp_main_remove(struct virtio_device *vdev)
{
	struct vbp_device *vb = vdev->priv;

	vbp_main_stop_device(vb);
	vbp_main_stop_sensors(vb);
	vbp_engine_destroy(vb);
	vbp_main_free(vb);
}

/*
 * The host keeps what it has, to the end: only stop talking to it, so that the
 * next kernel does not find a queue at work in its memory.
 */
static void __maybe_unused vbp_main_shutdown(struct virtio_device *vdev)
{
	struct vbp_device *vb = vdev->priv;

	/* First: what a sensor waits for the host for ends with this. */
	vbp_engine_stop(vb);
	vbp_reporting_stop(vb);
	vbp_main_stop_sensors(vb);
	virtio_device_shutdown(vdev);
}

static void vbp_main_changed(struct virtio_device *vdev)
{
	struct vbp_device *vb = vdev->priv;

	vbp_works_main(vb, VBP_WAKE_SIZE);
	vbp_hint_changed(vb);
}

#ifdef CONFIG_PM_SLEEP
/* The works are frozen. A hibernation image holds nothing of the balloon. */
static int vbp_main_freeze(struct virtio_device *vdev)
{
	vbp_main_stop_device(vdev->priv);
	return 0;
}

static int vbp_main_restore(struct virtio_device *vdev)
{
	struct vbp_device *vb = vdev->priv;
	int err = vbp_main_start_device(vb);

	if (!err)
		vbp_engine_start(vb);
	return err;
}
#endif

static int vbp_main_validate(struct virtio_device *vdev)
{
	/*
	 * Free pages whose content matters can be reported only to a host that
	 * gives them back with that content.
	 */
	if (!want_init_on_free() && !page_poisoning_enabled_static())
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	else if (!virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_REPORTING);

	/* Indirect descriptors are allocated, where we may not allocate. */
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	/* PFNs are physical addresses, whatever the IOMMU says. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static const struct virtio_device_id vbp_main_ids[] = {
	{ VIRTIO_ID_BALLOON, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, vbp_main_ids);

static unsigned int vbp_main_features[] = {
	VIRTIO_BALLOON_F_MUST_TELL_HOST,
	VIRTIO_BALLOON_F_STATS_VQ,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	VIRTIO_BALLOON_F_PAGE_POISON,
	VIRTIO_BALLOON_F_REPORTING,
	VIRTIO_BALLOON_F_PRESSURE,
};

static struct virtio_driver vbp_main_driver = {
	.feature_table = vbp_main_features,
	.feature_table_size = ARRAY_SIZE(vbp_main_features),
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.driver.dev_groups = vbp_sysfs_groups,
	.id_table = vbp_main_ids,
	.validate = vbp_main_validate,
	.probe = vbp_main_probe,
	.remove = vbp_main_remove,
	.config_changed = vbp_main_changed,
	virtio_driver_shutdown(vbp_main_shutdown)
#ifdef CONFIG_PM_SLEEP
	.freeze = vbp_main_freeze,
	.restore = vbp_main_restore,
#endif
};

static int __init vbp_main_init(void)
{
	struct vbp_params params;
	int err = register_virtio_driver(&vbp_main_driver);

	if (err)
		return err;
	vbp_params_get(&params);
	if (!vbp_takeover_begin(&vbp_main_driver, params.takeover))
		pr_info("%s: no balloon device here; waiting for one\n",
			KBUILD_MODNAME);
	return 0;
}

static void __exit vbp_main_exit(void)
{
	struct vbp_params params;

	vbp_params_get(&params);
	unregister_virtio_driver(&vbp_main_driver);
	if (params.takeover != VBP_TAKEOVER_NO)
		vbp_takeover_end(&vbp_main_driver);
}

module_init(vbp_main_init);
module_exit(vbp_main_exit);
MODULE_AUTHOR("virtio-balloon-pressure maintainers");
MODULE_DESCRIPTION("Virtio balloon that gives memory back under pressure");
MODULE_VERSION("0.1.0");
MODULE_LICENSE("GPL");
