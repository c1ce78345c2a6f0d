/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of a runtime's mounts, by their paths. Shared by the files of this part. */
#ifndef SNAPSHOT_MOUNTED_LAYERS_H
#define SNAPSHOT_MOUNTED_LAYERS_H

#include "base/text.h"
#include "snapdrv.h"

/** layers_open() - open a directory for reading. Return: a descriptor, or a negative errno value. */
int layers_open(const char *path, struct snapdrv_error *err);

/** layers_is_empty() - whether nothing is in a directory. Return: 1, 0, or a negative errno value. */
int layers_is_empty(int fd, struct snapdrv_error *err);

/**
 * layers_peek() - the merged tree of directories with overlay's marks, the topmost first, read-only.
 * Return: a descriptor, which holds the mount, or a negative errno value.
 */
int layers_peek(const struct strings *dirs, struct snapdrv_error *err);

#endif
