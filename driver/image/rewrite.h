/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose blobs were discarded: written again from their trees. */
#ifndef IMAGE_REWRITE_H
#define IMAGE_REWRITE_H

#include "image/detail.h"

/** rewrite_put - takes in bytes of a layer. Return: 0, or a negative errno value with @err filled. */
typedef int rewrite_put(void *context, const void *data, size_t size, struct snapdrv_error *err);

/**
 * rewrite_layer() - write a layer as a plain tar, from what its snapshot adds to the one below.
 * @layer: found by its ChainID. Borrowed.
 *
 * The same tree gives the same bytes, each time: it is called once to learn their digest and size, and
 * once more to write them.
 *
 * Return: 0, or a negative errno value.
 */
int rewrite_layer(struct graph *graph, const struct image_layer *layer, rewrite_put *put,
		  void *context, struct snapdrv_error *err);

/**
 * rewrite_image() - describe an image whose layers are plain tars now, where their blobs are not kept.
 * @detail: its layers' blob, blob_size and diff are set anew, as are the manifest and, where a
 *          DiffID is not what it was, the config.
 *
 * Return: 1 it is another manifest now, 0 all blobs are kept, or a negative errno value.
 */
int rewrite_image(struct graph *graph, struct image_detail *detail, struct snapdrv_error *err);

#endif
