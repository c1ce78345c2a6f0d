/* SPDX-License-Identifier: Apache-2.0 */
/* Checking the store, and repairing it. */
#ifndef IMAGE_CHECK_H
#define IMAGE_CHECK_H

#include <pthread.h>

#include "base/digest.h"
#include "snapshot/graph.h"

/** store_check() - snapdrv_check(). */
int store_check(struct graph *graph, const struct snapdrv_check_options *options,
		struct snapdrv_check *ret_check, struct snapdrv_error *err);
void store_check_done(struct snapdrv_check *check);

/* ---- from within: image/check*.c, image/repair*.c ------------------------------------------ */

/** struct damage - a layer's tree or a blob that is not as it was. */
struct damage {
	int is_blob;
	int64_t tree;	      /* of a tree: its row */
	int is_gone;	      /* of a tree: there is nothing in its place */
	int is_remade;	      /* of a tree: it is right again, whatever stands on it */
	struct digest digest; /* of a blob */
	struct strings files; /* of a tree: paths whose content is not right */
	size_t finding;	      /* its index */
};

/** struct check - a check that goes on. */
struct check {
	struct graph *graph;
	const struct snapdrv_check_options *options;
	struct snapdrv_check found;
	struct damage *damages;
	size_t n_damages;
	char *registry;	      /* that options->registry is for, https://docker.io; or NULL */
	pthread_mutex_t lock; /* of all above, while threads read */
};

/**
 * check_find() - one more finding. @format: what is wrong, as by printf(3).
 * Return: its index, or a negative errno value.
 */
ssize_t check_find(struct check *check, const char *kind, const char *name,
		   struct snapdrv_error *err, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/**
 * check_damage_tree(), check_damage_blob() - check_find() of what may be repaired. One that is known to be damaged
 * already is not added again. @name: of the tree's layer.
 */
int check_damage_tree(struct check *check, int64_t tree, const char *name, int is_gone,
		      struct strings *files, struct snapdrv_error *err, const char *format, ...)
	__attribute__((format(printf, 7, 8)));
int check_damage_blob(struct check *check, const char *digest, struct snapdrv_error *err,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));

/** check_damaged_tree(), check_damaged_blob() - the damage, or NULL. */
struct damage *check_damaged_tree(struct check *check, int64_t tree);
struct damage *check_damaged_blob(struct check *check, const struct digest *digest);

/** check_remedy() - what became of a finding. */
int check_remedy(struct check *check, const struct damage *damage, int is_repaired,
		 struct snapdrv_error *err, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/** CHECK_LAYER_NAME - SQL: what to call the layer of a row of `tree`: its digest, or its runtime's name. */
#define CHECK_LAYER_NAME                                                                \
	"ifnull(substr(key, instr(key, ':') + 1), (SELECT min(runtime_name.name) FROM " \
	"runtime_name"                                                                  \
	" JOIN snapshot ON snapshot.id = runtime_name.snapshot WHERE snapshot.tree = tree.id))"

/** CHECK_STANDING - SQL: a table `above(id)` of all nodes that stand on the tree ?1. */
#define CHECK_STANDING                                                               \
	"WITH RECURSIVE above(id) AS (SELECT id FROM snapshot WHERE tree = ?1 UNION" \
	" SELECT snapshot.id FROM snapshot JOIN above ON snapshot.parent = above.id) "

/** check_quickly() - everything that needs no file's content. */
int check_quickly(struct check *check, struct snapdrv_error *err);

/** check_contents() - read all layers and blobs that are not known to be damaged. */
int check_contents(struct check *check, struct snapdrv_error *err);

/** repair_blobs(), then repair_trees() - make good what is damaged, as far as it can be. */
int repair_blobs(struct check *check, struct snapdrv_error *err);
int repair_trees(struct check *check, struct snapdrv_error *err);

#endif
