/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 6.4 gave reclaimed pages that are not slab a function of their own (upstream
 * commit c7b23b68e2aa "mm: vmscan: refactor updating current->reclaim_state").
 */
#ifndef VBP_COMPAT_LINUX_SWAP_H
#define VBP_COMPAT_LINUX_SWAP_H

#include_next <linux/swap.h>

#ifndef VBP_HAVE_ACCOUNT_RECLAIMED
static inline void mm_account_reclaimed_pages(unsigned long pages)
{
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
}
#endif

#endif /* VBP_COMPAT_LINUX_SWAP_H */
