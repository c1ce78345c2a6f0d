/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage: layers and blobs that nothing needs, files that nothing knows. */
#ifndef SNAPSHOT_GC_H
#define SNAPSHOT_GC_H

#include "snapshot/graph.h"

/**
 * NEEDED_SNAPSHOTS - SQL: a table `needed(id)` of the committed snapshots that an image, or a container or
 * another node that is no layer of an image, stands on. One walk over all of them.
 */
#define NEEDED_SNAPSHOTS                                                                          \
	"needed(id) AS (SELECT top FROM image"                                                    \
	" UNION SELECT parent FROM snapshot WHERE kind != 'c' AND parent IS NOT NULL"             \
	" UNION SELECT id FROM snapshot WHERE kind = 'c' AND name NOT GLOB 'sha256:*'"            \
	" UNION SELECT snapshot FROM runtime_name JOIN snapshot ON snapshot.id = snapshot WHERE " \
	"snapshot.kind = 'c'"                                                                     \
	" UNION SELECT parent FROM snapshot JOIN needed USING (id) WHERE parent IS NOT NULL)"

/** graph_gc() - snapdrv_gc(). */
int graph_gc(struct graph *graph, const struct snapdrv_gc_options *options,
	     struct snapdrv_gc *ret_gc, struct snapdrv_error *err);

#endif
