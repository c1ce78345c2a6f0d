/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: image configs, manifests that are made here, and choosing what kind of source it is. */
#include "image/plan.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "image/layout.h"
#include "image/reference.h"
#include "snapshot/graph.h"

struct plan_label plan_label(const struct image_plan *image)
{
	struct plan_label label;
	struct digest_text text = digest_format(&image->config_digest);

	if (image->references.count)
		snprintf(label.text, sizeof(label.text), "%.150s", image->references.items[0]);
	else
		snprintf(label.text, sizeof(label.text), "%s", text.text);
	return label;
}

struct image_plan *plans_add(struct plans *plans, struct snapdrv_error *err)
{
	struct image_plan *images = reallocarray(plans->images, plans->count + 1, sizeof(*images));

	if (!images) {
		fail_memory(err);
		return NULL;
	}
	plans->images = images;
	images[plans->count] = (struct image_plan){0};
	return &images[plans->count++];
}

void plans_done(struct plans *plans)
{
	for (size_t i = 0; i < plans->count; i++) {
		struct image_plan *image = &plans->images[i];

		for (size_t j = 0; j < image->n_layers; j++)
			free(image->layers[j].member);
		free(image->layers);
		free(image->manifest);
		free(image->config);
		free(image->platform);
		free(image->origin);
		strings_done(&image->references);
	}
	free(plans->images);
	*plans = (struct plans){0};
}

int plan_make_layers(struct image_plan *image, size_t count, struct snapdrv_error *err)
{
	if (!count)
		return refuse(err, "an image without layers");
	if (count > SNAPSHOT_DEPTH_MAX)
		return refuse(err, "more than %d layers", SNAPSHOT_DEPTH_MAX);
	image->layers = calloc(count, sizeof(*image->layers));
	if (!image->layers)
		return fail_memory(err);
	image->n_layers = count;
	return 0;
}

static int read_diff_ids(struct image_plan *image, const json_t *config, struct snapdrv_error *err)
{
	json_t *rootfs = NULL, *diff_ids = NULL, *item;
	const struct digest *below = NULL;
	size_t i;
	int ret = json_need(json_member_object(config, "rootfs", &rootfs, err), "rootfs", err);

	if (ret > 0)
		ret = json_need(json_member_array(rootfs, "diff_ids", &diff_ids, err), "diff_ids",
				err);
	if (ret < 0)
		return ret;
	if (image->layers && json_array_size(diff_ids) != image->n_layers)
		return refuse(err, "%zu DiffIDs for %zu layers", json_array_size(diff_ids),
			      image->n_layers);
	ret = image->layers ? 0 : plan_make_layers(image, json_array_size(diff_ids), err);
	if (ret)
		return ret;
	json_array_foreach(diff_ids, i, item) {
		struct layer_plan *layer = &image->layers[i];

		if (!json_is_string(item))
			return refuse(err, "a DiffID is not a string");
		ret = digest_parse(json_string_value(item), &layer->diff, err);
		if (ret)
			return fail_within(err, ret, "DiffID");
		layer->chain = digest_chain(below, &layer->diff);
		below = &layer->chain;
	}
	return 0;
}

static int read_platform(struct image_plan *image, const json_t *config, struct snapdrv_error *err)
{
	const char *os = "linux", *architecture = "unknown", *variant = "", *created = NULL;

	if (json_member_string(config, "os", &os, err) < 0 ||
	    json_member_string(config, "architecture", &architecture, err) < 0 ||
	    json_member_string(config, "variant", &variant, err) < 0 ||
	    json_member_string(config, "created", &created, err) < 0)
		return -EBADMSG;
	if (created && !text_time_parse(created, &image->created_ns))
		return refuse(err, "'created' is not a time: %s", quote(created).text);
	image->platform =
		text_format(err, "%s/%s%s%s", os, architecture, *variant ? "/" : "", variant);
	return image->platform ? 0 : -ENOMEM;
}

int plan_config(struct image_plan *image, char *config, size_t size, struct snapdrv_error *err)
{
	cleanup_json json_t *json = NULL;
	int ret;

	image->config = config;
	image->config_size = size;
	image->config_digest = digest_of(config, size);
	ret = json_parse(config, size, &json, err);
	if (!ret && !json_is_object(json))
		ret = refuse(err, "not an object");
	if (!ret)
		ret = read_platform(image, json, err);
	if (!ret)
		ret = read_diff_ids(image, json, err);
	return ret ? fail_within(err, ret, "config %s", digest_format(&image->config_digest).text)
		   : 0;
}

/* Others go by the media type, and do not look at the blob. */
static json_t *layer_descriptor(const struct layer_plan *layer)
{
	static const char *const types[] = {
		[COMPRESSION_NONE] = "application/vnd.oci.image.layer.v1.tar",
		[COMPRESSION_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
		[COMPRESSION_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd",
	};

	return json_pack("{s:s, s:s, s:I}", "mediaType", types[layer->compression], "digest",
			 digest_format(&layer->blob).text, "size", (json_int_t)layer->size);
}

int plan_set_manifest(struct image_plan *image, json_t *layers, struct snapdrv_error *err)
{
	cleanup_json json_t *manifest =
		json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:O}", "schemaVersion", 2, "mediaType",
			  "application/vnd.oci.image.manifest.v1+json", "config", "mediaType",
			  "application/vnd.oci.image.config.v1+json", "digest",
			  digest_format(&image->config_digest).text, "size",
			  (json_int_t)image->config_size, "layers", layers);

	image->manifest = manifest ? json_text(manifest, JSON_COMPACT, err) : NULL;
	if (!image->manifest)
		return fail_memory(err);
	image->manifest_size = strlen(image->manifest);
	image->digest = digest_of(image->manifest, image->manifest_size);
	return 0;
}

int plan_make_manifest(struct image_plan *image, struct snapdrv_error *err)
{
	cleanup_json json_t *layers = json_array();

	for (size_t i = 0; i < image->n_layers; i++) {
		if (json_array_append_new(layers, layer_descriptor(&image->layers[i])))
			return fail_memory(err);
	}
	return plan_set_manifest(image, layers, err);
}

int plan_check_names(struct image_plan *image, struct snapdrv_error *err)
{
	struct strings *names = &image->references;
	const struct digest_text digest = digest_format(&image->digest);
	size_t kept = 0;

	if (image->names_from == NAMES_OF_REGISTRY)
		return 0;
	for (size_t i = 0; i < names->count && image->names_from == NAMES_OF_USER; i++) {
		int ret = reference_check_pin(names->items[i], &digest, err);

		if (ret)
			return ret;
	}
	for (size_t i = 0; i < names->count; i++) {
		if (reference_check_pin(names->items[i], &digest, NULL))
			free(names->items[i]);
		else
			names->items[kept++] = names->items[i];
	}
	names->count = kept;
	return 0;
}

/* The name that the user wants instead of the source's own. */
static int rename_image(struct plans *plans, const char *ref, struct snapdrv_error *err)
{
	cleanup_free char *full = NULL;
	int ret = reference_normalize(ref, &full, err);

	if (ret)
		return ret;
	if (plans->count != 1)
		return fail(err, SNAPDRV_USAGE, EINVAL, "%s: cannot name %zu images at once",
			    quote(ref).text, plans->count);
	plans->images[0].names_from = NAMES_OF_USER;
	strings_done(&plans->images[0].references);
	return strings_add(&plans->images[0].references, full, err);
}

static int read_source(struct source *source, const struct platform *platform, struct plans *plans,
		       struct snapdrv_error *err)
{
	cleanup_free char *text = NULL;
	size_t size;
	int found = source_document(source, "index.json", &text, &size, err);

	if (found == 1)
		return plan_layout(source, text, size, platform, plans, err);
	if (!found)
		found = source_document(source, "manifest.json", &text, &size, err);
	if (found == 1)
		return plan_docker(source, text, size, plans, err);
	return found ? found : refuse(err, "neither index.json nor manifest.json in it: no image");
}

int plan_source(struct source *source, const struct platform *platform, const char *ref,
		struct plans *ret_plans, struct snapdrv_error *err)
{
	struct plans plans = {0};
	int ret = read_source(source, platform, &plans, err);

	if (!ret && !plans.count)
		ret = refuse(err, "no image in it");
	if (!ret && ref)
		ret = rename_image(&plans, ref, err);
	/* Those whose manifest is yet to be made follow when it is. */
	for (size_t i = 0; i < plans.count && !ret; i++) {
		if (plans.images[i].manifest)
			ret = plan_check_names(&plans.images[i], err);
	}
	if (ret) {
		plans_done(&plans);
		return ret;
	}
	*ret_plans = plans;
	return 0;
}
