/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX ACLs: from what libarchive read as text to the bytes of the kernel's xattr. */
#ifndef LAYER_ACL_H
#define LAYER_ACL_H

#include <archive_entry.h>
#include <stddef.h>

#include "snapdrv.h"

/**
 * acl_from_entry() - the value of system.posix_acl_access or _default (linux/posix_acl_xattr.h).
 * @type: ARCHIVE_ENTRY_ACL_TYPE_ACCESS or ARCHIVE_ENTRY_ACL_TYPE_DEFAULT.
 * @ret_value: for free(3). @ret_size: its bytes.
 *
 * Return: 1 found, 0 the entry has none of the type, or a negative errno value; REFUSED when a user or
 * group is given by a name that is not a number: there is no telling whose name it is.
 */
int acl_from_entry(struct archive_entry *entry, int type, char **ret_value, size_t *ret_size,
		   struct snapdrv_error *err);

#endif
