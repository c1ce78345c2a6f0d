/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and a filesystem can do, found out by trying. */
#ifndef KERNEL_PROBE_H
#define KERNEL_PROBE_H

#include "snapdrv.h"

/** probe_filesystem() - the type of the filesystem that holds @fd: "ext4", ...; "0x..." if unknown. */
struct filesystem_name {
	char text[32];
};
struct filesystem_name probe_filesystem(int fd);

/**
 * probe_overlay() - mount an overlay in a scratch directory, write through it, delete through it.
 * @dir_fd: an empty directory on the filesystem in question; left empty.
 *
 * Return: 0, or a negative errno value; the message says what the filesystem lacks and what to do.
 */
int probe_overlay(int dir_fd, struct snapdrv_error *err);

#endif
