/* SPDX-License-Identifier: Apache-2.0 */
/* A layer with overlay's marks that was written on nothing, and gets lower layers afterwards. */
#ifndef KERNEL_MARKS_H
#define KERNEL_MARKS_H

#include "snapdrv.h"

/**
 * MARK_IMPLIED - of a directory that the layer does not describe, until it is settled. Overlay shows
 * nobody an attribute of this kind.
 */
#define MARK_IMPLIED "trusted.overlay.snapdrv.implied"

/**
 * marks_settle() - settle what depends on the lower layers.
 * @tree_fd: the layer, whose directories that nobody describes have MARK_IMPLIED.
 * @lower_fd: the merged lower layers, or -1 when there are none.
 *
 * Such directories get the attributes that they have below, or go when there are none and nothing is left in
 * them. Whiteouts go where no lower layer has the directory: the kernel would list them.
 *
 * Return: 0, or a negative errno value; EOPNOTSUPP when such a directory is a symlink below.
 */
int marks_settle(int tree_fd, int lower_fd, struct snapdrv_error *err);

#endif
