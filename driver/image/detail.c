/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an image's documents and layers from the database. */
#include "image/detail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "store/content.h"

void detail_done(struct image_detail *detail)
{
	free(detail->manifest_text);
	free(detail->config_text);
	free(detail->layers);
	json_decref(detail->manifest);
	json_decref(detail->config);
	*detail = (struct image_detail){0};
}

static int take_document(struct query *query, int column, char **ret_text, size_t *ret_size,
			 json_t **ret_json, struct snapdrv_error *err)
{
	size_t size;
	const void *data = query_bytes(query, column, &size);
	char *text = malloc(size + 1);

	if (!text)
		return fail_memory(err);
	memcpy(text, data, size);
	text[size] = '\0';
	*ret_text = text;
	*ret_size = size;
	return json_parse(text, size, ret_json, err);
}

static int read_documents(struct graph *graph, int64_t id, struct image_detail *detail,
			  struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err, "SELECT manifest, config FROM image WHERE id = ?", "i", id);
	int found = query ? query_next(query, err) : -EIO, ret;

	if (found != 1)
		return found ? found
			     : fail(err, SNAPDRV_MISSING, ENOENT, "image: it has been removed");
	ret = take_document(query, 0, &detail->manifest_text, &detail->manifest_size,
			    &detail->manifest, err);
	if (!ret)
		ret = take_document(query, 1, &detail->config_text, &detail->config_size,
				    &detail->config, err);
	return ret;
}

static int does_not_fit(struct snapdrv_error *err)
{
	return fail(err, SNAPDRV_FAILED, EUCLEAN, "database: an image's layers do not fit it");
}

static int read_layer(struct graph *graph, const struct image_detail *detail, size_t i,
		      struct image_layer *layer, struct snapdrv_error *err)
{
	const json_t *rootfs = json_object_get(detail->config, "rootfs");
	const char *diff =
		json_string_value(json_array_get(json_object_get(rootfs, "diff_ids"), i));
	const json_t *descriptor = json_array_get(json_object_get(detail->manifest, "layers"), i);
	const char *blob = json_string_value(json_object_get(descriptor, "digest"));
	const char *type = json_string_value(json_object_get(descriptor, "mediaType"));
	int found;

	if (!diff || !blob || digest_parse(diff, &layer->diff, NULL) ||
	    digest_parse(blob, &layer->blob, NULL))
		return does_not_fit(err);
	layer->chain = digest_chain(i ? &layer[-1].chain : NULL, &layer->diff);
	layer->blob_size = (uint64_t)json_integer_value(json_object_get(descriptor, "size"));
	layer->media_type = type ? type : "";
	found = content_has(&graph->store, &layer->blob, err);
	layer->has_blob = found == 1;
	return found < 0 ? found : 0;
}

/* The snapshots say how big the layers are; their names are the ChainIDs. */
static int read_trees(struct graph *graph, int64_t top, struct image_detail *detail,
		      struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		"WITH RECURSIVE chain(name, parent, tree, level) AS ("
		" SELECT name, parent, tree, 0 FROM snapshot WHERE id = ?"
		" UNION ALL SELECT s.name, s.parent, s.tree, level + 1 FROM snapshot s, chain"
		" WHERE s.id = chain.parent AND level < ?)"
		"SELECT name, tree.id, bytes, entries FROM chain JOIN tree ON tree.id = chain.tree"
		" ORDER BY level DESC",
		"ii", top, (int64_t)SNAPSHOT_DEPTH_MAX);
	int ret = query ? 0 : -EIO;
	size_t i = 0;

	while (!ret && (ret = query_next(query, err)) == 1) {
		struct image_layer *layer = &detail->layers[i];

		if (i++ == detail->n_layers ||
		    strcmp(digest_format(&layer->chain).text, query_text(query, 0)))
			return does_not_fit(err);
		layer->tree = query_int(query, 1);
		layer->bytes = (uint64_t)query_int(query, 2);
		layer->entries = (uint64_t)query_int(query, 3);
		ret = 0;
	}
	if (ret)
		return ret;
	return i == detail->n_layers ? 0 : does_not_fit(err);
}

static int read_layers(struct graph *graph, const struct image *image, struct image_detail *detail,
		       struct snapdrv_error *err)
{
	int ret = 0;

	detail->n_layers = json_array_size(json_object_get(detail->manifest, "layers"));
	detail->layers = calloc(detail->n_layers + 1, sizeof(*detail->layers));
	if (!detail->layers)
		return fail_memory(err);
	for (size_t i = 0; i < detail->n_layers && !ret; i++)
		ret = read_layer(graph, detail, i, &detail->layers[i], err);
	return ret ? ret : read_trees(graph, image->top, detail, err);
}

int detail_read(struct graph *graph, const struct image *image, struct image_detail *ret_detail,
		struct snapdrv_error *err)
{
	cleanup_detail struct image_detail detail = {0};
	int ret = read_documents(graph, image->id, &detail, err);

	if (!ret)
		ret = read_layers(graph, image, &detail, err);
	if (ret)
		return ret;
	*ret_detail = detail;
	detail = (struct image_detail){0};
	return 0;
}
