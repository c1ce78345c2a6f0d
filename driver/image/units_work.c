/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that bring in layers: unpacking them side by side, and binding them from below. */
#include "image/units.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/fetch.h"
#include "snapshot/inventory.h"
#include "store/content.h"
#include "store/lock.h"

#define THREADS 2 /* layers at once; each has two more threads that inflate and hash */

static int check_digests(const struct unit *unit, const struct unpack_result *result,
			 struct snapdrv_error *err)
{
	const struct layer_plan *layer = unit->layer;

	if (layer->has_blob && result->blob_size != layer->size)
		return refuse(err, "%llu bytes where its descriptor says %llu",
			      (unsigned long long)result->blob_size,
			      (unsigned long long)layer->size);
	if (layer->has_blob && !digest_equal(&result->blob, &layer->blob))
		return refuse(err, "its content is %s", digest_format(&result->blob).text);
	if (!digest_equal(&result->diff, &layer->diff))
		return refuse(err, "its DiffID is %s where the config says %s",
			      digest_format(&result->diff).text, digest_format(&layer->diff).text);
	return 0;
}

/* A manifest that is made here can only name a blob that has a media type. */
static int settle_blob(struct units *units, const struct unit *unit, struct staged *staged,
		       struct snapdrv_error *err)
{
	const struct layer_plan *layer = unit->layer;
	int ret = 0;

	if ((!layer->has_blob || layer->is_found) &&
	    staged->result.compression == COMPRESSION_OTHER)
		ret = stage_plain(units->intake, staged, err);
	return ret ? ret : check_digests(unit, &staged->result, err);
}

static int has_or_shares_tree(const struct unit *unit)
{
	return unit->has_tree || unit->shares_tree;
}

static struct tree_ref unit_ref(const struct unit *unit)
{
	if (unit->has_tree)
		return tree_ref_of(&unit->tree);
	return unit->shares_tree ? unit_ref(unit->twin) : unit->staged.draft.ref;
}

/* The trees below a layer, the topmost first; @ret_stack: for stack_done(). */
static int stack_below(const struct unit *unit, struct tree_stack *ret_stack,
		       struct snapdrv_error *err)
{
	size_t depth = 0;

	for (const struct unit *below = unit->parent; below; below = below->parent)
		depth++;
	*ret_stack = (struct tree_stack){0};
	if (!depth)
		return 0;
	ret_stack->trees = calloc(depth, sizeof(*ret_stack->trees));
	if (!ret_stack->trees)
		return fail_memory(err);
	for (const struct unit *below = unit->parent; below; below = below->parent)
		ret_stack->trees[ret_stack->count++] = unit_ref(below);
	return 0;
}

/* The merged layers below, or -1 when there are none. */
static int peek_below(struct units *units, const struct unit *unit, struct snapdrv_error *err)
{
	struct graph *graph = units->intake->graph;
	cleanup_stack struct tree_stack stack = {0};
	int ret = stack_below(unit, &stack, err);

	if (ret || !stack.count)
		return ret ? ret : -1;
	return graph->backend.ops->peek(&graph->backend, &stack, err);
}

struct waiting_unit {
	struct units *units;
	const struct unit *unit;
};

static int wait_for_parent(void *arg, struct tree_stack *ret_parents, struct snapdrv_error *err)
{
	const struct waiting_unit *waiting = arg;
	const struct unit *parent = waiting->unit->parent;
	struct units *units = waiting->units;
	int is_over;

	pthread_mutex_lock(&units->lock);
	while (parent && !parent->is_bound && !units->ret)
		pthread_cond_wait(&units->changed, &units->lock);
	is_over = units->ret;
	pthread_mutex_unlock(&units->lock);
	if (is_over)
		return fail(err, SNAPDRV_FAILED, ECANCELED, "the layer below failed");
	return stack_below(waiting->unit, ret_parents, err);
}

/*
 * Unpack a layer from where it can be read. A backend that is not layered starts from what is below: the
 * layer is read, inflated and hashed as far as the buffers reach until that is there.
 */
static int unpack_place(struct units *units, struct unit *unit, int lower_fd, int keep,
			struct staged *ret_staged, struct snapdrv_error *err)
{
	struct intake *intake = units->intake;
	struct waiting_unit waiting = {units, unit};
	struct parents_source parents = {wait_for_parent, &waiting};

	if (intake->graph->backend.ops->is_layered)
		parents.wait = NULL;
	return stage_place(intake, &unit->place, digest_format(&unit->layer->diff).text, parents,
			   lower_fd, keep, ret_staged, err);
}

/* A layer whose lower layers have a symlink where it needs a directory: with them in view. */
static int unpack_again(struct units *units, struct unit *unit, int lower_fd,
			struct snapdrv_error *err)
{
	struct staged again = {0};
	int ret;

	if (unit->place.fd < 0 && !unit->place.fetch)
		return refuse(err,
			      "it goes through a symlink of a lower layer, and the stream is past "
			      "it: load it from a file, or without discarding blobs");
	ret = unpack_place(units, unit, lower_fd, 0, &again, err);
	if (!ret)
		ret = settle_blob(units, unit, &again, err);
	if (ret) {
		staged_drop(units->intake, &again);
		return ret;
	}
	/* The blob is there already. */
	again.has_blob = unit->staged.has_blob;
	again.blob = unit->staged.blob;
	unit->staged.has_blob = 0;
	staged_drop(units->intake, &unit->staged);
	unit->staged = again;
	return again.result.writer ? stage_bind(&unit->staged, lower_fd, err) : 0;
}

static int bind_unit(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	cleanup_fd int lower_fd = -1;
	int ret;

	if (has_or_shares_tree(unit) || !unit->staged.is_unpacked)
		return 0;
	if (unit->staged.result.writer) {
		lower_fd = peek_below(units, unit, err);
		if (lower_fd < -1)
			return lower_fd;
		ret = stage_bind(&unit->staged, lower_fd, err);
		if (ret == 1)
			ret = unpack_again(units, unit, lower_fd, err);
		if (ret)
			return ret;
	}
	return draft_freeze(units->intake->graph, &unit->staged.draft, err);
}

/* The digests that were not known are known now. */
static void learn_blob(struct unit *unit)
{
	struct layer_plan *layer = unit->layer;

	if (layer->has_blob)
		return;
	layer->has_blob = layer->is_found = 1;
	layer->compression = unit->staged.result.compression;
	layer->blob = unit->staged.result.blob;
	layer->size = unit->staged.result.blob_size;
}

static int read_place(struct units *units, struct unit *unit, int keep, struct snapdrv_error *err)
{
	struct intake *intake = units->intake;
	struct layer_place *place = &unit->place;
	struct input_range range = {place->fd, place->offset, place->offset + place->size};
	struct fetch_reader reader = {.fetch = place->fetch};
	const struct layer_input input =
		place->fetch ? fetch_input(&reader) : input_from_range(&range);
	int ret;

	if (place->staged && (place->staged->is_unpacked || has_or_shares_tree(unit))) {
		unit->staged = *place->staged;
		*place->staged = (struct staged){0};
		if (has_or_shares_tree(unit))
			draft_drop(intake->graph, &unit->staged.draft);
		ret = 0;
	} else if (has_or_shares_tree(unit)) {
		ret = stage_blob(intake, &input, keep && !place->fetch, &unit->staged, err);
	} else {
		ret = unpack_place(units, unit, -1, keep, &unit->staged, err);
	}
	if (ret)
		return ret;
	return settle_blob(units, unit, &unit->staged, err);
}

static int read_unit(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	struct fetch *fetch = unit->place.fetch;
	/* The blob of a layer that is unpacked once more is there. */
	const struct staged before = unit->staged;
	int keep = intake_keeps_blobs(units->intake) && !before.has_blob &&
		   (unit->wants_blob || !unit->layer->has_blob);
	int ret = read_place(units, unit, keep, err);

	/* What an earlier run left of a blob may have suffered since. */
	if (ret && fetch && err->code == SNAPDRV_REFUSED && fetch_again(fetch)) {
		staged_drop(units->intake, &unit->staged);
		ret = read_place(units, unit, keep, err);
	}
	if (!ret && before.has_blob) {
		unit->staged.has_blob = 1;
		unit->staged.blob = before.blob;
	}
	if (ret || !fetch || !keep)
		return ret;
	ret = fetch_keep(fetch, &unit->staged.blob, err);
	unit->staged.has_blob = ret == 1;
	return ret < 0 ? ret : 0;
}

/* Whether the tree that is there for the twin does for this one, and nothing has to be read for a blob. */
static int can_share(const struct units *units, const struct unit *unit)
{
	const struct unit *twin = unit->twin;

	if (!units->intake->graph->backend.ops->is_layered)
		return 0;
	if (!twin || !twin->staged.is_unpacked || twin->staged.needs_lower)
		return 0;
	if (!unit->wants_blob && !unit->wants_proof)
		return 1;
	return unit->layer->size == twin->layer->size &&
	       digest_equal(&unit->layer->blob, &twin->layer->blob);
}

/* Bind what can be bound by now, from below. Short work, done with the lock held. */
static void bind_ready(struct units *units)
{
	for (size_t i = 0; i < units->count && !units->ret; i++) {
		struct unit *unit = units->items[i];
		struct snapdrv_error err;
		int ret;

		if (!unit->is_done || unit->is_bound || (unit->parent && !unit->parent->is_bound))
			continue;
		ret = bind_unit(units, unit, &err);
		unit->is_bound = !ret;
		if (ret && !units->ret) {
			units->ret = unit_fail(unit, ret, &err);
			units->err = err;
		}
	}
}

static struct unit *next_unit(struct units *units)
{
	int is_layered = units->intake->graph->backend.ops->is_layered;

	for (size_t i = 0; i < units->count; i++) {
		struct unit *unit = units->items[i];

		if (unit->is_taken)
			continue;
		/* Where trees are not layers, a layer waits for what is below it, which somebody has. */
		if (!is_layered && unit->parent && !unit->parent->is_taken)
			continue;
		/* A twin waits until it is clear whether one tree does for both. */
		if (unit->twin && !unit->twin->is_bound)
			continue;
		unit->is_taken = 1;
		return unit;
	}
	return NULL;
}

/* A tree that is complete, and of which there is no inventory yet. */
static struct unit *next_list(struct units *units)
{
	for (size_t i = 0; i < units->count; i++) {
		struct unit *unit = units->items[i];

		if (!unit->is_bound || unit->is_listed)
			continue;
		unit->is_listed = 1;
		if (unit->staged.draft.is_made)
			return unit;
	}
	return NULL;
}

static int list_unit(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	cleanup_stack struct tree_stack stack = {0};
	int ret = stack_below(unit, &stack, err);

	return ret ? ret
		   : draft_list(units->intake->graph, &unit->staged.draft, &stack,
				&unit->staged.result.prints, err);
}

static int all_listed(const struct units *units)
{
	for (size_t i = 0; i < units->count; i++) {
		if (!units->items[i]->is_listed)
			return 0;
	}
	return 1;
}

static int bring_in(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	int ret;

	if (!unit_is_missing(unit))
		return 0;
	if (unit->layer->is_base)
		return fail(err, SNAPDRV_MISSING, ENOENT, "it has been removed");
	if (can_share(units, unit)) {
		unit->shares_tree = unit->is_proven = 1;
		unit->staged.result = unit->twin->staged.result;
		unit->staged.result.prints = (struct file_prints){0};
		learn_blob(unit);
		return 0;
	}
	/* The same layers in another image of the source, as another blob. */
	unit->shares_tree =
		unit->twin && digest_equal(&unit->twin->layer->chain, &unit->layer->chain);
	ret = read_unit(units, unit, err);
	if (ret)
		return ret;
	unit->is_proven = 1;
	learn_blob(unit);
	return 0;
}

static void *work(void *arg)
{
	struct units *units = arg;

	pthread_mutex_lock(&units->lock);
	/* What was staged before needs binding alone. */
	bind_ready(units);
	while (!units->ret && !all_listed(units)) {
		struct unit *unit = next_unit(units), *list = unit ? NULL : next_list(units);
		struct snapdrv_error err;
		int ret;

		if (!unit && !list) {
			if (!all_listed(units))
				pthread_cond_wait(&units->changed, &units->lock);
			continue;
		}
		pthread_mutex_unlock(&units->lock);
		ret = unit ? bring_in(units, unit, &err) : list_unit(units, list, &err);
		pthread_mutex_lock(&units->lock);
		if (unit)
			unit->is_done = 1;
		else
			unit = list;
		if (ret && !units->ret) {
			units->ret = unit_fail(unit, ret, &err);
			units->err = err;
		}
		bind_ready(units);
		if (units->ret)
			fetcher_stop(units->fetcher);
		pthread_cond_broadcast(&units->changed);
	}
	/* Whoever waits may have nothing to wait for any more. */
	pthread_cond_broadcast(&units->changed);
	pthread_mutex_unlock(&units->lock);
	return NULL;
}

int units_unpack(struct units *units, struct snapdrv_error *err)
{
	int ret;

	units->ret = 0;
	for (size_t i = 0; i < units->count; i++) {
		struct unit *unit = units->items[i];

		unit->is_taken = unit->is_done = unit->staged.is_unpacked;
		unit->is_bound = unit->is_listed = 0;
	}
	ret = run_threads(units->count < THREADS ? (unsigned)units->count : THREADS, work, units,
			  err);
	if (ret)
		return ret;
	return units->ret ? fail(err, units->err.code, units->err.errnum, "%s", units->err.message)
			  : 0;
}
