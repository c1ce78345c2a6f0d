/* SPDX-License-Identifier: Apache-2.0 */
/* Space: what a store takes on its disk, and what of it nobody needs. */
#ifndef SNAPDRV_SPACE_H
#define SNAPDRV_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

/** SNAPDRV_UNKNOWN - a size that was not measured. */
#define SNAPDRV_UNKNOWN (~(uint64_t)0)

/**
 * struct snapdrv_space - how much things of one kind hold.
 * @count:       how many there are. @in_use: how many of them something else needs.
 * @bytes:       all of them, what they share counted once.
 * @shared:      of that, what two images or more have.
 * @reclaimable: of that, what snapdrv_gc() would give back.
 */
struct snapdrv_space {
	size_t count;
	size_t in_use;
	uint64_t bytes;
	uint64_t shared;
	uint64_t reclaimable;
};

/**
 * struct snapdrv_image_space - one image.
 * @id: image ID. @reference: its first name, or NULL. @bytes: of its layers. @shared: of that, what
 * other images have too. @containers: made from it.
 */
struct snapdrv_image_space {
	char *id;
	char *reference;
	int64_t created_ns;
	uint64_t bytes;
	uint64_t shared;
	size_t containers;
};

/** struct snapdrv_container_space - one container. @bytes: what it alone holds on the disk. */
struct snapdrv_container_space {
	char *name;
	char *image;
	int64_t created_ns;
	uint64_t bytes;
};

/** struct snapdrv_layer_space - one layer as it is kept. @key: DiffID, or ChainID. @images: that have it. */
struct snapdrv_layer_space {
	char *key;
	uint64_t bytes;
	size_t images;
};

/**
 * struct snapdrv_df - what the store holds.
 * @containers: .bytes is SNAPDRV_UNKNOWN unless each one was measured.
 * @layers: unpacked; sizes are those of the files, as they were counted then. @blobs: compressed layers,
 * manifests, configs. What steps of builds left is among both, reclaimable where no image has it.
 * @caches: directories that steps of builds keep (RUN --mount=type=cache), as they were after the last one.
 * @image_rows, @container_rows, @layer_rows: one by one; empty unless they were asked for.
 */
struct snapdrv_df {
	struct snapdrv_space images;
	struct snapdrv_space containers;
	struct snapdrv_space layers;
	struct snapdrv_space blobs;
	struct snapdrv_space caches;
	struct snapdrv_image_space *image_rows;
	size_t n_image_rows;
	struct snapdrv_container_space *container_rows;
	size_t n_container_rows;
	struct snapdrv_layer_space *layer_rows;
	size_t n_layer_rows;
};

/**
 * snapdrv_df() - how much space the store takes, and what for.
 * @each:   nonzero: one by one too, and what containers hold, which is a walk over the files of each.
 *          Otherwise it is told by the database alone, at once.
 * @ret_df: for snapdrv_df_done().
 */
int snapdrv_df(struct snapdrv_store *store, int each, struct snapdrv_df *ret_df,
	       struct snapdrv_error *err);

/** snapdrv_df_done() - free what is in @df. */
void snapdrv_df_done(struct snapdrv_df *df);

/**
 * struct snapdrv_gc_options - how to collect garbage; all zero is a good start.
 * @dry_run:      nonzero: only say what would go.
 * @keep_storage: bytes of layers and blobs that nothing needs, but that may come in handy, to keep; the
 *                oldest layers go first.
 */
struct snapdrv_gc_options {
	int dry_run;
	uint64_t keep_storage;
};

/** struct snapdrv_gc_count - things that went, and what they held. */
struct snapdrv_gc_count {
	size_t count;
	uint64_t bytes;
};

/**
 * struct snapdrv_gc - what snapdrv_gc() removed, or would.
 * @layers:     that no image or container needs. @blobs: that no image names.
 * @strays:     files and directories in the store's directories that it knows nothing of.
 * @caches:     directories that steps of builds kept.
 * @kept_bytes: of layers and blobs that nothing needs, which stay.
 */
struct snapdrv_gc {
	struct snapdrv_gc_count layers;
	struct snapdrv_gc_count blobs;
	struct snapdrv_gc_count strays;
	struct snapdrv_gc_count caches;
	uint64_t kept_bytes;
};

/**
 * snapdrv_gc() - remove what nothing needs.
 * @options: or NULL. Borrowed.
 *
 * What other processes are working on stays. What dead ones left is swept before, by snapdrv_open(), and
 * is not counted. Images, with or without a name, stay: snapdrv_rmi() removes them. What steps of builds
 * came to goes where no image has it, and the directories that they keep; while somebody builds, all layers
 * and blobs stay.
 *
 * Return: 0, or a negative errno value: FAILED, also where something could not be removed; all else is by then.
 */
int snapdrv_gc(struct snapdrv_store *store, const struct snapdrv_gc_options *options,
	       struct snapdrv_gc *ret_gc, struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
