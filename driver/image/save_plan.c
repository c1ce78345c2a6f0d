/* SPDX-License-Identifier: Apache-2.0 */
/* What an OCI layout or a docker-archive of some images is made of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "image/reference.h"
#include "image/save.h"

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"

void save_plan_done(struct save_plan *plan)
{
	for (size_t i = 0; i < plan->n_images; i++) {
		image_done(&plan->images[i].image);
		detail_done(&plan->images[i].detail);
		strings_done(&plan->images[i].names);
	}
	for (size_t i = 0; i < plan->n_files; i++) {
		free(plan->files[i].name);
		free(plan->files[i].text);
	}
	free(plan->images);
	free(plan->files);
	*plan = (struct save_plan){0};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct save_file *)a)->name, ((const struct save_file *)b)->name);
}

void save_plan_sort(struct save_plan *plan)
{
	if (plan->n_files)
		qsort(plan->files, plan->n_files, sizeof(*plan->files), by_name);
}

/*
 * A file with a new name, @name taken over. Return: 1 and *ret_file, 0 there is one of that name, which
 * is the same since the names are digests, or -ENOMEM.
 */
static int add_file(struct save_plan *plan, char *name, enum save_from from,
		    struct save_file **ret_file, struct snapdrv_error *err)
{
	struct save_file *files;

	if (!name)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_files; i++) {
		if (!strcmp(plan->files[i].name, name)) {
			free(name);
			return 0;
		}
	}
	files = reallocarray(plan->files, plan->n_files + 1, sizeof(*files));
	if (!files) {
		free(name);
		fail_memory(err);
		return -ENOMEM;
	}
	plan->files = files;
	*ret_file = &files[plan->n_files++];
	**ret_file = (struct save_file){.name = name, .from = from};
	return 1;
}

static int add_text(struct save_plan *plan, char *name, const char *text, size_t size,
		    struct snapdrv_error *err)
{
	struct save_file *file;
	int ret = add_file(plan, name, SAVE_TEXT, &file, err);

	if (ret != 1)
		return ret;
	file->text = text_dup(text, err);
	file->size = size;
	return file->text ? 0 : -ENOMEM;
}

static int add_directory(struct save_plan *plan, const char *name, struct snapdrv_error *err)
{
	struct save_file *file;
	int ret = add_file(plan, text_dup(name, err), SAVE_DIRECTORY, &file, err);

	return ret < 0 ? ret : 0;
}

static int add_json(struct save_plan *plan, const char *name, const json_t *json,
		    struct snapdrv_error *err)
{
	cleanup_free char *text = json ? json_text(json, JSON_COMPACT, err) : NULL;

	if (!text)
		return fail_memory(err);
	return add_text(plan, text_dup(name, err), text, strlen(text), err);
}

static char *named(const struct digest *digest, const char *before, const char *after,
		   struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);

	return text_format(err, "%s%s%s", before, digest_hex(&text), after);
}

static int add_layer(struct save_plan *plan, const struct image_layer *layer, char *name,
		     enum save_from from, struct save_file **ret_file, struct snapdrv_error *err)
{
	int ret = add_file(plan, name, from, ret_file, err);

	if (ret != 1)
		return ret;
	(*ret_file)->layer = layer;
	(*ret_file)->digest = (*ret_file)->blob = layer->blob;
	(*ret_file)->size = (*ret_file)->blob_size = layer->blob_size;
	return 1;
}

static int layout_image(struct save_plan *plan, const struct save_image *image,
			struct snapdrv_error *err)
{
	const struct image_detail *detail = &image->detail;
	int ret = add_text(plan, named(&image->digest, "blobs/sha256/", "", err),
			   detail->manifest_text, detail->manifest_size, err);

	if (!ret)
		ret = add_text(plan, named(&image->id, "blobs/sha256/", "", err),
			       detail->config_text, detail->config_size, err);
	for (size_t i = 0; i < detail->n_layers && ret >= 0; i++) {
		const struct image_layer *layer = &detail->layers[i];
		struct save_file *file;

		ret = add_layer(plan, layer, named(&layer->blob, "blobs/sha256/", "", err),
				layer->has_blob ? SAVE_BLOB : SAVE_REWRITTEN, &file, err);
	}
	return ret < 0 ? ret : 0;
}

static int index_image(json_t *manifests, const struct save_image *image, struct snapdrv_error *err)
{
	const char *type = json_string_value(json_object_get(image->detail.manifest, "mediaType"));

	for (size_t i = 0; i < image->names.count || !i; i++) {
		json_t *descriptor =
			json_pack("{s:s, s:s, s:I}", "mediaType", type ? type : OCI_MANIFEST,
				  "digest", digest_format(&image->digest).text, "size",
				  (json_int_t)image->detail.manifest_size);

		/* containerd looks for the first, everybody else for the second. */
		if (image->names.count)
			json_object_set_new(descriptor, "annotations",
					    json_pack("{s:s, s:s}", "io.containerd.image.name",
						      image->names.items[i],
						      "org.opencontainers.image.ref.name",
						      image->names.items[i]));
		if (json_array_append_new(manifests, descriptor))
			return fail_memory(err);
	}
	return 0;
}

int save_plan_layout(struct save_plan *plan, struct snapdrv_error *err)
{
	static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	cleanup_json json_t *index =
		json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
			  "application/vnd.oci.image.index.v1+json", "manifests");
	json_t *manifests = json_object_get(index, "manifests");
	int ret = add_directory(plan, "blobs", err);

	if (!ret)
		ret = add_directory(plan, "blobs/sha256", err);
	if (!ret)
		ret = add_text(plan, text_dup("oci-layout", err), version, strlen(version), err);
	for (size_t i = 0; i < plan->n_images && !ret; i++) {
		ret = layout_image(plan, &plan->images[i], err);
		if (!ret)
			ret = index_image(manifests, &plan->images[i], err);
	}
	return ret ? ret : add_json(plan, "index.json", index, err);
}

/* docker's archives hold tags alone; a name with nothing but a digest has none. */
static json_t *tags_json(const struct strings *names)
{
	json_t *tags = json_array();

	for (size_t i = 0; i < names->count; i++) {
		cleanup_reference struct reference reference = {0};

		if (!reference_parse(names->items[i], &reference, NULL) && reference.tag &&
		    !reference.digest)
			json_array_append_new(tags, json_string(names->items[i]));
	}
	return tags;
}

/* The layers as plain tars, named by their DiffIDs. */
static int docker_layer(struct graph *graph, struct save_plan *plan,
			const struct image_layer *layer, json_t *layers, struct snapdrv_error *err)
{
	cleanup_free char *name = named(&layer->diff, "", ".tar", err);
	enum save_from from = !layer->has_blob				 ? SAVE_REWRITTEN
			      : digest_equal(&layer->blob, &layer->diff) ? SAVE_BLOB
									 : SAVE_INFLATED;
	struct save_file *file;
	int ret;

	if (!name || json_array_append_new(layers, json_string(name)))
		return fail_memory(err);
	ret = add_layer(plan, layer, steal_ptr(&name), from, &file, err);
	if (ret != 1 || from != SAVE_INFLATED)
		return ret < 0 ? ret : 0;
	file->digest = layer->diff;
	return save_measure(graph, file, err);
}

/* Images of one config are one there, with the names of all. */
static json_t *docker_entry(json_t *documents, const struct save_image *image, const char *config)
{
	json_t *entry;
	size_t i;

	json_array_foreach(documents, i, entry) {
		if (!strcmp(json_string_value(json_object_get(entry, "Config")), config)) {
			json_t *tags = tags_json(&image->names);

			json_array_extend(json_object_get(entry, "RepoTags"), tags);
			json_decref(tags);
			return NULL;
		}
	}
	entry = json_pack("{s:s, s:o, s:[]}", "Config", config, "RepoTags",
			  tags_json(&image->names), "Layers");
	json_array_append_new(documents, entry);
	return entry;
}

static int docker_image(struct graph *graph, struct save_plan *plan, json_t *documents,
			const struct save_image *image, struct snapdrv_error *err)
{
	const struct image_detail *detail = &image->detail;
	cleanup_free char *config = named(&image->id, "", ".json", err);
	json_t *entry;
	int ret;

	if (!config)
		return -ENOMEM;
	entry = docker_entry(documents, image, config);
	if (!entry)
		return 0;
	ret = add_text(plan, steal_ptr(&config), detail->config_text, detail->config_size, err);
	for (size_t i = 0; i < detail->n_layers && !ret; i++)
		ret = docker_layer(graph, plan, &detail->layers[i],
				   json_object_get(entry, "Layers"), err);
	return ret;
}

int save_plan_docker(struct graph *graph, struct save_plan *plan, struct snapdrv_error *err)
{
	cleanup_json json_t *documents = json_array();
	int ret = 0;

	for (size_t i = 0; i < plan->n_images && !ret; i++)
		ret = docker_image(graph, plan, documents, &plan->images[i], err);
	return ret ? ret : add_json(plan, "manifest.json", documents, err);
}
