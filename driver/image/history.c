/* SPDX-License-Identifier: Apache-2.0 */
/* The history of an image (OCI image spec, config.md, "history"), with the sizes of the layers. */
#include "image/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/detail.h"

struct rows {
	struct snapdrv_history *items; /* the oldest first */
	size_t count;
};

void image_history_free(struct snapdrv_history *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(rows[i].id);
		free(rows[i].created_by);
		free(rows[i].comment);
		free(rows[i].author);
		free(rows[i].diff_id);
	}
	free(rows);
}

static void rows_done(struct rows *rows)
{
	image_history_free(rows->items, rows->count);
}

/* What a member says, "" when it says nothing. The config comes from outside: it may be of any type. */
static int take_text(const json_t *entry, const char *key, char **ret_text,
		     struct snapdrv_error *err)
{
	const char *text = json_string_value(json_object_get(entry, key));

	*ret_text = text_dup(text ? text : "", err);
	return *ret_text ? 0 : -ENOMEM;
}

/* @entry: NULL for a layer that the history does not speak of. @layer: NULL for an entry without one. */
static int add_row(struct rows *rows, const json_t *entry, const struct image_layer *layer,
		   struct snapdrv_error *err)
{
	struct snapdrv_history *row = &rows->items[rows->count++];
	const char *created = json_string_value(json_object_get(entry, "created"));
	int ret;

	if (created)
		text_time_parse(created, &row->created_ns);
	row->empty_layer = !layer;
	row->size = layer ? layer->bytes : 0;
	ret = take_text(entry, "created_by", &row->created_by, err);
	if (!ret)
		ret = take_text(entry, "comment", &row->comment, err);
	if (!ret)
		ret = take_text(entry, "author", &row->author, err);
	if (ret || !layer)
		return ret;
	row->diff_id = text_dup(digest_format(&layer->diff).text, err);
	return row->diff_id ? 0 : -ENOMEM;
}

static int make_rows(const struct image_detail *detail, struct rows *rows,
		     struct snapdrv_error *err)
{
	const json_t *history = json_object_get(detail->config, "history"), *entry;
	size_t i, layer = 0;
	int ret = 0;

	rows->items = calloc(json_array_size(history) + detail->n_layers + 1, sizeof(*rows->items));
	if (!rows->items)
		return fail_memory(err);
	json_array_foreach(history, i, entry) {
		int is_empty = json_is_true(json_object_get(entry, "empty_layer")) ||
			       layer == detail->n_layers;

		ret = add_row(rows, entry, is_empty ? NULL : &detail->layers[layer++], err);
		if (ret)
			return ret;
	}
	/* A history may be left out, or be too short. */
	while (layer < detail->n_layers && !ret)
		ret = add_row(rows, NULL, &detail->layers[layer++], err);
	return ret;
}

static int set_id(struct rows *rows, size_t i, const char *id, struct snapdrv_error *err)
{
	if (rows->items[i].id)
		return 0;
	rows->items[i].id = text_dup(id, err);
	return rows->items[i].id ? 0 : -ENOMEM;
}

/* Whether one history is how another one begins. */
static int is_beginning(const json_t *history, const json_t *of)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(history, i, entry) {
		if (!json_equal(entry, json_array_get(of, i)))
			return 0;
	}
	return 1;
}

/* An image over one of the layers below, whose whole history this one goes on with, has a name here. */
static int name_beginnings(struct graph *graph, const struct image *image,
			   const struct image_detail *detail, struct rows *rows,
			   struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		"WITH RECURSIVE below(id, parent) AS ("
		" SELECT id, parent FROM snapshot WHERE id = ?1"
		" UNION SELECT s.id, s.parent FROM snapshot s, below"
		" WHERE s.id = below.parent)"
		"SELECT config_digest, config FROM below JOIN image ON image.top = below.id"
		" WHERE image.id != ?2 ORDER BY image.id DESC",
		"ii", image->top, image->id);
	const json_t *history = json_object_get(detail->config, "history");
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		cleanup_json json_t *config = NULL;
		const json_t *other;
		size_t size;
		const void *text = query_bytes(query, 1, &size);

		ret = json_parse(text, size, &config, err);
		other = json_object_get(config, "history");
		if (!ret && json_array_size(other) &&
		    json_array_size(other) < json_array_size(history) &&
		    is_beginning(other, history))
			ret = set_id(rows, json_array_size(other) - 1, query_text(query, 0), err);
	}
	return ret;
}

int image_history(struct graph *graph, const char *text, struct snapdrv_history **ret_rows,
		  size_t *ret_count, struct snapdrv_error *err)
{
	__attribute__((cleanup(rows_done))) struct rows rows = {0};
	cleanup_image struct image image = {0};
	cleanup_detail struct image_detail detail = {0};
	int ret = image_find(graph, text, &image, err);

	if (!ret)
		ret = detail_read(graph, &image, &detail, err);
	if (!ret)
		ret = make_rows(&detail, &rows, err);
	if (!ret)
		ret = name_beginnings(graph, &image, &detail, &rows, err);
	if (!ret)
		ret = set_id(&rows, rows.count - 1, image.config_digest.text, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < rows.count / 2; i++) {
		struct snapdrv_history older = rows.items[i];

		rows.items[i] = rows.items[rows.count - 1 - i];
		rows.items[rows.count - 1 - i] = older;
	}
	*ret_rows = rows.items;
	*ret_count = rows.count;
	rows = (struct rows){0};
	return 0;
}
