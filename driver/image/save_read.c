/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of what is saved: out of the store, verified on the way. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/rewrite.h"
#include "image/save.h"
#include "layer/inflate.h"
#include "store/content.h"

#define PIECE (1u << 20)

DEFINE_CLEANUP(inflater, struct inflater, inflater_free)

/* Bytes on their way to whoever wants them. */
struct check {
	struct hasher *hasher;
	uint64_t size;
	save_put *put; /* or NULL */
	void *context;
};

static int put_checked(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct check *check = context;

	hasher_update(check->hasher, data, size);
	check->size += size;
	return check->put ? check->put(check->context, data, size, err) : 0;
}

static int damaged(const struct save_file *file, const char *how, struct snapdrv_error *err)
{
	return fail(err, SNAPDRV_FAILED, EUCLEAN, "blob %s: the store's copy of it is damaged: %s",
		    digest_format(&file->blob).text, how);
}

static int pump(struct inflater *inflater, const struct save_file *file, struct check *check,
		struct snapdrv_error *err)
{
	struct snapdrv_error how;
	cleanup_free char *piece = malloc(PIECE);
	ssize_t got;
	int ret = piece ? 0 : fail_memory(err);

	while (!ret && (got = inflater_read(inflater, piece, PIECE, &how))) {
		if (got < 0 && how.code != SNAPDRV_REFUSED)
			return fail_as(err, &how);
		if (got < 0)
			return damaged(file, how.message, err);
		ret = put_checked(check, piece, (size_t)got, err);
	}
	return ret;
}

static int read_inflated(struct graph *graph, const struct save_file *file, struct check *check,
			 struct snapdrv_error *err)
{
	cleanup_fd int fd = content_open(&graph->store, &file->blob, err);
	const struct layer_input input = input_from_fd(&fd);
	__attribute__((cleanup(cleanup_inflater_at))) struct inflater *inflater = NULL;
	int ret = fd < 0 ? fd : inflater_new(&input, &inflater, err);

	return ret ? ret : pump(inflater, file, check, err);
}

static int read_blob(struct graph *graph, const struct save_file *file, struct check *check,
		     struct snapdrv_error *err)
{
	cleanup_fd int fd = content_open(&graph->store, &file->blob, err);
	const struct layer_input input = input_from_fd(&fd);
	cleanup_free char *piece = malloc(PIECE);
	ssize_t got;
	int ret = fd < 0 ? fd : 0;

	if (!piece)
		return fail_memory(err);
	while (!ret && (got = input.read(input.context, piece, PIECE, err))) {
		if (got < 0)
			return (int)got;
		if (check->size + (uint64_t)got > file->size)
			break;
		ret = put_checked(check, piece, (size_t)got, err);
	}
	return ret;
}

static int read_any(struct graph *graph, const struct save_file *file, struct check *check,
		    struct snapdrv_error *err)
{
	switch (file->from) {
	case SAVE_DIRECTORY:
		return 0;
	case SAVE_TEXT:
		return put_checked(check, file->text, file->size, err);
	case SAVE_BLOB:
		return read_blob(graph, file, check, err);
	case SAVE_INFLATED:
		return read_inflated(graph, file, check, err);
	case SAVE_REWRITTEN:
		return rewrite_layer(graph, file->layer, put_checked, check, err);
	}
	return 0;
}

/* What is read as @want: a store that is damaged must not give that on. */
static int read_checked(struct graph *graph, const struct save_file *file, struct check *check,
			struct snapdrv_error *err)
{
	char how[2 * DIGEST_TEXT_SIZE + 20];
	struct digest digest;
	int ret;

	check->hasher = hasher_new(err);
	if (!check->hasher)
		return -ENOMEM;
	ret = read_any(graph, file, check, err);
	digest = hasher_final(check->hasher);
	hasher_free(check->hasher);
	if (ret || file->from < SAVE_BLOB || digest_equal(&digest, &file->digest))
		return ret;
	snprintf(how, sizeof(how), "%s where %s should be", digest_format(&digest).text,
		 digest_format(&file->digest).text);
	return damaged(file, how, err);
}

int save_read(struct graph *graph, const struct save_file *file, save_put *put, void *context,
	      struct snapdrv_error *err)
{
	struct check check = {.put = put, .context = context};

	return read_checked(graph, file, &check, err);
}

int save_measure(struct graph *graph, struct save_file *file, struct snapdrv_error *err)
{
	struct check check = {0};
	int ret = read_checked(graph, file, &check, err);

	if (!ret)
		file->size = check.size;
	return ret;
}
