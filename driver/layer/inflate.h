/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression by content: gzip (ISA-L), zstd, xz, bzip2 (libarchive). */
#ifndef LAYER_INFLATE_H
#define LAYER_INFLATE_H

#include <stddef.h>
#include <sys/types.h>

#include "layer/input.h"
#include "snapdrv.h"

struct inflater;

/** enum compression - how a stream is compressed. OTHER: in a way that no layer's media type has a name for. */
enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_OTHER };

/**
 * inflater_new() - find out how an input is compressed, and undo it.
 * @input: borrowed; its first bytes are read at once.
 *
 * The content decides, never a media type: gzip, also of several members (RFC 1952, 2.2); zstd, also of
 * several frames and skippable ones (RFC 8878, 3.1); bzip2 and xz; anything else passes as it is.
 */
int inflater_new(const struct layer_input *input, struct inflater **ret_inflater,
		 struct snapdrv_error *err);

/**
 * inflater_read() - the next plain bytes.
 * Return: @size, or less at the end, or a negative errno value; REFUSED when the stream is corrupt,
 * truncated, followed by something that is not compressed (zeros are let pass), or, zstd and xz, wants a window
 * of more than 128 MiB.
 */
ssize_t inflater_read(struct inflater *inflater, void *data, size_t size,
		      struct snapdrv_error *err);

/** inflater_is_plain() - whether the input is not compressed. */
int inflater_is_plain(const struct inflater *inflater);

/** inflater_compression() - what the content says. */
enum compression inflater_compression(const struct inflater *inflater);

/** inflater_free() - takes NULL. */
void inflater_free(struct inflater *inflater);

#endif
