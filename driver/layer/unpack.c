/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking a layer: threads around two rings of buffers. */
#include "layer/unpack.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "layer/apply.h"
#include "layer/finish.h"
#include "layer/inflate.h"
#include "layer/ring.h"

#define RATIO_FREE (1ull << 30) /* bytes of output before the ratio is looked at */
#define PROGRESS_STEP (1u << 20)
#define PLAIN_BUFFERS 6
#define PLAIN_BUFFER_SIZE (1u << 20)
#define BLOB_BUFFERS 4
#define BLOB_BUFFER_SIZE (1u << 18)

/* Of the ring with the plain stream, and of that with the input. */
enum { READER_HASH, READER_TREE, N_READERS = READER_TREE + FINISH_LANES };
enum { BLOB_HASH, BLOB_INFLATE, N_BLOB_READERS };

DEFINE_CLEANUP(hasher, struct hasher, hasher_free)
DEFINE_CLEANUP(inflater, struct inflater, inflater_free)
DEFINE_CLEANUP(writer, struct tree_writer, tree_writer_free)
#define cleanup_hasher __attribute__((cleanup(cleanup_hasher_at)))
#define cleanup_inflater __attribute__((cleanup(cleanup_inflater_at)))
#define cleanup_writer __attribute__((cleanup(cleanup_writer_at)))

/* Who gave up first, and so has the reason why the others did. */
enum failed { FAILED_NOBODY, FAILED_INPUT, FAILED_TREE };

struct pipeline {
	const struct unpack_request *request;
	struct ring ring;
	struct ring blob_ring; /* what is lent to the inflater */
	int has_lent;
	struct hasher *blob_hasher;
	struct hasher *diff_hasher;
	int blob_is_plain; /* the blob's digest is the DiffID: hashed once */
	enum compression compression;
	uint64_t taken; /* bytes of input */
	uint64_t told;	/* of which the progress function knows */
	uint64_t made;	/* bytes of plain stream */
	_Atomic enum failed failed;
	struct snapdrv_error input_error;
	struct finisher *finisher;
	int first; /* the tree has not read from the ring yet */
};

static void give_up(struct pipeline *line, enum failed who)
{
	enum failed nobody = FAILED_NOBODY;

	atomic_compare_exchange_strong(&line->failed, &nobody, who);
	ring_stop(&line->ring);
	if (who == FAILED_TREE && line->request->input.cancel)
		line->request->input.cancel(line->request->input.context);
}

/* What the inflater reads from: the input, counted and copied on the way. */
static ssize_t read_input(struct pipeline *line, void *data, size_t size, struct snapdrv_error *err)
{
	const struct unpack_request *request = line->request;
	ssize_t got;
	int ret;

	/* Nobody wants the rest of a layer that is refused, and it may have no end. */
	if (line->failed == FAILED_TREE)
		return fail(err, SNAPDRV_FAILED, ECANCELED, "given up");
	got = request->input.read(request->input.context, data, size, err);
	if (got <= 0)
		return got;
	if (request->copy_fd >= 0) {
		ret = file_write(request->copy_fd, data, (size_t)got, "the blob", err);
		if (ret)
			return ret;
	}
	line->taken += (uint64_t)got;
	if (request->progress && line->taken - line->told >= PROGRESS_STEP) {
		request->progress(request->progress_arg, line->taken);
		line->told = line->taken;
	}
	return got;
}

/* Hashed too; only before lend_input() was called, or after the blob's hash thread has ended. */
static ssize_t take_input(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct pipeline *line = context;
	ssize_t got = read_input(line, data, size, err);

	if (got > 0 && !line->blob_is_plain)
		hasher_update(line->blob_hasher, data, (size_t)got);
	return got;
}

/* Hashed by another thread, which takes a fifth of inflating off this one. */
static ssize_t lend_input(void *context, const unsigned char **ret_data, struct snapdrv_error *err)
{
	struct pipeline *line = context;
	unsigned char *room;
	size_t size = 0;
	ssize_t got;

	if (line->has_lent)
		ring_pass(&line->blob_ring, BLOB_INFLATE);
	line->has_lent = 0;
	room = ring_room(&line->blob_ring);
	got = read_input(line, room, BLOB_BUFFER_SIZE, err);
	if (got <= 0)
		return got;
	ring_put(&line->blob_ring, (size_t)got);
	*ret_data = ring_next(&line->blob_ring, BLOB_INFLATE, &size);
	line->has_lent = 1;
	return got;
}

static int check_limits(const struct pipeline *line, struct snapdrv_error *err)
{
	const struct unpack_limits *limits = &line->request->limits;

	if (line->made > limits->bytes)
		return refuse(err, "more than %llu bytes uncompressed",
			      (unsigned long long)limits->bytes);
	if (line->made > RATIO_FREE && line->made / limits->ratio > line->taken)
		return refuse(err, "expands more than %llu times",
			      (unsigned long long)limits->ratio);
	return 0;
}

static int fill_ring(struct pipeline *line, struct inflater *inflater, struct snapdrv_error *err)
{
	unsigned char *room;

	while ((room = ring_room(&line->ring))) {
		ssize_t got = inflater_read(inflater, room, PLAIN_BUFFER_SIZE, err);
		int ret;

		if (got < 0)
			return (int)got;
		line->made += (uint64_t)got;
		ret = check_limits(line, err);
		if (ret)
			return ret;
		if (got)
			ring_put(&line->ring, (size_t)got);
		if ((size_t)got < PLAIN_BUFFER_SIZE) {
			ring_end(&line->ring);
			return 0;
		}
	}
	return 0;
}

/* A decompressor may stop before the input does; the rest counts in the blob's digest. */
static int drain_input(struct pipeline *line, struct snapdrv_error *err)
{
	char rest[1 << 14];
	ssize_t got;

	do {
		got = take_input(line, rest, sizeof(rest), err);
	} while (got > 0);
	return (int)got;
}

static void *hash_blob(void *arg)
{
	struct pipeline *line = arg;
	const unsigned char *data;
	size_t size;

	while ((data = ring_next(&line->blob_ring, BLOB_HASH, &size))) {
		hasher_update(line->blob_hasher, data, size);
		ring_pass(&line->blob_ring, BLOB_HASH);
	}
	return NULL;
}

static int run_input(struct pipeline *line, struct snapdrv_error *err)
{
	const struct layer_input input = {.read = take_input, .lend = lend_input, .context = line};
	cleanup_inflater struct inflater *inflater = NULL;
	int ret = inflater_new(&input, &inflater, err);
	pthread_t hash;

	if (ret)
		return ret;
	line->compression = inflater_compression(inflater);
	line->blob_is_plain = line->compression == COMPRESSION_NONE;
	ret = pthread_create(&hash, NULL, hash_blob, line);
	if (ret)
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	ret = fill_ring(line, inflater, err);
	ring_end(&line->blob_ring);
	pthread_join(hash, NULL);
	return ret ? ret : drain_input(line, err);
}

static void *input_thread(void *arg)
{
	struct pipeline *line = arg;

	if (run_input(line, &line->input_error))
		give_up(line, FAILED_INPUT);
	return NULL;
}

static void *hash_thread(void *arg)
{
	struct pipeline *line = arg;
	const unsigned char *data;
	size_t size;

	while ((data = ring_next(&line->ring, READER_HASH, &size))) {
		hasher_update(line->diff_hasher, data, size);
		ring_pass(&line->ring, READER_HASH);
	}
	return NULL;
}

static la_ssize_t next_tar_bytes(struct archive *archive, void *context, const void **ret_data)
{
	struct pipeline *line = context;
	size_t size = 0;

	(void)archive;
	if (!line->first)
		finisher_pass(line->finisher);
	*ret_data = ring_next(&line->ring, READER_TREE, &size);
	line->first = 0;
	return (la_ssize_t)size;
}

static int run_tree(struct pipeline *line, struct tree_writer **ret_writer,
		    struct apply_count *ret_count, struct snapdrv_error *err)
{
	const struct unpack_request *request = line->request;
	cleanup_writer struct tree_writer *writer = NULL;
	const void *data;
	int tree_fd, failed, ret = request->open_tree(request->open_tree_arg, &tree_fd, err);

	if (!ret)
		ret = tree_writer_new(tree_fd, request->carries_out, request->lower_fd,
				      line->finisher, &writer, err);
	if (!ret) {
		struct tree_sink *sink = tree_writer_sink(writer);

		sink->is_no_layer = request->is_no_layer;
		sink->latest = request->latest;
		sink->max_implied = request->limits.entries;
		ret = apply_tar(sink, next_tar_bytes, line, request->limits.entries, ret_count,
				err);
	}
	/* Whatever stands behind the end-of-archive mark is for the hash alone. */
	while (!ret && next_tar_bytes(NULL, line, &data) > 0)
		;
	/* What failed beside is why the rest did. */
	failed = finisher_wait(line->finisher, err);
	ret = failed ? failed : ret;
	if (!ret)
		ret = tree_writer_end(writer, err);
	if (!ret)
		*ret_writer = steal_ptr(&writer);
	return ret;
}

/* Run them; the calling thread is the one that makes the tree. */
static int run(struct pipeline *line, struct tree_writer **ret_writer,
	       struct apply_count *ret_count, struct snapdrv_error *err)
{
	pthread_t input, hash;
	int ret;

	ret = finisher_new(&line->ring, READER_TREE, &line->finisher, err);
	if (ret)
		return ret;
	ret = pthread_create(&input, NULL, input_thread, line);
	if (ret)
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	ret = pthread_create(&hash, NULL, hash_thread, line);
	if (ret) {
		give_up(line, FAILED_TREE);
		pthread_join(input, NULL);
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	}
	ret = run_tree(line, ret_writer, ret_count, err);
	if (ret)
		give_up(line, FAILED_TREE);
	pthread_join(input, NULL);
	pthread_join(hash, NULL);
	/* A stream that broke off looks like a truncated archive: its own reason is the better one. */
	return line->failed == FAILED_INPUT ? fail_as(err, &line->input_error) : ret;
}

static int hash_all(struct pipeline *line, struct snapdrv_error *err)
{
	const struct layer_input input = {.read = take_input, .context = line};
	cleanup_inflater struct inflater *inflater = NULL;
	cleanup_free unsigned char *buffer = malloc(PLAIN_BUFFER_SIZE);
	int ret = buffer ? inflater_new(&input, &inflater, err) : fail_memory(err);
	ssize_t got = 0;

	if (ret)
		return ret;
	line->compression = inflater_compression(inflater);
	line->blob_is_plain = line->compression == COMPRESSION_NONE;
	while ((got = inflater_read(inflater, buffer, PLAIN_BUFFER_SIZE, err)) > 0) {
		hasher_update(line->diff_hasher, buffer, (size_t)got);
		line->made += (uint64_t)got;
		ret = check_limits(line, err);
		if (ret)
			return ret;
	}
	return got < 0 ? (int)got : drain_input(line, err);
}

static struct unpack_result finish(struct pipeline *line)
{
	struct unpack_result result = {
		.blob_size = line->taken,
		.compression = line->compression,
		.diff = hasher_final(line->diff_hasher),
		.size = line->made,
	};

	result.blob = line->blob_is_plain ? result.diff : hasher_final(line->blob_hasher);
	return result;
}

void unpack_result_done(struct unpack_result *result)
{
	file_prints_done(&result->prints);
	tree_writer_free(result->writer);
	result->writer = NULL;
}

int layer_digest(const struct unpack_request *request, struct unpack_result *ret_result,
		 struct snapdrv_error *err)
{
	cleanup_hasher struct hasher *blob_hasher = hasher_new(err), *diff_hasher = hasher_new(err);
	struct pipeline line = {
		.request = request, .blob_hasher = blob_hasher, .diff_hasher = diff_hasher};
	int ret = blob_hasher && diff_hasher ? hash_all(&line, err) : -ENOMEM;

	if (!ret)
		*ret_result = finish(&line);
	return ret;
}

int layer_unpack(const struct unpack_request *request, struct unpack_result *ret_result,
		 struct snapdrv_error *err)
{
	cleanup_hasher struct hasher *blob_hasher = hasher_new(err), *diff_hasher = hasher_new(err);
	cleanup_writer struct tree_writer *writer = NULL;
	struct pipeline line = {.request = request,
				.blob_hasher = blob_hasher,
				.diff_hasher = diff_hasher,
				.first = 1};
	struct apply_count count;
	int ret;

	if (!blob_hasher || !diff_hasher)
		return -ENOMEM;
	ret = ring_init(&line.ring, N_READERS, PLAIN_BUFFERS, PLAIN_BUFFER_SIZE, err);
	if (!ret)
		ret = ring_init(&line.blob_ring, N_BLOB_READERS, BLOB_BUFFERS, BLOB_BUFFER_SIZE,
				err);
	if (!ret)
		ret = run(&line, &writer, &count, err);
	if (!ret) {
		*ret_result = finish(&line);
		finisher_prints(line.finisher, &ret_result->prints);
	}
	finisher_free(line.finisher);
	ring_done(&line.blob_ring);
	ring_done(&line.ring);
	if (ret)
		return ret;
	ret_result->entries = count.entries;
	ret_result->bytes = count.bytes;
	ret_result->writer = steal_ptr(&writer);
	return 0;
}
