/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of layers: gzip (zlib, whose output does not depend on the processor), zstd, or none. */
#ifndef LAYER_DEFLATE_H
#define LAYER_DEFLATE_H

#include "layer/pack.h"
#include "snapdrv.h"

struct deflater;

/**
 * deflater_new() - start a compressed stream. The same bytes give the same stream.
 * @how:    anything but these is USAGE. @output: where it goes. Copied.
 */
int deflater_new(enum snapdrv_compression how, const struct pack_output *output,
		 struct deflater **ret_deflater, struct snapdrv_error *err);

/** deflater_write() - the next plain bytes; as struct pack_output has it, with the deflater as context. */
int deflater_write(void *deflater, const void *data, size_t size, struct snapdrv_error *err);

/** deflater_end() - there are no more. */
int deflater_end(struct deflater *deflater, struct snapdrv_error *err);

/** deflater_free() - takes NULL. */
void deflater_free(struct deflater *deflater);

#endif
