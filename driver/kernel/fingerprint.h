/* SPDX-License-Identifier: Apache-2.0 */
/* What counts of one file of a tree, as checksums: the parts that inventories are made of. */
#ifndef KERNEL_FINGERPRINT_H
#define KERNEL_FINGERPRINT_H

#include <sys/stat.h>

#include "base/checksum.h"
#include "base/text.h"
#include "kernel/changes.h"

/** struct fingerprint - of a name. @attributes: half a checksum. @has_content: a regular file that is not empty. */
struct fingerprint {
	unsigned char attributes[8];
	int has_content;
	struct checksum content;
};

/** struct fingerprinter - buffers that are used again; all zero at first. */
struct fingerprinter {
	struct bytes text;
	struct summer *summer;
};

void fingerprinter_done(struct fingerprinter *printer);

/** fingerprint_plain() - the attributes of a regular file that has no xattr, from what fstat(2) says. */
void fingerprint_plain(const struct stat *st, unsigned char ret_attributes[8]);

/**
 * fingerprint_attributes() - kind, owner, mode, mtime, size, link target, device number, all xattrs, overlay's
 * marks too, but security.selinux; and of a further name of a file, the first one.
 * @ret_st: what stat(2) said. @ret_print: without its content.
 *
 * Return: 0, or a negative errno value; dirs_is_gone() when there is no such name.
 */
int fingerprint_attributes(struct fingerprinter *printer, const struct change *change,
			   struct stat *ret_st, struct fingerprint *ret_print,
			   struct snapdrv_error *err);

/**
 * fingerprint_content() - read a regular file.
 * @from_disk: not from the page cache, as far as the kernel goes along.
 *
 * Return: 0, or a negative errno value.
 */
int fingerprint_content(struct fingerprinter *printer, const struct change *change, int from_disk,
			struct checksum *ret_sum, struct snapdrv_error *err);

#endif
