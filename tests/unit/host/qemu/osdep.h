/* SPDX-License-Identifier: GPL-2.0-only */
/* Of QEMU's own header what the host policy uses. */
#ifndef VBP_HOST_OSDEP_H
#define VBP_HOST_OSDEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIN(a, b) ({ __auto_type _a = (a); __auto_type _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b) ({ __auto_type _a = (a); __auto_type _b = (b); _a > _b ? _a : _b; })

#endif /* VBP_HOST_OSDEP_H */
