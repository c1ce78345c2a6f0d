/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which stages are built, and when: first as far as all is known, in the calling thread; then what is left,
 * in threads that each take the first stage that nobody has. A stage needs only stages before it, so the
 * first of those that are not done never waits for one that nobody has.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"
#include "image/stage.h"
#include "kernel/sandbox.h"

#define THREADS_MAX 8

/* ---- choosing ----------------------------------------------------------------------------- */

static int need(struct build *build, size_t index, struct snapdrv_error *err);

static int need_named(struct build *build, const struct stage *stage, const char *name,
		      struct snapdrv_error *err)
{
	const struct stage *other = name ? from_stage(stage, name) : NULL;

	if (name && strchr(name, '$'))
		return refuse(err,
			      "variables in 'from' are not expanded: name a stage after the image");
	return other ? need(build, other->index, err) : 0;
}

static int need_of_step(struct build *build, const struct stage *stage,
			const struct recipe_step *step, struct snapdrv_error *err)
{
	int ret = need_named(build, stage, step->from, err);

	for (size_t i = 0; i < step->n_mounts && !ret; i++)
		ret = need_named(build, stage, step->mounts[i].from, err);
	return ret ? fail_within(err, ret, "%s:%u", build->file, step->line) : 0;
}

static int need_base(struct build *build, const struct stage *stage, struct snapdrv_error *err)
{
	cleanup_free char *base = NULL;
	int ret = scope_expand_global(build, stage->recipe->base, &base, err);

	if (ret)
		return fail_within(err, ret, "%s:%u", build->file, stage->recipe->line);
	return base[strspn(base, "0123456789")] ? need_named(build, stage, base, err) : 0;
}

/* As deep as there are stages at most, since each is named before it is used. */
static int need(struct build *build, size_t index, struct snapdrv_error *err)
{
	struct stage *stage = &build->stages[index];
	int ret;

	if (stage->is_needed)
		return 0;
	stage->is_needed = 1;
	ret = need_base(build, stage, err);
	for (size_t i = 0; i < stage->recipe->n_steps && !ret; i++)
		ret = need_of_step(build, stage, &stage->recipe->steps[i], err);
	return ret;
}

int stages_choose(struct build *build, struct snapdrv_error *err)
{
	const char *target = build->options->target;
	int found = target ? recipe_stage_find(&build->recipe, target, build->n_stages)
			   : (int)build->n_stages - 1;

	if (found < 0)
		return fail(err, SNAPDRV_MISSING, ENOENT, "%s: there is no stage %s", build->file,
			    quote(target).text);
	build->target = (size_t)found;
	return need(build, build->target, err);
}

/* ---- working ------------------------------------------------------------------------------ */

static struct stage *take_next(struct build *build)
{
	struct stage *taken = NULL;

	pthread_mutex_lock(&build->lock);
	for (size_t i = 0; i < build->n_stages && !taken && !build->ret; i++) {
		struct stage *stage = &build->stages[i];

		if (stage->is_needed && stage->state == STAGE_IDLE)
			taken = stage;
	}
	if (taken)
		taken->state = STAGE_TAKEN;
	pthread_mutex_unlock(&build->lock);
	return taken;
}

/* Everybody hears of it; those who fail because of that are not the first. */
static void finish(struct build *build, struct stage *stage, int ret,
		   const struct snapdrv_error *err)
{
	static const uint64_t one = 1;

	pthread_mutex_lock(&build->lock);
	if (ret && !build->ret) {
		build->ret = ret;
		build->err = *err;
		if (write(build->stop_fd, &one, sizeof(one)) < 0)
			build->err.errnum = errno;
	}
	if (stage && !ret)
		stage->state = STAGE_DONE;
	pthread_cond_broadcast(&build->changed);
	pthread_mutex_unlock(&build->lock);
}

static int work_on_stages(struct build *build, struct graph *graph, struct snapdrv_error *err)
{
	struct stage *stage;
	int ret = 0;

	while (!ret && (stage = take_next(build))) {
		stage->graph = graph;
		stage->may_work = 1;
		ret = stage_advance(stage, err);
		finish(build, stage, ret, err);
	}
	return ret;
}

/* A thread with mounts of its own, and so with a handle of its own on the store. */
static void *run_worker(void *arg)
{
	struct build *build = arg;
	struct snapdrv_error err = {0};
	struct graph graph;
	int ret = sandbox_enter(&err);

	if (!ret)
		ret = graph_open(build->graph->store.root, build->graph->backend.ops->name, &graph,
				 &err);
	if (ret) {
		finish(build, NULL, ret, &err);
		return NULL;
	}
	work_on_stages(build, &graph, &err);
	graph_close(&graph);
	return NULL;
}

/* Return: how many stages take work, or a negative errno value. */
static int look_up_all(struct build *build, struct snapdrv_error *err)
{
	int n_left = 0;

	for (size_t i = 0; i < build->n_stages; i++) {
		struct stage *stage = &build->stages[i];
		int ret;

		if (!stage->is_needed)
			continue;
		stage->graph = build->graph;
		ret = stage_advance(stage, err);
		if (ret < 0)
			return ret;
		stage->state = ret ? STAGE_IDLE : STAGE_DONE;
		n_left += ret;
	}
	return n_left;
}

static unsigned count_threads(int n_left)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned most = processors < 2		   ? 2
			: processors > THREADS_MAX ? THREADS_MAX
						   : (unsigned)processors;

	return (unsigned)n_left < most ? (unsigned)n_left : most;
}

int stages_build(struct build *build, struct snapdrv_error *err)
{
	int n_left = look_up_all(build, err), ret;

	if (n_left <= 0)
		return n_left;
	ret = run_threads(count_threads(n_left), run_worker, build, err);
	if (!build->ret)
		return ret;
	*err = build->err;
	return build->ret;
}
