/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of tar entries: ustar, and PAX records for what ustar has no room for. */
#ifndef LAYER_HEADER_H
#define LAYER_HEADER_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/text.h"
#include "kernel/xattr.h"
#include "snapdrv.h"

#define TAR_BLOCK 512

/** struct tar_header - an entry; everything is borrowed. */
struct tar_header {
	const char *path; /* any bytes */
	char type; /* '0' file, '1' hard link, '2' symlink, '3' and '4' devices, '5' directory, '6' FIFO */
	const char *link; /* of '1' and '2' */
	uint64_t size;	  /* bytes that follow it */
	int is_sparse;	  /* GNU's format 1.0: a map comes first in them */
	uint64_t real_size;
	struct stat st; /* mode, owner, mtime, device number */
	const struct xattr_items *xattrs;
};

/**
 * header_write() - append the header's blocks.
 *
 * The same bytes for the same entry, on each machine: numbers as owners and no names, neither atime nor
 * ctime. A PAX record stands where ustar cannot say it: long names, big numbers, nanoseconds, xattrs
 * (SCHILY.xattr.NAME; LIBARCHIVE.xattr where the name has a `=`).
 */
int header_write(const struct tar_header *header, struct bytes *to, struct snapdrv_error *err);

#endif
