/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of layers. */
#include "layer/deflate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define OUT_SIZE (1u << 18)
#define GZIP_WINDOW (15 + 16) /* of 32 KiB, with gzip's header: no name, no time */

struct deflater {
	enum snapdrv_compression how;
	struct pack_output output;
	z_stream gzip;
	int has_gzip;
	ZSTD_CCtx *zstd;
	unsigned char out[OUT_SIZE];
};

static int start(struct deflater *deflater, struct snapdrv_error *err)
{
	switch (deflater->how) {
	case SNAPDRV_PLAIN:
		return 0;
	case SNAPDRV_GZIP:
		if (deflateInit2(&deflater->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
				 Z_DEFAULT_STRATEGY) != Z_OK)
			return fail_memory(err);
		deflater->has_gzip = 1;
		return 0;
	case SNAPDRV_ZSTD:
		deflater->zstd = ZSTD_createCCtx();
		if (!deflater->zstd)
			return fail_memory(err);
		ZSTD_CCtx_setParameter(deflater->zstd, ZSTD_c_checksumFlag, 1);
		return 0;
	}
	return fail(err, SNAPDRV_USAGE, EINVAL, "compression %d: there is no such",
		    (int)deflater->how);
}

int deflater_new(enum snapdrv_compression how, const struct pack_output *output,
		 struct deflater **ret_deflater, struct snapdrv_error *err)
{
	struct deflater *deflater = calloc(1, sizeof(*deflater));
	int ret;

	if (!deflater)
		return fail_memory(err);
	deflater->how = how;
	deflater->output = *output;
	ret = start(deflater, err);
	if (ret) {
		deflater_free(deflater);
		return ret;
	}
	*ret_deflater = deflater;
	return 0;
}

static int put(struct deflater *deflater, size_t size, struct snapdrv_error *err)
{
	return size ? deflater->output.write(deflater->output.context, deflater->out, size, err)
		    : 0;
}

static int write_gzip(struct deflater *deflater, const void *data, size_t size, int is_end,
		      struct snapdrv_error *err)
{
	z_stream *gzip = &deflater->gzip;
	int ret;

	gzip->next_in = (unsigned char *)data; /* which deflate() only reads */
	gzip->avail_in = (unsigned)size;
	do {
		gzip->next_out = deflater->out;
		gzip->avail_out = OUT_SIZE;
		deflate(gzip, is_end ? Z_FINISH : Z_NO_FLUSH);
		ret = put(deflater, OUT_SIZE - gzip->avail_out, err);
	} while (!ret && !gzip->avail_out);
	return ret;
}

static int write_zstd(struct deflater *deflater, const void *data, size_t size, int is_end,
		      struct snapdrv_error *err)
{
	ZSTD_inBuffer in = {data, size, 0};
	size_t left;
	int ret;

	do {
		ZSTD_outBuffer out = {deflater->out, OUT_SIZE, 0};

		left = ZSTD_compressStream2(deflater->zstd, &out, &in,
					    is_end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return fail(err, SNAPDRV_FAILED, EIO, "zstd: %s", ZSTD_getErrorName(left));
		ret = put(deflater, out.pos, err);
	} while (!ret && (is_end ? left > 0 : in.pos < in.size));
	return ret;
}

static int write_some(struct deflater *deflater, const void *data, size_t size, int is_end,
		      struct snapdrv_error *err)
{
	if (deflater->how == SNAPDRV_GZIP)
		return write_gzip(deflater, data, size, is_end, err);
	if (deflater->how == SNAPDRV_ZSTD)
		return write_zstd(deflater, data, size, is_end, err);
	return size ? deflater->output.write(deflater->output.context, data, size, err) : 0;
}

int deflater_write(void *deflater, const void *data, size_t size, struct snapdrv_error *err)
{
	const unsigned char *at = data;
	int ret = 0;

	/* zlib counts in 32 bits. */
	while (size && !ret) {
		size_t piece = size < 1u << 30 ? size : 1u << 30;

		ret = write_some(deflater, at, piece, 0, err);
		at += piece;
		size -= piece;
	}
	return ret;
}

int deflater_end(struct deflater *deflater, struct snapdrv_error *err)
{
	return write_some(deflater, "", 0, 1, err);
}

void deflater_free(struct deflater *deflater)
{
	if (!deflater)
		return;
	if (deflater->has_gzip)
		deflateEnd(&deflater->gzip);
	ZSTD_freeCCtx(deflater->zstd);
	free(deflater);
}
