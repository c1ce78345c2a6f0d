/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs on their way from a registry: several at once, each into a file that grows, which is read by
 * whoever unpacks the layer while the rest of it arrives. The network never waits for the disk tree.
 */
#ifndef IMAGE_FETCH_H
#define IMAGE_FETCH_H

#include "image/registry.h"
#include "image/stage.h"
#include "layer/input.h"

struct fetch;
struct fetcher;

/**
 * fetcher_new() - fetch blobs of one repository. Borrows all three for its life.
 * @ret_fetcher: for fetcher_free().
 */
int fetcher_new(struct intake *intake, struct registry *registry, const char *repository,
		struct fetcher **ret_fetcher, struct snapdrv_error *err);

/**
 * fetcher_end() - stop, and close all files. With the layers' locks; what was let go stays as it is.
 * @keep: what came of those that were not kept stays for the next time.
 */
void fetcher_end(struct fetcher *fetcher, int keep);

/** fetcher_free() - after fetcher_end(). Takes NULL. */
void fetcher_free(struct fetcher *fetcher);

/** fetcher_document() - a manifest (or index) or a config, by its digest. Its size is looked at elsewhere. */
int fetcher_document(struct fetcher *fetcher, const struct digest *digest, int is_manifest,
		     char **ret_data, size_t *ret_size, struct snapdrv_error *err);

/**
 * fetcher_add() - have a blob fetched; it goes on from what an earlier run left. With the layer's lock.
 * @size: that it must have.
 * @ret_fetch: valid as long as the fetcher; the same one for the same digest.
 */
int fetcher_add(struct fetcher *fetcher, const struct digest *digest, uint64_t size,
		struct fetch **ret_fetch, struct snapdrv_error *err);

/** struct fetch_reader - one reader of a blob; set the first member alone. */
struct fetch_reader {
	struct fetch *fetch;
	uint64_t offset;
	int is_cancelled;
};

/**
 * fetch_input() - read a blob from its start, as far as it has come, and wait for the rest. The content is
 * not verified. @reader: borrowed by the input.
 */
struct layer_input fetch_input(struct fetch_reader *reader);

/**
 * fetch_keep() - a blob that has been read to its end becomes a file of the session.
 * @ret_blob: its name. Return: 1 done, 0 it was kept before, or a negative errno value.
 */
int fetch_keep(struct fetch *fetch, struct store_name *ret_blob, struct snapdrv_error *err);

/**
 * fetch_again() - begin anew with a blob whose content was found to be wrong, if what an earlier run left
 * may be to blame. Return: 1 it comes again, 0 there is no hope.
 */
int fetch_again(struct fetch *fetch);

/** fetcher_stop() - something failed elsewhere: let everybody who waits for a blob go. Takes NULL. */
void fetcher_stop(struct fetcher *fetcher);

/**
 * fetcher_let_go() - before the layers' locks are given up: nobody works on a file any more. What is kept, and what has
 * come whole, can still be read; the rest goes on with fetcher_add(), under the lock again. Takes NULL.
 */
void fetcher_let_go(struct fetcher *fetcher);

#endif
