/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose blobs were discarded: written again from their trees. */
#include "image/rewrite.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/pack.h"

int rewrite_layer(struct graph *graph, const struct image_layer *layer, rewrite_put *put,
		  void *context, struct snapdrv_error *err)
{
	struct snapshot snapshot;
	struct digest_text chain = digest_format(&layer->chain);
	int found = snapshot_find(graph, chain.text, &snapshot, err);

	if (found < 0)
		return found;
	if (!found)
		return fail(err, SNAPDRV_FAILED, EUCLEAN, "layer %s: the store has no snapshot %s",
			    digest_format(&layer->diff).text, chain.text);
	return snapshot_pack(graph, &snapshot, put, context, err);
}

struct measure {
	struct hasher *hasher;
	uint64_t size;
};

static int put_measure(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct measure *measure = context;

	(void)err;
	hasher_update(measure->hasher, data, size);
	measure->size += size;
	return 0;
}

/* Docker's manifests name their layers with Docker's types, OCI's with OCI's. */
static const char *plain_type(const struct image_layer *layer)
{
	return text_starts(layer->media_type, "application/vnd.docker.")
		       ? "application/vnd.docker.image.rootfs.diff.tar"
		       : "application/vnd.oci.image.layer.v1.tar";
}

static int set_descriptor(json_t *descriptor, const char *type, const struct digest *digest,
			  uint64_t size, struct snapdrv_error *err)
{
	if ((type && json_object_set_new(descriptor, "mediaType", json_string(type))) ||
	    json_object_set_new(descriptor, "digest", json_string(digest_format(digest).text)) ||
	    json_object_set_new(descriptor, "size", json_integer((json_int_t)size)))
		return fail_memory(err);
	return 0;
}

/* A layer as its new blob. The manifest's descriptor, and the config's DiffID, follow. */
static int measure_layer(struct graph *graph, struct image_detail *detail, size_t i,
			 struct snapdrv_error *err)
{
	struct image_layer *layer = &detail->layers[i];
	json_t *descriptor = json_array_get(json_object_get(detail->manifest, "layers"), i);
	json_t *diff_ids = json_object_get(json_object_get(detail->config, "rootfs"), "diff_ids");
	struct measure measure = {.hasher = hasher_new(err)};
	const char *type = plain_type(layer);
	int ret =
		measure.hasher ? rewrite_layer(graph, layer, put_measure, &measure, err) : -ENOMEM;

	if (ret) {
		hasher_free(measure.hasher);
		return ret;
	}
	layer->blob = hasher_final(measure.hasher);
	layer->blob_size = measure.size;
	hasher_free(measure.hasher);
	ret = set_descriptor(descriptor, type, &layer->blob, layer->blob_size, err);
	layer->media_type = json_string_value(json_object_get(descriptor, "mediaType"));
	if (ret || digest_equal(&layer->blob, &layer->diff))
		return ret;
	layer->diff = layer->blob;
	return json_array_set_new(diff_ids, i, json_string(digest_format(&layer->diff).text))
		       ? fail_memory(err)
		       : 0;
}

static int write_document(const json_t *json, char **text, size_t *size, struct snapdrv_error *err)
{
	char *written = json_text(json, JSON_COMPACT, err);

	if (!written)
		return -ENOMEM;
	free(*text);
	*text = written;
	*size = strlen(written);
	return 0;
}

static int write_documents(struct image_detail *detail, int is_new_config,
			   struct snapdrv_error *err)
{
	int ret = 0;

	if (is_new_config) {
		struct digest digest;

		ret = write_document(detail->config, &detail->config_text, &detail->config_size,
				     err);
		if (ret)
			return ret;
		digest = digest_of(detail->config_text, detail->config_size);
		ret = set_descriptor(json_object_get(detail->manifest, "config"), NULL, &digest,
				     detail->config_size, err);
	}
	return ret ? ret
		   : write_document(detail->manifest, &detail->manifest_text,
				    &detail->manifest_size, err);
}

int rewrite_image(struct graph *graph, struct image_detail *detail, struct snapdrv_error *err)
{
	int is_new_manifest = 0, is_new_config = 0, ret = 0;

	/* The ChainIDs stay those of the store: it is by them that the trees are found. */
	for (size_t i = 0; i < detail->n_layers && !ret; i++) {
		struct digest before = detail->layers[i].diff;

		if (detail->layers[i].has_blob)
			continue;
		ret = measure_layer(graph, detail, i, err);
		is_new_manifest = 1;
		is_new_config |= !digest_equal(&before, &detail->layers[i].diff);
	}
	if (!ret && is_new_manifest)
		ret = write_documents(detail, is_new_config, err);
	return ret ? ret : is_new_manifest;
}
