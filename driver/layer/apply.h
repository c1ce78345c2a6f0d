/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the tar of a layer (libarchive) and sending its entries to a sink. */
#ifndef LAYER_APPLY_H
#define LAYER_APPLY_H

#include <archive.h>
#include <stdint.h>

#include "layer/sink.h"
#include "snapdrv.h"

/** struct apply_count - what a layer holds. */
struct apply_count {
	uint64_t entries;
	uint64_t bytes; /* of regular files' contents */
};

/**
 * apply_tar() - send all entries of a tar to a sink.
 * @read, @context: an archive_read_callback of libarchive, and its argument: plain tar.
 * @max_entries:    more are refused.
 * @ret_count:      written on success.
 *
 * ustar, GNU, PAX and V7. Names are bytes. Whiteouts become sink->ops->whiteout(); `.wh..wh.*` other
 * than the opaque mark is skipped (AUFS's own files). Reads until the end-of-archive mark; an archive
 * without one is read to its end.
 *
 * Return: 0, or a negative errno value; the message names the entry. REFUSED for a corrupt or truncated
 * archive, a 0:0 device, overlay's own xattrs, an owner or size out of range.
 */
int apply_tar(struct tree_sink *sink, archive_read_callback *read, void *context,
	      uint64_t max_entries, struct apply_count *ret_count, struct snapdrv_error *err);

#endif
