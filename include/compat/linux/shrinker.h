/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 6.7 made shrinkers dynamically allocated, with private data (upstream commit
 * c42d50aefd17 "mm: shrinker: add infrastructure for dynamically allocating
 * shrinker"). 6.0 gave register_shrinker() a name (e33c267ab70d "mm: shrinkers:
 * provide shrinkers with names").
 */
#ifndef VBP_COMPAT_LINUX_SHRINKER_H
#define VBP_COMPAT_LINUX_SHRINKER_H

#include_next <linux/shrinker.h>

#ifdef VBP_HAVE_SHRINKER_ALLOC
static inline void shrinker_set_private(struct shrinker *shrinker, void *data)
{
	shrinker->private_data = data;
}

static inline void *shrinker_private(struct shrinker *shrinker)
{
	return shrinker->private_data;
}
#else
#include <linux/slab.h>

struct vbp_compat_shrinker {
	struct shrinker core;
	const char *name;
	void *private_data;
};

static inline struct shrinker *shrinker_alloc(unsigned int flags,
					      const char *name)
{
	struct vbp_compat_shrinker *shrinker = kzalloc(sizeof(*shrinker),
						       GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->core.flags = flags;
	shrinker->core.seeks = DEFAULT_SEEKS;
	shrinker->name = name;
	return &shrinker->core;
}

static inline void shrinker_set_private(struct shrinker *shrinker, void *data)
{
	container_of(shrinker, struct vbp_compat_shrinker,
		     core)->private_data = data;
}

static inline void *shrinker_private(struct shrinker *shrinker)
{
	return container_of(shrinker, struct vbp_compat_shrinker,
			    core)->private_data;
}

/* Fails only for want of memory, and then the shrinker is never called. */
static inline void shrinker_register(struct shrinker *shrinker)
{
#ifdef VBP_HAVE_SHRINKER_NAME
	int err = register_shrinker(shrinker, "%s",
				    container_of(shrinker,
						 struct vbp_compat_shrinker,
						 core)->name);
#else
	int err = register_shrinker(shrinker);
#endif

	if (err)
		pr_warn("virtio_balloon_pressure: a shrinker can't be registered\n");
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	/* Does nothing for one that was never registered. */
	unregister_shrinker(shrinker);
	kfree(container_of(shrinker, struct vbp_compat_shrinker, core));
}
#endif

#endif /* VBP_COMPAT_LINUX_SHRINKER_H */
