/* SPDX-License-Identifier: Apache-2.0 */
/* OCI layouts (image spec: image-layout.md, image-index.md, manifest.md), Docker schema 2 likewise. */
#include "image/layout.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "image/fetch.h"
#include "image/reference.h"

#define INDEX_DEPTH_MAX 8

static const char *const layer_types[] = {
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.oci.image.layer.nondistributable.v1.tar",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	NULL,
};

struct descriptor {
	struct digest digest;
	uint64_t size;
	const char *media_type; /* borrowed from the JSON, or NULL */
};

struct layout {
	struct source *source;
	const struct platform *platform;
	struct plans *plans;
	enum name_origin names_from;
};

static int read_descriptor(const json_t *json, struct descriptor *ret_descriptor,
			   struct snapdrv_error *err)
{
	struct descriptor descriptor = {.media_type = NULL};
	const char *digest = NULL;
	int ret = json_need(json_member_string(json, "digest", &digest, err), "digest", err);

	if (ret > 0)
		ret = json_need(json_member_size(json, "size", &descriptor.size, err), "size", err);
	if (ret > 0)
		ret = json_member_string(json, "mediaType", &descriptor.media_type, err);
	if (ret >= 0)
		ret = digest_parse(digest, &descriptor.digest, err);
	if (ret < 0)
		return ret;
	*ret_descriptor = descriptor;
	return 0;
}

static char *blob_member(const struct digest *digest, struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);

	return text_format(err, "blobs/sha256/%s", digest_hex(&text));
}

/* 1 found, 0 there is none. A registry has manifests and other blobs in two places. */
static int find_blob(struct layout *layout, const struct digest *digest, int is_manifest,
		     char **ret_data, size_t *ret_size, struct snapdrv_error *err)
{
	struct fetcher *fetcher = source_fetcher(layout->source);
	cleanup_free char *member = NULL;
	int ret;

	if (fetcher) {
		ret = fetcher_document(fetcher, digest, is_manifest, ret_data, ret_size, err);
		return ret ? ret : 1;
	}
	member = blob_member(digest, err);
	return member ? source_document(layout->source, member, ret_data, ret_size, err) : -ENOMEM;
}

/* A document of the layout by its descriptor, verified. */
static int read_blob(struct layout *layout, const struct descriptor *descriptor, int is_manifest,
		     char **ret_data, size_t *ret_size, struct snapdrv_error *err)
{
	cleanup_free char *data = NULL;
	struct digest_text text = digest_format(&descriptor->digest);
	struct digest actual;
	size_t size;
	int found = find_blob(layout, &descriptor->digest, is_manifest, &data, &size, err);

	if (found < 0)
		return fail_within(err, found, "blob %s", text.text);
	if (!found)
		return refuse(err, "blob %s is missing", text.text);
	if (size != descriptor->size)
		return refuse(err, "blob %s: %zu bytes where its descriptor says %llu", text.text,
			      size, (unsigned long long)descriptor->size);
	actual = digest_of(data, size);
	if (!digest_equal(&actual, &descriptor->digest))
		return refuse(err, "blob %s: its content is %s", text.text,
			      digest_format(&actual).text);
	*ret_data = steal_ptr(&data);
	*ret_size = size;
	return 0;
}

static int plan_layer(struct layer_plan *layer, const json_t *json, struct snapdrv_error *err)
{
	struct descriptor descriptor = {.size = 0};
	int ret = read_descriptor(json, &descriptor, err), known = !descriptor.media_type;

	if (ret)
		return ret;
	for (size_t i = 0; layer_types[i] && !known; i++)
		known = !strcmp(layer_types[i], descriptor.media_type);
	if (!known)
		return refuse(err, "layer %s: media type %s is no layer of a file system",
			      digest_format(&descriptor.digest).text,
			      quote(descriptor.media_type).text);
	layer->has_blob = 1;
	layer->blob = descriptor.digest;
	layer->size = descriptor.size;
	layer->member = blob_member(&descriptor.digest, err);
	return layer->member ? 0 : -ENOMEM;
}

static int plan_layers(struct image_plan *image, const json_t *manifest, struct snapdrv_error *err)
{
	json_t *layers, *item;
	size_t i;
	int ret = json_need(json_member_array(manifest, "layers", &layers, err), "layers", err);

	if (ret < 0)
		return ret;
	ret = plan_make_layers(image, json_array_size(layers), err);
	if (ret)
		return ret;
	json_array_foreach(layers, i, item) {
		ret = plan_layer(&image->layers[i], item, err);
		if (ret)
			return ret;
	}
	return 0;
}

/* @data: the manifest, taken over. */
static int plan_manifest(struct layout *layout, const struct descriptor *descriptor, char *data,
			 size_t size, const json_t *manifest, const char *reference,
			 struct snapdrv_error *err)
{
	struct image_plan *image = plans_add(layout->plans, err);
	struct descriptor config_descriptor;
	json_t *config_json;
	char *config;
	size_t config_size;
	int ret;

	if (!image) {
		free(data);
		return -ENOMEM;
	}
	image->manifest = data;
	image->manifest_size = size;
	image->digest = descriptor->digest;
	image->names_from = layout->names_from;
	if (reference) {
		ret = strings_add(&image->references, reference, err);
		if (ret)
			return ret;
	}
	ret = json_need(json_member_object(manifest, "config", &config_json, err), "config", err);
	ret = ret < 0 ? ret : read_descriptor(config_json, &config_descriptor, err);
	if (!ret)
		ret = plan_layers(image, manifest, err);
	if (!ret)
		ret = read_blob(layout, &config_descriptor, 0, &config, &config_size, err);
	if (!ret)
		ret = plan_config(image, config, config_size, err);
	return ret ? fail_within(err, ret, "manifest %s", digest_format(&descriptor->digest).text)
		   : 0;
}

static int plan_descriptor(struct layout *layout, const json_t *json, const char *reference,
			   int depth, struct snapdrv_error *err);

/* The descriptor of an index that suits the platform best. 1 found, 0 none does. */
static int choose(const struct layout *layout, const json_t *manifests, const json_t **ret_json)
{
	const json_t *item;
	size_t i;
	int best = 0;

	json_array_foreach(manifests, i, item) {
		json_t *platform = json_object_get(item, "platform");
		int fit = platform_fit(layout->platform, platform);

		/* Where nothing says for what it is, the first one has to do. */
		if (!platform && !best)
			fit = 1;
		if (fit > best) {
			best = fit;
			*ret_json = item;
		}
	}
	return best > 0;
}

static int plan_index(struct layout *layout, const json_t *index, const char *reference, int depth,
		      struct snapdrv_error *err)
{
	cleanup_free char *wanted = platform_format(layout->platform, err);
	json_t *manifests;
	const json_t *chosen = NULL;
	int ret =
		json_need(json_member_array(index, "manifests", &manifests, err), "manifests", err);

	if (ret < 0 || !wanted)
		return ret < 0 ? ret : -ENOMEM;
	if (depth == INDEX_DEPTH_MAX)
		return refuse(err, "indexes of indexes, more than %d deep", INDEX_DEPTH_MAX);
	if (!choose(layout, manifests, &chosen))
		return fail(err, SNAPDRV_MISSING, ENOENT, "no image for platform %s", wanted);
	return plan_descriptor(layout, chosen, reference, depth + 1, err);
}

static int plan_document(struct layout *layout, const struct descriptor *descriptor, char *data,
			 size_t size, const char *reference, int depth, struct snapdrv_error *err)
{
	cleanup_json json_t *json = NULL;
	int ret = json_parse(data, size, &json, err), is_index, is_manifest;

	if (!ret && !json_is_object(json))
		ret = refuse(err, "not an object");
	if (ret) {
		free(data);
		return fail_within(err, ret, "blob %s", digest_format(&descriptor->digest).text);
	}
	is_index = !!json_object_get(json, "manifests");
	is_manifest = json_object_get(json, "layers") || json_object_get(json, "config");
	/* CVE-2021-41190: two programs must not read two images from one digest. */
	if (is_index && !is_manifest) {
		ret = plan_index(layout, json, reference, depth, err);
		free(data);
		return ret;
	}
	if (is_manifest && !is_index)
		return plan_manifest(layout, descriptor, data, size, json, reference, err);
	free(data);
	return refuse(err, "blob %s: %s a manifest and an index",
		      digest_format(&descriptor->digest).text, is_index ? "both" : "neither");
}

static int plan_descriptor(struct layout *layout, const json_t *json, const char *reference,
			   int depth, struct snapdrv_error *err)
{
	struct descriptor descriptor;
	char *data = NULL;
	size_t size = 0;
	int ret = read_descriptor(json, &descriptor, err);

	if (!ret)
		ret = read_blob(layout, &descriptor, 1, &data, &size, err);
	return ret ? ret : plan_document(layout, &descriptor, data, size, reference, depth, err);
}

/* A name part out of a file's name: lower case, and what a repository may not hold becomes `-`. */
static void make_repository(char *name)
{
	for (char *at = name; *at; at++) {
		*at = (char)tolower((unsigned char)*at);
		if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
			*at = '-';
	}
}

/*
 * The full name that a descriptor's annotations give, or NULL for none. containerd writes the whole
 * name; the image spec's ref.name is a tag for umoci and skopeo, and a whole name for others.
 */
static int name_of(struct layout *layout, const json_t *json, char **ret_name,
		   struct snapdrv_error *err)
{
	cleanup_free char *joined = NULL, *base = NULL;
	const char *name = NULL;
	json_t *annotations = NULL;
	int ret = json_member_object(json, "annotations", &annotations, err);

	*ret_name = NULL;
	if (ret > 0)
		ret = json_member_string(annotations, "io.containerd.image.name", &name, err);
	if (ret == 0 && annotations)
		ret = json_member_string(annotations, "org.opencontainers.image.ref.name", &name,
					 err);
	if (ret < 0 || !name || !*name)
		return ret < 0 ? ret : 0;
	if (!strpbrk(name, "/:@")) {
		if (!source_name(layout->source))
			return 0;
		base = text_dup(source_name(layout->source), err);
		if (!base)
			return -ENOMEM;
		make_repository(base);
		joined = text_format(err, "%s:%s", base, name);
		if (!joined)
			return -ENOMEM;
		/* A directory may be called what no repository can be: then the image has no name. */
		reference_normalize(joined, ret_name, NULL);
		return 0;
	}
	ret = reference_normalize(name, ret_name, err);
	return ret ? refuse(err, "name of an image: %s is none", quote(name).text) : 0;
}

static int is_group(const json_t *group, const char *name)
{
	const char *other = json_string_value(json_object_get(group, "name"));

	if (!name || !other)
		return !name && !other && json_object_get(group, "any");
	return !strcmp(name, other);
}

/* Put a descriptor to those of the same name: groups is [{"name": ..., "manifests": [...]}]. */
static int add_to_group(json_t *groups, const char *name, json_t *descriptor,
			struct snapdrv_error *err)
{
	json_t *group, *found = NULL;
	int is_alone = !name && !json_object_get(descriptor, "platform");
	size_t i;

	json_array_foreach(groups, i, group) {
		if (!is_alone && is_group(group, name))
			found = group;
	}
	if (!found) {
		found = json_pack("{s:s?, s:[]}", "name", name, "manifests");
		if (!name && !is_alone)
			json_object_set_new(found, "any", json_true());
		if (json_array_append_new(groups, found))
			return fail_memory(err);
	}
	return json_array_append(json_object_get(found, "manifests"), descriptor) ? fail_memory(err)
										  : 0;
}

static int plan_group(struct layout *layout, const json_t *group, struct snapdrv_error *err)
{
	const char *name = json_string_value(json_object_get(group, "name"));
	const json_t *manifests = json_object_get(group, "manifests");

	int ret;

	/* One that is alone is meant, whatever it is for. */
	if (json_array_size(manifests) == 1)
		ret = plan_descriptor(layout, json_array_get(manifests, 0), name, 0, err);
	else
		ret = plan_index(layout, group, name, 0, err);
	return ret && name ? fail_within(err, ret, "image %s", name) : ret;
}

/* There is one version of the layout; a source without the file is taken for it. */
static int check_version(struct source *source, struct snapdrv_error *err)
{
	cleanup_free char *text = NULL;
	cleanup_json json_t *json = NULL;
	const char *version = "";
	size_t size;
	int ret = source_document(source, "oci-layout", &text, &size, err);

	if (ret <= 0)
		return ret;
	ret = json_parse(text, size, &json, err);
	if (!ret)
		ret = json_member_string(json, "imageLayoutVersion", &version, err);
	if (ret >= 0 && !text_starts(version, "1."))
		ret = refuse(err, "imageLayoutVersion %s is not known", quote(version).text);
	return ret < 0 ? fail_within(err, ret, "oci-layout") : 0;
}

int plan_layout(struct source *source, const char *text, size_t size,
		const struct platform *platform, struct plans *plans, struct snapdrv_error *err)
{
	struct layout layout = {source, platform, plans, NAMES_OF_SOURCE};
	cleanup_json json_t *index = NULL, *groups = json_array();
	json_t *manifests, *item;
	size_t i;
	int ret = check_version(source, err);

	if (ret)
		return ret;
	ret = json_parse(text, size, &index, err);
	if (ret)
		return fail_within(err, ret, "index.json");
	ret = json_need(json_member_array(index, "manifests", &manifests, err), "manifests", err);
	if (ret < 0)
		return fail_within(err, ret, "index.json");
	if (json_array_size(manifests) > IMAGES_MAX)
		return refuse(err, "index.json: more than %d manifests", IMAGES_MAX);
	json_array_foreach(manifests, i, item) {
		cleanup_free char *name = NULL;

		ret = name_of(&layout, item, &name, err);
		if (!ret)
			ret = add_to_group(groups, name, item, err);
		if (ret)
			return ret;
	}
	json_array_foreach(groups, i, item) {
		ret = plan_group(&layout, item, err);
		if (ret)
			return ret;
	}
	return 0;
}

int plan_fetched(struct source *source, char *data, size_t size, const struct digest *digest,
		 const char *reference, const struct platform *platform, struct plans *plans,
		 struct snapdrv_error *err)
{
	struct layout layout = {source, platform, plans, NAMES_OF_REGISTRY};
	const struct descriptor descriptor = {.digest = *digest, .size = size};

	return plan_document(&layout, &descriptor, data, size, reference, 0, err);
}
