// SPDX-License-Identifier: GPL-2.0-only
/*
 * One device after another, each drawn by the dice: the life l of seed s is
 * always the same device, as far as others' timing allows. A parameter that is
 * called like a field of struct hostile_temper makes all of them alike in that.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <uapi/linux/virtio_config.h>
#include <uapi/linux/virtio_ring.h>

#include "hostile.h"

/* Faults that are told of; one often brings others. */
#define HOSTILE_TOLD	20

static unsigned int hostile_seed = 1;
module_param_named(seed, hostile_seed, uint, 0444);

static unsigned int hostile_first = 1;
module_param_named(first, hostile_first, uint, 0444);

static unsigned int hostile_lives = U32_MAX;
module_param_named(lives, hostile_lives, uint, 0444);

/* How long the driver may take to get to work, or to leave. */
static unsigned int hostile_patience_ms = 30000;
module_param_named(patience_ms, hostile_patience_ms, uint, 0444);

static unsigned int hostile_life;		/* the present one */
module_param_named(life, hostile_life, uint, 0444);

static unsigned int hostile_faults;
module_param_named(faults, hostile_faults, uint, 0444);

static bool hostile_over;			/* all lives are lived */
module_param_named(over, hostile_over, bool, 0444);

static unsigned long long hostile_features;
module_param_named(features, hostile_features, ullong, 0444);

#define HOSTILE_ALIKE(name)						\
	static int hostile_##name = -1;					\
	module_param_named(name, hostile_##name, int, 0444)

HOSTILE_ALIKE(size);
HOSTILE_ALIKE(target);
HOSTILE_ALIKE(late_ms);
HOSTILE_ALIKE(drags_ms);
HOSTILE_ALIKE(keeps);
HOSTILE_ALIKE(lies);
HOSTILE_ALIKE(storm);
HOSTILE_ALIKE(moves);
HOSTILE_ALIKE(quiet);
HOSTILE_ALIKE(stats_ms);
HOSTILE_ALIKE(life_ms);
HOSTILE_ALIKE(shuffles);
HOSTILE_ALIKE(restless);
HOSTILE_ALIKE(wild);
HOSTILE_ALIKE(slow);
HOSTILE_ALIKE(refuses);
HOSTILE_ALIKE(breaks);
HOSTILE_ALIKE(needs_reset);
HOSTILE_ALIKE(silent);

static struct task_struct *hostile_fate;
static struct device *hostile_parent;

/* 0 to @sides - 1 */
u32 hostile_throw(struct hostile_device *dev, u32 sides)
{
	unsigned long flags;
	u32 value;

	spin_lock_irqsave(&dev->dice_lock, flags);
	value = prandom_u32_state(&dev->dice);
	spin_unlock_irqrestore(&dev->dice_lock, flags);
	return ((u64)value * sides) >> 32;
}

bool hostile_chance(struct hostile_device *dev, u32 in_1000)
{
	return hostile_throw(dev, 1000) < in_1000;
}

/* The driver has done what it must not. */
void hostile_fault(const char *format, ...)
{
	struct va_format text;
	va_list args;

	if (hostile_faults++ >= HOSTILE_TOLD)
		return;
	va_start(args, format);
	text.fmt = format;
	text.va = &args;
	pr_err("hostile: fault in life %u of seed %u: %pV\n", hostile_life,
	       hostile_seed, &text);
	va_end(args);
}

static u64 hostile_draw_features(struct hostile_device *dev)
{
	static const u8 often[] = {
		VIRTIO_BALLOON_F_MUST_TELL_HOST, VIRTIO_BALLOON_F_STATS_VQ,
		VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
		VIRTIO_BALLOON_F_FREE_PAGE_HINT, VIRTIO_BALLOON_F_PAGE_POISON,
		VIRTIO_BALLOON_F_REPORTING, 6, 7, HOSTILE_F_PRESSURE,
		VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX,
		VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1,
	};
	u64 features = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(often); i++)
		if (hostile_throw(dev, 2))
			features |= BIT_ULL(often[i]);
	/* An elastic balloon is what there is most of to go wrong. */
	if (hostile_throw(dev, 2))
		features |= BIT_ULL(HOSTILE_F_PRESSURE);
	if (!hostile_throw(dev, 3))
		features &= ~BIT_ULL(VIRTIO_BALLOON_F_MUST_TELL_HOST);
	/* Anything that ever may be offered. */
	if (!hostile_throw(dev, 4))
		features |= (u64)hostile_throw(dev, U32_MAX) << 32 |
			    hostile_throw(dev, U32_MAX);
	if (features & BIT_ULL(VIRTIO_F_RING_PACKED))
		features |= BIT_ULL(VIRTIO_F_VERSION_1);
	return features;
}

static unsigned int hostile_draw_size(struct hostile_device *dev)
{
	static const u16 any[] = { 2, 3, 5, 100, 1000, 32767 };
	static const u16 powers[] = {
		2, 2, 4, 8, 16, 32, 64, 128, 128, 256, 1024, 32768,
	};

	if (dev->offered & BIT_ULL(VIRTIO_F_RING_PACKED) &&
	    !hostile_throw(dev, 4))
		return any[hostile_throw(dev, ARRAY_SIZE(any))];
	return powers[hostile_throw(dev, ARRAY_SIZE(powers))];
}

/* Most are friendly in most: who does all at once is broken before it begins. */
static unsigned int hostile_draw_rare(struct hostile_device *dev, u32 one_in,
				      u32 value)
{
	u32 is = hostile_throw(dev, one_in), how = hostile_throw(dev, value);

	return is ? 0 : how + 1;
}

/* What is to be alike in all of them. */
static void hostile_set(unsigned int *drawn, int alike)
{
	if (alike >= 0)
		*drawn = alike;
}

static void hostile_draw(struct hostile_device *dev)
{
	static const u16 stats[] = { 0, 1, 20, 300, 10000 };
	struct hostile_temper *temper = &dev->temper;

	dev->offered = hostile_draw_features(dev);
	temper->size = hostile_draw_size(dev);
	temper->late_ms = hostile_draw_rare(dev, 2, 2) *
			  hostile_draw_rare(dev, 1, 60);
	temper->keeps = hostile_draw_rare(dev, 4, 100);
	temper->lies = hostile_draw_rare(dev, 5, 20);
	temper->storm = hostile_draw_rare(dev, 4, 30);
	temper->moves = hostile_draw_rare(dev, 1, 100);
	temper->quiet = hostile_draw_rare(dev, 3, 500);
	temper->stats_ms = stats[hostile_throw(dev, ARRAY_SIZE(stats))];
	temper->life_ms = 200 + hostile_throw(dev, 5000);
	temper->shuffles = hostile_draw_rare(dev, 2, 1);
	temper->restless = hostile_draw_rare(dev, 5, 1);
	temper->wild = hostile_draw_rare(dev, 3, 1);
	temper->slow = hostile_draw_rare(dev, 10, 1);
	temper->refuses = hostile_draw_rare(dev, 20, 1);
	temper->breaks = hostile_draw_rare(dev, 6, 1);
	temper->needs_reset = hostile_draw_rare(dev, 8, 1);
	temper->silent = hostile_draw_rare(dev, 4, 1);
	temper->drags_ms = hostile_draw_rare(dev, 6, 4000);
	temper->target = hostile_config_size(dev);

	if (hostile_features)
		dev->offered = hostile_features;
	hostile_set(&temper->size, hostile_size);
	hostile_set(&temper->target, hostile_target);
	hostile_set(&temper->late_ms, hostile_late_ms);
	hostile_set(&temper->drags_ms, hostile_drags_ms);
	hostile_set(&temper->keeps, hostile_keeps);
	hostile_set(&temper->lies, hostile_lies);
	hostile_set(&temper->storm, hostile_storm);
	hostile_set(&temper->moves, hostile_moves);
	hostile_set(&temper->quiet, hostile_quiet);
	hostile_set(&temper->stats_ms, hostile_stats_ms);
	hostile_set(&temper->life_ms, hostile_life_ms);
	hostile_set(&temper->shuffles, hostile_shuffles);
	hostile_set(&temper->restless, hostile_restless);
	hostile_set(&temper->wild, hostile_wild);
	hostile_set(&temper->slow, hostile_slow);
	hostile_set(&temper->refuses, hostile_refuses);
	hostile_set(&temper->breaks, hostile_breaks);
	hostile_set(&temper->needs_reset, hostile_needs_reset);
	hostile_set(&temper->silent, hostile_silent);
}

static void hostile_say(struct hostile_device *dev)
{
	struct hostile_temper *temper = &dev->temper;
	char flags[80];

	scnprintf(flags, sizeof(flags), "%s%s%s%s%s%s%s%s",
		  temper->shuffles ? " shuffles" : "",
		  temper->restless ? " restless" : "",
		  temper->wild ? " wild" : "", temper->slow ? " slow" : "",
		  temper->refuses ? " refuses" : "",
		  temper->breaks ? " breaks" : "",
		  temper->needs_reset ? " needs_reset" : "",
		  temper->silent ? " silent" : "");
	pr_info("hostile: life %u of seed %u: features %llx, queues of %u, target=%u late_ms=%u drags_ms=%u keeps=%u lies=%u storm=%u moves=%u quiet=%u stats_ms=%u life_ms=%u%s\n",
		hostile_life, hostile_seed, dev->offered, temper->size,
		temper->target, temper->late_ms, temper->drags_ms,
		temper->keeps, temper->lies, temper->storm, temper->moves,
		temper->quiet, temper->stats_ms, temper->life_ms, flags);
}

/* The driver does not come to an end: the device ends its mischief for that. */
static void hostile_lose_patience(struct hostile_device *dev)
{
	unsigned long since = READ_ONCE(dev->since);

	if (!since || dev->tame ||
	    time_before(jiffies, since + msecs_to_jiffies(hostile_patience_ms)))
		return;
	hostile_fault("it has not %s after %u s",
		      dev->leaving ? "left" : "got to work",
		      hostile_patience_ms / 1000);
	dev->tame = true;
}

/* The device itself. */
static int hostile_host(void *data)
{
	struct hostile_device *dev = data;
	unsigned int i, storm;
	bool soon;

	while (!kthread_should_stop()) {
		mutex_lock(&dev->lock);
		hostile_lose_patience(dev);
		soon = hostile_queues_look(dev);
		mutex_unlock(&dev->lock);
		storm = dev->temper.storm;
		if (dev->ready && !dev->tame) {
			for (i = 0; i < storm; i++)
				hostile_transport_interrupt(dev,
							    1 + hostile_throw(dev, 3));
			if (hostile_chance(dev, dev->temper.moves)) {
				hostile_config_move(dev);
				if (!hostile_chance(dev, dev->temper.quiet))
					hostile_transport_interrupt(dev, HOSTILE_IRQ_CONFIG);
			}
		}
		if (storm)
			usleep_range(50, 200);
		else if (!soon)
			schedule_timeout_interruptible(1);
		cond_resched();
	}
	return 0;
}

static bool hostile_stopped(void)
{
	return kthread_should_stop();
}

static void hostile_sleep(unsigned int ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);

	while (time_before(jiffies, end) && !hostile_stopped())
		schedule_timeout_interruptible(end - jiffies);
}

static void hostile_strike(struct hostile_device *dev)
{
	if (dev->temper.breaks) {
		virtio_break_device(&dev->vdev);
	} else if (dev->temper.needs_reset) {
		mutex_lock(&dev->lock);
		if (dev->ready)
			dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		mutex_unlock(&dev->lock);
		hostile_transport_interrupt(dev, HOSTILE_IRQ_CONFIG);
	}
}

static void hostile_be(struct hostile_device *dev)
{
	unsigned int part = hostile_throw(dev, dev->temper.life_ms);
	struct hostile_counts *counts = &dev->counts;
	unsigned long since, began = jiffies;
	int err;

	hostile_say(dev);
	WRITE_ONCE(dev->since, jiffies | 1);
	err = hostile_transport_register(dev, hostile_parent);
	WRITE_ONCE(dev->since, 0);
	if (err) {
		pr_err("hostile: no device: %d\n", err);
		return;
	}
	hostile_sleep(part);
	hostile_strike(dev);
	hostile_sleep(dev->temper.life_ms - part);
	since = jiffies;
	dev->leaving = true;
	WRITE_ONCE(dev->since, since | 1);
	unregister_virtio_device(&dev->vdev);
	pr_info("hostile: end of life %u: %u ms, then %u to leave; %u config reads, %u writes, buffers %u %u %u %u %u, returned %u, interrupts %u\n",
		hostile_life, jiffies_to_msecs(since - began),
		jiffies_to_msecs(jiffies - since), counts->reads,
		counts->writes, counts->buffers[HOSTILE_INFLATE],
		counts->buffers[HOSTILE_DEFLATE],
		counts->buffers[HOSTILE_STATS], counts->buffers[HOSTILE_HINT],
		counts->buffers[HOSTILE_REPORTING], counts->returned,
		counts->interrupts);
}

static int hostile_live(unsigned int life)
{
	struct hostile_device *dev = kvzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return -ENOMEM;
	mutex_init(&dev->lock);
	spin_lock_init(&dev->dice_lock);
	init_completion(&dev->released);
	prandom_seed_state(&dev->dice, (u64)hostile_seed << 32 | life);
	hostile_life = life;
	hostile_draw(dev);
	hostile_config_begin(dev);
	dev->host = kthread_create(hostile_host, dev, "hostile_host");
	if (IS_ERR(dev->host)) {
		kvfree(dev);
		return -ENOMEM;
	}
	/* Until it is stopped its task is there to be woken. */
	get_task_struct(dev->host);
	wake_up_process(dev->host);
	hostile_be(dev);
	wait_for_completion(&dev->released);
	kthread_stop(dev->host);
	put_task_struct(dev->host);
	irq_work_sync(&dev->interrupt);
	kvfree(dev);
	return 0;
}

static int hostile_fate_run(void *data)
{
	unsigned int life;

	for (life = hostile_first; !hostile_stopped() &&
	     life - hostile_first < hostile_lives; life++)
		if (hostile_live(life))
			hostile_sleep(100);
	hostile_over = true;
	while (!hostile_stopped())
		schedule_timeout_interruptible(HZ);
	return 0;
}

static int __init hostile_init(void)
{
	int err = hostile_pages_init();

	if (err)
		return err;
	hostile_parent = root_device_register("hostile");
	if (IS_ERR(hostile_parent)) {
		hostile_pages_destroy();
		return PTR_ERR(hostile_parent);
	}
	hostile_fate = kthread_run(hostile_fate_run, NULL, "hostile");
	if (IS_ERR(hostile_fate)) {
		root_device_unregister(hostile_parent);
		hostile_pages_destroy();
		return PTR_ERR(hostile_fate);
	}
	return 0;
}

static void __exit hostile_exit(void)
{
	kthread_stop(hostile_fate);
	root_device_unregister(hostile_parent);
	hostile_pages_destroy();
}

module_init(hostile_init);
module_exit(hostile_exit);
MODULE_DESCRIPTION("A balloon device that does anything the wire allows");
MODULE_LICENSE("GPL");
