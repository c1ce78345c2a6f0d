/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of one load, each once: what the store has of them, and where the others are. */
#include "image/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/fetch.h"
#include "image/keys.h"
#include "store/content.h"
#include "store/lock.h"

static uint64_t hash_digest(const void *key, uint64_t secret)
{
	return map_hash(key, sizeof(struct digest), secret);
}

static int has_chain(const void *item, const void *key)
{
	return digest_equal(&((const struct unit *)item)->layer->chain, key);
}

static int has_diff(const void *item, const void *key)
{
	return digest_equal(&((const struct unit *)item)->layer->diff, key);
}

static uint64_t hash_place(const void *key, uint64_t secret)
{
	return map_hash(key, sizeof(struct unit_place), secret);
}

static int has_place(const void *item, const void *key)
{
	const struct unit_place *one = &((const struct unit *)item)->key, *other = key;

	return one->size == other->size && digest_equal(&one->blob, &other->blob) &&
	       digest_equal(&one->chain, &other->chain);
}

/* What the manifest says, and not what was found on the way. */
static struct unit_place place_of(const struct layer_plan *layer)
{
	struct unit_place place = {.chain = layer->chain};

	if (layer->has_blob && !layer->is_found) {
		place.blob = layer->blob;
		place.size = layer->size;
	}
	return place;
}

struct unit *units_find(const struct units *units, const struct layer_plan *layer)
{
	const struct unit_place place = place_of(layer);

	return map_get(&units->by_place, &place);
}

static int enter(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	int ret = map_set(&units->by_place, &unit->key, unit, err);

	if (!ret && !map_get(&units->by_chain, &unit->layer->chain))
		ret = map_set(&units->by_chain, &unit->layer->chain, unit, err);
	return ret || unit->twin ? ret : map_set(&units->by_diff, &unit->layer->diff, unit, err);
}

static int add_unit(struct units *units, struct image_plan *image, size_t index,
		    struct snapdrv_error *err)
{
	struct layer_plan *layer = &image->layers[index];
	struct unit **items, *unit;

	if (units_find(units, layer))
		return 0;
	items = reallocarray(units->items, units->count + 1, sizeof(*items));
	if (!items)
		return fail_memory(err);
	units->items = items;
	unit = calloc(1, sizeof(*unit));
	if (!unit)
		return fail_memory(err);
	*unit = (struct unit){.image = image, .layer = layer, .place = {.fd = -1}};
	unit->key = place_of(layer);
	unit->twin = map_get(&units->by_chain, &layer->chain);
	if (!unit->twin)
		unit->twin = map_get(&units->by_diff, &layer->diff);
	if (index)
		unit->parent = units_find(units, &image->layers[index - 1]);
	items[units->count++] = unit;
	return enter(units, unit, err);
}

int units_make(struct intake *intake, struct plans *plans, struct units *ret_units,
	       struct snapdrv_error *err)
{
	static const struct map_kind by_place = {hash_place, has_place};
	static const struct map_kind by_chain = {hash_digest, has_chain};
	static const struct map_kind by_diff = {hash_digest, has_diff};
	int ret = 0;

	*ret_units = (struct units){.intake = intake,
				    .plans = plans,
				    .by_place = {.kind = &by_place},
				    .by_chain = {.kind = &by_chain},
				    .by_diff = {.kind = &by_diff}};
	pthread_mutex_init(&ret_units->lock, NULL);
	pthread_cond_init(&ret_units->changed, NULL);
	for (size_t i = 0; i < plans->count && !ret; i++) {
		for (size_t j = 0; j < plans->images[i].n_layers && !ret; j++)
			ret = add_unit(ret_units, &plans->images[i], j, err);
	}
	return ret;
}

void units_done(struct units *units)
{
	if (!units->intake)
		return;
	for (size_t i = 0; i < units->count; i++) {
		staged_drop(units->intake, &units->items[i]->staged);
		layer_place_done(&units->items[i]->place);
		free(units->items[i]);
	}
	free(units->items);
	detail_done(&units->known);
	map_done(&units->by_place);
	map_done(&units->by_chain);
	map_done(&units->by_diff);
	unlock_layers(&units->intake->graph->store);
	pthread_cond_destroy(&units->changed);
	pthread_mutex_destroy(&units->lock);
	*units = (struct units){0};
}

int unit_fail(const struct unit *unit, int ret, struct snapdrv_error *err)
{
	const struct layer_plan *layer = unit->layer;

	return fail_within(err, ret, "image %s: layer %s", plan_label(unit->image).text,
			   digest_format(layer->has_blob ? &layer->blob : &layer->diff).text);
}

/* What is to be read of a blob, although the layer's tree may be there. */
static int look_for_blob(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	const struct layer_plan *layer = unit->layer;
	int found = 1;

	unit->wants_blob = unit->wants_proof = 0;
	if (!layer->has_blob || layer->is_base)
		return 0;
	if (intake_keeps_blobs(units->intake))
		found = content_has(&units->intake->graph->store, &layer->blob, err);
	unit->wants_blob = !found;
	if (found >= 0 && !unit->is_proven) {
		found = units_know(units, layer, err);
		unit->wants_proof = !found;
	}
	return found < 0 ? found : 0;
}

/* What the store has of a layer. */
static int look_up(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	struct graph *graph = units->intake->graph;
	struct snapshot snapshot;
	int found = snapshot_find(graph, digest_format(&unit->layer->chain).text, &snapshot, err);

	/* Somebody may remove it between the two looks. */
	if (found == 1)
		found = tree_look(graph, snapshot.tree, &unit->tree, err);
	unit->is_present = unit->has_tree = found == 1;
	if (!found && graph->backend.ops->is_layered) {
		found = tree_find(graph, diff_key(&unit->layer->diff).text, &unit->tree, err);
		/* One that needs a look is unpacked again: if it turns out the same, it is shared. */
		unit->has_tree = found == 1 && !unit->tree.needs_look;
	}
	return found < 0 ? found : look_for_blob(units, unit, err);
}

int unit_is_missing(const struct unit *unit)
{
	return !unit->staged.is_unpacked &&
	       (!unit->has_tree || unit->wants_blob || unit->wants_proof || !unit->layer->has_blob);
}

static int lock_missing(struct units *units, struct snapdrv_error *err)
{
	cleanup_free struct digest *digests = calloc(2 * units->count, sizeof(*digests));
	size_t n = 0;

	if (!digests)
		return fail_memory(err);
	/* Those that a stream took on its way come in their order too. */
	fetcher_let_go(units->fetcher);
	unlock_layers(&units->intake->graph->store);
	for (size_t i = 0; i < units->count; i++) {
		struct unit *unit = units->items[i];

		unit->is_locked |= unit_is_missing(unit);
		if (!unit->is_locked)
			continue;
		digests[n++] = unit->layer->diff;
		if (unit->layer->has_blob)
			digests[n++] = unit->layer->blob;
	}
	return lock_layers(&units->intake->graph->store, digests, n, err);
}

static int find_place(struct units *units, struct unit *unit, struct source *source,
		      struct snapdrv_error *err)
{
	const struct layer_plan *layer = unit->layer;
	int found;

	if (units->fetcher)
		return fetcher_add(units->fetcher, &layer->blob, layer->size, &unit->place.fetch,
				   err);
	if (unit->place.fd >= 0 || unit->place.staged)
		return 0;
	found = source_layer(source, layer->member, &unit->place, err);
	if (found < 0)
		return found;
	if (!found)
		return refuse(err, "%s is missing", quote(layer->member).text);
	if (!unit->place.staged && layer->has_blob && unit->place.size != layer->size)
		return refuse(err, "%llu bytes where its descriptor says %llu",
			      (unsigned long long)unit->place.size,
			      (unsigned long long)layer->size);
	return 0;
}

/* Return: 1 something is missing that is not locked, 0 there is no such thing, or negative. */
static int look_up_all(struct units *units, struct snapdrv_error *err)
{
	int any = 0;

	for (size_t i = 0; i < units->count; i++) {
		struct unit *unit = units->items[i];
		int ret = look_up(units, unit, err);

		if (ret)
			return unit_fail(unit, ret, err);
		any |= unit_is_missing(unit) && !unit->is_locked;
	}
	return any;
}

int units_look_up(struct units *units, struct source *source, struct snapdrv_error *err)
{
	int ret, more;

	for (size_t i = 0; i < units->count; i++)
		units->items[i]->is_locked = 0;
	units->fetcher = source ? source_fetcher(source) : NULL;
	more = look_up_all(units, err);
	/*
	 * Again: what was waited for may be there now, and what was there may have gone meanwhile. Each round
	 * locks more.
	 */
	do {
		ret = more < 0 ? more : lock_missing(units, err);
		if (!ret)
			more = look_up_all(units, err);
	} while (!ret && more == 1);
	if (ret || more < 0)
		return ret ? ret : more;
	for (size_t i = 0; i < units->count && source; i++) {
		struct unit *unit = units->items[i];

		ret = unit_is_missing(unit) ? find_place(units, unit, source, err) : 0;
		if (ret)
			return unit_fail(unit, ret, err);
	}
	return 0;
}

/* Return: 1 the tree that was found in the store is not there any more, 0 it is, or negative. */
static int is_lost(const struct units *units, const struct unit *unit, struct snapdrv_error *err)
{
	int64_t one;
	int found = 1;

	if (unit->has_tree)
		found = db_get_int(units->intake->graph->store.db, &one, err,
				   "SELECT 1 FROM tree WHERE id = ?", "i", unit->tree.id);
	return found < 0 ? found : !found;
}

/* What was unpacked over a tree that is lost is unpacked again; its blob is right as it is. */
static int forget_unpacked(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	const struct staged blob = {.has_blob = unit->staged.has_blob, .blob = unit->staged.blob};

	if (unit->place.fd < 0 && !unit->place.fetch)
		return unit_fail(unit,
				 fail(err, SNAPDRV_FAILED, EAGAIN,
				      "a layer below it has been removed, and the stream is past "
				      "it: load it again"),
				 err);
	unit->staged.has_blob = 0;
	staged_drop(units->intake, &unit->staged);
	unit->staged = blob;
	return 0;
}

int units_lost(struct units *units, struct snapdrv_error *err)
{
	int is_layered = units->intake->graph->backend.ops->is_layered, any = 0, ret = 0;

	/* Parents stand before their children. */
	for (size_t i = 0; i < units->count && ret >= 0; i++) {
		struct unit *unit = units->items[i];

		ret = is_lost(units, unit, err);
		unit->is_lost = ret == 1 || (unit->parent && unit->parent->is_lost);
		any |= ret == 1;
		if (ret || !unit->is_lost || !unit->staged.is_unpacked ||
		    (is_layered && !unit->staged.needs_lower))
			continue;
		ret = forget_unpacked(units, unit, err);
	}
	return ret < 0 ? ret : any;
}
