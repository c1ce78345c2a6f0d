/* SPDX-License-Identifier: Apache-2.0 */
/* A stage becomes an image: its config, its manifest, its names. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"
#include "image/addition.h"
#include "image/images.h"
#include "image/times.h"

#define cleanup_plans __attribute__((cleanup(plans_done)))

/* Lines before the first layer are as old as that. */
static int date_history(json_t *document, struct snapdrv_error *err)
{
	json_t *history = json_object_get(document, "history");
	const char *last = NULL;

	for (size_t i = json_array_size(history); i--;) {
		json_t *entry = json_array_get(history, i);
		const char *created = json_string_value(json_object_get(entry, "created"));

		if (!created && last && json_object_get(entry, "created_by") &&
		    json_object_set_new(entry, "created", json_string(last)))
			return fail_memory(err);
		last = created ? created : last;
	}
	return 0;
}

static int date_document(const struct stage *stage, json_t *document, struct snapdrv_error *err)
{
	int64_t created_ns = stage->created_ns ? stage->created_ns : times_creation_ns();
	cleanup_free char *created = text_time_format(created_ns, err);

	if (!created)
		return -ENOMEM;
	if (json_object_set_new(document, "created", json_string(created)))
		return fail_memory(err);
	return date_history(document, err);
}

static int add_label(json_t *labels, const char *text, struct snapdrv_error *err)
{
	const char *equals = strchr(text, '=');
	cleanup_free char *key = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);

	if (!key)
		return fail_memory(err);
	if (!*key)
		return fail(err, SNAPDRV_USAGE, EINVAL, "label %s: not KEY=VALUE",
			    quote(text).text);
	return json_object_set_new(labels, key, json_string(equals ? equals + 1 : ""))
		       ? fail(err, SNAPDRV_USAGE, EINVAL, "label %s: not UTF-8", quote(text).text)
		       : 0;
}

static int add_labels(const struct build *build, json_t *document, struct snapdrv_error *err)
{
	json_t *config = json_object_get(document, "config");
	int ret = 0;

	if (build->options->n_labels && !json_is_object(json_object_get(config, "Labels")))
		json_object_set_new(config, "Labels", json_object());
	for (size_t i = 0; i < build->options->n_labels && !ret; i++)
		ret = add_label(json_object_get(config, "Labels"), build->options->labels[i], err);
	return ret;
}

static int plan(struct stage *stage, const struct strings *references, struct plans *plans,
		struct snapdrv_error *err)
{
	cleanup_json json_t *document = json_deep_copy(stage->document);
	cleanup_json json_t *descriptors = json_deep_copy(stage->descriptors);
	struct image_plan *image = plans_add(plans, err);
	char *text;
	int ret = !image ? -ENOMEM : !document || !descriptors ? fail_memory(err) : 0;

	for (size_t i = 0; i < references->count && !ret; i++)
		ret = strings_add(&image->references, references->items[i], err);
	if (!ret)
		ret = add_labels(stage->build, document, err);
	if (!ret)
		ret = date_document(stage, document, err);
	if (ret)
		return ret;
	text = json_text(document, JSON_COMPACT, err);
	if (!text)
		return -ENOMEM;
	ret = plan_config(image, text, strlen(text), err);
	return ret ? ret : addition_manifest(image, descriptors, err);
}

/* The store has the very image, by all its names. Return: 1, 0, or a negative errno value. */
static int is_there(struct graph *graph, const struct image_plan *image, struct snapdrv_error *err)
{
	struct digest_text digest = digest_format(&image->digest);
	int64_t id, one;
	int found = db_get_int(graph->store.db, &id, err, "SELECT id FROM image WHERE digest = ?",
			       "s", digest.text);

	for (size_t i = 0; i < image->references.count && found == 1; i++)
		found = db_get_int(graph->store.db, &one, err,
				   "SELECT 1 FROM reference WHERE name = ? AND image = ?", "si",
				   image->references.items[i], id);
	return found;
}

int export_image(struct stage *stage, const struct strings *references, char **ret_id,
		 struct snapdrv_error *err)
{
	cleanup_plans struct plans plans = {0};
	int ret = plan(stage, references, &plans, err);

	if (!ret)
		ret = is_there(stage->graph, &plans.images[0], err);
	if (!ret) {
		ret = store_session(&stage->graph->store, err);
		ret = ret < 0 ? ret : addition_bring_in(stage->graph, NULL, &plans, 0, err);
	}
	if (ret < 0)
		return ret;
	*ret_id = text_dup(digest_format(&plans.images[0].config_digest).text, err);
	return *ret_id ? 0 : -ENOMEM;
}
