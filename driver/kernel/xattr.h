/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of open files, and of names that cannot be opened. */
#ifndef KERNEL_XATTR_H
#define KERNEL_XATTR_H

#include <stddef.h>

#include "snapdrv.h"

/**
 * xattr_is_ours() - whether a layer may not have this attribute: overlay's own control attributes
 * (trusted.overlay.*, user.overlay.*), which would redirect lookups when the layer is mounted.
 */
int xattr_is_ours(const char *name);

/**
 * xattr_set() - set an attribute of a name without following it.
 * @fd:   an open file, or the directory of @name.
 * @name: a name in @fd, or NULL for @fd itself (O_PATH descriptors will not do then).
 */
int xattr_set(int fd, const char *name, const char *attribute, const void *value, size_t size,
	      struct snapdrv_error *err);

/**
 * xattr_copy() - give @to the attributes of @from, but for xattr_is_ours() and security.selinux;
 * those that @to has and @from has not are removed. Both open (not O_PATH).
 */
int xattr_copy(int from, int to, struct snapdrv_error *err);

/**
 * xattr_copy_name() - as xattr_copy(), for what cannot be opened: a symlink, device or FIFO.
 * @from: an O_PATH descriptor of it. @fd, @name: a new one, without attributes.
 */
int xattr_copy_name(int from, int fd, const char *name, struct snapdrv_error *err);

/** xattr_clear() - remove all attributes of an open file, but for those that xattr_copy() leaves alone. */
int xattr_clear(int fd, struct snapdrv_error *err);

#endif
