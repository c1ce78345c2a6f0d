/* SPDX-License-Identifier: Apache-2.0 */
/* How much space the store takes: sums by the database, and usage where each container is asked for. */
#include "image/df.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/detail.h"
#include "snapshot/gc.h"

void store_df_done(struct snapdrv_df *df)
{
	for (size_t i = 0; i < df->n_image_rows; i++) {
		free(df->image_rows[i].id);
		free(df->image_rows[i].reference);
	}
	for (size_t i = 0; i < df->n_container_rows; i++) {
		free(df->container_rows[i].name);
		free(df->container_rows[i].image);
	}
	for (size_t i = 0; i < df->n_layer_rows; i++)
		free(df->layer_rows[i].key);
	free(df->image_rows);
	free(df->container_rows);
	free(df->layer_rows);
	*df = (struct snapdrv_df){0};
}

/* SQL: `shared(tree, images)`, how many images have a tree. */
#define IMAGES_OF_TREES                                                                        \
	LAYERS_OF_IMAGES ", shared(tree, images) AS (SELECT tree, count(DISTINCT image) FROM " \
			 "place GROUP BY tree)"

static const char images_sql[] = IMAGES_OF_TREES
	"SELECT (SELECT count(*) FROM image),"
	" (SELECT count(DISTINCT image) FROM live_container), ifnull(sum(bytes), 0),"
	" ifnull(sum(CASE WHEN images > 1 THEN bytes END), 0), 0"
	" FROM shared JOIN tree ON tree.id = shared.tree";

static const char layers_sql[] = IMAGES_OF_TREES
	", " NEEDED_SNAPSHOTS
	", used(tree) AS (SELECT DISTINCT tree FROM snapshot WHERE id IN needed)"
	"SELECT count(*), ifnull(sum(id IN used), 0), ifnull(sum(bytes), 0),"
	" ifnull(sum(CASE WHEN images > 1 THEN bytes END), 0),"
	" ifnull(sum(CASE WHEN id NOT IN used THEN bytes END), 0)"
	" FROM tree LEFT JOIN shared ON shared.tree = tree.id WHERE key IS NOT NULL";

static const char blobs_sql[] =
	"SELECT count(*), ifnull(sum(images > 0), 0), ifnull(sum(size), 0),"
	" ifnull(sum(CASE WHEN images > 1 THEN size END), 0),"
	" ifnull(sum(CASE WHEN images = 0 THEN size END), 0) FROM"
	" (SELECT size, (SELECT count(*) FROM image_blob WHERE digest = blob.digest) AS images"
	" FROM blob)";

static const char caches_sql[] = "SELECT count(*), 0, ifnull(sum(bytes), 0), 0,"
				 " ifnull(sum(bytes), 0) FROM build_cache";

static const char containers_sql[] = "SELECT count(*), count(*), 0, 0, 0 FROM live_container";

static int read_space(struct graph *graph, const char *sql, struct snapdrv_space *ret_space,
		      struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(graph->store.db, err, sql, "");
	int found = query ? query_next(query, err) : -EIO;

	if (found != 1)
		return found;
	*ret_space = (struct snapdrv_space){
		.count = (size_t)query_int(query, 0),
		.in_use = (size_t)query_int(query, 1),
		.bytes = (uint64_t)query_int(query, 2),
		.shared = (uint64_t)query_int(query, 3),
		.reclaimable = (uint64_t)query_int(query, 4),
	};
	return 0;
}

/* Room for one more row of @size bytes, all zero. */
static void *add_row(void *rows, size_t *count, size_t size, struct snapdrv_error *err)
{
	void **array = rows;
	char *grown = reallocarray(*array, *count + 1, size);

	if (!grown) {
		fail_memory(err);
		return NULL;
	}
	*array = grown;
	grown += *count * size;
	for (size_t i = 0; i < size; i++)
		grown[i] = 0;
	++*count;
	return grown;
}

static int list_image_space(struct graph *graph, struct snapdrv_df *df, struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		IMAGES_OF_TREES
		", had(image, tree) AS (SELECT DISTINCT image, tree FROM place)"
		"SELECT config_digest, (SELECT min(name) FROM reference WHERE image = image.id),"
		" created_ns, sum(tree.bytes),"
		" ifnull(sum(CASE WHEN images > 1 THEN tree.bytes END), 0),"
		" (SELECT count(*) FROM live_container WHERE image = image.id)"
		" FROM image JOIN had ON had.image = image.id JOIN tree ON tree.id = had.tree"
		" JOIN shared ON shared.tree = had.tree GROUP BY image.id"
		" ORDER BY created_ns DESC, image.id DESC",
		"");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		struct snapdrv_image_space *row =
			add_row(&df->image_rows, &df->n_image_rows, sizeof(*row), err);

		if (!row)
			return -ENOMEM;
		row->id = text_dup(query_text(query, 0), err);
		if (!query_is_null(query, 1))
			row->reference = text_dup(query_text(query, 1), err);
		row->created_ns = query_int(query, 2);
		row->bytes = (uint64_t)query_int(query, 3);
		row->shared = (uint64_t)query_int(query, 4);
		row->containers = (size_t)query_int(query, 5);
		ret = row->id ? 0 : -ENOMEM;
	}
	return ret;
}

/* A container that is removed meanwhile holds nothing. */
static int container_bytes(struct graph *graph, int64_t id, uint64_t *ret_bytes,
			   struct snapdrv_error *err)
{
	struct snapshot snapshot;
	struct usage usage = {0};
	int found = snapshot_look(graph, id, &snapshot, err), ret;

	if (found < 0)
		return found;
	ret = found ? snapshot_usage(graph, &snapshot, &usage, err) : 0;
	*ret_bytes = usage.bytes;
	return ret == -ENOENT ? 0 : ret;
}

static int list_container_space(struct graph *graph, struct snapdrv_df *df,
				struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT name, image_name, created_ns, snapshot FROM live_container"
			 " ORDER BY created_ns DESC, name",
			 "");
	int ret = query ? 0 : -EIO;

	df->containers.bytes = 0;
	while (!ret && (ret = query_next(query, err)) == 1) {
		struct snapdrv_container_space *row =
			add_row(&df->container_rows, &df->n_container_rows, sizeof(*row), err);

		if (!row)
			return -ENOMEM;
		row->name = text_dup(query_text(query, 0), err);
		row->image = text_dup(query_text(query, 1), err);
		row->created_ns = query_int(query, 2);
		if (!row->name || !row->image)
			return -ENOMEM;
		ret = container_bytes(graph, query_int(query, 3), &row->bytes, err);
		if (ret)
			return fail_within(err, ret, "container %s", row->name);
		df->containers.bytes += row->bytes;
	}
	return ret;
}

static int list_layer_space(struct graph *graph, struct snapdrv_df *df, struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		IMAGES_OF_TREES
		"SELECT substr(key, instr(key, ':') + 1), bytes, ifnull(images, 0) FROM tree"
		" LEFT JOIN shared ON shared.tree = tree.id WHERE key IS NOT NULL"
		" ORDER BY bytes DESC, tree.id",
		"");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		struct snapdrv_layer_space *row =
			add_row(&df->layer_rows, &df->n_layer_rows, sizeof(*row), err);

		if (!row)
			return -ENOMEM;
		row->key = text_dup(query_text(query, 0), err);
		row->bytes = (uint64_t)query_int(query, 1);
		row->images = (size_t)query_int(query, 2);
		ret = row->key ? 0 : -ENOMEM;
	}
	return ret;
}

int store_df(struct graph *graph, int each, struct snapdrv_df *ret_df, struct snapdrv_error *err)
{
	__attribute__((cleanup(store_df_done))) struct snapdrv_df df = {0};
	int ret = read_space(graph, images_sql, &df.images, err);

	if (!ret)
		ret = read_space(graph, containers_sql, &df.containers, err);
	if (!ret)
		ret = read_space(graph, layers_sql, &df.layers, err);
	if (!ret)
		ret = read_space(graph, caches_sql, &df.caches, err);
	if (!ret)
		ret = read_space(graph, blobs_sql, &df.blobs, err);
	df.containers.bytes = SNAPDRV_UNKNOWN;
	if (!ret && each)
		ret = list_image_space(graph, &df, err);
	if (!ret && each)
		ret = list_container_space(graph, &df, err);
	if (!ret && each)
		ret = list_layer_space(graph, &df, err);
	if (ret)
		return fail_within(err, ret, "df");
	*ret_df = df;
	df = (struct snapdrv_df){0};
	return 0;
}
