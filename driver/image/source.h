/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images come from: an OCI layout directory, or an archive whose members are either found again by
 * their offset or, when it is compressed or a pipe, taken as they come by.
 */
#ifndef IMAGE_SOURCE_H
#define IMAGE_SOURCE_H

#include <stdint.h>

#include "base/text.h"
#include "image/stage.h"

struct source;

/**
 * source_open() - open a directory or an archive.
 * @intake: where the layers of a stream go at once. Borrowed for the source's life.
 * @path:   NULL to read @fd instead. Borrowed.
 *
 * Return: 0, or a negative errno value: MISSING (no such file), REFUSED (no archive).
 */
int source_open(struct intake *intake, const char *path, int fd, struct source **ret_source,
		struct snapdrv_error *err);

struct fetcher;

/** source_fetched() - a source that is a repository of a registry. @fetcher: borrowed for its life. */
int source_fetched(struct intake *intake, struct fetcher *fetcher, struct source **ret_source,
		   struct snapdrv_error *err);

/** source_fetcher() - that one, or NULL: documents and layers are asked from it then. Borrowed. */
struct fetcher *source_fetcher(const struct source *source);

/** source_close() - takes NULL. */
void source_close(struct source *source);

/** source_name() - what to call an image that only has a tag; NULL for a stream. Borrowed. */
const char *source_name(const struct source *source);

/**
 * source_document() - a document of the source, such as index.json.
 * @ret_data: for free(3), @ret_size bytes and a NUL.
 *
 * Return: 1 found, 0 there is none, or a negative errno value; REFUSED when it is no regular file or
 * has more than JSON_DOCUMENT_MAX bytes, or when all that were asked for have more than DOCUMENTS_MAX.
 */
int source_document(struct source *source, const char *name, char **ret_data, size_t *ret_size,
		    struct snapdrv_error *err);

/**
 * source_layer() - where a layer of the source is.
 * @name: as source_document().
 *
 * Return: 1 found, 0 there is none, or a negative errno value.
 */
int source_layer(struct source *source, const char *name, struct layer_place *ret_place,
		 struct snapdrv_error *err);

#endif
