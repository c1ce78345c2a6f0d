/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of runtimes: what is known of them, and their labels. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "snapshot/runtime.h"

#define NAME_SIZE_MAX 4096
#define LABEL_SIZE_MAX 4096 /* key and value, as containerd's labels.Validate() has it */

static enum tree_kind kind_of(const char *letter)
{
	return *letter == 'c' ? TREE_LAYER : *letter == 'a' ? TREE_ACTIVE : TREE_VIEW;
}

void runtime_row_done(struct runtime_row *row)
{
	free(row->parent);
}

int runtime_find(struct graph *graph, const char *name, struct runtime_row *ret_row,
		 struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		"SELECT kind, snapshot, root_opaque, ifnull(diff_id, ''), parent FROM runtime_name"
		" WHERE name = ?",
		"s", name);
	int found = query ? query_next(query, err) : -EIO;
	struct runtime_row row;

	if (found < 0)
		return found;
	if (!found)
		return fail(err, SNAPDRV_MISSING, ENOENT, "snapshot %s: no such snapshot",
			    quote(name).text);
	row = (struct runtime_row){.kind = kind_of(query_text(query, 0)),
				   .snapshot = query_int(query, 1),
				   .root_opaque = (int)query_int(query, 2)};
	strncpy(row.diff_id, query_text(query, 3), sizeof(row.diff_id) - 1);
	if (!query_is_null(query, 4)) {
		row.parent = text_dup(query_text(query, 4), err);
		if (!row.parent)
			return -ENOMEM;
	}
	*ret_row = row;
	return 0;
}

/* Runtimes send names by protobuf, whose strings are UTF-8: another one would make each list of them unreadable. */
static int is_utf8(const char *text)
{
	cleanup_json json_t *json = json_string(text);

	return json != NULL;
}

int runtime_check(const char *name, const struct labels *labels, struct snapdrv_error *err)
{
	if (!*name || strlen(name) > NAME_SIZE_MAX)
		return fail(err, SNAPDRV_USAGE, EINVAL, "snapshot %s: a name has 1 to %d bytes",
			    quote(name).text, NAME_SIZE_MAX);
	if (!is_utf8(name))
		return fail(err, SNAPDRV_USAGE, EINVAL, "snapshot %s: a name is UTF-8",
			    quote(name).text);
	for (size_t i = 0; labels && i < labels->count; i++) {
		const struct snapdrv_label *label = &labels->items[i];

		if (!is_utf8(label->key) || !is_utf8(label->value))
			return fail(err, SNAPDRV_USAGE, EINVAL, "snapshot %s: label %s: not UTF-8",
				    quote(name).text, quote(label->key).text);
		if (strlen(label->key) + strlen(label->value) > LABEL_SIZE_MAX)
			return fail(err, SNAPDRV_USAGE, EINVAL,
				    "snapshot %s: label %s: more than %d bytes", quote(name).text,
				    quote(label->key).text, LABEL_SIZE_MAX);
	}
	return 0;
}

const char *labels_get(const struct labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++) {
		if (!strcmp(labels->items[i].key, key))
			return labels->items[i].value;
	}
	return NULL;
}

int runtime_set_labels(struct graph *graph, const char *name, const struct labels *labels,
		       int replace, struct snapdrv_error *err)
{
	int ret = replace ? db_run(graph->store.db, err, "DELETE FROM runtime_label WHERE name = ?",
				   "s", name)
			  : 0;

	for (size_t i = 0; i < labels->count && ret >= 0; i++) {
		const struct snapdrv_label *label = &labels->items[i];

		ret = *label->value
			      ? db_run(graph->store.db, err,
				       "INSERT OR REPLACE INTO runtime_label(name, key, value)"
				       " VALUES(?, ?, ?)",
				       "sss", name, label->key, label->value)
			      : db_run(graph->store.db, err,
				       "DELETE FROM runtime_label WHERE name = ? AND key = ?", "ss",
				       name, label->key);
	}
	return ret < 0 ? ret : 0;
}

void runtime_snapshot_done(struct snapdrv_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_labels; i++) {
		free(snapshot->labels[i].key);
		free(snapshot->labels[i].value);
	}
	free(snapshot->labels);
	free(snapshot->name);
	free(snapshot->parent);
	*snapshot = (struct snapdrv_snapshot){0};
}

#define cleanup_snapshot __attribute__((cleanup(runtime_snapshot_done)))

static int add_label(struct snapdrv_snapshot *snapshot, const char *key, const char *value,
		     struct snapdrv_error *err)
{
	struct snapdrv_label *labels =
		reallocarray(snapshot->labels, snapshot->n_labels + 1, sizeof(*labels));
	struct snapdrv_label *label;

	if (!labels)
		return fail_memory(err);
	snapshot->labels = labels;
	label = &labels[snapshot->n_labels++];
	label->key = text_dup(key, err);
	label->value = text_dup(value, err);
	return label->key && label->value ? 0 : -ENOMEM;
}

static int start_snapshot(struct query *query, struct snapdrv_snapshot *snapshot,
			  struct snapdrv_error *err)
{
	static const int kinds[] = {[TREE_LAYER] = SNAPDRV_COMMITTED,
				    [TREE_ACTIVE] = SNAPDRV_ACTIVE,
				    [TREE_VIEW] = SNAPDRV_VIEW};
	const char *parent = query_is_null(query, 2) ? NULL : query_text(query, 2);

	snapshot->name = text_dup(query_text(query, 0), err);
	snapshot->parent = parent ? text_dup(parent, err) : NULL;
	snapshot->kind = kinds[kind_of(query_text(query, 1))];
	snapshot->created_ns = query_int(query, 3);
	snapshot->updated_ns = query_int(query, 4);
	return snapshot->name && (snapshot->parent || !parent) ? 0 : -ENOMEM;
}

#define SNAPSHOTS                                                                             \
	"SELECT r.name, kind, parent, created_ns, updated_ns, key, value FROM runtime_name r" \
	" LEFT JOIN runtime_label l ON l.name = r.name "

/* A row for each label, or one for none; those of one snapshot follow each other. */
static int list(struct query *query,
		int (*each)(void *arg, const struct snapdrv_snapshot *snapshot), void *arg,
		struct snapdrv_error *err)
{
	int found = query ? query_next(query, err) : -EIO, ret;

	while (found == 1) {
		cleanup_snapshot struct snapdrv_snapshot snapshot = {0};

		ret = start_snapshot(query, &snapshot, err);
		while (!ret && found == 1 && !strcmp(query_text(query, 0), snapshot.name)) {
			if (!query_is_null(query, 5))
				ret = add_label(&snapshot, query_text(query, 5),
						query_text(query, 6), err);
			if (!ret)
				found = query_next(query, err);
		}
		if (!ret && found >= 0)
			ret = each(arg, &snapshot);
		if (ret)
			return ret;
	}
	return found;
}

int runtime_list(struct graph *graph,
		 int (*each)(void *arg, const struct snapdrv_snapshot *snapshot), void *arg,
		 struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, SNAPSHOTS "ORDER BY r.name, key", "");

	return list(query, each, arg, err);
}

/* The one that is listed, moved out. */
static int take(void *arg, const struct snapdrv_snapshot *snapshot)
{
	struct snapdrv_snapshot *taken = arg, *from = (struct snapdrv_snapshot *)snapshot;

	*taken = *from;
	*from = (struct snapdrv_snapshot){0};
	return 1;
}

int runtime_stat(struct graph *graph, const char *key, struct snapdrv_snapshot *ret_snapshot,
		 struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, SNAPSHOTS "WHERE r.name = ? ORDER BY key", "s", key);
	int found = list(query, take, ret_snapshot, err);

	if (found)
		return found < 0 ? found : 0;
	return fail(err, SNAPDRV_MISSING, ENOENT, "snapshot %s: no such snapshot", quote(key).text);
}

static int update_in_change(struct graph *graph, const char *key, const struct labels *labels,
			    int replace, struct snapdrv_error *err)
{
	int ret = db_run(graph->store.db, err,
			 "UPDATE runtime_name SET updated_ns = ? WHERE name = ?", "is",
			 store_now_ns(), key);

	if (!ret)
		return fail(err, SNAPDRV_MISSING, ENOENT, "snapshot %s: no such snapshot",
			    quote(key).text);
	return ret < 0 ? ret : runtime_set_labels(graph, key, labels, replace, err);
}

int runtime_update(struct graph *graph, const char *key, const struct labels *labels, int replace,
		   struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err)
{
	int ret = runtime_check(key, labels, err);

	if (!ret)
		ret = store_begin(&graph->store, err);
	if (ret)
		return ret;
	ret = store_end(&graph->store, update_in_change(graph, key, labels, replace, err), err);
	return ret ? ret : runtime_stat(graph, key, ret_snapshot, err);
}

int runtime_usage(struct graph *graph, const char *key, uint64_t *ret_bytes, uint64_t *ret_inodes,
		  struct snapdrv_error *err)
{
	cleanup_row struct runtime_row row = {0};
	struct snapshot snapshot = {0};
	struct tree_record tree;
	struct usage usage;
	int ret = runtime_find(graph, key, &row, err);

	if (!ret)
		ret = snapshot_get(graph, row.snapshot, &snapshot, err);
	if (!ret && row.kind == TREE_LAYER) {
		ret = tree_get(graph, snapshot.tree, &tree, err);
		usage = (struct usage){tree.bytes, tree.entries};
	} else if (!ret) {
		ret = snapshot_usage(graph, &snapshot, &usage, err);
	}
	if (ret)
		return ret;
	*ret_bytes = usage.bytes;
	*ret_inodes = usage.inodes;
	return 0;
}
