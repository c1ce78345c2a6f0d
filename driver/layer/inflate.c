/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression by content. */
#include "layer/inflate.h"

#include <archive.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/cleanup.h"
#include "base/error.h"

#define IN_SIZE (1u << 18)
/* A dictionary may have 128 MiB, as a window of zstd's; the decoder takes some kilobytes besides. */
#define XZ_DICTIONARY_MAX 128u /* MiB */
#define XZ_MEMORY_MAX ((XZ_DICTIONARY_MAX + 1ull) << 20)

struct inflater {
	struct layer_input input;
	ssize_t (*read)(struct inflater *inflater, void *data, size_t size,
			struct snapdrv_error *err);
	unsigned char *own;	 /* IN_SIZE bytes */
	const unsigned char *in; /* they, or what is lent; of which [at, end) are to be used */
	size_t at;
	size_t end;
	int at_end; /* the input has no more */
	struct inflate_state *gzip;
	int in_member; /* within a gzip member or a zstd frame */
	ZSTD_DStream *zstd;
	lzma_stream xz;
	struct archive *filter;		   /* bzip2 */
	struct snapdrv_error filter_error; /* why reading failed beneath libarchive */
};

static int refill(struct inflater *inflater, struct snapdrv_error *err)
{
	ssize_t got;

	if (inflater->at < inflater->end || inflater->at_end)
		return 0;
	if (inflater->input.lend) {
		got = inflater->input.lend(inflater->input.context, &inflater->in, err);
	} else {
		got = inflater->input.read(inflater->input.context, inflater->own, IN_SIZE, err);
		inflater->in = inflater->own;
	}
	if (got < 0)
		return (int)got;
	inflater->at = 0;
	inflater->end = (size_t)got;
	inflater->at_end = !got;
	return 0;
}

static ssize_t read_plain(struct inflater *inflater, void *data, size_t size,
			  struct snapdrv_error *err)
{
	size_t held = inflater->end - inflater->at;
	ssize_t got;

	if (held) {
		if (held > size)
			held = size;
		memcpy(data, inflater->in + inflater->at, held);
		inflater->at += held;
		if (held == size)
			return (ssize_t)held;
	}
	got = input_fill(&inflater->input, (char *)data + held, size - held, err);
	return got < 0 ? got : got + (ssize_t)held;
}

/* Between members: more of them, padding of zeros, or the end. Return: 1 a member follows, 0 the end. */
static int next_member(struct inflater *inflater, struct snapdrv_error *err)
{
	for (;;) {
		int ret = refill(inflater, err);

		if (ret)
			return ret;
		if (inflater->at == inflater->end)
			return 0;
		if (inflater->in[inflater->at])
			break;
		inflater->at++;
	}
	if (inflater->in[inflater->at] != 0x1f)
		return refuse(err, "bytes after the end of the gzip stream");
	isal_inflate_reset(inflater->gzip);
	inflater->gzip->crc_flag = ISAL_GZIP;
	inflater->in_member = 1;
	return 1;
}

static ssize_t read_gzip(struct inflater *inflater, void *data, size_t size,
			 struct snapdrv_error *err)
{
	struct inflate_state *state = inflater->gzip;
	size_t filled = 0;

	while (filled < size) {
		int ret;

		if (!inflater->in_member) {
			ret = next_member(inflater, err);
			if (ret <= 0)
				return ret < 0 ? ret : (ssize_t)filled;
		}
		ret = refill(inflater, err);
		if (ret)
			return ret;
		/* Which isal_inflate() only reads. */
		state->next_in = (unsigned char *)inflater->in + inflater->at;
		state->avail_in = (uint32_t)(inflater->end - inflater->at);
		state->next_out = (uint8_t *)data + filled;
		state->avail_out = (uint32_t)(size - filled);
		ret = isal_inflate(state);
		if (ret != ISAL_DECOMP_OK && ret != ISAL_END_INPUT)
			return refuse(err, "corrupt gzip stream");
		if (inflater->at_end && state->avail_out == size - filled &&
		    state->block_state != ISAL_BLOCK_FINISH)
			return refuse(err, "truncated gzip stream");
		inflater->at = inflater->end - state->avail_in;
		filled = size - state->avail_out;
		if (state->block_state == ISAL_BLOCK_FINISH)
			inflater->in_member = 0;
	}
	return (ssize_t)filled;
}

static ssize_t read_zstd(struct inflater *inflater, void *data, size_t size,
			 struct snapdrv_error *err)
{
	ZSTD_outBuffer out = {.dst = data, .size = size};

	while (out.pos < size) {
		ZSTD_inBuffer in;
		size_t left, before = out.pos;
		int ret = refill(inflater, err);

		if (ret)
			return ret;
		if (inflater->at_end && !inflater->in_member)
			break;
		in = (ZSTD_inBuffer){inflater->in, inflater->end, inflater->at};
		left = ZSTD_decompressStream(inflater->zstd, &out, &in);
		if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
			return fail_memory(err);
		if (ZSTD_isError(left))
			return refuse(err, "corrupt zstd stream: %s", ZSTD_getErrorName(left));
		inflater->in_member = left != 0;
		inflater->at = in.pos;
		if (inflater->at_end && left && out.pos == before)
			return refuse(err, "truncated zstd stream");
	}
	return (ssize_t)out.pos;
}

static int refuse_xz(lzma_ret why, struct snapdrv_error *err)
{
	switch (why) {
	case LZMA_MEM_ERROR:
		return fail_memory(err);
	case LZMA_MEMLIMIT_ERROR:
		return refuse(err, "xz stream with a dictionary of more than %u MiB",
			      XZ_DICTIONARY_MAX);
	case LZMA_BUF_ERROR:
		return refuse(err, "truncated xz stream");
	default:
		return refuse(err, "corrupt xz stream");
	}
}

static ssize_t read_xz(struct inflater *inflater, void *data, size_t size,
		       struct snapdrv_error *err)
{
	lzma_stream *xz = &inflater->xz;
	lzma_ret done = LZMA_OK;

	xz->next_out = data;
	xz->avail_out = size;
	while (xz->avail_out && done == LZMA_OK) {
		int ret = refill(inflater, err);

		if (ret)
			return ret;
		xz->next_in = inflater->in + inflater->at;
		xz->avail_in = inflater->end - inflater->at;
		/* Only at the end of the input it is known that no other stream follows. */
		done = lzma_code(xz, inflater->at_end ? LZMA_FINISH : LZMA_RUN);
		inflater->at = inflater->end - xz->avail_in;
	}
	if (done != LZMA_OK && done != LZMA_STREAM_END)
		return refuse_xz(done, err);
	return (ssize_t)(size - xz->avail_out);
}

static int refuse_stream(struct archive *filter, struct snapdrv_error *err)
{
	if (archive_errno(filter) == ENOMEM)
		return fail_memory(err);
	return refuse(err, "corrupt stream: %s", archive_error_string(filter));
}

static ssize_t read_filter(struct inflater *inflater, void *data, size_t size,
			   struct snapdrv_error *err)
{
	size_t filled = 0;

	while (filled < size) {
		la_ssize_t got =
			archive_read_data(inflater->filter, (char *)data + filled, size - filled);

		if (inflater->filter_error.code) {
			return fail(err, inflater->filter_error.code, inflater->filter_error.errnum,
				    "%s", inflater->filter_error.message);
		}
		if (got < 0)
			return refuse_stream(inflater->filter, err);
		if (!got)
			break;
		filled += (size_t)got;
	}
	return (ssize_t)filled;
}

static la_ssize_t feed_filter(struct archive *archive, void *context, const void **ret_data)
{
	struct inflater *inflater = context;
	la_ssize_t length;

	(void)archive;
	if (refill(inflater, &inflater->filter_error))
		return -1;
	*ret_data = inflater->in + inflater->at;
	length = (la_ssize_t)(inflater->end - inflater->at);
	inflater->at = inflater->end;
	return length;
}

static int start_filter(struct inflater *inflater, struct snapdrv_error *err)
{
	struct archive_entry *entry;
	struct archive *filter = archive_read_new();

	if (!filter)
		return fail_memory(err);
	inflater->filter = filter;
	inflater->read = read_filter;
	archive_read_support_filter_bzip2(filter);
	archive_read_support_format_raw(filter);
	if (archive_read_open(filter, inflater, NULL, feed_filter, NULL) ||
	    archive_read_next_header(filter, &entry))
		return refuse_stream(filter, err);
	return 0;
}

static int start_gzip(struct inflater *inflater, struct snapdrv_error *err)
{
	/* In the heap, as it holds 80 KB. */
	inflater->gzip = malloc(sizeof(*inflater->gzip));
	if (!inflater->gzip)
		return fail_memory(err);
	isal_inflate_init(inflater->gzip);
	inflater->read = read_gzip;
	return 0;
}

static int start_zstd(struct inflater *inflater, struct snapdrv_error *err)
{
	inflater->zstd = ZSTD_createDStream();
	if (!inflater->zstd)
		return fail_memory(err);
	inflater->read = read_zstd;
	return 0;
}

static int start_xz(struct inflater *inflater, struct snapdrv_error *err)
{
	/* libarchive's own filter would let a stream have a dictionary of 4 GiB. */
	lzma_ret done = lzma_stream_decoder(&inflater->xz, XZ_MEMORY_MAX, LZMA_CONCATENATED);

	inflater->read = read_xz;
	return done == LZMA_OK ? 0 : refuse_xz(done, err);
}

static int starts_with(const struct inflater *inflater, const char *magic, size_t size)
{
	return inflater->end >= size && !memcmp(inflater->in, magic, size);
}

static int start(struct inflater *inflater, struct snapdrv_error *err)
{
	if (starts_with(inflater, "\x1f\x8b", 2))
		return start_gzip(inflater, err);
	if (starts_with(inflater, "\x28\xb5\x2f\xfd", 4))
		return start_zstd(inflater, err);
	/* A skippable frame, 0x184D2A50 to 0x184D2A5F, may come first. */
	if (inflater->end >= 4 && (inflater->in[0] & 0xf0) == 0x50 &&
	    !memcmp(inflater->in + 1, "\x2a\x4d\x18", 3))
		return start_zstd(inflater, err);
	if (starts_with(inflater, "\xfd\x37zXZ", 6))
		return start_xz(inflater, err);
	if (starts_with(inflater, "BZh", 3))
		return start_filter(inflater, err);
	inflater->read = read_plain;
	return 0;
}

int inflater_new(const struct layer_input *input, struct inflater **ret_inflater,
		 struct snapdrv_error *err)
{
	struct inflater *inflater = calloc(1, sizeof(*inflater));
	ssize_t got;
	int ret;

	if (!inflater)
		return fail_memory(err);
	inflater->input = *input;
	inflater->own = malloc(IN_SIZE);
	if (!inflater->own) {
		inflater_free(inflater);
		return fail_memory(err);
	}
	inflater->in = inflater->own;
	/* A pipe may give a byte at a time: enough of them for the longest magic number. */
	got = input_fill(input, inflater->own, 512, err);
	inflater->end = got < 0 ? 0 : (size_t)got;
	ret = got < 0 ? (int)got : start(inflater, err);
	if (ret) {
		inflater_free(inflater);
		return ret;
	}
	*ret_inflater = inflater;
	return 0;
}

ssize_t inflater_read(struct inflater *inflater, void *data, size_t size, struct snapdrv_error *err)
{
	return inflater->read(inflater, data, size, err);
}

int inflater_is_plain(const struct inflater *inflater)
{
	return inflater->read == read_plain;
}

enum compression inflater_compression(const struct inflater *inflater)
{
	if (inflater_is_plain(inflater))
		return COMPRESSION_NONE;
	if (inflater->gzip)
		return COMPRESSION_GZIP;
	return inflater->zstd ? COMPRESSION_ZSTD : COMPRESSION_OTHER;
}

void inflater_free(struct inflater *inflater)
{
	if (!inflater)
		return;
	archive_read_free(inflater->filter);
	ZSTD_freeDStream(inflater->zstd);
	lzma_end(&inflater->xz);
	free(inflater->gzip);
	free(inflater->own);
	free(inflater);
}
