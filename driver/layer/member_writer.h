/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an image archive: a tar whose bytes depend on nothing but the names and contents put into it. */
#ifndef LAYER_MEMBER_WRITER_H
#define LAYER_MEMBER_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

struct member_writer;

/**
 * member_writer_new() - start an archive; all entries get owner 0:0, mtime 0, and mode 0755 or 0644.
 * @fd: written to from its position on; may be a pipe. Borrowed.
 */
int member_writer_new(int fd, struct member_writer **ret_writer, struct snapdrv_error *err);

/**
 * member_writer_dir() - an entry for a directory.
 * @name: less than 99 bytes, without a slash at its end; that of a file too.
 */
int member_writer_dir(struct member_writer *writer, const char *name, struct snapdrv_error *err);

/** member_writer_file() - an entry for a file, @size bytes of which have to follow. */
int member_writer_file(struct member_writer *writer, const char *name, uint64_t size,
		       struct snapdrv_error *err);
int member_writer_data(struct member_writer *writer, const void *data, size_t size,
		       struct snapdrv_error *err);

/** member_writer_end() - the end of the archive. */
int member_writer_end(struct member_writer *writer, struct snapdrv_error *err);

/** member_writer_free() - takes NULL; nothing more is written. */
void member_writer_free(struct member_writer *writer);

#endif
