/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of runtimes: preparing, mounting and removing them. */
#include "snapshot/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define LABEL_UIDS "containerd.io/snapshot/uidmapping"
#define LABEL_GIDS "containerd.io/snapshot/gidmapping"

struct preparation {
	struct graph *graph;
	const char *key;
	const char *parent; /* or NULL */
	enum tree_kind kind;
	int is_lazy; /* the disk is waited for later */
	const struct labels *labels;
	struct snapshot top; /* the parent's node; its id is 0 for none */
	struct draft draft;
	struct snapshot snapshot;
};

static int find_parent(struct preparation *prep, struct snapdrv_error *err)
{
	cleanup_row struct runtime_row row = {0};
	int ret = runtime_find(prep->graph, prep->parent, &row, err);

	if (ret)
		return ret;
	if (row.kind != TREE_LAYER)
		return fail(err, SNAPDRV_BUSY, EBUSY, "parent %s is not committed",
			    quote(prep->parent).text);
	return snapshot_get(prep->graph, row.snapshot, &prep->top, err);
}

/* A commit that was killed behind its change may have left this; nobody writes into a parent. */
static int freeze_parent(struct preparation *prep, struct snapdrv_error *err)
{
	const struct tree_record tree = {.id = prep->top.tree, .is_active = 1};

	if (!prep->top.id || !prep->top.is_active)
		return 0;
	return prep->graph->backend.ops->freeze(&prep->graph->backend, prep->graph->store.layers_fd,
						tree_ref_of(&tree).path, err);
}

static int insert_name(struct graph *graph, const char *name, const char *kind, int64_t snapshot,
		       const char *parent, const struct labels *labels, struct snapdrv_error *err)
{
	int64_t now = store_now_ns();
	int ret = db_run(graph->store.db, err,
			 "INSERT INTO runtime_name(name, kind, snapshot, parent, created_ns,"
			 " updated_ns) VALUES(?, ?, ?, ?, ?, ?)",
			 "ssisii", name, kind, snapshot, parent, now, now);

	return ret < 0 ? ret : runtime_set_labels(graph, name, labels, 0, err);
}

/* Return: 1 it is taken, 0 it is not, or a negative errno value. */
static int is_taken(struct graph *graph, const char *name, struct snapdrv_error *err)
{
	int64_t one;

	return db_get_int(graph->store.db, &one, err, "SELECT 1 FROM runtime_name WHERE name = ?",
			  "s", name);
}

static int fail_taken(const char *name, struct snapdrv_error *err)
{
	return fail(err, SNAPDRV_BUSY, EEXIST, "snapshot %s: it exists already", quote(name).text);
}

/*
 * Within a change: whether there is a committed snapshot for @ref over the parent; one is made when the graph
 * has the node. Return: 1 there is, 0 there is not, or a negative errno value.
 */
static int offer_ref(struct preparation *prep, const char *ref, struct snapdrv_error *err)
{
	struct graph *graph = prep->graph;
	struct snapshot node;
	char name[DIGEST_TEXT_SIZE + 16];
	int64_t one;
	int found =
		db_get_int(graph->store.db, &one, err,
			   "SELECT 1 FROM runtime_label l JOIN runtime_name r ON r.name = l.name"
			   " WHERE l.key = '" SNAPDRV_LABEL_REF "' AND l.value = ?"
			   " AND r.kind = 'c' AND r.parent IS ?",
			   "ss", ref, prep->parent);

	if (found)
		return found;
	if (strlen(ref) >= DIGEST_TEXT_SIZE)
		return 0;
	found = snapshot_find(graph, ref, &node, err);
	if (found <= 0 || node.kind != TREE_LAYER || node.parent != prep->top.id)
		return found < 0 ? found : 0;
	/* Under another name of the parent it has another name too. */
	snprintf(name, sizeof(name), "%s", ref);
	for (unsigned i = 2; (found = is_taken(graph, name, err)) == 1; i++)
		snprintf(name, sizeof(name), "%s.%u", ref, i);
	if (!found)
		found = insert_name(graph, name, "c", node.id, prep->parent, prep->labels, err);
	return found < 0 ? found : 1;
}

static int answer_ref(struct preparation *prep, const char *ref, struct snapdrv_error *err)
{
	struct store *store = &prep->graph->store;
	int found = store_begin(store, err);

	if (found)
		return found;
	found = offer_ref(prep, ref, err);
	if (found <= 0) {
		store_rollback(store);
		return found;
	}
	found = store_commit(store, err);
	return found ? found : fail_taken(ref, err);
}

static int node_name(const char *key, char **ret_name, struct snapdrv_error *err)
{
	*ret_name = text_format(err, "runtime/%s", key);
	return *ret_name ? 0 : -ENOMEM;
}

static int prepare_in_change(struct preparation *prep, struct snapdrv_error *err)
{
	struct tree_record record = {.root_given = 1};
	cleanup_free char *name = NULL;
	int64_t top = prep->top.id;
	int ret = is_taken(prep->graph, prep->key, err);

	if (ret)
		return ret < 0 ? ret : fail_taken(prep->key, err);
	ret = prep->parent ? find_parent(prep, err) : 0;
	/* What was made stands on a tree that was there all the time, or it may lack a part of it. */
	if (!ret && prep->top.id != top)
		ret = fail(err, SNAPDRV_MISSING, ENOENT, "parent %s: it has been removed",
			   quote(prep->parent).text);
	if (!ret)
		ret = node_name(prep->key, &name, err);
	if (!ret)
		ret = draft_publish(prep->graph, &prep->draft, NULL, &record, err);
	if (!ret)
		ret = snapshot_add(prep->graph, name, prep->kind, prep->top.id ? &prep->top : NULL,
				   record.id, &prep->snapshot, err);
	return ret ? ret
		   : insert_name(prep->graph, prep->key, prep->kind == TREE_VIEW ? "v" : "a",
				 prep->snapshot.id, prep->parent, prep->labels, err);
}

/* The host's number for the first one of a mapping, CONTAINER:HOST:SIZE. Return: 1, or 0 for none. */
static int mapped_root(const char *mapping, uint32_t *ret_id)
{
	unsigned long inside, outside, size;
	int used = 0;

	if (!mapping || sscanf(mapping, "%lu:%lu:%lu%n", &inside, &outside, &size, &used) != 3 ||
	    inside || !size || outside > UINT32_MAX || (mapping[used] && mapping[used] != ','))
		return 0;
	*ret_id = (uint32_t)outside;
	return 1;
}

/* The layers below are shown as another user's by the mount; the writable one is written by that user. */
static int own_root(struct preparation *prep, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	uint32_t uid, gid;

	if (prep->kind != TREE_ACTIVE || !prep->graph->backend.ops->is_layered ||
	    !mapped_root(labels_get(prep->labels, LABEL_UIDS), &uid) ||
	    !mapped_root(labels_get(prep->labels, LABEL_GIDS), &gid))
		return 0;
	fd = draft_open(prep->graph, &prep->draft, err);
	if (fd < 0)
		return fd;
	return fchown(fd, uid, gid) ? fail_errno(err, "give the root its owner") : 0;
}

static int make_draft(struct preparation *prep, struct snapdrv_error *err)
{
	cleanup_stack struct tree_stack stack = {0};
	int ret = freeze_parent(prep, err);

	if (!ret && prep->top.id)
		ret = snapshot_stack(prep->graph, &prep->top, &stack, err);
	if (!ret)
		ret = draft_make(prep->graph, prep->kind, &stack, &prep->draft, err);
	return ret ? ret : own_root(prep, err);
}

static int prepare(struct preparation *prep, struct snapdrv_error *err)
{
	struct store *store = &prep->graph->store;
	const char *ref = labels_get(prep->labels, SNAPDRV_LABEL_REF);
	int is_lazy = prep->is_lazy && prep->graph->backend.ops->active_safety == SAFE_EMPTY;
	int ret = prep->parent ? find_parent(prep, err) : 0;

	if (!ret && ref && prep->kind == TREE_ACTIVE)
		ret = answer_ref(prep, ref, err);
	if (!ret)
		ret = make_draft(prep, err);
	if (!ret)
		ret = is_lazy ? store_begin_lazy(store, err) : store_begin(store, err);
	if (ret)
		return ret;
	ret = store_end(store, prepare_in_change(prep, err), err);
	if (ret)
		return ret;
	draft_forget(&prep->draft);
	prep->graph->doomed.is_late |= is_lazy;
	return 0;
}

static int add_option(struct snapdrv_mount *mount, const char *name, const char *value,
		      struct snapdrv_error *err)
{
	char **options = reallocarray(mount->options, mount->n_options + 1, sizeof(*options));

	if (!options)
		return fail_memory(err);
	mount->options = options;
	options[mount->n_options] = text_format(err, "%s=%s", name, value);
	return options[mount->n_options] ? (mount->n_options++, 0) : -ENOMEM;
}

/* As containerd 2.0's overlay snapshotter tells its mount package to shift owners. */
static int add_mappings(const struct labels *labels, struct snapdrv_mounts *mounts,
			struct snapdrv_error *err)
{
	const char *uids = labels_get(labels, LABEL_UIDS), *gids = labels_get(labels, LABEL_GIDS);
	int ret;

	if (!uids || !gids || !mounts->count)
		return 0;
	ret = add_option(&mounts->mounts[0], "uidmap", uids, err);
	return ret ? ret : add_option(&mounts->mounts[0], "gidmap", gids, err);
}

static int describe(struct graph *graph, const struct snapshot *snapshot,
		    const struct labels *labels, struct snapdrv_mounts *ret_mounts,
		    struct snapdrv_error *err)
{
	struct snapdrv_mounts mounts;
	int ret = snapshot_describe(graph, snapshot, &mounts, err);

	if (ret)
		return ret;
	ret = add_mappings(labels, &mounts, err);
	if (ret)
		mounts_done(&mounts);
	else
		*ret_mounts = mounts;
	return ret;
}

/* @expected: only that node; or NULL. */
static int remove_in_change(struct graph *graph, const char *key, const struct snapshot *expected,
			    struct doomed *doomed, struct snapdrv_error *err)
{
	cleanup_row struct runtime_row row = {0};
	int ret = runtime_find(graph, key, &row, err);

	if (ret)
		return ret;
	if (expected && row.snapshot != expected->id)
		return -ENOENT;
	ret = db_run(graph->store.db, err, "DELETE FROM runtime_name WHERE name = ?", "s", key);
	if (ret == -EBUSY)
		return fail(err, SNAPDRV_BUSY, EBUSY, "snapshot %s: others stand on it",
			    quote(key).text);
	return ret < 0 ? ret : snapshot_release(graph, row.snapshot, doomed, err);
}

static int remove_node(struct graph *graph, const char *key, const struct snapshot *expected,
		       struct snapdrv_error *err)
{
	cleanup_doomed struct doomed doomed = {.is_late = 1};
	int ret = store_session(&graph->store, err);

	ret = ret < 0 ? ret : store_begin_lazy(&graph->store, err);
	if (ret)
		return ret;
	ret = store_end(&graph->store, remove_in_change(graph, key, expected, &doomed, err), err);
	if (!ret)
		graph_bury(graph, &doomed);
	return ret;
}

int runtime_remove(struct graph *graph, const char *key, struct snapdrv_error *err)
{
	return remove_node(graph, key, NULL, err);
}

int runtime_prepare(struct graph *graph, const char *key, const char *parent, int kind,
		    const struct labels *labels, struct snapdrv_mounts *ret_mounts,
		    struct snapdrv_error *err)
{
	int plain_kind = kind & ~SNAPDRV_SYNC_LATER;
	struct preparation prep = {.graph = graph,
				   .key = key,
				   .parent = parent && *parent ? parent : NULL,
				   .kind = plain_kind == SNAPDRV_VIEW ? TREE_VIEW : TREE_ACTIVE,
				   .is_lazy = !!(kind & SNAPDRV_SYNC_LATER),
				   .labels = labels};
	int ret = runtime_check(key, labels, err);

	if (!ret && plain_kind != SNAPDRV_VIEW && plain_kind != SNAPDRV_ACTIVE)
		ret = fail(err, SNAPDRV_USAGE, EINVAL, "snapshot %s: kind %d is none to prepare",
			   quote(key).text, kind);
	if (!ret) {
		ret = prepare(&prep, err);
		if (ret)
			fail_within(err, ret, "prepare %s", quote(key).text);
	}
	draft_drop(graph, &prep.draft);
	if (ret || !ret_mounts)
		return ret;
	ret = describe(graph, &prep.snapshot, labels, ret_mounts, err);
	if (ret) {
		fail_within(err, ret, "prepare %s", quote(key).text);
		remove_node(graph, key, &prep.snapshot, NULL);
	}
	return ret;
}

int runtime_mounts(struct graph *graph, const char *key, struct snapdrv_mounts *ret_mounts,
		   struct snapdrv_error *err)
{
	cleanup_row struct runtime_row row = {0};
	struct snapdrv_snapshot info;
	struct snapshot snapshot;
	int ret = runtime_find(graph, key, &row, err);

	if (ret)
		return ret;
	if (row.kind == TREE_LAYER)
		return fail(err, SNAPDRV_BUSY, EBUSY, "snapshot %s: it is committed: make a view",
			    quote(key).text);
	ret = snapshot_get(graph, row.snapshot, &snapshot, err);
	if (!ret)
		ret = runtime_stat(graph, key, &info, err);
	if (ret)
		return ret;
	ret = describe(graph, &snapshot, &(struct labels){info.labels, info.n_labels}, ret_mounts,
		       err);
	runtime_snapshot_done(&info);
	return ret;
}
