/* SPDX-License-Identifier: Apache-2.0 */
/* Inspecting images: docker's members where docker has such, and what only a store knows. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/detail.h"
#include "image/images.h"
#include "image/reference.h"

static json_t *names_json(const struct strings *names)
{
	json_t *array = json_array();

	for (size_t i = 0; i < names->count; i++)
		json_array_append_new(array, json_string(names->items[i]));
	return array;
}

/* docker's RepoDigests: each repository once, with the digest. */
static json_t *repo_digests(const struct strings *names, const char *digest)
{
	json_t *array = json_array();
	struct strings seen = {0};

	for (size_t i = 0; i < names->count; i++) {
		cleanup_reference struct reference reference = {0};
		cleanup_free char *text = NULL;

		if (reference_parse(names->items[i], &reference, NULL))
			continue;
		text = text_format(NULL, "%s/%s@%s", reference.registry, reference.repository,
				   digest);
		if (!text || strings_has(&seen, text) || strings_add(&seen, text, NULL))
			continue;
		json_array_append_new(array, json_string(text));
	}
	strings_done(&seen);
	return array;
}

static void copy_members(json_t *to, const json_t *from)
{
	static const char *const members[][2] = {
		{"Created", "created"},
		{"Author", "author"},
		{"DockerVersion", "docker_version"},
		{"Architecture", "architecture"},
		{"Variant", "variant"},
		{"Os", "os"},
		{"OsVersion", "os.version"},
		{"Config", "config"},
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(from, members[i][1]);

		if (value)
			json_object_set(to, members[i][0], value);
	}
}

/* How many images have each tree: from the tree's id, as text, to their number. */
static int count_sharers(struct graph *graph, int64_t image, json_t *counts,
			 struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		LAYERS_OF_IMAGES "SELECT tree, count(DISTINCT image) FROM place WHERE tree IN"
				 " (SELECT tree FROM place WHERE image = ?) GROUP BY tree",
		"i", image);
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		json_int_t number = query_int(query, 1);

		ret = json_object_set_new(counts, query_text(query, 0), json_integer(number))
			      ? fail_memory(err)
			      : 0;
	}
	return ret;
}

static json_t *layer_json(const struct image_layer *layer, json_int_t images)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I}", "DiffID",
		digest_format(&layer->diff).text, "ChainID", digest_format(&layer->chain).text,
		"Digest", digest_format(&layer->blob).text, "MediaType", layer->media_type,
		"BlobKept", layer->has_blob, "BlobSize", (json_int_t)layer->blob_size, "Size",
		(json_int_t)layer->bytes, "Entries", (json_int_t)layer->entries, "Images", images);
}

static int has_tree_above(const struct image_detail *detail, size_t i)
{
	for (size_t j = i + 1; j < detail->n_layers; j++) {
		if (detail->layers[j].tree == detail->layers[i].tree)
			return 1;
	}
	return 0;
}

static int add_layers(struct graph *graph, const struct image *image,
		      const struct image_detail *detail, json_t *json, struct snapdrv_error *err)
{
	cleanup_json json_t *counts = json_object();
	json_t *array = json_array();
	uint64_t shared = 0, unique = 0;
	int ret = json_object_set_new(json, "Layers", array) ? fail_memory(err) : 0;

	if (!ret)
		ret = count_sharers(graph, image->id, counts, err);
	for (size_t i = 0; i < detail->n_layers && !ret; i++) {
		const struct image_layer *layer = &detail->layers[i];
		char tree[24];
		json_int_t images;

		snprintf(tree, sizeof(tree), "%lld", (long long)layer->tree);
		images = json_integer_value(json_object_get(counts, tree));
		ret = json_array_append_new(array, layer_json(layer, images)) ? fail_memory(err)
									      : 0;
		/* A layer may stand in an image twice; its tree is there once. */
		if (has_tree_above(detail, i))
			continue;
		*(images > 1 ? &shared : &unique) += layer->bytes;
	}
	json_object_set_new(json, "SharedSize", json_integer((json_int_t)shared));
	json_object_set_new(json, "UniqueSize", json_integer((json_int_t)unique));
	return ret;
}

static json_t *basics(struct graph *graph, const struct image *image,
		      const struct image_detail *detail, const struct strings *names, int64_t bytes,
		      int64_t containers)
{
	const char *type = json_string_value(json_object_get(detail->manifest, "mediaType"));

	return json_pack("{s:s, s:o, s:o, s:s, s:s*, s:I, s:I, s:{s:s}}", "Id",
			 image->config_digest.text, "RepoTags", names_json(names), "RepoDigests",
			 repo_digests(names, image->digest.text), "Digest", image->digest.text,
			 "MediaType", type, "Size", (json_int_t)bytes, "Containers",
			 (json_int_t)containers, "GraphDriver", "Name", graph->backend.ops->name);
}

int image_inspect(struct graph *graph, const struct image *image, char **ret_json,
		  struct snapdrv_error *err)
{
	cleanup_strings struct strings names = {0};
	cleanup_detail struct image_detail detail = {0};
	cleanup_json json_t *json = NULL;
	json_t *history;
	int64_t bytes = 0, containers = 0;
	int ret = detail_read(graph, image, &detail, err);

	if (!ret)
		ret = image_references(graph, image->id, &names, err);
	if (!ret)
		ret = db_get_int(graph->store.db, &bytes, err,
				 "SELECT bytes FROM image WHERE id = ?", "i", image->id);
	if (ret >= 0)
		ret = db_get_int(graph->store.db, &containers, err,
				 "SELECT count(*) FROM live_container WHERE image = ?", "i",
				 image->id);
	if (ret < 0)
		return ret;
	json = basics(graph, image, &detail, &names, bytes, containers);
	if (!json)
		return fail_memory(err);
	copy_members(json, detail.config);
	json_object_set_new(
		json, "RootFS",
		json_pack("{s:s, s:O}", "Type", "layers", "Layers",
			  json_object_get(json_object_get(detail.config, "rootfs"), "diff_ids")));
	ret = add_layers(graph, image, &detail, json, err);
	if (ret)
		return ret;
	history = json_object_get(detail.config, "history");
	if (json_is_array(history))
		json_object_set(json, "History", history);
	*ret_json = json_text(json, JSON_COMPACT, err);
	return *ret_json ? 0 : -ENOMEM;
}
