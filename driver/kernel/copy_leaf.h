/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of what is no directory, and of attributes; the rest of kernel/copy.h is built on it. */
#ifndef KERNEL_COPY_LEAF_H
#define KERNEL_COPY_LEAF_H

#include <sys/stat.h>

#include "kernel/copy.h"

/** struct leaf - one name that is copied. @as: what it is called there. Everything is borrowed. */
struct leaf {
	int from_fd;
	const char *name;
	int to_fd;
	const char *as;
	const struct copy_rules *rules;
};

/**
 * leaf_copy() - make the copy. Nothing stands under @leaf->as.
 * @st: what stat(2) said of it. A regular file that is another one by now is copied as it is; one that is no
 *      regular file any more is FAILED with ESTALE.
 */
int leaf_copy(const struct leaf *leaf, const struct stat *st, struct snapdrv_error *err);

/**
 * leaf_attributes() - owner, mode, xattrs and mtime of an open file or directory; its data are there.
 * @keeps_xattrs: those that only @to_fd has stay.
 */
int leaf_attributes(int from_fd, int to_fd, const struct stat *st, const struct copy_rules *rules,
		    int keeps_xattrs, struct snapdrv_error *err);

#endif
