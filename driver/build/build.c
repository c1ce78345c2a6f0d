/* SPDX-License-Identifier: Apache-2.0 */
/* A build from its options to its image. */
#include "build/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/work.h"
#include "image/reference.h"
#include "image/times.h"
#include "store/lock.h"

static void build_done(struct build *build)
{
	for (size_t i = 0; i < build->n_stages; i++)
		stage_done(&build->stages[i]);
	free(build->stages);
	for (size_t i = 0; i < build->n_secrets; i++) {
		free(build->secrets[i].id);
		free(build->secrets[i].file);
		free(build->secrets[i].env);
		free(build->secrets[i].data);
	}
	free(build->secrets);
	strings_done(&build->references);
	variables_done(&build->args);
	variables_done(&build->globals);
	recipe_done(&build->recipe);
	context_done(&build->context);
	free(build->file);
	if (build->stop_fd >= 0)
		close(build->stop_fd);
	pthread_mutex_destroy(&build->lock);
	pthread_mutex_destroy(&build->event_lock);
	pthread_mutex_destroy(&build->secret_lock);
	pthread_cond_destroy(&build->changed);
}

/* ---- options ------------------------------------------------------------------------------ */

static int fail_secret(const char *text, struct snapdrv_error *err)
{
	return fail(err, SNAPDRV_USAGE, EINVAL, "secret %s: not id=ID[,src=FILE|,env=NAME]",
		    quote(text).text);
}

static int read_secret(struct build_secret *secret, const char *text, struct snapdrv_error *err)
{
	static const char *const types[] = {"file", "env"};
	cleanup_free char *copy = text_dup(text, err);
	char *rest = copy, *part;

	if (!copy)
		return -ENOMEM;
	while ((part = strsep(&rest, ","))) {
		char *value = strchr(part, '=');
		char **to = NULL;

		if (!value || !value[1])
			return fail_secret(text, err);
		*value++ = '\0';
		if (!strcmp(part, "id"))
			to = &secret->id;
		else if (!strcmp(part, "src") || !strcmp(part, "source"))
			to = &secret->file;
		else if (!strcmp(part, "env"))
			to = &secret->env;
		else if (!strcmp(part, "type") &&
			 (!strcmp(value, types[0]) || !strcmp(value, types[1])))
			continue;
		if (!to || *to)
			return fail_secret(text, err);
		*to = text_dup(value, err);
		if (!*to)
			return -ENOMEM;
	}
	if (!secret->id || (secret->file && secret->env))
		return fail_secret(text, err);
	/* docker: the environment's variable of that name where it is set, or else such a file. */
	if (!secret->file && !secret->env) {
		char **to = getenv(secret->id) ? &secret->env : &secret->file;

		*to = text_dup(secret->id, err);
		return *to ? 0 : -ENOMEM;
	}
	return 0;
}

static int read_options(struct build *build, struct snapdrv_error *err)
{
	const struct snapdrv_build_options *options = build->options;
	int ret = 0;

	platform_host(&build->platform);
	if (options->platform)
		ret = platform_parse(options->platform, &build->platform, err);
	for (size_t i = 0; i < options->n_tags && !ret; i++) {
		cleanup_free char *full = NULL;

		ret = reference_normalize(options->tags[i], &full, err);
		if (!ret)
			ret = strings_add(&build->references, full, err);
	}
	for (size_t i = 0; i < options->n_labels && !ret; i++) {
		if (!*options->labels[i] || *options->labels[i] == '=')
			ret = fail(err, SNAPDRV_USAGE, EINVAL, "label %s: not KEY=VALUE",
				   quote(options->labels[i]).text);
	}
	build->secrets = calloc(options->n_secrets + 1, sizeof(*build->secrets));
	if (!ret && !build->secrets)
		return fail_memory(err);
	for (size_t i = 0; i < options->n_secrets && !ret; i++) {
		build->n_secrets++;
		ret = read_secret(&build->secrets[i], options->secrets[i], err);
	}
	return ret;
}

static void read_epoch(struct build *build)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	build->has_epoch = epoch && *epoch && !epoch[strspn(epoch, "0123456789")];
	if (build->has_epoch)
		build->epoch_ns = times_creation_ns();
}

/* ---- the build ---------------------------------------------------------------------------- */

static int make_stages(struct build *build, struct snapdrv_error *err)
{
	build->stages = calloc(build->recipe.n_stages, sizeof(*build->stages));
	if (!build->stages)
		return fail_memory(err);
	build->n_stages = build->recipe.n_stages;
	for (size_t i = 0; i < build->n_stages; i++) {
		struct stage *stage = &build->stages[i];
		const char *name = build->recipe.stages[i].name;

		*stage = (struct stage){
			.build = build, .recipe = &build->recipe.stages[i], .index = i};
		if (name)
			snprintf(stage->label, sizeof(stage->label), "%s", name);
		else if (build->n_stages > 1)
			snprintf(stage->label, sizeof(stage->label), "stage-%zu", i);
	}
	return 0;
}

static int read_recipe(struct build *build, const char *source, struct snapdrv_error *err)
{
	const struct snapdrv_build_options *options = build->options;
	cleanup_free char *text = NULL;
	size_t size;
	int ret =
		context_open(&build->graph->store, source, options->input_fd, options->cancel_fd,
			     options->dockerfile, &build->context, &text, &size, &build->file, err);

	return ret ? ret : recipe_parse(build->file, text, size, &build->recipe, err);
}

static int export(struct build *build, char **ret_id, struct snapdrv_error *err)
{
	struct stage *target = &build->stages[build->target];

	int ret;

	target->graph = build->graph;
	ret = target->has_layers ? 0 : work_add_empty(target, err);
	return ret ? ret : export_image(target, &build->references, ret_id, err);
}

static int run(struct build *build, const char *source, char **ret_id, struct snapdrv_error *err)
{
	int ret = read_options(build, err);

	if (!ret)
		ret = read_recipe(build, source, err);
	if (!ret)
		ret = scope_init(build, err);
	if (!ret)
		ret = make_stages(build, err);
	if (!ret)
		ret = stages_choose(build, err);
	if (!ret)
		ret = lock_builds_join(&build->graph->store, err);
	if (ret)
		return ret;
	ret = stages_build(build, err);
	if (!ret)
		ret = export(build, ret_id, err);
	lock_builds_leave(&build->graph->store);
	if (!ret)
		scope_warn_unused(build);
	return ret;
}

int image_build(struct graph *graph, const char *context,
		const struct snapdrv_build_options *options, char **ret_id,
		struct snapdrv_error *err)
{
	struct build build = {.graph = graph,
			      .options = options,
			      .context = {.fd = -1},
			      .stop_fd = eventfd(0, EFD_CLOEXEC)};
	int ret = build.stop_fd < 0 ? fail_errno(err, "make an event") : 0;

	pthread_mutex_init(&build.lock, NULL);
	pthread_mutex_init(&build.event_lock, NULL);
	pthread_mutex_init(&build.secret_lock, NULL);
	pthread_cond_init(&build.changed, NULL);
	read_epoch(&build);
	if (!ret)
		ret = run(&build, context, ret_id, err);
	build_done(&build);
	return ret ? fail_within(err, ret, "build") : 0;
}
