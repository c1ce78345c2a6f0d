/* SPDX-License-Identifier: Apache-2.0 */
/* The quick check: the database by itself, then against files and mounts. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/check.h"
#include "image/detail.h"
#include "snapshot/rootfs.h"
#include "store/content.h"

static int as_ret(ssize_t index)
{
	return index < 0 ? (int)index : 0;
}

static int check_database(struct check *check, struct snapdrv_error *err)
{
	cleanup_free char *problem = NULL;
	int ret = db_check(check->graph->store.db, !!(check->options->flags & SNAPDRV_CHECK_DEEP),
			   &problem, err);

	if (ret)
		return ret < 0 ? ret : 0;
	return as_ret(check_find(check, "database", "snapdrv.db", err, "%s", problem));
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Of trees, blobs or containers, as far as they have it. */
struct row {
	int64_t id, number;
	char kind[2];
	char *name;
};

struct rows {
	struct row *items;
	size_t count;
};

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->items[i].name);
	free(rows->items);
}

static int read_row(struct rows *rows, struct query *query, struct snapdrv_error *err)
{
	struct row *items = reallocarray(rows->items, rows->count + 1, sizeof(*items)), *row;

	if (!items)
		return fail_memory(err);
	rows->items = items;
	row = &items[rows->count];
	*row = (struct row){.id = query_int(query, 0),
			    .number = query_int(query, 1),
			    .kind = {*query_text(query, 2)},
			    .name = text_dup(query_text(query, 3), err)};
	rows->count += row->name != NULL;
	return row->name ? 0 : -ENOMEM;
}

/*
 * Look at each row. All are read first: as long as the query is open its connection sees the database as it
 * was, and whether something has been removed meanwhile could not be told.
 */
static int check_rows(struct check *check, struct query *query,
		      int (*look)(struct check *check, const struct row *row,
				  struct snapdrv_error *err),
		      struct snapdrv_error *err)
{
	__attribute__((cleanup(rows_done))) struct rows rows = {0};
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = read_row(&rows, query, err);
	query_done(query);
	for (size_t i = 0; i < rows.count && !ret; i++)
		ret = look(check, &rows.items[i], err);
	return ret;
}

/* ---- trees -------------------------------------------------------------------------------- */

/* 1 it is there, 0 it is not, or negative. */
static int is_there(struct graph *graph, const struct tree_record *record,
		    struct snapdrv_error *err)
{
	cleanup_free char *path = text_format(err, "%s/fs", tree_ref_of(record).path);
	struct stat st;

	if (!path)
		return -ENOMEM;
	if (!fstatat(graph->store.layers_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return S_ISDIR(st.st_mode);
	return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno(err, "tree %s", path);
}

/* What was removed since its row was read is no finding. */
static int is_removed(struct graph *graph, int64_t tree)
{
	struct tree_record record;

	return tree_look(graph, tree, &record, NULL) == 0;
}

static int check_layer(struct check *check, const struct tree_record *record, const char *name,
		       struct snapdrv_error *err)
{
	struct graph *graph = check->graph;
	const struct backend_ops *ops = graph->backend.ops;
	int found = is_there(graph, record, err);

	check->found.layers++;
	if (found < 0)
		return found;
	if (!found)
		return is_removed(graph, record->id)
			       ? 0
			       : check_damage_tree(check, record->id, name, 1, NULL, err,
						   "its files are missing");
	if (!ops->is_frozen)
		return 0;
	found = ops->is_frozen(&graph->backend, graph->store.layers_fd, tree_ref_of(record).path,
			       err);
	if (found)
		return found < 0 && !is_removed(graph, record->id) ? found : 0;
	return check_damage_tree(check, record->id, name, 0, NULL, err, "it is not read-only");
}

/* An overlay's container that has written nothing is made again where it is missing: nothing is known then. */
static int check_active(struct check *check, const struct tree_record *record, const char *name,
			struct snapdrv_error *err)
{
	struct graph *graph = check->graph;
	int found =
		graph->backend.ops->active_safety == SAFE_EMPTY ? 1 : is_there(graph, record, err);

	if (found || is_removed(graph, record->id))
		return found < 0 ? found : 0;
	return as_ret(check_find(check, "container", name, err,
				 "its files are missing; what was written in it is lost"));
}

static int check_tree(struct check *check, const struct row *row, struct snapdrv_error *err)
{
	const struct tree_record record = {.id = row->id, .is_active = (int)row->number};

	return *row->kind == 'c' ? check_layer(check, &record, row->name, err)
				 : check_active(check, &record, row->name, err);
}

static int check_trees(struct check *check, struct snapdrv_error *err)
{
	return check_rows(
		check,
		db_query(
			check->graph->store.db, err,
			"SELECT tree.id, in_active, kind, CASE kind WHEN 'c' THEN " CHECK_LAYER_NAME
			" ELSE (SELECT min(name) FROM live_container WHERE snapshot = snapshot.id) "
			"END"
			" FROM tree JOIN snapshot ON snapshot.id ="
			" (SELECT min(id) FROM snapshot WHERE tree = tree.id)"
			" WHERE NOT removed AND (kind = 'c' OR (kind = 'a' AND EXISTS"
			" (SELECT 1 FROM live_container WHERE snapshot = snapshot.id)))",
			""),
		check_tree, err);
}

/* ---- blobs and images --------------------------------------------------------------------- */

static int check_blob(struct check *check, const struct row *row, struct snapdrv_error *err)
{
	struct store *store = &check->graph->store;
	uint64_t size = (uint64_t)row->number, is = 0;
	struct digest digest;
	int found =
		digest_parse(row->name, &digest, NULL) ? 0 : content_size(store, &digest, &is, err);

	check->found.blobs++;
	if (found < 0 || (found && is == size))
		return found < 0 ? found : 0;
	/* Removed since its row was read. */
	if (!digest_parse(row->name, &digest, NULL) && !content_has(store, &digest, NULL))
		return 0;
	return found ? check_damage_blob(check, row->name, err, "it has %llu bytes, not %llu",
					 (unsigned long long)is, (unsigned long long)size)
		     : check_damage_blob(check, row->name, err, "its file is missing");
}

static int check_blobs(struct check *check, struct snapdrv_error *err)
{
	return check_rows(
		check,
		db_query(check->graph->store.db, err, "SELECT 0, size, '', digest FROM blob", ""),
		check_blob, err);
}

static int check_document(struct check *check, struct query *query, int column, const char *digest,
			  const char *name, const char *what, struct snapdrv_error *err)
{
	size_t size;
	const void *data = query_bytes(query, column, &size);
	struct digest wanted, is = digest_of(data, size);

	if (!digest_parse(digest, &wanted, NULL) && digest_equal(&wanted, &is))
		return 0;
	return as_ret(check_find(check, "image", name, err, "its %s is damaged: %s, not %s", what,
				 digest_format(&is).text, digest));
}

static int check_image(struct check *check, struct query *query, struct snapdrv_error *err)
{
	__attribute__((cleanup(image_done))) struct image image = {.id = query_int(query, 0),
								   .top = query_int(query, 1)};
	cleanup_detail struct image_detail detail = {0};
	const char *name = query_text(query, 6);
	size_t n_findings = check->found.n_findings;
	struct snapdrv_error why;
	int ret;

	check->found.images++;
	ret = check_document(check, query, 4, query_text(query, 2), name, "manifest", err);
	if (!ret)
		ret = check_document(check, query, 5, query_text(query, 3), name, "config", err);
	if (ret || check->found.n_findings > n_findings)
		return ret;
	ret = detail_read(check->graph, &image, &detail, &why);
	if (!ret || why.code == SNAPDRV_MISSING)
		return 0;
	return as_ret(check_find(check, "image", name, err, "%s", why.message));
}

static int check_images(struct check *check, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(check->graph->store.db, err,
			 "SELECT id, top, digest, config_digest, manifest, config,"
			 " ifnull((SELECT min(name) FROM reference WHERE image = image.id),"
			 " config_digest) FROM image",
			 "");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = check_image(check, query, err);
	return ret;
}

/* ---- containers --------------------------------------------------------------------------- */

/* 1 what is mounted is its tree, or nothing is; 0 it is not; or negative. */
static int shows_its_tree(struct graph *graph, const char *name, struct snapdrv_error *err)
{
	struct snapshot snapshot;
	int64_t id = 0;
	int found = db_get_int(graph->store.db, &id, err,
			       "SELECT snapshot FROM live_container WHERE name = ?", "s", name);

	if (found == 1)
		found = snapshot_look(graph, id, &snapshot, err);
	if (found == 1)
		found = rootfs_is_mounted(graph, name, err);
	if (found <= 0)
		return found < 0 ? found : 1;
	found = rootfs_shows(graph, name, &snapshot, NULL);
	return found < 0 ? 1 : found;
}

static int check_container(struct check *check, const struct row *row, struct snapdrv_error *err)
{
	int shows = shows_its_tree(check->graph, row->name, err);

	check->found.containers++;
	/* Another one may have come in its place between the two looks: once more. */
	for (int tries = 0; !shows && tries < 3; tries++)
		shows = shows_its_tree(check->graph, row->name, err);
	if (shows)
		return shows < 0 ? shows : 0;
	return as_ret(check_find(check, "container", row->name, err,
				 "what is mounted on its rootfs is not its tree"));
}

static int check_containers(struct check *check, struct snapdrv_error *err)
{
	return check_rows(check,
			  db_query(check->graph->store.db, err,
				   "SELECT snapshot, 0, '', name FROM live_container", ""),
			  check_container, err);
}

static int count_strays(struct check *check, struct snapdrv_error *err)
{
	cleanup_strays struct strays strays = {0};
	int ret = graph_find_strays(check->graph, STRAYS_ALL | STRAYS_DRY, &strays, err);

	/* The lock is a writer's: a store that cannot be written to is looked at all the same. */
	if (ret == -EROFS)
		return 0;
	check->found.strays = strays.count;
	for (size_t i = 0; i < strays.count; i++)
		check->found.stray_bytes += stray_usage(check->graph, &strays.items[i]);
	return ret;
}

int check_quickly(struct check *check, struct snapdrv_error *err)
{
	int ret = check_database(check, err);

	if (!ret)
		ret = check_trees(check, err);
	if (!ret)
		ret = check_blobs(check, err);
	if (!ret)
		ret = check_images(check, err);
	if (!ret)
		ret = check_containers(check, err);
	return ret ? ret : count_strays(check, err);
}
