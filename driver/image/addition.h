/* SPDX-License-Identifier: Apache-2.0 */
/* One layer more: what has changed in a tree becomes a layer of the store, over the stack it was made on. */
#ifndef IMAGE_ADDITION_H
#define IMAGE_ADDITION_H

#include "base/json.h"
#include "image/pack.h"
#include "image/plan.h"

/**
 * struct addition - a layer that is packed in this session; ADDITION_NONE is none, for addition_done().
 * @diff: of the tar, which is also its blob's digest: it is kept as it is. @size: bytes of it.
 * @n_changes: paths in it; none when the tree is as it was.
 */
struct addition {
	struct graph *graph;
	struct store_name tar;
	int tar_fd;
	struct hasher *hasher;
	struct digest diff;
	uint64_t size;
	size_t n_changes;
};

#define ADDITION_NONE ((struct addition){.tar_fd = -1})

/**
 * addition_pack() - write changes into a tar of this session.
 * @addition: ADDITION_NONE before. For addition_done(), also after a failure.
 */
int addition_pack(struct graph *graph, const struct pack_source *source, struct addition *addition,
		  struct snapdrv_error *err);

void addition_done(struct addition *addition);

#define cleanup_addition __attribute__((cleanup(addition_done)))

/** addition_descriptor() - what a manifest says of it, owned by the caller, or NULL with @err filled. */
json_t *addition_descriptor(const struct addition *addition, struct snapdrv_error *err);

/**
 * addition_manifest() - write the OCI manifest of an image whose layers the store has, or gets.
 * @image: its config and layers are known, as plan_config() makes them; blobs and manifest are filled in.
 * @descriptors: of the layers, the lowest first; docker's media types become OCI's. Changed.
 *
 * Return: 0, or a negative errno value; REFUSED when there are not as many descriptors as layers.
 */
int addition_manifest(struct image_plan *image, json_t *descriptors, struct snapdrv_error *err);

/**
 * addition_bring_in() - unpack it, sync once and commit once, as a load does.
 * @addition: the topmost layer of @plans->images[0]; NULL when the store has them all.
 * @flags: enum snapdrv_load_flags.
 */
int addition_bring_in(struct graph *graph, const struct addition *addition, struct plans *plans,
		      unsigned flags, struct snapdrv_error *err);

#endif
