/* SPDX-License-Identifier: Apache-2.0 */
/* docker-archives: manifest.json names configs and layers by their members; there are no manifests. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "image/plan.h"
#include "image/reference.h"

static int add_tags(struct image_plan *image, const json_t *json, struct snapdrv_error *err)
{
	json_t *tags = NULL, *item;
	size_t i;
	int ret = json_member_array(json, "RepoTags", &tags, err);

	if (ret < 0)
		return ret;
	json_array_foreach(tags, i, item) {
		cleanup_free char *full = NULL;

		if (!json_is_string(item))
			return refuse(err, "a tag is not a string");
		if (reference_normalize(json_string_value(item), &full, NULL))
			return refuse(err, "name of an image: %s is none",
				      quote(json_string_value(item)).text);
		ret = strings_add(&image->references, full, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int add_layers(struct image_plan *image, const json_t *json, struct snapdrv_error *err)
{
	json_t *layers, *item;
	size_t i;
	int ret = json_need(json_member_array(json, "Layers", &layers, err), "Layers", err);

	if (ret < 0)
		return ret;
	ret = plan_make_layers(image, json_array_size(layers), err);
	if (ret)
		return ret;
	json_array_foreach(layers, i, item) {
		if (!json_is_string(item))
			return refuse(err, "a layer is not a string");
		image->layers[i].member = text_dup(json_string_value(item), err);
		if (!image->layers[i].member)
			return -ENOMEM;
	}
	return 0;
}

/* "HEX.json" or "blobs/sha256/HEX": where the name is a digest, the content has to be its. */
static int check_config_name(const struct image_plan *image, const char *name,
			     struct snapdrv_error *err)
{
	const char *slash = strrchr(name, '/'), *hex = slash ? slash + 1 : name;
	struct digest_text actual = digest_format(&image->config_digest);
	cleanup_free char *text = text_format(err, "sha256:%.64s", hex);
	struct digest named;

	if (!text)
		return -ENOMEM;
	if (digest_parse(text, &named, NULL) || (hex[64] && strcmp(hex + 64, ".json")))
		return 0;
	if (!digest_equal(&named, &image->config_digest))
		return refuse(err, "config %s: its content is %s", quote(name).text, actual.text);
	return 0;
}

static int plan_one(struct source *source, struct plans *plans, const json_t *json,
		    struct snapdrv_error *err)
{
	struct image_plan *image = plans_add(plans, err);
	const char *config_name;
	char *config;
	size_t size;
	int ret;

	if (!image)
		return -ENOMEM;
	image->names_from = NAMES_OF_SOURCE;
	ret = json_need(json_member_string(json, "Config", &config_name, err), "Config", err);
	ret = ret < 0 ? ret : add_tags(image, json, err);
	if (!ret)
		ret = add_layers(image, json, err);
	if (ret)
		return ret;
	ret = source_document(source, config_name, &config, &size, err);
	if (ret <= 0)
		return ret ? ret : refuse(err, "config %s is missing", quote(config_name).text);
	ret = plan_config(image, config, size, err);
	return ret ? ret : check_config_name(image, config_name, err);
}

int plan_docker(struct source *source, const char *text, size_t size, struct plans *plans,
		struct snapdrv_error *err)
{
	cleanup_json json_t *json = NULL;
	json_t *item;
	size_t i;
	int ret = json_parse(text, size, &json, err);

	if (!ret && !json_is_array(json))
		ret = refuse(err, "not an array");
	if (!ret && json_array_size(json) > IMAGES_MAX)
		ret = refuse(err, "more than %d images", IMAGES_MAX);
	if (ret)
		return fail_within(err, ret, "manifest.json");
	json_array_foreach(json, i, item) {
		ret = plan_one(source, plans, item, err);
		if (ret && plans->count && plans->images[plans->count - 1].references.count)
			fail_within(err, ret, "image %s",
				    plans->images[plans->count - 1].references.items[0]);
		if (ret)
			return fail_within(err, ret, "manifest.json");
	}
	return 0;
}
