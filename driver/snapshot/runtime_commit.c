/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of runtimes: committing them.
 *
 *   usage, sync   outside every lock
 *   change        the node becomes a committed one, the name a new one; where the graph has the ChainID
 *                 already, the name goes to that node and what was just made is dropped
 *   freeze        behind it; a later prepare makes up for one that was cut off
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/marks.h"
#include "snapshot/runtime.h"
#include "store/lock.h"

struct commitment {
	struct graph *graph;
	const char *name;
	const char *key;
	const char *parent; /* the caller's, or that it was prepared over; or NULL */
	const struct labels *labels;
	struct runtime_row row;
	struct snapshot snapshot; /* the node */
	struct snapshot top;	  /* the parent's; its id is 0 for none */
	struct usage usage;
	char chain[DIGEST_TEXT_SIZE]; /* its ChainID, where that is known; or "" */
	struct doomed doomed;
	int is_kept; /* the node that was made */
};

static int find_parent(struct commitment *commit, struct snapdrv_error *err)
{
	cleanup_row struct runtime_row row = {0};
	int ret = runtime_find(commit->graph, commit->parent, &row, err);

	if (ret)
		return ret;
	if (row.kind != TREE_LAYER)
		return fail(err, SNAPDRV_BUSY, EBUSY, "parent %s is not committed",
			    quote(commit->parent).text);
	return snapshot_get(commit->graph, row.snapshot, &commit->top, err);
}

/* What is committed, and over what. */
static int find(struct commitment *commit, const char *parent, struct snapdrv_error *err)
{
	int ret = runtime_find(commit->graph, commit->key, &commit->row, err);

	if (ret)
		return ret;
	if (commit->row.kind != TREE_ACTIVE)
		return fail(err, SNAPDRV_BUSY, EBUSY, "snapshot %s: it is not active",
			    quote(commit->key).text);
	commit->parent = commit->row.parent;
	if (parent && *parent && (!commit->parent || strcmp(parent, commit->parent))) {
		if (commit->parent)
			return fail(err, SNAPDRV_BUSY, EBUSY,
				    "snapshot %s: it has a parent already",
				    quote(commit->key).text);
		if (!commit->graph->backend.ops->is_layered)
			return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
				    "snapshot %s: driver %s cannot give it a parent afterwards",
				    quote(commit->key).text, commit->graph->backend.ops->name);
		commit->parent = parent;
	}
	ret = commit->parent ? find_parent(commit, err) : 0;
	return ret ? ret
		   : snapshot_get(commit->graph, commit->row.snapshot, &commit->snapshot, err);
}

/* The name of a layer's node is its ChainID: of the parent's, and of what was applied here. */
static int find_chain(struct commitment *commit, struct digest *ret_diff, struct snapdrv_error *err)
{
	cleanup_query struct query *query = NULL;
	struct digest parent, chain;
	int found;

	commit->chain[0] = '\0';
	if (!commit->row.diff_id[0] || digest_parse(commit->row.diff_id, ret_diff, NULL))
		return 0;
	if (commit->top.id) {
		query = db_query(commit->graph->store.db, err,
				 "SELECT name FROM snapshot WHERE id = ?", "i", commit->top.id);
		found = query ? query_next(query, err) : -EIO;
		if (found <= 0)
			return found;
		if (digest_parse(query_text(query, 0), &parent, NULL))
			return 0;
	}
	chain = digest_chain(commit->top.id ? &parent : NULL, ret_diff);
	strcpy(commit->chain, digest_format(&chain).text);
	return 0;
}

/* Whoever unpacks the same layer right now is going to make the node itself. */
static int settle_chain(struct commitment *commit, struct snapdrv_error *err)
{
	struct digest diff;
	int ret = find_chain(commit, &diff, err);

	if (ret || !commit->chain[0])
		return ret;
	ret = lock_layer_try(&commit->graph->store, &diff, err);
	if (!ret)
		commit->chain[0] = '\0';
	return ret < 0 ? ret : 0;
}

static int commit_tree(struct commitment *commit, struct snapdrv_error *err)
{
	cleanup_free char *key = commit->chain[0] ? text_format(err, "chain:%s", commit->chain)
						  : text_format(err, "runtime:%lld",
								(long long)commit->snapshot.tree);
	struct tree_record other;
	int found = key ? tree_find(commit->graph, key, &other, err) : -ENOMEM;

	if (found == 1) {
		free(key);
		key = text_format(err, "runtime:%lld", (long long)commit->snapshot.tree);
	}
	if (found < 0 || !key)
		return found < 0 ? found : -ENOMEM;
	found = db_run(
		commit->graph->store.db, err,
		"UPDATE tree SET key = ?, root_opaque = ?, needs_look = 0, bytes = ?, entries = ?"
		" WHERE id = ?",
		"siiii", key, (int64_t)commit->row.root_opaque, (int64_t)commit->usage.bytes,
		(int64_t)commit->usage.inodes, commit->snapshot.tree);
	return found < 0 ? found : 0;
}

static int commit_node(struct commitment *commit, struct snapdrv_error *err)
{
	cleanup_free char *name = commit->chain[0] ? text_dup(commit->chain, err)
						   : text_format(err, "runtime/%s", commit->name);
	int ret = name ? commit_tree(commit, err) : -ENOMEM;

	if (ret)
		return ret;
	commit->is_kept = 1;
	ret = db_run(commit->graph->store.db, err,
		     "UPDATE snapshot SET kind = 'c', name = ?, parent = nullif(?, 0), depth = ?"
		     " WHERE id = ?",
		     "siii", name, commit->top.id,
		     (int64_t)(commit->top.id ? commit->top.depth + 1 : 1), commit->snapshot.id);
	return ret < 0 ? ret : 0;
}

static int name_node(struct commitment *commit, int64_t node, struct snapdrv_error *err)
{
	struct db *db = commit->graph->store.db;
	int64_t now = store_now_ns();
	int ret = db_run(db, err, "DELETE FROM runtime_name WHERE name = ?", "s", commit->key);

	if (ret >= 0)
		ret = db_run(db, err,
			     "INSERT INTO runtime_name(name, kind, snapshot, parent, created_ns,"
			     " updated_ns) VALUES(?, 'c', ?, ?, ?, ?)",
			     "sisii", commit->name, node, commit->parent, now, now);
	return ret < 0 ? ret
		       : runtime_set_labels(commit->graph, commit->name, commit->labels, 0, err);
}

static int commit_in_change(struct commitment *commit, const char *parent,
			    struct snapdrv_error *err)
{
	struct graph *graph = commit->graph;
	struct snapshot node = {0};
	int64_t one;
	int found = db_get_int(graph->store.db, &one, err,
			       "SELECT 1 FROM runtime_name WHERE name = ?", "s", commit->name);

	if (found)
		return found < 0 ? found
				 : fail(err, SNAPDRV_BUSY, EEXIST, "snapshot %s: it exists already",
					quote(commit->name).text);
	/* Others may have changed what was found before the sync. */
	runtime_row_done(&commit->row);
	commit->row = (struct runtime_row){0};
	found = find(commit, parent, err);
	if (!found && commit->chain[0])
		found = snapshot_find(graph, commit->chain, &node, err);
	if (found < 0)
		return found;
	if (!found) {
		found = commit_node(commit, err);
		return found ? found : name_node(commit, commit->snapshot.id, err);
	}
	found = name_node(commit, node.id, err);
	return found ? found : snapshot_release(graph, commit->snapshot.id, &commit->doomed, err);
}

static int change(struct commitment *commit, const char *parent, struct snapdrv_error *err)
{
	struct store *store = &commit->graph->store;
	int ret = store_begin(store, err);

	if (ret)
		return ret;
	ret = store_end(store, commit_in_change(commit, parent, err), err);
	if (!ret)
		graph_bury(commit->graph, &commit->doomed);
	return ret;
}

/* What was applied before it was known what it stands on. */
static int settle_marks(struct commitment *commit, struct snapdrv_error *err)
{
	const struct backend *backend = &commit->graph->backend;
	cleanup_stack struct tree_stack stack = {0};
	cleanup_fd int fd = -1, lower_fd = -1;
	struct tree_record tree;
	int ret = tree_get(commit->graph, commit->snapshot.tree, &tree, err);

	if (ret || !tree.needs_look)
		return ret;
	fd = backend->ops->open(backend, backend->layers_fd, tree_ref_of(&tree).path, err);
	if (fd < 0)
		return fd;
	if (commit->top.id) {
		ret = snapshot_stack(commit->graph, &commit->top, &stack, err);
		if (ret)
			return ret;
		lower_fd = backend->ops->peek(backend, &stack, err);
		if (lower_fd < 0)
			return lower_fd;
	}
	return marks_settle(fd, lower_fd, err);
}

static int run(struct commitment *commit, const char *parent, struct snapdrv_error *err)
{
	struct graph *graph = commit->graph;
	struct tree_record made = {.is_active = 1};
	int ret = find(commit, parent, err);

	if (!ret)
		ret = settle_marks(commit, err);
	if (!ret)
		ret = snapshot_usage(graph, &commit->snapshot, &commit->usage, err);
	if (!ret)
		ret = store_sync(&graph->store, err);
	if (!ret)
		ret = settle_chain(commit, err);
	if (!ret)
		ret = change(commit, parent, err);
	unlock_layers(&graph->store);
	if (ret || !commit->is_kept)
		return ret;
	made.id = commit->snapshot.tree;
	/* It is committed: what fails here, or a kill that comes first, is made up for by the next opening. */
	if (graph->backend.ops->freeze(&graph->backend, graph->store.layers_fd,
				       tree_ref_of(&made).path, NULL))
		store_leave(&graph->store);
	return 0;
}

int runtime_freeze_committed(struct graph *graph, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT DISTINCT t.id FROM tree t JOIN snapshot s ON s.tree = t.id"
			 " WHERE t.in_active AND s.kind = 'c'",
			 "");
	int found = query ? 0 : -EIO;

	while (!found && (found = query_next(query, err)) == 1) {
		const struct tree_record made = {.id = query_int(query, 0), .is_active = 1};

		graph->backend.ops->freeze(&graph->backend, graph->store.layers_fd,
					   tree_ref_of(&made).path, NULL);
		found = 0;
	}
	return found;
}

int runtime_commit(struct graph *graph, const char *name, const char *key, const char *parent,
		   const struct labels *labels, struct snapdrv_error *err)
{
	struct commitment commit = {.graph = graph, .name = name, .key = key, .labels = labels};
	int ret = runtime_check(name, labels, err);

	if (!ret)
		ret = store_session(&graph->store, err) < 0 ? -EIO : 0;
	if (!ret) {
		ret = run(&commit, parent, err);
		if (ret)
			fail_within(err, ret, "commit %s", quote(key).text);
	}
	runtime_row_done(&commit.row);
	doomed_done(&commit.doomed);
	return ret;
}

int runtime_applied(struct graph *graph, int dir_fd, const struct digest *diff, unsigned flags,
		    struct snapdrv_error *err)
{
	struct store *store = &graph->store;
	int is_active, ret, changed;
	int64_t tree;

	if (!tree_of_dir(graph, dir_fd, &is_active, &tree) || !is_active)
		return 0;
	ret = store_begin_lazy(store, err);
	if (ret)
		return ret;
	changed = db_run(store->db, err,
			 "UPDATE runtime_name SET diff_id = ?, root_opaque = ? WHERE kind = 'a' AND"
			 " snapshot IN (SELECT id FROM snapshot WHERE tree = ?)",
			 "sii", diff ? digest_format(diff).text : NULL,
			 (int64_t) !!(flags & APPLIED_ROOT_OPAQUE), tree);
	ret = changed < 0 ? changed : 0;
	if (changed > 0 && db_run(store->db, err, "UPDATE tree SET needs_look = ? WHERE id = ?",
				  "ii", (int64_t) !!(flags & APPLIED_ON_NOTHING), tree) < 0)
		ret = -EIO;
	ret = store_end(store, ret, err);
	return ret ? ret : changed > 0;
}

int runtime_ref(struct graph *graph, int dir_fd, char ret_ref[DIGEST_TEXT_SIZE],
		struct snapdrv_error *err)
{
	cleanup_query struct query *query = NULL;
	int is_active, found;
	int64_t tree;

	if (!tree_of_dir(graph, dir_fd, &is_active, &tree) || !is_active)
		return 0;
	query = db_query(graph->store.db, err,
			 "SELECT value FROM runtime_label l JOIN runtime_name r ON r.name = l.name"
			 " JOIN snapshot s ON s.id = r.snapshot WHERE l.key = '" SNAPDRV_LABEL_REF
			 "' AND s.tree = ? AND length(value) < ?",
			 "ii", tree, (int64_t)DIGEST_TEXT_SIZE);
	found = query ? query_next(query, err) : -EIO;
	if (found == 1)
		strcpy(ret_ref, query_text(query, 0));
	return found;
}
