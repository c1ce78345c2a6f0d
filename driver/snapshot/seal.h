/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing trees by fs-verity, so that the kernel refuses a file that was changed below it. */
#ifndef SNAPSHOT_SEAL_H
#define SNAPSHOT_SEAL_H

#include "snapshot/graph.h"

/**
 * graph_can_seal() - whether layers of this store can be sealed: by its driver, the kernel and the filesystem.
 *
 * Return: 0, or a negative errno value with what is missing and what would help.
 */
int graph_can_seal(struct graph *graph, struct snapdrv_error *err);

/** graph_seal_tree() - verity_seal_tree() of a layer's tree, which nobody writes to any more. */
int graph_seal_tree(struct graph *graph, const struct tree_ref *tree, unsigned part, unsigned parts,
		    struct snapdrv_error *err);

/**
 * graph_tree_is_sealed() - whether a layer's tree was sealed: its first file that has content tells.
 * Return: 1, or 0, also where there is no such file, or no tree.
 */
int graph_tree_is_sealed(struct graph *graph, const struct tree_ref *tree);

#endif
