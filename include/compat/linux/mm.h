/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 5.11 made page poisoning a static key, and always checks what it wrote
 * (upstream series of November 2020, "cleanup page poisoning"). Before, it could
 * be configured to write the pattern and never look: then nobody minds losing
 * it; but the writing takes as long, which want_poison_on_free() tells of.
 */
#ifndef VBP_COMPAT_LINUX_MM_H
#define VBP_COMPAT_LINUX_MM_H

#include_next <linux/mm.h>

#ifndef VBP_HAVE_POISONING_STATIC
static inline bool page_poisoning_enabled_static(void)
{
	return !IS_ENABLED(CONFIG_PAGE_POISONING_NO_SANITY) &&
	       page_poisoning_enabled();
}

static inline bool want_poison_on_free(void)
{
	return page_poisoning_enabled();
}
#else
static inline bool want_poison_on_free(void)
{
	return page_poisoning_enabled_static();
}
#endif

#endif /* VBP_COMPAT_LINUX_MM_H */
