/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making an image of a container.
 *
 *   pack       what has changed, as a tar in this session, hashed on the way
 *   plan       the image's config and manifest, with one layer more
 *   bring in   as a load does: the layer is unpacked, all is synced once and committed once
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "image/bring.h"
#include "image/changes.h"
#include "image/container.h"
#include "image/images.h"
#include "image/pack.h"
#include "image/reference.h"
#include "image/times.h"
#include "store/content.h"

#define cleanup_plans __attribute__((cleanup(plans_done)))
#define cleanup_units __attribute__((cleanup(units_done)))

struct commission {
	struct graph *graph;
	const struct snapdrv_commit_options *options;
	struct snapshot snapshot;
	int64_t image;	       /* that it was made from */
	json_t *manifest;      /* of that one, then of the new one; owned */
	json_t *config;	       /* likewise */
	struct store_name tar; /* in the session */
	int tar_fd;
	struct hasher *hasher;
	struct digest diff;
	uint64_t size;
};

static void commission_done(struct commission *commission)
{
	json_decref(commission->manifest);
	json_decref(commission->config);
	hasher_free(commission->hasher);
	if (commission->tar_fd < 0)
		return;
	close(commission->tar_fd);
	/* As a blob it has another name. */
	unlinkat(commission->graph->store.session_fd, commission->tar.text, 0);
}

static int write_tar(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct commission *commission = context;

	hasher_update(commission->hasher, data, size);
	commission->size += size;
	return content_append(commission->tar_fd, data, size, err);
}

static int pack_changes(struct commission *commission, struct snapdrv_error *err)
{
	int ret;

	commission->hasher = hasher_new(err);
	if (!commission->hasher)
		return -ENOMEM;
	ret = store_session(&commission->graph->store, err);
	if (ret < 0)
		return ret;
	commission->tar_fd = content_create(&commission->graph->store, &commission->tar, err);
	if (commission->tar_fd < 0)
		return commission->tar_fd;
	ret = snapshot_pack(commission->graph, &commission->snapshot, write_tar, commission, err);
	if (!ret)
		commission->diff = hasher_final(commission->hasher);
	return ret;
}

static int read_image(struct commission *commission, const char *name, struct snapdrv_error *err)
{
	cleanup_free char *config = NULL, *manifest = NULL;
	size_t config_size, manifest_size;
	int ret = db_get_int(commission->graph->store.db, &commission->image, err,
			     "SELECT image FROM live_container WHERE name = ?", "s", name);

	if (ret < 0)
		return ret;
	if (!ret)
		return fail(err, SNAPDRV_MISSING, ENOENT, "it has been removed");
	ret = image_config(commission->graph, commission->image, &config, &config_size, err);
	if (!ret)
		ret = image_manifest(commission->graph, commission->image, &manifest,
				     &manifest_size, err);
	if (!ret)
		ret = json_parse(config, config_size, &commission->config, err);
	return ret ? ret : json_parse(manifest, manifest_size, &commission->manifest, err);
}

/* ---- config and manifest ------------------------------------------------------------------ */

/* A member of an object that is an array, or object, afterwards. Borrowed. */
static json_t *member(json_t *object, const char *key, json_t *(*make)(void), json_type type)
{
	json_t *found = json_object_get(object, key);

	if (found && json_typeof(found) == type)
		return found;
	json_object_set_new(object, key, make());
	return json_object_get(object, key);
}

static json_t *text_or_none(const char *text, const char *what, struct snapdrv_error *err)
{
	json_t *json = json_string(text);

	if (!json)
		fail(err, SNAPDRV_USAGE, EINVAL, "%s: not UTF-8", what);
	return json;
}

static int set_text(json_t *object, const char *key, const char *text, const char *what,
		    struct snapdrv_error *err)
{
	json_t *json = text ? text_or_none(text, what, err) : NULL;

	if (text && !json)
		return -EINVAL;
	if (json && json_object_set_new(object, key, json))
		return fail_memory(err);
	return 0;
}

/* Without a word of the layers that are there, the one that is added would stand for the first. NULL: no memory. */
static json_t *history_of(struct commission *commission, size_t n_layers)
{
	json_t *history = member(commission->config, "history", json_array, JSON_ARRAY);

	for (size_t i = json_array_size(history) ? n_layers : 0; i < n_layers; i++) {
		if (json_array_append_new(history, json_object()))
			return NULL;
	}
	return history;
}

static int change_config(struct commission *commission, struct snapdrv_error *err)
{
	/* What docker said of the container that made the image. */
	static const char *const stale[] = {"container", "container_config", "id", "parent"};
	const struct snapdrv_commit_options *options = commission->options;
	json_t *config = commission->config;
	json_t *run = member(config, "config", json_object, JSON_OBJECT);
	json_t *rootfs = member(config, "rootfs", json_object, JSON_OBJECT);
	json_t *diff_ids = member(rootfs, "diff_ids", json_array, JSON_ARRAY);
	cleanup_free char *created = text_time_format(times_creation_ns(), err);
	cleanup_json json_t *entry = NULL;
	int ret = 0;

	if (!created)
		return -ENOMEM;
	for (size_t i = 0; i < options->n_changes && !ret; i++)
		ret = config_change(run, options->changes[i], err);
	for (size_t i = 0; i < sizeof(stale) / sizeof(stale[0]); i++)
		json_object_del(config, stale[i]);
	entry = json_pack("{s:s}", "created", created);
	if (!entry || json_object_set_new(config, "created", json_string(created)))
		return fail_memory(err);
	json_object_del(config, "author");
	if (!ret)
		ret = set_text(config, "author", options->author, "author", err);
	if (!ret)
		ret = set_text(entry, "author", options->author, "author", err);
	if (!ret)
		ret = set_text(entry, "comment", options->message, "message", err);
	if (ret)
		return ret;
	if (json_array_append(history_of(commission, json_array_size(diff_ids)), entry) ||
	    json_array_append_new(diff_ids, json_string(digest_format(&commission->diff).text)))
		return fail_memory(err);
	return 0;
}

static int plan_layer(struct layer_plan *layer, json_t *descriptor, struct snapdrv_error *err)
{
	const char *digest, *type;
	int ret = json_need(json_member_string(descriptor, "digest", &digest, err), "digest", err);

	if (ret > 0)
		ret = json_need(json_member_size(descriptor, "size", &layer->size, err), "size",
				err);
	if (ret > 0)
		ret = json_member_string(descriptor, "mediaType", &type, err);
	if (ret < 0)
		return ret;
	if (ret && text_ends(type, "docker.image.rootfs.diff.tar.gzip"))
		json_object_set_new(descriptor, "mediaType",
				    json_string("application/vnd.oci.image.layer.v1.tar+gzip"));
	layer->is_base = layer->has_blob = 1;
	return digest_parse(digest, &layer->blob, err);
}

/* The layers keep their blobs; the manifest is OCI's, whatever the other one was. */
static int change_manifest(struct commission *commission, struct image_plan *image,
			   struct snapdrv_error *err)
{
	json_t *layers = json_object_get(commission->manifest, "layers"), *descriptor;
	struct layer_plan *top = &image->layers[image->n_layers - 1];
	size_t i;
	int ret;

	if (json_array_size(layers) + 1 != image->n_layers)
		return refuse(err, "%zu layers in the image's manifest, %zu in its config",
			      json_array_size(layers), image->n_layers - 1);
	json_array_foreach(layers, i, descriptor) {
		ret = plan_layer(&image->layers[i], descriptor, err);
		if (ret)
			return fail_within(err, ret, "the image's manifest");
	}
	top->has_blob = 1;
	top->blob = commission->diff;
	top->size = commission->size;
	if (json_array_append_new(layers, json_pack("{s:s, s:s, s:I}", "mediaType",
						    "application/vnd.oci.image.layer.v1.tar",
						    "digest", digest_format(&commission->diff).text,
						    "size", (json_int_t)commission->size)))
		return fail_memory(err);
	json_incref(layers);
	json_decref(commission->manifest);
	commission->manifest =
		json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:o}", "schemaVersion", 2, "mediaType",
			  "application/vnd.oci.image.manifest.v1+json", "config", "mediaType",
			  "application/vnd.oci.image.config.v1+json", "digest",
			  digest_format(&image->config_digest).text, "size",
			  (json_int_t)image->config_size, "layers", layers);
	image->manifest =
		commission->manifest ? json_text(commission->manifest, JSON_COMPACT, err) : NULL;
	if (!image->manifest)
		return fail_memory(err);
	image->manifest_size = strlen(image->manifest);
	image->digest = digest_of(image->manifest, image->manifest_size);
	return 0;
}

static int plan_image(struct commission *commission, const char *reference, struct plans *plans,
		      struct snapdrv_error *err)
{
	struct image_plan *image = plans_add(plans, err);
	int ret = image ? strings_add(&image->references, reference, err) : -ENOMEM;
	char *text;

	if (!ret)
		ret = change_config(commission, err);
	if (ret)
		return ret;
	text = json_text(commission->config, JSON_COMPACT, err);
	if (!text)
		return -ENOMEM;
	ret = plan_config(image, text, strlen(text), err);
	return ret ? ret : change_manifest(commission, image, err);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static int bring_in(struct commission *commission, struct plans *plans, struct snapdrv_error *err)
{
	const struct snapdrv_load_options load = {.flags = commission->options->flags};
	cleanup_writeback struct writeback writeback = {0};
	cleanup_units struct units units = {0};
	struct intake intake;
	struct unit *top;
	int ret;

	intake_init(&intake, commission->graph, &load);
	intake_write_back(&intake, &writeback);
	ret = units_make(&intake, plans, &units, err);
	if (ret)
		return ret;
	top = units_find(&units, &plans->images[0].layers[plans->images[0].n_layers - 1].chain);
	top->place = (struct layer_place){
		.fd = commission->tar_fd, .is_whole_file = 1, .size = commission->size};
	return bring_in_images(&units, NULL, err);
}

static int commit(struct commission *commission, const char *name, const char *reference,
		  char **ret_id, struct snapdrv_error *err)
{
	cleanup_plans struct plans plans = {0};
	int ret = container_snapshot(commission->graph, name, &commission->snapshot, err);

	if (ret)
		return ret;
	ret = read_image(commission, name, err);
	if (!ret)
		ret = pack_changes(commission, err);
	if (!ret)
		ret = plan_image(commission, reference, &plans, err);
	if (!ret)
		ret = bring_in(commission, &plans, err);
	if (ret)
		return fail_within(err, ret, "commit %s", name);
	*ret_id = text_dup(digest_format(&plans.images[0].config_digest).text, err);
	return *ret_id ? 0 : -ENOMEM;
}

/* What is wrong with the words of the user is said before anything is read. */
static int check_options(const struct snapdrv_commit_options *options, struct snapdrv_error *err)
{
	cleanup_json json_t *config = json_object();
	int ret = config ? 0 : fail_memory(err);

	for (size_t i = 0; i < options->n_changes && !ret; i++)
		ret = config_change(config, options->changes[i], err);
	return ret;
}

int container_commit(struct graph *graph, const char *name, const char *ref,
		     const struct snapdrv_commit_options *options, char **ret_id,
		     struct snapdrv_error *err)
{
	static const struct snapdrv_commit_options no_options;
	__attribute__((cleanup(commission_done))) struct commission commission = {
		.graph = graph, .options = options ? options : &no_options, .tar_fd = -1};
	cleanup_free char *reference = NULL;
	int ret = reference_normalize(ref, &reference, err);

	if (!ret)
		ret = check_options(commission.options, err);
	return ret ? ret : commit(&commission, name, reference, ret_id, err);
}
