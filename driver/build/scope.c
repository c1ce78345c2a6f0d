/* SPDX-License-Identifier: Apache-2.0 */
/* The variables of a build: --build-arg, ARG and ENV, the platforms and the proxies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"

/* The texts of all stages come to no more than as many configs of the largest size. */
#define CONFIGS_MAX 16

/* ARGs that need no ARG, and are no part of what a step is known by. */
static const char *const proxies[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
				      "FTP_PROXY",  "ftp_proxy",  "NO_PROXY",	 "no_proxy",
				      "ALL_PROXY",  "all_proxy"};

void variables_done(struct variables *variables)
{
	for (size_t i = 0; i < variables->count; i++) {
		free(variables->items[i].name);
		free(variables->items[i].value);
	}
	free(variables->items);
	*variables = (struct variables){0};
}

struct variable *variables_find(const struct variables *variables, const char *name, size_t length)
{
	for (size_t i = 0; i < variables->count; i++) {
		struct variable *item = &variables->items[i];

		if (!strncmp(item->name, name, length) && !item->name[length])
			return item;
	}
	return NULL;
}

int variables_set(struct variables *variables, const char *name, const char *value,
		  struct snapdrv_error *err)
{
	struct variable *item = variables_find(variables, name, strlen(name)), *items;
	cleanup_free char *copy = value ? text_dup(value, err) : NULL;

	if (value && !copy)
		return -ENOMEM;
	if (!item) {
		items = reallocarray(variables->items, variables->count + 1, sizeof(*items));
		if (!items)
			return fail_memory(err);
		variables->items = items;
		item = &items[variables->count];
		*item = (struct variable){.name = text_dup(name, err)};
		if (!item->name)
			return -ENOMEM;
		variables->count++;
	}
	free(item->value);
	item->value = steal_ptr(&copy);
	return 0;
}

int variables_copy(struct variables *variables, const struct variables *from,
		   struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < from->count && !ret; i++)
		ret = variables_set(variables, from->items[i].name, from->items[i].value, err);
	return ret;
}

/* ---- what they come to -------------------------------------------------------------------- */

/* Stages are worked on at once. */
static int hold_in_all(struct build *build, size_t size, struct snapdrv_error *err)
{
	const size_t max = (size_t)CONFIGS_MAX * JSON_DOCUMENT_MAX;

	return __atomic_add_fetch(&build->held, size, __ATOMIC_RELAXED) > max
		       ? refuse(err, "the texts of all stages come to more than %zu bytes", max)
		       : 0;
}

int scope_hold(struct stage *stage, size_t size, struct snapdrv_error *err)
{
	stage->held += size;
	if (stage->held > JSON_DOCUMENT_MAX)
		return refuse(err, "the texts of the stage come to more than %u bytes",
			      JSON_DOCUMENT_MAX);
	return hold_in_all(stage->build, size, err);
}

/* ---- looking up --------------------------------------------------------------------------- */

static const char *get_global(void *context, const char *name, size_t length)
{
	struct build *build = context;
	const struct variable *found = variables_find(&build->globals, name, length);

	return found ? found->value : NULL;
}

static const char *get_local(void *context, const char *name, size_t length)
{
	struct stage *stage = context;
	const char *value = config_env(stage, name, length);
	const struct variable *found = variables_find(&stage->args, name, length);

	return value ? value : found ? found->value : NULL;
}

int scope_expand_global(struct build *build, const char *word, char **ret_text,
			struct snapdrv_error *err)
{
	const struct words_scope scope = {get_global, build, build->recipe.escape};

	return words_expand(&scope, word, 0, ret_text, err);
}

int scope_expand(struct stage *stage, const char *word, unsigned flags, char **ret_text,
		 struct snapdrv_error *err)
{
	/* docker: `# escape=` is for instructions, not for here-documents. */
	char escape = flags & WORDS_KEEP_QUOTES ? '\\' : stage->build->recipe.escape;
	const struct words_scope scope = {get_local, stage, escape};
	cleanup_free char *text = NULL;
	int ret = words_expand(&scope, word, flags, &text, err);

	if (!ret)
		ret = scope_hold(stage, strlen(text), err);
	if (!ret)
		*ret_text = steal_ptr(&text);
	return ret;
}

int scope_expand_list(struct stage *stage, const char *word, struct strings *list,
		      struct snapdrv_error *err)
{
	const struct words_scope scope = {get_local, stage, stage->build->recipe.escape};
	size_t i = list->count;
	int ret = words_expand_list(&scope, word, list, err);

	for (; i < list->count && !ret; i++)
		ret = scope_hold(stage, strlen(list->items[i]), err);
	return ret;
}

/* ---- where they come from ----------------------------------------------------------------- */

static int add_build_arg(struct build *build, const char *text, struct snapdrv_error *err)
{
	const char *equals = strchr(text, '=');
	cleanup_free char *name = NULL;
	const char *value;

	if (!*text || equals == text)
		return fail(err, SNAPDRV_USAGE, EINVAL, "build argument %s: not KEY=VALUE",
			    quote(text).text);
	name = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
	if (!name)
		return fail_memory(err);
	value = equals ? equals + 1 : getenv(name);
	return value ? variables_set(&build->args, name, value, err) : 0;
}

static int set_platform(struct build *build, const char *prefix, const struct platform *platform,
			struct snapdrv_error *err)
{
	cleanup_free char *text = platform_format(platform, err);
	const char *const parts[][2] = {{"PLATFORM", text},
					{"OS", platform->os},
					{"ARCH", platform->architecture},
					{"VARIANT", platform->variant}};
	int ret = text ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !ret; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s%s", prefix, parts[i][0]);
		ret = variables_set(&build->globals, name, parts[i][1], err);
	}
	return ret;
}

/* What --build-arg says of a name, or NULL. It is used then. */
static const char *given(struct build *build, const char *name)
{
	struct variable *found = variables_find(&build->args, name, strlen(name));

	if (!found)
		return NULL;
	__atomic_store_n(&found->is_used, 1, __ATOMIC_RELAXED);
	return found->value;
}

static int add_global(struct build *build, const struct recipe_pair *pair,
		      struct snapdrv_error *err)
{
	const char *value = given(build, pair->key);
	cleanup_free char *text = NULL;
	int ret = 0;

	if (!value && !pair->value && variables_find(&build->globals, pair->key, strlen(pair->key)))
		return 0;
	if (!value && pair->value)
		ret = scope_expand_global(build, pair->value, &text, err);
	if (!ret && text)
		ret = hold_in_all(build, strlen(text), err);
	return ret ? ret : variables_set(&build->globals, pair->key, value ? value : text, err);
}

int scope_init(struct build *build, struct snapdrv_error *err)
{
	struct platform host;
	int ret = 0;

	platform_host(&host);
	for (size_t i = 0; i < build->options->n_args && !ret; i++)
		ret = add_build_arg(build, build->options->args[i], err);
	if (!ret)
		ret = set_platform(build, "TARGET", &build->platform, err);
	if (!ret)
		ret = set_platform(build, "BUILD", &host, err);
	for (size_t i = 0; i < build->recipe.n_globals && !ret; i++) {
		const struct recipe_step *step = &build->recipe.globals[i];

		for (size_t j = 0; j < step->n_pairs && !ret; j++)
			ret = add_global(build, &step->pairs[j], err);
		if (ret)
			return fail_within(err, ret, "%s:%u", build->file, step->line);
	}
	return ret;
}

static int add_local(struct stage *stage, const struct recipe_pair *pair, struct snapdrv_error *err)
{
	struct build *build = stage->build;
	const char *value = given(build, pair->key);
	cleanup_free char *text = NULL;
	int ret = 0;

	if (!value && pair->value) {
		ret = scope_expand(stage, pair->value, 0, &text, err);
		value = text;
	} else if (!value) {
		value = get_global(build, pair->key, strlen(pair->key));
		/* Asked for once more without a word of its value, it keeps that it has. */
		if (!value && variables_find(&stage->args, pair->key, strlen(pair->key)))
			return 0;
	}
	if (!ret && value && value != text)
		ret = scope_hold(stage, strlen(value), err);
	return ret ? ret : variables_set(&stage->args, pair->key, value, err);
}

int scope_arg(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < step->n_pairs && !ret; i++)
		ret = add_local(stage, &step->pairs[i], err);
	return ret;
}

static int add_pair(struct strings *list, const char *name, const char *value,
		    struct snapdrv_error *err)
{
	cleanup_free char *text = text_format(err, "%s=%s", name, value);

	return text ? strings_add(list, text, err) : -ENOMEM;
}

int scope_run_args(const struct stage *stage, struct strings *list, struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < stage->args.count && !ret; i++) {
		const struct variable *arg = &stage->args.items[i];

		if (arg->value && !config_env(stage, arg->name, strlen(arg->name)))
			ret = add_pair(list, arg->name, arg->value, err);
	}
	return ret;
}

int scope_proxies(const struct stage *stage, struct strings *list, struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]) && !ret; i++) {
		const char *value = given(stage->build, proxies[i]);

		if (value && !config_env(stage, proxies[i], strlen(proxies[i])) &&
		    !variables_find(&stage->args, proxies[i], strlen(proxies[i])))
			ret = add_pair(list, proxies[i], value, err);
	}
	return ret;
}

static int is_proxy(const char *name)
{
	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
		if (!strcmp(proxies[i], name))
			return 1;
	}
	return 0;
}

void scope_warn_unused(struct build *build)
{
	for (size_t i = 0; i < build->args.count; i++) {
		const struct variable *arg = &build->args.items[i];
		cleanup_free char *text = NULL;

		if (arg->is_used || is_proxy(arg->name))
			continue;
		text = text_format(NULL, "build argument %s: no ARG asks for it",
				   quote(arg->name).text);
		if (text)
			report_warning(build, text);
	}
}
