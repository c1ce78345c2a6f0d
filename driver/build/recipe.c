/* SPDX-License-Identifier: Apache-2.0 */
/* A Dockerfile as a whole: its stages, and which of them each may name. */
#include "build/recipe.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "build/recipe_parts.h"

#define STEPS_MAX 10000

static void mount_done(struct recipe_mount *mount)
{
	free(mount->target);
	free(mount->source);
	free(mount->from);
	free(mount->id);
	free(mount->env);
}

void recipe_step_done(struct recipe_step *step)
{
	free(step->text);
	strings_done(&step->args);
	for (size_t i = 0; i < step->n_pairs; i++) {
		free(step->pairs[i].key);
		free(step->pairs[i].value);
	}
	free(step->pairs);
	for (size_t i = 0; i < step->n_heredocs; i++) {
		free(step->heredocs[i].name);
		free(step->heredocs[i].text);
	}
	free(step->heredocs);
	for (size_t i = 0; i < step->n_mounts; i++)
		mount_done(&step->mounts[i]);
	free(step->mounts);
	free(step->from);
	free(step->chown);
	free(step->chmod);
	free(step->network);
	strings_done(&step->excludes);
	if (step->trigger)
		recipe_step_done(step->trigger);
	free(step->trigger);
	*step = (struct recipe_step){0};
}

static void steps_done(struct recipe_step *steps, size_t n_steps)
{
	for (size_t i = 0; i < n_steps; i++)
		recipe_step_done(&steps[i]);
	free(steps);
}

void recipe_done(struct recipe *recipe)
{
	free(recipe->file);
	steps_done(recipe->globals, recipe->n_globals);
	for (size_t i = 0; i < recipe->n_stages; i++) {
		struct recipe_stage *stage = &recipe->stages[i];

		free(stage->text);
		free(stage->name);
		free(stage->base);
		free(stage->platform);
		steps_done(stage->steps, stage->n_steps);
	}
	free(recipe->stages);
	*recipe = (struct recipe){0};
}

int recipe_stage_find(const struct recipe *recipe, const char *name, size_t limit)
{
	int64_t number;

	if (limit > recipe->n_stages)
		limit = recipe->n_stages;
	for (size_t i = 0; i < limit; i++) {
		if (recipe->stages[i].name && !strcasecmp(recipe->stages[i].name, name))
			return (int)i;
	}
	if (recipe_number(name, 10, INT32_MAX, &number) && (size_t)number < limit)
		return (int)number;
	return -1;
}

/* What the trigger of an ONBUILD asks for goes into the config with it. */
static int add_heredocs_to_text(struct recipe_step *step, struct snapdrv_error *err)
{
	cleanup_bytes struct bytes text = {0};
	int ret = bytes_add(&text, step->text, strlen(step->text), err);

	for (size_t i = 0; i < step->n_heredocs && !ret; i++) {
		const struct recipe_heredoc *heredoc = &step->heredocs[i];

		ret = bytes_add(&text, "\n", 1, err);
		if (!ret)
			ret = bytes_add(&text, heredoc->text, heredoc->size, err);
		if (!ret)
			ret = bytes_add(&text, heredoc->name, strlen(heredoc->name), err);
	}
	if (!ret)
		ret = bytes_add(&text, "", 1, err);
	if (ret)
		return ret;
	free(step->text);
	step->text = steal_ptr(&text.data);
	return 0;
}

/* A step, with its here-documents. */
static int read_step(struct recipe_reader *reader, const char *text, unsigned line, int is_trigger,
		     struct recipe_step *ret_step, struct snapdrv_error *err)
{
	int ret = recipe_parse_step(text, line, reader->escape, is_trigger, ret_step, err);
	struct recipe_step *taker = ret_step->trigger ? ret_step->trigger : ret_step;

	if (ret || !recipe_takes_heredocs(taker))
		return ret;
	ret = recipe_read_heredocs(reader, text, taker, err);
	if (!ret)
		ret = recipe_check_heredocs(taker, err);
	if (!ret && taker != ret_step && taker->n_heredocs)
		ret = add_heredocs_to_text(taker, err);
	return ret;
}

static int add_step(struct recipe_reader *reader, const char *text, unsigned line,
		    struct recipe_step **steps, size_t *n_steps, struct snapdrv_error *err)
{
	struct recipe_step *grown = reallocarray(*steps, *n_steps + 1, sizeof(*grown));

	if (!grown)
		return fail_memory(err);
	*steps = grown;
	return read_step(reader, text, line, 0, &grown[(*n_steps)++], err);
}

static int add_stage(struct recipe *recipe, const char *text, unsigned line,
		     struct snapdrv_error *err)
{
	struct recipe_stage *grown = reallocarray(recipe->stages, recipe->n_stages + 1,
						  sizeof(*grown)),
			    *stage;
	int ret;

	if (!grown)
		return fail_memory(err);
	recipe->stages = grown;
	stage = &grown[recipe->n_stages++];
	ret = recipe_parse_from(text, line, recipe->escape, stage, err);
	if (!ret && stage->name &&
	    recipe_stage_find(recipe, stage->name, recipe->n_stages - 1) >= 0)
		ret = refuse(err, "a second stage is called %s", quote(stage->name).text);
	return ret;
}

static int read_instruction(struct recipe *recipe, struct recipe_reader *reader, const char *text,
			    unsigned line, struct snapdrv_error *err)
{
	struct recipe_stage *stage;
	const char *rest;
	enum recipe_op op;

	if (recipe_op(text, &op, &rest)) {
		if (op == RECIPE_FROM)
			return add_stage(recipe, text, line, err);
		if (!recipe->n_stages && op == RECIPE_ARG)
			return add_step(reader, text, line, &recipe->globals, &recipe->n_globals,
					err);
		if (!recipe->n_stages)
			return refuse(err, "%s stands in front of the first FROM",
				      recipe_op_name(op));
	}
	if (!recipe->n_stages) {
		struct recipe_step nothing;
		int ret = recipe_parse_step(text, line, reader->escape, 0, &nothing, err);

		recipe_step_done(&nothing);
		return ret;
	}
	stage = &recipe->stages[recipe->n_stages - 1];
	return add_step(reader, text, line, &stage->steps, &stage->n_steps, err);
}

/* A name of COPY --from or --mount=from: of an earlier stage, or else of an image. */
static int check_from(const struct recipe *recipe, const char *from, size_t stage,
		      struct snapdrv_error *err)
{
	int64_t number;
	int found;

	if (!from || recipe_stage_find(recipe, from, stage) >= 0)
		return 0;
	found = recipe_stage_find(recipe, from, recipe->n_stages);
	if (found >= 0)
		return refuse(err, "from %s: that is %s stage", quote(from).text,
			      (size_t)found == stage ? "this" : "a later");
	if (recipe_number(from, 10, INT64_MAX / 16, &number))
		return refuse(err, "from %s: there is no such stage", quote(from).text);
	return 0;
}

static int check_step(const struct recipe *recipe, size_t stage, const struct recipe_step *step,
		      struct snapdrv_error *err)
{
	int ret = check_from(recipe, step->from, stage, err);

	for (size_t i = 0; i < step->n_mounts && !ret; i++)
		ret = check_from(recipe, step->mounts[i].from, stage, err);
	return ret;
}

static int check_stages(const struct recipe *recipe, unsigned *line, struct snapdrv_error *err)
{
	for (size_t i = 0; i < recipe->n_stages; i++) {
		const struct recipe_stage *stage = &recipe->stages[i];

		for (size_t j = 0; j < stage->n_steps; j++) {
			int ret = check_step(recipe, i, &stage->steps[j], err);

			*line = stage->steps[j].line;
			if (ret)
				return ret;
		}
	}
	return 0;
}

static int read_all(struct recipe *recipe, struct recipe_reader *reader, unsigned *line,
		    struct snapdrv_error *err)
{
	size_t n_steps = 0;
	char *text;
	int ret;

	while ((ret = recipe_read(reader, &text, line, err)) == 1) {
		recipe->escape = reader->escape;
		ret = ++n_steps > STEPS_MAX ? refuse(err, "more than %d instructions", STEPS_MAX)
					    : read_instruction(recipe, reader, text, *line, err);
		free(text);
		if (ret)
			return ret;
	}
	if (!ret && !recipe->n_stages) {
		*line = reader->line ? reader->line : 1;
		ret = refuse(err, "there is no FROM");
	}
	return ret ? ret : check_stages(recipe, line, err);
}

/* Text that no Dockerfile is. */
static int check_text(const char *text, size_t size, unsigned *line, struct snapdrv_error *err)
{
	const char *nul = memchr(text, '\0', size);

	*line = 1;
	if (size > RECIPE_SIZE_MAX)
		return refuse(err, "a Dockerfile of more than %d bytes", RECIPE_SIZE_MAX);
	if (!nul)
		return 0;
	for (; text < nul; text++)
		*line += *text == '\n';
	return refuse(err, "a NUL byte");
}

int recipe_parse(const char *file, const char *text, size_t size, struct recipe *ret_recipe,
		 struct snapdrv_error *err)
{
	struct recipe recipe = {.escape = '\\'};
	struct recipe_reader reader;
	unsigned line = 1;
	int ret = size ? check_text(text, size, &line, err) : 0;

	recipe.file = text_dup(file, ret ? NULL : err);
	if (!recipe.file && !ret)
		return -ENOMEM;
	recipe_reader_init(&reader, size ? text : "", size, 1);
	if (!ret)
		ret = read_all(&recipe, &reader, &line, err);
	if (ret) {
		recipe_done(&recipe);
		return fail_within(err, ret, "%s:%u", file, line);
	}
	*ret_recipe = recipe;
	return 0;
}

int recipe_parse_trigger(const char *text, struct recipe_step *ret_step, struct snapdrv_error *err)
{
	struct recipe_reader reader;
	struct recipe_step step = {0};
	char *line = NULL, *more = NULL;
	unsigned number = 0;
	int ret;

	recipe_reader_init(&reader, text, strlen(text), 0);
	ret = recipe_read(&reader, &line, &number, err);
	if (!ret)
		ret = refuse(err, "there is no instruction");
	if (ret == 1)
		ret = read_step(&reader, line, number, 1, &step, err);
	if (!ret && recipe_read(&reader, &more, &number, err) == 1)
		ret = refuse(err, "more than one instruction");
	free(line);
	free(more);
	if (ret) {
		recipe_step_done(&step);
		return fail_within(err, ret, "ONBUILD trigger %s", quote(text).text);
	}
	*ret_step = step;
	return 0;
}
