/* SPDX-License-Identifier: Apache-2.0 */
/* The inventories of layers' trees (kernel/inventory.h): TREE/inventory, beside the tree's files. */
#ifndef SNAPSHOT_INVENTORY_H
#define SNAPSHOT_INVENTORY_H

#include "kernel/inventory.h"
#include "snapshot/graph.h"

/**
 * draft_list() - write the inventory of a draft that is complete; it is not synced.
 * @parents: what it stands over. Not looked at on a backend whose trees do not share with their parents.
 * @prints:  what is known of its files; sorted. Or NULL.
 *
 * Its cost is a walk: getdents(2) of the directories; lstat(2), llistxattr(2) and, of a regular file, reading it, for
 * each name that @prints lacks.
 */
int draft_list(struct graph *graph, const struct draft *draft, const struct tree_stack *parents,
	       struct file_prints *prints, struct snapdrv_error *err);

/** tree_list() - the same of a published one, on disk when it returns; one that is there is replaced. */
int tree_list(struct graph *graph, const struct tree_ref *tree, const struct tree_stack *parents,
	      struct snapdrv_error *err);

/**
 * tree_audit() - compare a tree with its inventory; each file is read.
 * @report: told of each difference.
 *
 * Return: 1 done, 0 it has no inventory, or a negative errno value: REFUSED when the inventory is
 * damaged, FAILED when the tree or its parent cannot be walked.
 */
int tree_audit(struct graph *graph, const struct tree_ref *tree, const struct tree_stack *parents,
	       audit_fn *report, void *arg, struct snapdrv_error *err);

#endif
