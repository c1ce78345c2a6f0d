/* SPDX-License-Identifier: Apache-2.0 */
/* All that is in a tree, in one walk. */
#ifndef KERNEL_CONTENTS_H
#define KERNEL_CONTENTS_H

#include "kernel/changes.h"

/**
 * contents_walk() - report all that is in a tree as changes_walk() reports a tree that was not there before: the
 * root as a change, all else as additions, in the same order.
 * @root_fd: open for reading. Nobody writes to the tree.
 * @is_single: tells of a regular file, by its inode, that it has no second name: it is not looked at
 *             then. NULL: nothing is known.
 * @arg: of both.
 *
 * Each directory is read once, and all but files that are known to be single are looked at once. Memory is
 * held for what has several names.
 */
int contents_walk(int root_fd, change_fn *report, int (*is_single)(void *arg, uint64_t inode),
		  void *arg, struct snapdrv_error *err);

#endif
