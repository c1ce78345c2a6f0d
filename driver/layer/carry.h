/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletions that are carried out: the tree starts as the lower layers' own, and what a layer deletes goes
 * away, wherever in the archive the mark stands. So it has to be known what the layer itself gave.
 */
#ifndef LAYER_CARRY_H
#define LAYER_CARRY_H

#include <sys/stat.h>

#include "layer/walk.h"

/** carry_init() - look at the root of the tree. */
int carry_init(struct tree_writer *writer, struct snapdrv_error *err);

void carry_done(struct tree_writer *writer);

/** carry_give() - this layer has an entry of the name that is not a directory. */
int carry_give(struct tree_writer *writer, const struct node *dir, const char *name,
	       struct snapdrv_error *err);

/**
 * carry_adopt() - a directory of the lower layers is met: make a node of it. What new entries would
 * inherit from it (setgid, a default ACL) is taken off until the end, and its times come back then.
 * @st: of the name in @dir. Return: the node, or NULL with @err filled.
 */
struct node *carry_adopt(struct tree_writer *writer, struct node *dir, const char *name,
			 const struct stat *st, struct snapdrv_error *err);

/** carry_whiteout() - delete what the lower layers have under a name. */
int carry_whiteout(struct tree_writer *writer, struct node *dir, const char *name,
		   struct snapdrv_error *err);

/** carry_opaque() - delete all that the lower layers have in a directory. */
int carry_opaque(struct tree_writer *writer, struct node *dir, struct snapdrv_error *err);

#endif
