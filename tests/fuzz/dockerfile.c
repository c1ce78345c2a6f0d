/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Dockerfile. Behind a byte 0xff the values that its variables have, a line each in turn; behind another one
 * a .dockerignore; behind a third one paths, a line each.
 */
#include "build/ignore.h"
#include "build/recipe.h"
#include "build/words.h"
#include "fuzz.h"

/* The lines that are the values of variables. */
struct values {
	struct fuzz_rest all, rest;
	char *last;
};

static const char *next_value(void *context, const char *name, size_t length)
{
	struct values *values = context;

	HOLDS(memchr(name, '\0', length) == NULL);
	if (!values->rest.size)
		values->rest = values->all;
	free(values->last);
	values->last = fuzz_line(&values->rest);
	return values->last;
}

static void expand(const struct words_scope *scope, const char *word, unsigned flags)
{
	struct strings list = {0};
	struct snapdrv_error err = {0};
	char *text = NULL;
	int ret;

	if (!word)
		return;
	ret = words_expand(scope, word, flags, &text, &err);
	fuzz_check(ret, &err);
	HOLDS(!ret == !!text && (!ret || err.code == SNAPDRV_REFUSED));
	free(text);
	err = (struct snapdrv_error){0};
	ret = words_expand_list(scope, word, &list, &err);
	fuzz_check(ret, &err);
	for (size_t i = 0; i < list.count; i++)
		HOLDS(list.items[i][0]);
	strings_done(&list);
}

static void check_trigger(const struct recipe_step *trigger)
{
	struct recipe_step again = {0};
	struct snapdrv_error err = {0};
	int ret = recipe_parse_trigger(trigger->text, &again, &err);

	fuzz_check(ret, &err);
	HOLDS(ret || again.op == trigger->op);
	if (!ret)
		recipe_step_done(&again);
}

static void check_step(const struct words_scope *scope, const struct recipe_step *step)
{
	HOLDS(step->line && step->text[0] && recipe_op_name(step->op)[0]);
	for (size_t i = 0; i < step->args.count; i++) {
		expand(scope, step->args.items[i], 0);
		recipe_remote(step->args.items[i]);
	}
	for (size_t i = 0; i < step->n_pairs; i++) {
		HOLDS(step->pairs[i].key[0]);
		expand(scope, step->pairs[i].key, 0);
		expand(scope, step->pairs[i].value, 0);
	}
	for (size_t i = 0; i < step->n_heredocs; i++) {
		HOLDS(step->heredocs[i].name[0]);
		HOLDS(strlen(step->heredocs[i].text) == step->heredocs[i].size);
		expand(scope, step->heredocs[i].text, WORDS_KEEP_QUOTES);
	}
	for (size_t i = 0; i < step->n_mounts; i++)
		HOLDS(step->mounts[i].target || step->mounts[i].type == RECIPE_MOUNT_SECRET);
	if (step->trigger) {
		check_step(scope, step->trigger);
		check_trigger(step->trigger);
	}
}

static void check_recipe(const struct recipe *recipe, struct values *values)
{
	const struct words_scope scope = {next_value, values, recipe->escape};

	HOLDS(recipe->n_stages && (recipe->escape == '\\' || recipe->escape == '`'));
	for (size_t i = 0; i < recipe->n_globals; i++)
		check_step(&scope, &recipe->globals[i]);
	for (size_t i = 0; i < recipe->n_stages; i++) {
		const struct recipe_stage *stage = &recipe->stages[i];

		HOLDS(!stage->name || recipe_stage_find(recipe, stage->name, i + 1) == (int)i);
		expand(&scope, stage->base, 0);
		for (size_t j = 0; j < stage->n_steps; j++)
			check_step(&scope, &stage->steps[j]);
	}
}

/* What is in below a directory that is out has to be looked for there. */
static void check_path(const struct ignore *ignore, char *path)
{
	int is_out = ignore_has(ignore, path);

	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		HOLDS(is_out || !ignore_has(ignore, path) || ignore_enters(ignore, path));
		*slash = '/';
	}
}

static void check_ignore(const struct fuzz_rest *text, struct fuzz_rest *paths)
{
	struct ignore ignore = {0};
	struct snapdrv_error err = {0};
	int ret = ignore_parse("x", (const char *)text->data, text->size, &ignore, &err);
	char *path, *pattern = fuzz_text(text->data, text->size);

	fuzz_check(ret, &err);
	HOLDS(!ret || (err.code == SNAPDRV_REFUSED && !strncmp(err.message, "x:", 2)));
	while ((path = fuzz_line(paths))) {
		if (!ret)
			check_path(&ignore, path);
		HOLDS(pattern_matches(pattern, path) <= 1);
		free(path);
	}
	free(pattern);
	ignore_done(&ignore);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size}, file = {0}, ignore = {0};
	struct values values = {0};
	struct recipe recipe = {0};
	struct snapdrv_error err = {0};
	int ret;

	fuzz_part(&rest, "\xff", &file);
	fuzz_part(&rest, "\xff", &values.all);
	fuzz_part(&rest, "\xff", &ignore);
	ret = recipe_parse("Dockerfile", (const char *)file.data, file.size, &recipe, &err);
	fuzz_check(ret, &err);
	HOLDS(!ret || (err.code == SNAPDRV_REFUSED && !strncmp(err.message, "Dockerfile:", 11)));
	if (!ret)
		check_recipe(&recipe, &values);
	recipe_done(&recipe);
	free(values.last);
	if (ignore.size)
		check_ignore(&ignore, &rest);
}
