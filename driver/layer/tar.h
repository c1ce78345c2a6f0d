/* SPDX-License-Identifier: Apache-2.0 */
/* Reading tars with libarchive so that names stay the bytes that they are. */
#ifndef LAYER_TAR_H
#define LAYER_TAR_H

#include <archive.h>
#include <archive_entry.h>

#include "snapdrv.h"

/**
 * tar_new() - a reader that takes ustar, GNU, PAX and V7 archives, and empty ones.
 * Return: for archive_read_free(), or NULL with @err filled.
 */
struct archive *tar_new(struct snapdrv_error *err);

/**
 * tar_next() - archive_read_next_header() in the C locale.
 *
 * PAX names are UTF-8 by the standard and bytes in fact. libarchive converts them to the locale's
 * character set, and where it cannot it gives the bytes as they are, with a warning. In the C locale it
 * never can, but for ASCII: so every name comes out unchanged, whatever the locale of the program. (The
 * option hdrcharset=BINARY, which would say so, fails where iconv(3) knows no BINARY, as in glibc.)
 *
 * Return: 1 an entry, 0 the end, -1 failed: see archive_error_string(). Other warnings are failures.
 */
int tar_next(struct archive *archive, struct archive_entry **ret_entry);

#endif
