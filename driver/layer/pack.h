/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a tree, or a whole tree, as a tar. */
#ifndef LAYER_PACK_H
#define LAYER_PACK_H

#include <stddef.h>

#include "kernel/changes.h"
#include "snapdrv.h"

/** struct pack_output - where the tar goes. */
struct pack_output {
	int (*write)(void *context, const void *data, size_t size, struct snapdrv_error *err);
	void *context;
};

/** struct pack - a tar that is being written. */
struct pack;

/** enum pack_kind - what the tar is. */
enum pack_kind {
	PACK_LAYER, /* deletions are marked in it (OCI image spec, layer.md) */
	PACK_TREE   /* there are none */
};

/** pack_new() - @output: borrowed. Return: for pack_free(), or NULL with @err filled. */
struct pack *pack_new(enum pack_kind kind, const struct pack_output *output,
		      struct snapdrv_error *err);

/** pack_clamp() - from now on, later mtimes than this one become this one. */
void pack_clamp(struct pack *pack, int64_t mtime_ns);

/**
 * pack_change() - write a change; a change_fn, whose argument is the pack.
 *
 * The tar depends on the changes alone: the same bytes on each backend, and each time. Entries are in the
 * order of the changes; a directory's whiteouts stand among what is in it, its opaque mark in front. Kept
 * is all that counts in changes_walk(), and holes (layer/holes.h). Sockets are left out; one that has taken
 * the place of something else is a deletion of that. A file that changes while it is read is cut or padded
 * with zeros to the size that it had; what vanishes is left out.
 *
 * Return: 0, or a negative errno value; REFUSED for a name that a layer cannot have (.wh.*), and for a
 * 0:0 device.
 */
int pack_change(void *pack, const struct change *change, struct snapdrv_error *err);

/** pack_end() - write the end-of-archive mark. */
int pack_end(struct pack *pack, struct snapdrv_error *err);

/** pack_free() - takes NULL. */
void pack_free(struct pack *pack);

#endif
