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

#define IDMAP_USERS_MAX \
	400 /* that are let through one directory: what the xattrs of an ext4 inode hold */

/** idmap_may_search() - whether idmap_let_search() has let a user through a directory. */
int idmap_may_search(int fd, uint32_t uid);

/**
 * idmap_let_search() - let some users, and no others, go through a directory, without seeing what is in it (POSIX ACL).
 * @fd:   the directory, open; of mode 0700 or with grants of this kind alone.
 * @uids: @n of them, ascending.
 *
 * Return: 0, or a negative errno value: ENOSPC when there are more than IDMAP_USERS_MAX.
 */
int idmap_let_search(int fd, const uint32_t *uids, size_t n, struct snapdrv_error *err);

#endif
