/* SPDX-License-Identifier: Apache-2.0 */
/* How much of the disk a tree holds for itself. */
#ifndef KERNEL_USAGE_H
#define KERNEL_USAGE_H

#include <stdint.h>

#include "snapdrv.h"

/** struct usage - bytes on disk that nothing else shares, and inodes. Metadata is not counted. */
struct usage {
	uint64_t bytes;
	uint64_t inodes;
};

/**
 * usage_of_tree() - walk a tree and add up.
 * @fd: its root. Other filesystems and subvolumes below it are not entered.
 *
 * By extents (FIEMAP): those that are shared with another file, by reflink or snapshot, do not count. By
 * blocks where the filesystem has no FIEMAP. A hard-linked file counts once. Dirty data is written first.
 * Cost: a system call or two for each file.
 */
int usage_of_tree(int fd, struct usage *ret_usage, struct snapdrv_error *err);

#endif
