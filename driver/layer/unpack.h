/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking a layer: one pass from compressed bytes to a tree.
 *
 *   input thread    read -> [copy] -> small ring -> inflate -> ring
 *   blob's hash     small ring -> SHA-256 of the blob
 *   stream's hash   ring -> SHA-256 of the plain stream (the DiffID)
 *   calling thread  ring -> tar -> directories, links, marks
 *   two lanes       ring -> files: names, contents, attributes (layer/finish.h)
 */
#ifndef LAYER_UNPACK_H
#define LAYER_UNPACK_H

#include <stdint.h>

#include "base/digest.h"
#include "layer/inflate.h"
#include "layer/input.h"
#include "layer/tree.h"
#include "snapdrv.h"

/** struct unpack_limits - what a layer may not exceed. */
struct unpack_limits {
	uint64_t entries; /* and as many directories that no entry names */
	uint64_t bytes;	  /* uncompressed */
	uint64_t ratio;	  /* uncompressed for each compressed byte, past the first GiB */
};

/** struct unpack_request - what is to be unpacked, and where to; everything is borrowed. */
struct unpack_request {
	struct layer_input input;
	int copy_fd; /* gets a copy of the input as it is read, or -1 */
	/*
	 * Gives the tree to write into, as tree_writer_new() takes it; @ret_fd is borrowed. It is asked when
	 * reading and inflating have begun, and may wait for what is below the layer to be written.
	 */
	int (*open_tree)(void *arg, int *ret_fd, struct snapdrv_error *err);
	void *open_tree_arg;
	int carries_out; /* as tree_writer_new(), like the next one */
	int lower_fd;
	int is_no_layer; /* as struct tree_sink, like the next one */
	const struct timespec *latest;
	struct unpack_limits limits;
	void (*progress)(void *arg, uint64_t done); /* bytes of input so far, or NULL */
	void *progress_arg;
};

/** struct unpack_result - what was found on the way. */
struct unpack_result {
	struct digest blob; /* of the input */
	uint64_t blob_size;
	enum compression compression; /* of the input */
	struct digest diff;	      /* the DiffID: of the whole plain stream */
	uint64_t size;		      /* of the plain stream */
	uint64_t entries;
	uint64_t bytes;		    /* of regular files */
	struct file_prints prints;  /* of most of the files, by inode; for file_prints_done() */
	struct tree_writer *writer; /* ended, not bound; for tree_writer_free() */
};

/**
 * layer_unpack() - unpack a layer. To be called in a thread that tree_writer_thread() prepared.
 *
 * 7 MiB of buffers and what the decompressor needs, whatever the layer's size.
 *
 * Return: 0, or a negative errno value; REFUSED for what the layer holds. The tree is half made then.
 */
int layer_unpack(const struct unpack_request *request, struct unpack_result *ret_result,
		 struct snapdrv_error *err);

/** unpack_result_done() - free what is in @result. */
void unpack_result_done(struct unpack_result *result);

/**
 * layer_digest() - only read a layer: what layer_unpack() finds out about digests and sizes.
 * @request: the tree is not looked at. @ret_result: without a writer.
 */
int layer_digest(const struct unpack_request *request, struct unpack_result *ret_result,
		 struct snapdrv_error *err);

#endif
