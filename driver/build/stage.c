/* SPDX-License-Identifier: Apache-2.0 */
/* One stage, instruction by instruction. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"

#define WHAT_MAX 160 /* of an instruction, in an error */

void stage_done(struct stage *stage)
{
	json_decref(steal_ptr(&stage->document));
	json_decref(steal_ptr(&stage->descriptors));
	variables_done(&stage->args);
	for (size_t i = 0; i < stage->n_triggers; i++)
		recipe_step_done(&stage->triggers[i]);
	free(steal_ptr(&stage->triggers));
}

int stage_top(struct stage *stage, struct snapshot *ret_snapshot, struct snapdrv_error *err)
{
	int found;

	*ret_snapshot = (struct snapshot){0};
	if (!stage->has_layers)
		return 0;
	found = snapshot_find(stage->graph, digest_format(&stage->chain).text, ret_snapshot, err);
	if (found)
		return found < 0 ? found : 0;
	return fail(err, SNAPDRV_MISSING, ENOENT, "the layers of the steps before were removed");
}

static int is_trigger(const struct stage *stage, const struct recipe_step *step)
{
	return stage->n_triggers && step >= stage->triggers &&
	       step < stage->triggers + stage->n_triggers;
}

unsigned step_line(const struct stage *stage, const struct recipe_step *step)
{
	return is_trigger(stage, step) ? stage->recipe->line : step->line;
}

static int do_step(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	switch (step->op) {
	case RECIPE_RUN:
		return step_run(stage, step, err);
	case RECIPE_COPY:
	case RECIPE_ADD:
		return step_copy(stage, step, err);
	case RECIPE_WORKDIR:
		return step_workdir(stage, step, err);
	default:
		return config_step(stage, step, err);
	}
}

/* `FILE:LINE: RUN make all: ` goes in front, the text cut where it is long. */
static int blame(const struct stage *stage, unsigned line, const char *text, int ret,
		 struct snapdrv_error *err)
{
	char what[WHAT_MAX + 1];
	size_t length = 0;

	for (const char *at = text; *at && length < WHAT_MAX; at++)
		what[length++] = *at;
	what[length] = '\0';
	return fail_within(err, ret, "%s:%u: %s%s", stage->build->file, line, what,
			   length == WHAT_MAX ? "..." : "");
}

int stage_advance(struct stage *stage, struct snapdrv_error *err)
{
	const struct recipe_stage *recipe = stage->recipe;
	int ret = stage->is_begun ? 0 : from_begin(stage, err);

	if (ret)
		return ret < 0 ? blame(stage, recipe->line, recipe->text, ret, err) : ret;
	stage->is_begun = 1;
	for (; stage->at < stage->n_triggers + recipe->n_steps; stage->at++) {
		const struct recipe_step *step =
			stage->at < stage->n_triggers
				? &stage->triggers[stage->at]
				: &recipe->steps[stage->at - stage->n_triggers];

		ret = do_step(stage, step, err);
		if (ret)
			return ret < 0 ? blame(stage, step_line(stage, step), step->text, ret, err)
				       : ret;
	}
	return 0;
}
