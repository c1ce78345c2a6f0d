/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking tars that are no layers: contexts, and what ADD takes in. */
#ifndef BUILD_UNPACK_H
#define BUILD_UNPACK_H

#include "layer/input.h"

/**
 * unpack_archive() - unpack a tar, compressed or not, into a directory.
 * @tree_fd: the directory, open for reading; it keeps its own attributes. A directory of the archive merges with one that is there; anything
 *           else replaces what is there. No name leads out of it, and symlinks in it are followed inside it.
 * @latest_ns: later mtimes become this one; INT64_MAX for none.
 *
 * As a layer's: owners, modes, times, xattrs, hard links, devices, holes. Marks of deletion are REFUSED.
 *
 * Return: 0, or a negative errno value: REFUSED, FAILED. What was written stays.
 */
int unpack_archive(const struct layer_input *input, int tree_fd, int64_t latest_ns,
		   struct snapdrv_error *err);

#endif
