/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two files of one kind are the same in all that counts. */
#ifndef KERNEL_SAME_H
#define KERNEL_SAME_H

#include <sys/stat.h>

#include "snapdrv.h"

/** struct same_file - one of the two: where it is, and what stat(2) says of it. */
struct same_file {
	int dir_fd;
	const char *name;
	struct stat st;
};

/**
 * same_attributes() - owner, mode, mtime, xattrs (those that xattr_copy() copies), size, link target,
 * device number. A directory's size and the number of links do not count.
 * @skips_xattrs: they are known to be the same.
 *
 * Return: 1, 0, or a negative errno value.
 */
int same_attributes(const struct same_file *one, const struct same_file *other, int skips_xattrs,
		    struct snapdrv_error *err);

/** same_content() - of two regular files of one size. Return: 1, 0, or a negative errno value. */
int same_content(const struct same_file *one, const struct same_file *other,
		 struct snapdrv_error *err);

/** same_as_blank() - whether a directory is as copy_blank() makes one. Return: 1, 0, or negative. */
int same_as_blank(int dir_fd, struct snapdrv_error *err);

#endif
