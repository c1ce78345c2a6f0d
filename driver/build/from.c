/* SPDX-License-Identifier: Apache-2.0 */
/* FROM and --from: what a stage, or a COPY, begins with. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"
#include "image/images.h"
#include "image/load.h"
#include "image/pull.h"

struct stage *from_stage(const struct stage *stage, const char *name)
{
	struct build *build = stage->build;
	int found = recipe_stage_find(&build->recipe, name, stage->index);

	return found < 0 ? NULL : &build->stages[found];
}

int from_wait(struct stage *stage, const struct stage *other, struct snapdrv_error *err)
{
	struct build *build = stage->build;
	int ret = 0;

	pthread_mutex_lock(&build->lock);
	while (stage->may_work && other->state != STAGE_DONE && !build->ret)
		pthread_cond_wait(&build->changed, &build->lock);
	if (build->ret)
		ret = fail(err, SNAPDRV_FAILED, ECANCELED, "another stage failed");
	else if (other->state != STAGE_DONE)
		ret = TAKES_WORK;
	pthread_mutex_unlock(&build->lock);
	return ret;
}

/* ---- images ------------------------------------------------------------------------------- */

static int pull(struct stage *stage, const char *name, const char *platform,
		struct snapdrv_error *err)
{
	const struct snapdrv_load_options load = {.platform = platform};
	struct snapdrv_loaded *loaded = NULL;
	int ret = image_pull(stage->graph, name, stage->build->options->registry, &load, &loaded,
			     err);

	if (!ret)
		image_loaded_free(loaded, 1);
	return ret;
}

/* Whether an image is for the platform that was asked for; one that does not say is for all. */
static int fits(const json_t *document, const struct platform *wanted)
{
	const char *os = json_string_value(json_object_get(document, "os"));
	const char *architecture = json_string_value(json_object_get(document, "architecture"));

	return (!os || !*os || !strcmp(os, wanted->os)) &&
	       (!architecture || !*architecture || !strcmp(architecture, wanted->architecture));
}

static int read_document(struct graph *graph, const struct image *image, json_t **ret_config,
			 json_t **ret_manifest, struct snapdrv_error *err)
{
	cleanup_free char *config = NULL, *manifest = NULL;
	size_t config_size, manifest_size;
	int ret = image_config(graph, image->id, &config, &config_size, err);

	if (!ret)
		ret = image_manifest(graph, image->id, &manifest, &manifest_size, err);
	if (!ret)
		ret = json_parse(config, config_size, ret_config, err);
	return ret ? ret : json_parse(manifest, manifest_size, ret_manifest, err);
}

/*
 * An image of the store, pulled when it is not there.
 * @platform: that it has to be for, or NULL. @ret_config, @ret_manifest: owned, or NULL for no need.
 * Return: 0, TAKES_WORK, or a negative errno value.
 */
static int find_image(struct stage *stage, const char *name, const char *platform,
		      struct image *ret_image, json_t **ret_config, json_t **ret_manifest,
		      struct snapdrv_error *err)
{
	cleanup_json json_t *config = NULL, *manifest = NULL;
	struct platform wanted = stage->build->platform;
	struct snapdrv_error why;
	int ret = platform ? platform_parse(platform, &wanted, err) : 0, is_here;

	if (ret)
		return ret;
	ret = image_find(stage->graph, name, ret_image, &why);
	if (!ret)
		ret = read_document(stage->graph, ret_image, &config, &manifest, &why);
	is_here = !ret && (!platform || fits(config, &wanted));
	if (ret && why.code != SNAPDRV_MISSING)
		return fail_as(err, &why);
	if (!is_here && !stage->may_work)
		return TAKES_WORK;
	if (!is_here && stage->build->options->flags & SNAPDRV_BUILD_NEVER_PULL)
		return ret ? fail_as(err, &why)
			   : fail(err, SNAPDRV_MISSING, ENOENT, "image %s: it is not for %s",
				  quote(name).text, platform);
	if (!is_here) {
		image_done(ret_image);
		*ret_image = (struct image){0};
		ret = pull(stage, name, platform, err);
		if (!ret)
			ret = image_find(stage->graph, name, ret_image, err);
		json_decref(steal_ptr(&config));
		json_decref(steal_ptr(&manifest));
		if (!ret)
			ret = read_document(stage->graph, ret_image, &config, &manifest, err);
	}
	if (ret)
		return ret;
	if (ret_config) {
		*ret_config = steal_ptr(&config);
		*ret_manifest = steal_ptr(&manifest);
	}
	return 0;
}

/* ---- FROM --------------------------------------------------------------------------------- */

/* As docker has it, its ARGs stay in scope, and its triggers are for those that use the image of it. */
static int take_stage(struct stage *stage, const struct stage *other, struct snapdrv_error *err)
{
	json_t *document = json_deep_copy(other->document);
	json_t *descriptors = json_deep_copy(other->descriptors);
	int ret;

	if (!document || !descriptors) {
		json_decref(document);
		json_decref(descriptors);
		return fail_memory(err);
	}
	json_object_del(json_object_get(document, "config"), "OnBuild");
	ret = config_take(stage, document, descriptors, err);
	if (!ret)
		ret = scope_hold(stage, other->held, err);
	return ret ? ret : variables_copy(&stage->args, &other->args, err);
}

static int take_image(struct stage *stage, const char *name, const char *platform,
		      struct snapdrv_error *err)
{
	cleanup_json json_t *config = NULL, *manifest = NULL;
	cleanup_image struct image image = {0};
	int ret = find_image(stage, name, platform, &image, &config, &manifest, err);
	json_t *layers;

	if (ret)
		return ret;
	layers = json_object_get(manifest, "layers");
	if (!json_is_array(layers))
		return refuse(err, "image %s: its manifest has no layers", quote(name).text);
	ret = scope_hold(stage, json_dumpb(config, NULL, 0, JSON_COMPACT), err);
	return ret ? ret : config_take(stage, steal_ptr(&config), json_incref(layers), err);
}

/* What the base image wants done at the start. */
static int take_triggers(struct stage *stage, struct snapdrv_error *err)
{
	json_t *texts = json_object_get(config_of(stage), "OnBuild"), *text;
	size_t i;

	if (!json_array_size(texts))
		return 0;
	stage->triggers = calloc(json_array_size(texts), sizeof(*stage->triggers));
	if (!stage->triggers)
		return fail_memory(err);
	json_array_foreach(texts, i, text) {
		const char *line = json_string_value(text) ? json_string_value(text) : "";
		int ret = recipe_parse_trigger(line, &stage->triggers[i], err);

		if (ret)
			return fail_within(err, ret, "ONBUILD %s of the base image",
					   quote(line).text);
		stage->n_triggers++;
	}
	json_object_del(config_of(stage), "OnBuild");
	return 0;
}

static unsigned count_steps(const struct recipe_step *steps, size_t count)
{
	unsigned found = 0;

	for (size_t i = 0; i < count; i++)
		found += steps[i].op == RECIPE_RUN || steps[i].op == RECIPE_COPY ||
			 steps[i].op == RECIPE_ADD || steps[i].op == RECIPE_WORKDIR;
	return found;
}

/* Stages are named, not numbered, here: an image may be called by a number. */
static struct stage *base_stage(const struct stage *stage, const char *base)
{
	return base[strspn(base, "0123456789")] ? from_stage(stage, base) : NULL;
}

static int take_base(struct stage *stage, const char *base, const char *platform,
		     struct snapdrv_error *err)
{
	struct stage *other = base_stage(stage, base);
	int ret;

	if (!*base)
		return refuse(err, "the base is empty: %s", quote(stage->recipe->base).text);
	if (!strcmp(base, "scratch"))
		return config_begin(stage, err);
	if (!other)
		return take_image(stage, base, platform, err);
	ret = from_wait(stage, other, err);
	return ret ? ret : take_stage(stage, other, err);
}

int from_begin(struct stage *stage, struct snapdrv_error *err)
{
	struct build *build = stage->build;
	const struct recipe_stage *recipe = stage->recipe;
	cleanup_free char *base = NULL, *platform = NULL;
	struct report report = {0};
	int ret = scope_expand_global(build, recipe->base, &base, err), is_worked;

	if (!ret && recipe->platform)
		ret = scope_expand_global(build, recipe->platform, &platform, err);
	else if (!ret && build->options->platform)
		platform = text_dup(build->options->platform, err);
	if (ret)
		return ret;
	stage->n_steps = 1 + count_steps(recipe->steps, recipe->n_steps);
	/* Another stage is waited for quietly. */
	is_worked = stage->may_work && !base_stage(stage, base);
	if (is_worked)
		report = report_begin(stage, recipe->line, recipe->text);
	ret = take_base(stage, base, platform && *platform ? platform : NULL, err);
	if (!ret)
		ret = take_triggers(stage, err);
	if (!ret)
		stage->n_steps += count_steps(stage->triggers, stage->n_triggers);
	if (!ret && build->has_epoch)
		stage->created_ns = build->epoch_ns;
	if (is_worked)
		report_end(&report, ret);
	else if (!ret)
		report_cached(stage, recipe->line, recipe->text);
	return ret;
}

/* ---- --from ------------------------------------------------------------------------------- */

int from_top(struct stage *stage, const char *name, struct snapshot *ret_snapshot,
	     struct digest_text *ret_chain, struct snapdrv_error *err)
{
	struct stage *other = from_stage(stage, name);
	cleanup_image struct image image = {0};
	cleanup_query struct query *query = NULL;
	int ret;

	if (other && !other->is_needed)
		return refuse(err, "stage %s is not built", quote(name).text);
	if (other) {
		ret = from_wait(stage, other, err);
		*ret_snapshot = (struct snapshot){0};
		*ret_chain = (struct digest_text){""};
		if (ret || !other->has_layers)
			return ret;
		*ret_chain = digest_format(&other->chain);
		ret = snapshot_find(stage->graph, ret_chain->text, ret_snapshot, err);
		return ret == 1 ? 0
		       : ret	? ret
				: fail(err, SNAPDRV_MISSING, ENOENT, "its layers were removed");
	}
	ret = find_image(stage, name, NULL, &image, NULL, NULL, err);
	if (!ret)
		ret = snapshot_get(stage->graph, image.top, ret_snapshot, err);
	if (ret)
		return ret;
	query = db_query(stage->graph->store.db, err, "SELECT name FROM snapshot WHERE id = ?", "i",
			 image.top);
	ret = query ? query_next(query, err) : -EIO;
	if (ret < 0)
		return ret;
	snprintf(ret_chain->text, sizeof(ret_chain->text), "%s", ret ? query_text(query, 0) : "");
	return 0;
}
