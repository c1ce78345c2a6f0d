/* SPDX-License-Identifier: Apache-2.0 */
/* Making good what a container has of a layer that was damaged, where the two share their data. */
#ifndef SNAPSHOT_HEAL_H
#define SNAPSHOT_HEAL_H

#include "snapshot/graph.h"

/** struct heal_count - files that were made good, and those that could not be. */
struct heal_count {
	size_t files;
	size_t left;
};

/**
 * tree_heal() - give a snapshot the right content of files that it has from a damaged layer as they were.
 * @active:  its tree, read-only or not.
 * @damaged: the layer's, as it was. @right: the one that has taken its place.
 * @files:   paths of files whose content is not right in @damaged.
 * @count:   added to. A program that runs cannot be written to (ETXTBSY), nor a file that is sealed.
 *
 * A file is taken for the layer's if it has its inode number, size, mtime and ctime: what the container has
 * written to, or made, or renamed over, is its own, and stays. By reflink, in place: the inode, its owner and
 * its times stay, and who has it open sees the right content. For subvolumes.
 */
int tree_heal(struct graph *graph, const struct tree_ref *active, const struct tree_ref *damaged,
	      const struct tree_ref *right, const struct strings *files, struct heal_count *count,
	      struct snapdrv_error *err);

#endif
