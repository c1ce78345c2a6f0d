/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of open files, and of names that cannot be opened. */
#ifndef KERNEL_XATTR_H
#define KERNEL_XATTR_H

#include <stddef.h>
#include <sys/types.h>

#include "snapdrv.h"

/**
 * xattr_is_ours() - whether a layer may not have this attribute: overlay's own control attributes
 * (trusted.overlay.*, user.overlay.*), which would redirect lookups when the layer is mounted.
 */
int xattr_is_ours(const char *name);

/**
 * xattr_fits() - whether Linux lets a file of this type (S_IFMT's bits) have the attribute. Others it has no namespace
 * for (macOS's com.apple.*, NFS's own ACLs), or allows for other types only (user.* for files and directories).
 */
int xattr_fits(const char *name, mode_t type);

/**
 * xattr_is_portable() - whether an attribute is a file's own on every machine: security.capability and
 * user.*, but for overlay's. Others (ACLs, labels) say what this machine does with the file.
 */
int xattr_is_portable(const char *name);

/**
 * xattr_set() - set an attribute of a name without following it.
 * @fd:   an open file, or the directory of @name.
 * @name: a name in @fd, or NULL for @fd itself (O_PATH descriptors will not do then).
 */
int xattr_set(int fd, const char *name, const char *attribute, const void *value, size_t size,
	      struct snapdrv_error *err);

/**
 * xattr_copy() - give @to the attributes of @from, but for xattr_is_ours(), security.selinux and XFS's names for ACLs;
 * those that @to has and @from has not are removed. Both open (not O_PATH).
 */
int xattr_copy(int from, int to, struct snapdrv_error *err);

/**
 * xattr_add() - the same, but those that only @to has stay.
 * @is_wanted: those of @from for which it returns 1; NULL for all.
 */
int xattr_add(int from, int to, int (*is_wanted)(const char *name), struct snapdrv_error *err);

/**
 * xattr_copy_name() - as xattr_copy(), for what cannot be opened: a symlink, device or FIFO.
 * @from: an O_PATH descriptor of it. @fd, @name: a new one, without attributes. @is_wanted: as xattr_add().
 */
int xattr_copy_name(int from, int fd, const char *name, int (*is_wanted)(const char *attribute),
		    struct snapdrv_error *err);

/** xattr_clear() - remove all attributes of an open file, but for those that xattr_copy() leaves alone. */
int xattr_clear(int fd, struct snapdrv_error *err);

/** struct xattr_items - attributes with their values, in the order of their names; all zero is none. */
struct xattr_items {
	struct xattr_item {
		char *name;
		char *value;
		size_t size;
	} * items;
	size_t count;
};

/**
 * xattr_read() - the attributes of a name that xattr_copy() would copy. It is not followed.
 * @dir_fd, @name: where it is; "." for the directory itself.
 * @ret_items: for xattr_items_done().
 */
int xattr_read(int dir_fd, const char *name, struct xattr_items *ret_items,
	       struct snapdrv_error *err);

/** xattr_read_all() - the same with overlay's own attributes among them. */
int xattr_read_all(int dir_fd, const char *name, struct xattr_items *ret_items,
		   struct snapdrv_error *err);

/**
 * xattr_has() - whether a name has an attribute, of overlay's own too, of this value (any if NULL).
 *
 * Return: 1, 0 (also when the name is gone, or the file system has no attributes), or a negative errno value.
 */
int xattr_has(int dir_fd, const char *name, const char *attribute, const char *value,
	      struct snapdrv_error *err);

void xattr_items_done(struct xattr_items *items);

#define cleanup_xattr_items __attribute__((cleanup(xattr_items_done)))

#endif
