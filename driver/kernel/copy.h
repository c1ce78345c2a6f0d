/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of whole trees of files. */
#ifndef KERNEL_COPY_H
#define KERNEL_COPY_H

#include "snapdrv.h"

/**
 * copy_tree() - copy a directory and all below it, everything about each file kept.
 * @from_fd: the directory, open for reading. Nobody writes below it meanwhile; no mount is entered.
 * @dir_fd, @name: where the copy is to be; must not exist. @name.links beside it is used meanwhile.
 *
 * Kept are owners, modes, mtimes, xattrs (but for those that xattr_copy() leaves out), hard links within
 * the tree, devices, FIFOs, sockets, symlinks, holes. Data are shared (FICLONE) where the filesystem
 * can: btrfs, xfs, bcachefs. Depth is no limit, to the descriptors and to the stack.
 *
 * Return: 0, or a negative errno value; a half-made copy, and @name.links, stay behind then.
 */
int copy_tree(int from_fd, int dir_fd, const char *name, struct snapdrv_error *err);

/**
 * copy_blank() - give a directory the attributes of a root that no layer says anything of: mode 0755,
 * owner 0:0, mtime 0, no ACL, whatever it has from the umask and from the directory above it.
 */
int copy_blank(int fd, struct snapdrv_error *err);

/**
 * copy_probe() - try whether a filesystem keeps what a tree is made of: owners, xattrs, hard links,
 * symlinks, devices.
 * @dir_fd: an empty directory on the filesystem in question; left empty.
 *
 * Return: 0, or a negative errno value; the message says what the filesystem lacks.
 */
int copy_probe(int dir_fd, struct snapdrv_error *err);

#endif
