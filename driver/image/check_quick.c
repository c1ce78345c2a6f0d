/* SPDX-License-Identifier: Apache-2.0 */
/* The quick check: the database by itself, then against files and mounts. */
#include <errno.h>
#include <fcntl.h>
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

static int check_trees(struct check *check, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(check->graph->store.db, err,
			 "SELECT tree.id, in_active, kind, " CHECK_LAYER_NAME
			 ", (SELECT min(name) FROM live_container WHERE snapshot = snapshot.id)"
			 " FROM tree JOIN snapshot ON snapshot.id = (SELECT min(id) FROM snapshot "
			 "WHERE tree = tree.id)"
			 " WHERE NOT removed",
			 "");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		const struct tree_record record = {.id = query_int(query, 0),
						   .is_active = (int)query_int(query, 1)};
		const char *kind = query_text(query, 2);

		if (*kind == 'c')
			ret = check_layer(check, &record, query_text(query, 3), err);
		else if (*kind == 'a' && !query_is_null(query, 4))
			ret = check_active(check, &record, query_text(query, 4), err);
		else
			ret = 0;
	}
	return ret;
}

/* ---- blobs and images --------------------------------------------------------------------- */

static int check_blobs(struct check *check, struct snapdrv_error *err)
{
	struct store *store = &check->graph->store;
	cleanup_query struct query *query =
		db_query(store->db, err, "SELECT digest, size FROM blob", "");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		const char *text = query_text(query, 0);
		uint64_t size = (uint64_t)query_int(query, 1), is = 0;
		struct digest digest;
		int found = digest_parse(text, &digest, NULL)
				    ? 0
				    : content_size(store, &digest, &is, err);

		check->found.blobs++;
		if (found < 0)
			return found;
		if (!found && content_has(store, &digest, NULL) == 1)
			ret = check_damage_blob(check, text, err, "its file is missing");
		else if (found && is != size)
			ret = check_damage_blob(check, text, err, "it has %llu bytes, not %llu",
						(unsigned long long)is, (unsigned long long)size);
		else
			ret = 0;
	}
	return ret;
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

static int check_container(struct check *check, const char *name, int64_t id,
			   struct snapdrv_error *err)
{
	struct graph *graph = check->graph;
	struct snapshot snapshot;
	int ret;

	check->found.containers++;
	if (!rootfs_is_mounted(graph, name))
		return 0;
	ret = snapshot_look(graph, id, &snapshot, err);
	if (ret == 1)
		ret = rootfs_shows(graph, name, &snapshot, NULL);
	/* It may have been unmounted, or removed, by now. */
	if (ret || !rootfs_is_mounted(graph, name))
		return 0;
	return as_ret(check_find(check, "container", name, err,
				 "what is mounted on its rootfs is not its tree"));
}

static int check_containers(struct check *check, struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		check->graph->store.db, err, "SELECT name, snapshot FROM live_container", "");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = check_container(check, query_text(query, 0), query_int(query, 1), err);
	return ret;
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
