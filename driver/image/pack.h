/* SPDX-License-Identifier: Apache-2.0 */
/* Layers written anew from their trees. */
#ifndef IMAGE_PACK_H
#define IMAGE_PACK_H

#include "layer/pack.h"
#include "snapshot/graph.h"

/**
 * struct pack_source - what is to be written: it calls @report with each change, in their order.
 * @clamp_ns: later mtimes become this one; NULL for none.
 */
struct pack_source {
	int (*changes)(void *context, change_fn *report, void *arg, struct snapdrv_error *err);
	void *context;
	const int64_t *clamp_ns;
};

/** pack_stream() - write a whole tar, in pieces of some hundred KiB. */
int pack_stream(enum pack_kind kind, const struct pack_source *source,
		const struct pack_output *output, struct snapdrv_error *err);

/**
 * snapshot_pack() - a node's own layer as a tar: the difference of its tree over its parents.
 * @snapshot: a committed one, or a container's.
 * @write:    takes the tar, from start to end, in pieces of some hundred KiB; a negative errno value, with
 *            the error filled, ends it.
 *
 * The same tree over the same parents gives the same bytes, on each backend and each time; not those of the
 * tar that the layer was unpacked from, so the DiffID is another one.
 *
 * Return: 0, or a negative errno value.
 */
int snapshot_pack(struct graph *graph, const struct snapshot *snapshot,
		  int (*write)(void *context, const void *data, size_t size,
			       struct snapdrv_error *err),
		  void *context, struct snapdrv_error *err);

#endif
