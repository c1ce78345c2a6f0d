/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of the graph: finding, adding, stacking and mounting them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "snapshot/graph.h"
#include "store/lock.h"

#define COLUMNS                                  \
	"SELECT id, kind, parent, tree, depth, " \
	"(SELECT in_active FROM tree WHERE tree.id = snapshot.tree) FROM snapshot "

static const char kinds[] = {[TREE_LAYER] = 'c', [TREE_ACTIVE] = 'a', [TREE_VIEW] = 'v', '\0'};

static int read_snapshot(struct query *query, struct snapshot *ret_snapshot,
			 struct snapdrv_error *err)
{
	int found = query ? query_next(query, err) : -EIO;
	const char *kind;

	if (found != 1)
		return found;
	kind = strchr(kinds, query_text(query, 1)[0]);
	if (!kind || !*kind)
		return fail(err, SNAPDRV_FAILED, EUCLEAN, "database: snapshot %lld has no kind",
			    (long long)query_int(query, 0));
	*ret_snapshot = (struct snapshot){
		.id = query_int(query, 0),
		.kind = (enum tree_kind)(kind - kinds),
		.parent = query_int(query, 2),
		.tree = query_int(query, 3),
		.depth = (unsigned)query_int(query, 4),
		.is_active = (int)query_int(query, 5),
	};
	return 1;
}

int snapshot_find(struct graph *graph, const char *name, struct snapshot *ret_snapshot,
		  struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, COLUMNS "WHERE name = ?", "s", name);

	return read_snapshot(query, ret_snapshot, err);
}

int snapshot_look(struct graph *graph, int64_t id, struct snapshot *ret_snapshot,
		  struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, COLUMNS "WHERE id = ?", "i", id);

	return read_snapshot(query, ret_snapshot, err);
}

int snapshot_get(struct graph *graph, int64_t id, struct snapshot *ret_snapshot,
		 struct snapdrv_error *err)
{
	int found = snapshot_look(graph, id, ret_snapshot, err);

	if (found)
		return found < 0 ? found : 0;
	return fail(err, SNAPDRV_MISSING, ENOENT, "snapshot %lld: it has been removed",
		    (long long)id);
}

int snapshot_add(struct graph *graph, const char *name, enum tree_kind kind,
		 const struct snapshot *parent, int64_t tree, struct snapshot *ret_snapshot,
		 struct snapdrv_error *err)
{
	const char kind_text[] = {kinds[kind], '\0'};
	struct snapshot snapshot = {
		.kind = kind, .tree = tree, .depth = 1, .is_active = kind != TREE_LAYER};
	int ret;

	if (parent) {
		snapshot.parent = parent->id;
		snapshot.depth = parent->depth + 1;
	}
	ret = db_run(graph->store.db, err,
		     "INSERT INTO snapshot(name, kind, parent, tree, depth, created_ns)"
		     " VALUES(?, ?, nullif(?, 0), ?, ?, ?)",
		     "ssiiii", name, kind_text, snapshot.parent, tree, (int64_t)snapshot.depth,
		     store_now_ns());
	if (ret < 0)
		return ret;
	snapshot.id = db_last_id(graph->store.db);
	*ret_snapshot = snapshot;
	return 0;
}

int snapshot_stack(struct graph *graph, const struct snapshot *snapshot,
		   struct tree_stack *ret_stack, struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		"WITH RECURSIVE chain(id, parent, tree, level) AS ("
		" SELECT id, parent, tree, 0 FROM snapshot WHERE id = ?"
		" UNION ALL SELECT s.id, s.parent, s.tree, level + 1 FROM snapshot s, chain"
		" WHERE s.id = chain.parent AND level < ?)"
		"SELECT tree.id, tree.root_given, tree.root_opaque, in_active FROM chain "
		"JOIN tree ON tree.id = chain.tree"
		" ORDER BY level DESC",
		"ii", snapshot->id, (int64_t)SNAPSHOT_DEPTH_MAX);
	cleanup_stack struct tree_stack stack = {0};
	int ret;

	if (!query)
		return -EIO;
	while ((ret = query_next(query, err)) == 1) {
		struct tree_record record = {.id = query_int(query, 0),
					     .root_given = (int)query_int(query, 1),
					     .root_opaque = (int)query_int(query, 2),
					     .is_active = (int)query_int(query, 3)};
		struct tree_ref ref = tree_ref_of(&record);

		ret = stack_push(&stack, &ref, err);
		if (ret)
			return ret;
	}
	if (ret)
		return ret;
	*ret_stack = stack;
	stack = (struct tree_stack){0};
	return 0;
}

int snapshot_expect(struct graph *graph, const struct snapshot *snapshot, struct snapdrv_error *err)
{
	int64_t one;
	int found = db_get_int(graph->store.db, &one, err,
			       "SELECT 1 FROM snapshot WHERE id = ? AND NOT removed", "i",
			       snapshot->id);

	return found < 0 ? found
	       : found	 ? 0
			 : fail(err, SNAPDRV_MISSING, ENOENT, "it has been removed");
}

static int is_missing(struct graph *graph, const char *name)
{
	return faccessat(graph->store.active_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) &&
	       errno == ENOENT;
}

static int make_locked(struct graph *graph, const struct snapshot *snapshot, const char *name,
		       const struct tree_stack *parents, struct snapdrv_error *err)
{
	int ret = snapshot_expect(graph, snapshot, err);

	if (ret || !is_missing(graph, name))
		return ret;
	return graph->backend.ops->make(&graph->backend, graph->store.active_fd, name,
					snapshot->kind, parents, err);
}

/* Whether nothing but an empty tree can be lost: what was synced in it kept it. See enum tree_safety. */
static int starts_empty(struct graph *graph, const struct tree_stack *parents)
{
	enum tree_safety safety = graph->backend.ops->active_safety;

	return safety == SAFE_EMPTY || (safety == SAFE_MADE && !parents->count);
}

/* What a power cut took before anything in it was synced is made again. */
static int make_again(struct graph *graph, const struct snapshot *snapshot,
		      const struct tree_stack *parents, struct snapdrv_error *err)
{
	struct store *store = &graph->store;
	int is_locked = store->is_writer, ret;
	char name[24];

	snprintf(name, sizeof(name), "%lld", (long long)snapshot->tree);
	if (!starts_empty(graph, parents) || !is_missing(graph, name))
		return 0;
	/* Nobody removes the node, or makes its tree, in between. */
	ret = is_locked ? 0 : lock_writer(store, err);
	if (ret)
		return ret;
	ret = make_locked(graph, snapshot, name, parents, err);
	if (!is_locked)
		unlock_writer(store);
	return ret;
}

/*
 * A node's own tree, as the first of the stack, and those below it; a container's is there then.
 * @ret_stack: for stack_done(); @ret_parents lies in it.
 */
static int stand_on(struct graph *graph, const struct snapshot *snapshot,
		    struct tree_stack *ret_stack, struct tree_stack *ret_parents,
		    struct snapdrv_error *err)
{
	int ret = snapshot_stack(graph, snapshot, ret_stack, err);

	if (ret)
		return ret;
	*ret_parents = (struct tree_stack){ret_stack->trees + 1, ret_stack->count - 1};
	return snapshot->kind == TREE_LAYER ? 0 : make_again(graph, snapshot, ret_parents, err);
}

int snapshot_mount(struct graph *graph, const struct snapshot *snapshot,
		   const struct id_shift *shift, int target_fd, struct snapdrv_error *err)
{
	cleanup_stack struct tree_stack stack = {0};
	struct tree_stack parents;
	int ret = stand_on(graph, snapshot, &stack, &parents, err);

	return ret ? ret
		   : graph->backend.ops->mount(&graph->backend, &stack.trees[0], snapshot->kind,
					       &parents, shift, target_fd, err);
}

int snapshot_describe(struct graph *graph, const struct snapshot *snapshot,
		      struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	cleanup_free char *layers = text_format(err, "%s/layers", graph->store.root);
	cleanup_stack struct tree_stack stack = {0};
	struct tree_stack parents;
	int ret = layers ? stand_on(graph, snapshot, &stack, &parents, err) : -ENOMEM;

	return ret ? ret
		   : graph->backend.ops->describe(&graph->backend, &stack.trees[0], snapshot->kind,
						  &parents, layers, ret_mounts, err);
}

int snapshot_usage(struct graph *graph, const struct snapshot *snapshot, struct usage *ret_usage,
		   struct snapdrv_error *err)
{
	struct tree_record record = {.id = snapshot->tree, .is_active = snapshot->is_active};

	if (snapshot->kind == TREE_VIEW ||
	    (faccessat(graph->store.layers_fd, tree_ref_of(&record).path, F_OK, 0) &&
	     errno == ENOENT && graph->backend.ops->active_safety == SAFE_EMPTY)) {
		*ret_usage = (struct usage){0};
		return 0;
	}
	return graph->backend.ops->usage(&graph->backend, graph->store.layers_fd,
					 tree_ref_of(&record).path, ret_usage, err);
}

/*
 * A tree was looked at that somebody may have removed meanwhile: what was missing in it then says nothing, and neither
 * does a failure. Who removes a node says so in the database, on disk, before its files go.
 */
static int if_there(struct graph *graph, const struct snapshot *snapshot, int ret,
		    struct snapdrv_error *err)
{
	struct snapdrv_error gone;
	int is_gone = snapshot_expect(graph, snapshot, &gone);

	return is_gone == -ENOENT || (is_gone && !ret) ? fail_as(err, &gone) : ret;
}

int snapshot_changes(struct graph *graph, const struct snapshot *snapshot, change_fn *report,
		     void *arg, struct snapdrv_error *err)
{
	cleanup_stack struct tree_stack stack = {0};
	struct tree_stack parents;
	int ret = stand_on(graph, snapshot, &stack, &parents, err);

	if (!ret)
		ret = graph->backend.ops->changes(&graph->backend, &stack.trees[0], snapshot->kind,
						  &parents, report, arg, err);
	return if_there(graph, snapshot, ret, err);
}

int snapshot_contents(struct graph *graph, const struct snapshot *snapshot, change_fn *report,
		      void *arg, struct snapdrv_error *err)
{
	cleanup_stack struct tree_stack stack = {0};
	struct tree_stack parents;
	struct change_trees trees = {.old_fd = -1, .old_root_fd = -1, .reports_root = 1};
	cleanup_fd int fd = -1;
	int ret = stand_on(graph, snapshot, &stack, &parents, err);

	if (ret)
		return ret;
	fd = graph->backend.ops->peek(&graph->backend, &stack, err);
	trees.new_fd = trees.new_root_fd = fd;
	ret = fd < 0 ? fd : changes_walk(&trees, report, arg, err);
	return if_there(graph, snapshot, ret, err);
}
