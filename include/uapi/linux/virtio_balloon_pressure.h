/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The elastic balloon: what VIRTIO_BALLOON_F_PRESSURE adds to the virtio
 * balloon device. Documentation/protocol.rst is the contract; in short:
 *
 * The host asks for num_pages and names a floor, min_pages. While the guest is
 * calm the balloon goes to num_pages. Between the two the guest decides: under
 * memory pressure it takes pages back at once, without asking. Outside of them
 * the host decides.
 *
 * These fields are state, not events: the latest value counts. The guest
 * writes wanted_pages first; its write of guest_pressure, with a new sequence
 * number, commits both.
 */
#ifndef _LINUX_VIRTIO_BALLOON_PRESSURE_H
#define _LINUX_VIRTIO_BALLOON_PRESSURE_H

#include <linux/types.h>

#define VIRTIO_BALLOON_F_PRESSURE	17 /* Guest-elastic balloon */

/* Levels of host_pressure, and of guest_pressure in its bits 0 to 7 */
#define VIRTIO_BALLOON_PRESSURE_NONE		0
#define VIRTIO_BALLOON_PRESSURE_LOW		1
#define VIRTIO_BALLOON_PRESSURE_MEDIUM		2
#define VIRTIO_BALLOON_PRESSURE_CRITICAL	3

#define VIRTIO_BALLOON_PRESSURE_LEVEL_MASK	0xffU
#define VIRTIO_BALLOON_PRESSURE_SEQ_SHIFT	8

/* The config space with VIRTIO_BALLOON_F_PRESSURE; all sizes in 4 KiB pages */
struct virtio_balloon_pressure_config {
	/* As in struct virtio_balloon_config */
	__le32 num_pages;
	__le32 actual;
	__le32 free_page_hint_cmd_id;
	__le32 poison_val;
	/* Host: the balloon never gets smaller than this by itself */
	__le32 min_pages;
	/* Host: its own level of pressure; a hint */
	__le32 host_pressure;
	/* Guest: level in bits 0 to 7, a sequence number above */
	__le32 guest_pressure;
	/* Guest: pages it needs beyond what it has */
	__le32 wanted_pages;
	/* Host: a floor like min_pages, until it has looked at itself again */
	__le32 min_now_pages;
};

#endif /* _LINUX_VIRTIO_BALLOON_PRESSURE_H */
