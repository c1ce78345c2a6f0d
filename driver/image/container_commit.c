/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making an image of a container.
 *
 *   pack       what has changed, as a layer of this session (image/addition.h)
 *   plan       the image's config and manifest, with one layer more
 *   bring in   as a load does
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "image/addition.h"
#include "image/changes.h"
#include "image/container.h"
#include "image/images.h"
#include "image/reference.h"
#include "image/times.h"

#define cleanup_plans __attribute__((cleanup(plans_done)))

struct commission {
	struct graph *graph;
	const struct snapdrv_commit_options *options;
	struct snapshot snapshot;
	int64_t image;	  /* that it was made from */
	json_t *manifest; /* of that one, then of the new one; owned */
	json_t *config;	  /* likewise */
	struct addition addition;
};

static void commission_done(struct commission *commission)
{
	json_decref(commission->manifest);
	json_decref(commission->config);
	addition_done(&commission->addition);
}

static int changes_of(void *context, change_fn *report, void *arg, struct snapdrv_error *err)
{
	struct commission *commission = context;

	return snapshot_changes(commission->graph, &commission->snapshot, report, arg, err);
}

static int pack_changes(struct commission *commission, struct snapdrv_error *err)
{
	const struct pack_source source = {.changes = changes_of, .context = commission};

	return addition_pack(commission->graph, &source, &commission->addition, err);
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
	    json_array_append_new(diff_ids,
				  json_string(digest_format(&commission->addition.diff).text)))
		return fail_memory(err);
	return 0;
}

static int change_manifest(struct commission *commission, struct image_plan *image,
			   struct snapdrv_error *err)
{
	json_t *layers = json_object_get(commission->manifest, "layers");
	json_t *descriptor = addition_descriptor(&commission->addition, err);

	if (!descriptor || json_array_append_new(layers, descriptor))
		return descriptor ? refuse(err, "the image's manifest has no layers") : -ENOMEM;
	return addition_manifest(image, layers, err);
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
		ret = addition_bring_in(commission->graph, &commission->addition, &plans,
					commission->options->flags, err);
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
		.graph = graph,
		.options = options ? options : &no_options,
		.addition = ADDITION_NONE};
	cleanup_free char *reference = NULL;
	int ret = reference_normalize(ref, &reference, err);

	if (!ret)
		ret = check_options(commission.options, err);
	return ret ? ret : commit(&commission, name, reference, ret_id, err);
}
