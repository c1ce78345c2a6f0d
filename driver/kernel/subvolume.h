/* SPDX-License-Identifier: Apache-2.0 */
/* Btrfs subvolumes and their snapshots (libbtrfsutil). */
#ifndef KERNEL_SUBVOLUME_H
#define KERNEL_SUBVOLUME_H

#include <stdint.h>

#include "kernel/changes.h"
#include "snapdrv.h"

/** subvolume_create() - a new empty subvolume @name in @dir_fd. -EEXIST when the name is taken. */
int subvolume_create(int dir_fd, const char *name, struct snapdrv_error *err);

/**
 * subvolume_snapshot() - a subvolume that starts as another one; costs the same whatever that holds.
 * @source_fd: the root of a subvolume, open for reading.
 * @dir_fd, @name: where the snapshot is to be, on the same filesystem; must not exist.
 * @read_only: nonzero for a snapshot that never was writable.
 *
 * Subvolumes nested in the source are empty directories in the snapshot.
 */
int subvolume_snapshot(int source_fd, int dir_fd, const char *name, int read_only,
		       struct snapdrv_error *err);

/** subvolume_freeze() - make a subvolume read-only; twice is no error. @fd: its root, open. */
int subvolume_freeze(int fd, struct snapdrv_error *err);

/** subvolume_is_frozen() - whether a subvolume is read-only. Return: 1, 0, or a negative errno value. */
int subvolume_is_frozen(int fd, struct snapdrv_error *err);

/** subvolume_thaw() - make a subvolume writable, if it is not. @fd: its root. Return: 0, else failed. */
int subvolume_thaw(int fd);

/**
 * subvolume_remove() - delete a subvolume and all that are nested in it, also read-only ones, with the
 * quota groups that they had of their own. Quotas need not be on.
 * @dir_fd, @name: the subvolume.
 *
 * Nothing there is no error; what is not a subvolume is left as it is. The space comes back later, when
 * the filesystem's cleaner has been there. Goes on after a failure and returns the first one.
 */
int subvolume_remove(int dir_fd, const char *name, struct snapdrv_error *err);

/**
 * subvolume_quota() - bytes that only a subvolume refers to, by its quota group, as of the last commit.
 * @fd: its root, open. Waits for a commit of the filesystem.
 *
 * Return: 1 found, 0 quotas are off (or the group is not there), or a negative errno value.
 */
int subvolume_quota(int fd, uint64_t *ret_bytes, struct snapdrv_error *err);

/**
 * subvolume_changed() - the inodes of a snapshot that may have changed since it was made of its parent, and
 * all directories above them.
 * @fd, @parent_fd: the roots of both, open.
 *
 * Only what changed since is looked at: metadata blocks keep the generation in which they were written.
 * Waits for a commit of the filesystem.
 *
 * Return: 1, and *ret_inodes, for inode_set_done(); 0 it is not a snapshot of that parent; or a negative
 * errno value.
 */
int subvolume_changed(int fd, int parent_fd, struct inode_set *ret_inodes,
		      struct snapdrv_error *err);

/**
 * subvolume_probe() - make a subvolume, write to it, snapshot it, delete both.
 * @dir_fd: an empty directory on the filesystem in question; left empty.
 *
 * Return: 0, or a negative errno value; the message says what is missing.
 */
int subvolume_probe(int dir_fd, struct snapdrv_error *err);

#endif
