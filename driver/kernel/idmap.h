/* SPDX-License-Identifier: Apache-2.0 */
/* Owners shifted by idmapped mounts: no file is copied or changed. */
#ifndef KERNEL_IDMAP_H
#define KERNEL_IDMAP_H

#include <stdint.h>

#include "snapdrv.h"

/** struct id_shift - owner N on disk, below @size, is seen as @uid + N; its group as @gid + N. */
struct id_shift {
	uint32_t uid;
	uint32_t gid;
	uint32_t size;
};

/**
 * idmap_apply() - shift the owners of a detached mount (mount_setattr(2) with MOUNT_ATTR_IDMAP).
 * @mount_fd: of open_tree(2) with OPEN_TREE_CLONE, not attached yet.
 *
 * Linux 5.12 for ext4 and xfs, 5.15 for btrfs, 6.3 for tmpfs; below an overlay 5.19.
 *
 * Return: 0, or a negative errno value; the message says what is lacking.
 */
int idmap_apply(int mount_fd, const struct id_shift *shift, struct snapdrv_error *err);

/**
 * idmap_become() - the calling thread, and only it, makes files as the one that root is shifted to, with
 * all its capabilities. Root itself has no number on a shifted mount, and can make nothing there.
 */
int idmap_become(const struct id_shift *shift, struct snapdrv_error *err);

/**
 * idmap_grant_search() - let one user go through a directory, without seeing what is in it (POSIX ACL).
 * @fd: the directory, open; of mode 0700 or with grants of this kind alone.
 */
int idmap_grant_search(int fd, uint32_t uid, struct snapdrv_error *err);

#endif
