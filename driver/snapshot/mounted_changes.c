/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leads from one runtime's tree to another.
 *
 *   of this store   trees that are whole, one made of the other: as the backend knows best
 *   overlay         over what the left tree shows: what is in the upper directory
 *   otherwise       both trees side by side
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "snapshot/mounted.h"
#include "snapshot/mounted_layers.h"

/* ---- of this store ------------------------------------------------------------------------- */

/*
 * The node whose tree a bind mount shows; a view shows its parent.
 * Return: 1, 0 none, or a negative errno value.
 */
static int node_of(struct graph *graph, const struct mounted *mounted, struct snapshot *ret_node,
		   struct snapdrv_error *err)
{
	cleanup_fd int fd = layers_open(mounted->dir, err);
	int64_t tree, id;
	int is_active, found;

	if (fd < 0)
		return fd;
	if (!tree_of_dir(graph, fd, &is_active, &tree))
		return 0;
	found = db_get_int(graph->store.db, &id, err, "SELECT id FROM snapshot WHERE tree = ?", "i",
			   tree);
	if (found == 1)
		found = snapshot_look(graph, id, ret_node, err);
	if (found == 1 && ret_node->kind == TREE_VIEW && ret_node->parent)
		found = snapshot_look(graph, ret_node->parent, ret_node, err);
	return found;
}

/* Return: 1 and the node on the right, whose parent is on the left; 0, or a negative errno value. */
static int find_node(struct graph *graph, const struct mounted *left, const struct mounted *right,
		     struct snapshot *ret_node, struct snapdrv_error *err)
{
	struct snapshot below = {0};
	int found;

	if (graph->backend.ops->is_layered || right->is_overlay || (left && left->is_overlay))
		return 0;
	found = node_of(graph, right, ret_node, err);
	if (found <= 0 || !left)
		return found <= 0 ? found : !ret_node->parent;
	found = node_of(graph, left, &below, err);
	return found <= 0 ? found : ret_node->parent == below.id;
}

/* ---- overlays ------------------------------------------------------------------------------ */

/* All directories that a mount merges. */
static int add_dirs(const struct mounted *mounted, struct strings *dirs, struct snapdrv_error *err)
{
	int ret = mounted->dir ? strings_add(dirs, mounted->dir, err) : 0;

	for (size_t i = 0; i < mounted->lower.count && !ret; i++)
		ret = strings_add(dirs, mounted->lower.items[i], err);
	return ret;
}

/* Return: 1, 0, or a negative errno value. */
static int is_one(const char *dir, const char *other, struct snapdrv_error *err)
{
	struct stat st, other_st;

	if (stat(dir, &st) || stat(other, &other_st))
		return fail_errno(err, "stat %s or %s", quote(dir).text, quote(other).text);
	return st.st_dev == other_st.st_dev && st.st_ino == other_st.st_ino;
}

/*
 * Whether the left tree is what the upper directory on the right lies over; in a view of this store, an empty
 * directory for the root's attributes may lie on top. Return: 1, 0, or a negative errno value.
 */
static int is_over(const struct strings *left, const struct mounted *right,
		   struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	size_t more;
	int same = 1;

	if (!right->is_overlay || !right->dir || left->count < right->lower.count)
		return 0;
	more = left->count - right->lower.count;
	if (more > 1)
		return 0;
	for (size_t i = 0; i < right->lower.count && same == 1; i++)
		same = is_one(left->items[more + i], right->lower.items[i], err);
	if (same != 1 || !more)
		return same;
	fd = layers_open(left->items[0], err);
	return fd < 0 ? fd : layers_is_empty(fd, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

static int compare(const struct strings *left, const struct mounted *right, int has_marks,
		   change_fn *report, void *arg, struct snapdrv_error *err)
{
	cleanup_strings struct strings dirs = {0};
	cleanup_fd int new_fd = -1, old_fd = -1;
	struct change_trees trees = {.is_upper = has_marks, .is_whole = has_marks};
	int over = is_over(left, right, err), ret = over < 0 ? over : 0;

	if (!ret && left->count) {
		old_fd = layers_peek(left, err);
		ret = old_fd < 0 ? old_fd : 0;
	}
	if (!ret)
		ret = over ? strings_add(&dirs, right->dir, err) : add_dirs(right, &dirs, err);
	if (ret)
		return ret;
	new_fd = layers_peek(&dirs, err);
	if (new_fd < 0)
		return new_fd;
	if (over) {
		trees.is_upper = 1;
		trees.is_whole = 0;
	}
	trees.new_fd = trees.new_root_fd = new_fd;
	trees.old_fd = trees.old_root_fd = old_fd;
	return changes_walk(&trees, report, arg, err);
}

int mounted_changes(struct graph *graph, const struct mounted *left, const struct mounted *right,
		    change_fn *report, void *arg, struct snapdrv_error *err)
{
	cleanup_strings struct strings left_dirs = {0};
	struct snapshot node = {0};
	int found, ret;

	if (right->may_redirect || (left && left->may_redirect))
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "an overlay that may redirect is not supported");
	found = find_node(graph, left, right, &node, err);
	if (found)
		return found < 0 ? found : snapshot_changes(graph, &node, report, arg, err);
	ret = left ? add_dirs(left, &left_dirs, err) : 0;
	/* A layer that lies on nothing is bound as it lies there. */
	return ret ? ret
		   : compare(&left_dirs, right,
			     graph->backend.ops->is_layered && !right->is_overlay, report, arg,
			     err);
}
