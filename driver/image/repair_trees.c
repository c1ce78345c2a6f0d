/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making damaged or missing layers again from their blobs, image by image:
 *
 *   plan     the image as a load would have it; what is in order counts as there
 *   unpack   as a load does: bound to the layers below, listed, frozen
 *   replace  one sync for all, then each tree takes the place of the damaged one
 *   heal     where containers share the data of the layers below, what they have of the damage
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/container.h"
#include "image/detail.h"
#include "image/repair.h"
#include "image/units.h"
#include "snapshot/heal.h"
#include "snapshot/inventory.h"
#include "snapshot/seal.h"
#include "store/content.h"
#include "store/lock.h"

#define cleanup_plans __attribute__((cleanup(plans_done)))
#define cleanup_units __attribute__((cleanup(units_done)))

static int is_repaired(const struct check *check, const struct damage *damage)
{
	return check->found.findings[damage->finding].is_repaired;
}

static struct damage *unrepaired(struct check *check, int64_t tree)
{
	struct damage *damage = check_damaged_tree(check, tree);

	return damage && !damage->is_remade && !is_repaired(check, damage) ? damage : NULL;
}

/* What stands on a damaged tree, and shares its data, is damaged too. */
static int spread(struct check *check, struct snapdrv_error *err)
{
	for (size_t i = 0; i < check->n_damages; i++) {
		cleanup_query struct query *query = NULL;
		int ret;

		if (check->damages[i].is_blob)
			continue;
		query = db_query(
			check->graph->store.db, err,
			"SELECT tree.id, " CHECK_LAYER_NAME
			" FROM snapshot JOIN tree ON tree.id = snapshot.tree WHERE kind = 'c'"
			" AND parent IN (SELECT id FROM snapshot WHERE tree = ?)",
			"i", check->damages[i].tree);
		ret = query ? 0 : -EIO;
		while (!ret && (ret = query_next(query, err)) == 1)
			ret = check_damage_tree(check, query_int(query, 0), query_text(query, 1), 0,
						NULL, err, "the layer below it is damaged");
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- one that is only not read-only any more ---------------------------------------------- */

static void note_difference(void *arg, const char *path, const char *what)
{
	(void)path, (void)what;
	++*(size_t *)arg;
}

/* 1 its files are as they were, and it is read-only again; 0 it has to be made again; or negative. */
static int freeze_again(struct check *check, const struct damage *damage, struct snapdrv_error *err)
{
	struct graph *graph = check->graph;
	cleanup_stack struct tree_stack parents = {0};
	struct tree_record record;
	struct tree_ref ref;
	struct snapshot parent;
	size_t count = 0;
	int64_t id = 0;
	int ret = tree_get(graph, damage->tree, &record, err);

	if (!ret)
		ret = db_get_int(graph->store.db, &id, err,
				 "SELECT parent FROM snapshot WHERE tree = ?", "i", damage->tree);
	if (ret < 0)
		return ret;
	if (id && !snapshot_get(graph, id, &parent, err))
		snapshot_stack(graph, &parent, &parents, err);
	ref = tree_ref_of(&record);
	if (tree_audit(graph, &ref, &parents, note_difference, &count, NULL) != 1 || count)
		return 0;
	ret = graph->backend.ops->freeze(&graph->backend, graph->store.layers_fd, ref.path, err);
	return ret							     ? ret
	       : check_remedy(check, damage, 1, err, "made read-only again") ? -ENOMEM
									     : 1;
}

/* ---- making one again --------------------------------------------------------------------- */

/* Where the bytes of a damaged layer are. */
static int find_place(struct check *check, int64_t image, const struct image_layer *layer,
		      struct unit *unit, struct snapdrv_error *err)
{
	struct store *store = &check->graph->store;
	struct damage *blob = check_damaged_blob(check, &layer->blob);
	struct store_name name;
	int ret;

	unit->place.size = layer->blob_size;
	unit->place.owns_fd = 1;
	if (content_has(store, &layer->blob, err) == 1 && (!blob || is_repaired(check, blob))) {
		unit->place.fd = content_open(store, &layer->blob, err);
		return unit->place.fd < 0 ? unit->place.fd : 0;
	}
	ret = repair_fetch(check, image, &layer->blob, layer->blob_size, &name, err);
	if (ret != 1)
		return ret ? ret
			   : fail(err, SNAPDRV_MISSING, ENOENT,
				  "blob %s is not kept: load or pull the image, then repair again",
				  digest_format(&layer->blob).text);
	unit->place.fd = openat(store->session_fd, name.text, O_RDONLY | O_CLOEXEC);
	unlinkat(store->session_fd, name.text, 0);
	return unit->place.fd < 0 ? fail_errno(err, "open a fetched blob") : 0;
}

static int plan_image(const struct image_detail *detail, struct plans *plans,
		      struct snapdrv_error *err)
{
	struct image_plan *image = plans_add(plans, err);
	char *config = image ? text_dup(detail->config_text, err) : NULL;
	int ret;

	if (!config)
		return -ENOMEM;
	ret = plan_config(image, config, detail->config_size, err);
	if (!ret && image->n_layers != detail->n_layers)
		ret = fail(err, SNAPDRV_FAILED, EUCLEAN, "its layers do not fit it");
	for (size_t i = 0; i < detail->n_layers && !ret; i++) {
		image->layers[i].has_blob = 1;
		image->layers[i].blob = detail->layers[i].blob;
		image->layers[i].size = detail->layers[i].blob_size;
	}
	return ret;
}

/* What is not damaged is there. */
static int look_up(struct check *check, int64_t image, const struct image_detail *detail,
		   struct units *units, struct snapdrv_error *err)
{
	cleanup_free struct digest *locks = calloc(detail->n_layers + 1, sizeof(*locks));
	size_t n_locks = 0;
	int ret = 0;

	if (!locks)
		return fail_memory(err);
	for (size_t i = 0; i < detail->n_layers && !ret; i++) {
		const struct image_layer *layer = &detail->layers[i];
		struct unit *unit = units_find(units, &units->plans->images[0].layers[i]);

		ret = tree_get(check->graph, layer->tree, &unit->tree, err);
		unit->is_present = 1;
		unit->has_tree = !unrepaired(check, layer->tree);
		if (ret || unit->has_tree || unit->place.fd >= 0)
			continue;
		locks[n_locks++] = layer->diff;
		ret = find_place(check, image, layer, unit, err);
	}
	return ret ? ret : lock_layers(&check->graph->store, locks, n_locks, err);
}

static int heal_one(struct check *check, int64_t id, const struct damage *damage,
		    const struct tree_record *record, const struct draft *draft,
		    struct heal_count *count, struct snapdrv_error *err)
{
	const struct tree_ref right = tree_ref_of(record);
	struct tree_record own = {.is_active = 1};
	struct tree_ref active;
	struct snapshot snapshot;
	struct snapdrv_error why;
	int found = snapshot_look(check->graph, id, &snapshot, err), ret;

	if (found <= 0)
		return found;
	own.id = snapshot.tree;
	active = tree_ref_of(&own);
	ret = tree_heal(check->graph, &active, &draft->ref, &right, &damage->files, count, &why);
	/* Removed meanwhile. */
	if (!ret || snapshot_expect(check->graph, &snapshot, NULL) == -ENOENT)
		return 0;
	return fail_as(err, &why);
}

/* What stands on the layer and is none: containers, and snapshots of runtimes. @draft is the old tree by now. */
static int heal_snapshots(struct check *check, const struct damage *damage,
			  const struct tree_record *record, const struct draft *draft,
			  struct heal_count *count, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(check->graph->store.db, err,
			 CHECK_STANDING "SELECT id, name FROM snapshot WHERE id IN above"
					" AND kind != 'c' AND NOT removed ORDER BY id",
			 "i", damage->tree);
	int ret = query ? 0 : -EIO;

	while (!ret && damage->files.count && (ret = query_next(query, err)) == 1) {
		ret = heal_one(check, query_int(query, 0), damage, record, draft, count, err);
		if (ret)
			return fail_within(err, ret, "snapshot %s", query_text(query, 1));
	}
	return ret;
}

static int replace(struct check *check, struct unit *unit, struct snapdrv_error *err)
{
	struct damage *damage = check_damaged_tree(check, unit->tree.id);
	struct graph *graph = check->graph;
	struct draft *draft = &unit->staged.draft;
	struct heal_count count = {0};
	int in_use = 0, ret = 0, done = tree_replace(graph, &unit->tree, draft, &in_use, err);

	if (done < 0)
		return done;
	if (!done)
		return check_remedy(check, damage, 1, err, "it has been removed meanwhile");
	damage->is_remade = 1;
	if (graph->backend.ops->shares_parents && draft->is_made)
		ret = heal_snapshots(check, damage, &unit->tree, draft, &count, err);
	if (ret)
		return ret;
	if (count.left)
		return check_remedy(check, damage, 0, err,
				    "made again from its blob; %zu files of containers too, and "
				    "%zu are in use and stay damaged",
				    count.files, count.left);
	if (count.files)
		return check_remedy(check, damage, 1, err,
				    "made again from its blob; %zu files of containers too",
				    count.files);
	return check_remedy(check, damage, 1, err, "made again from its blob%s",
			    in_use ? "; containers have it when they are mounted next" : "");
}

/* Whether the image came in with --verity: one of its layers that are there tells. */
static int is_sealed(const struct check *check, const struct units *units)
{
	for (size_t i = 0; i < units->count; i++) {
		const struct tree_ref tree = tree_ref_of(&units->items[i]->tree);

		if (graph_tree_is_sealed(check->graph, &tree))
			return 1;
	}
	return 0;
}

static int remake(struct check *check, int64_t image, const struct image_detail *detail,
		  struct snapdrv_error *err)
{
	struct snapdrv_load_options load = {.flags = SNAPDRV_DISCARD_BLOBS};
	cleanup_plans struct plans plans = {0};
	cleanup_units struct units units = {0};
	struct intake intake;
	int ret = plan_image(detail, &plans, err);

	intake_init(&intake, check->graph, &load);
	if (!ret)
		ret = units_make(&intake, &plans, &units, err);
	if (!ret)
		ret = look_up(check, image, detail, &units, err);
	if (!ret)
		ret = units_unpack(&units, err);
	if (!ret && is_sealed(check, &units)) {
		load.flags |= SNAPDRV_VERITY;
		ret = units_seal(&units, err);
	}
	if (!ret)
		ret = store_sync(&check->graph->store, err);
	for (size_t i = 0; i < units.count && !ret; i++) {
		if (units.items[i]->staged.draft.is_made)
			ret = replace(check, units.items[i], err);
	}
	return ret;
}

/* What fails here is said of each layer, and is no failure of the check. */
static int repair_image(struct check *check, const struct image *image, struct snapdrv_error *err)
{
	cleanup_detail struct image_detail detail = {0};
	struct snapdrv_error why;
	size_t n_wanted = 0;
	int ret = detail_read(check->graph, image, &detail, &why);

	for (size_t i = 0; i < detail.n_layers; i++)
		n_wanted += unrepaired(check, detail.layers[i].tree) != NULL;
	if (ret || !n_wanted)
		return 0;
	ret = remake(check, image->id, &detail, &why);
	if (ret == -ENOMEM)
		return fail_memory(err);
	for (size_t i = 0; i < detail.n_layers && ret; i++) {
		struct damage *damage = unrepaired(check, detail.layers[i].tree);

		if (damage && check_remedy(check, damage, 0, err, "%s", why.message))
			return -ENOMEM;
	}
	return 0;
}

/* One after the other: an open query would see the database as it was, for as long as layers are unpacked. */
static int repair_images(struct check *check, struct snapdrv_error *err)
{
	struct image image = {0};
	int ret = 0, found;

	while (!ret && (found = db_get_int(check->graph->store.db, &image.id, err,
					   "SELECT id FROM image WHERE id > ? ORDER BY id LIMIT 1",
					   "i", image.id)) == 1) {
		found = db_get_int(check->graph->store.db, &image.top, err,
				   "SELECT top FROM image WHERE id = ?", "i", image.id);
		ret = found == 1 ? repair_image(check, &image, err) : found;
	}
	return ret ? ret : found;
}

/* ---- what nothing needs ------------------------------------------------------------------- */

/* All that stands on the tree and is only kept for later builds or loads, from the top. */
static int release_above(struct check *check, int64_t tree, struct doomed *doomed,
			 struct snapdrv_error *err)
{
	struct graph *graph = check->graph;
	int64_t id, parent;
	int ret =
		db_run(graph->store.db, err,
		       CHECK_STANDING "DELETE FROM build_step WHERE snapshot IN above", "i", tree);

	while (ret >= 0 &&
	       (ret = db_get_int(graph->store.db, &id, err,
				 CHECK_STANDING "SELECT id FROM above ORDER BY id DESC LIMIT 1",
				 "i", tree)) == 1) {
		ret = snapshot_release_one(graph, id, doomed, &parent, err);
		/* Somebody needs it after all. */
		if (!ret)
			return 0;
	}
	return ret < 0 ? ret : 1;
}

/* 1 it is gone, 0 something needs it, or negative. */
static int forget(struct check *check, const struct damage *damage, struct snapdrv_error *err)
{
	struct graph *graph = check->graph;
	cleanup_doomed struct doomed doomed = {0};
	int ret = store_begin_lazy(&graph->store, err), gone;

	if (ret)
		return ret;
	gone = release_above(check, damage->tree, &doomed, err);
	if (gone != 1) {
		store_rollback(&graph->store);
		return gone;
	}
	ret = store_commit(&graph->store, err);
	if (ret)
		return ret;
	graph_bury(graph, &doomed);
	return check_remedy(check, damage, 1, err, "removed: nothing needs it") ? -ENOMEM : 1;
}

/* A layer that no image has. */
static int forget_or_blame(struct check *check, const struct damage *damage,
			   struct snapdrv_error *err)
{
	int ret = forget(check, damage, err);

	return ret ? (ret < 0 ? ret : 0)
		   : check_remedy(check, damage, 0, err,
				  "no image has it: what it was unpacked from is not known");
}

int repair_trees(struct check *check, struct snapdrv_error *err)
{
	const struct backend_ops *ops = check->graph->backend.ops;
	size_t n_trees = 0;
	int ret = 0;

	for (size_t i = 0; i < check->n_damages && ret >= 0; i++) {
		const struct damage *damage = &check->damages[i];

		if (!damage->is_blob && !damage->is_gone && ops->is_frozen)
			ret = freeze_again(check, damage, err);
		n_trees += !damage->is_blob && !is_repaired(check, damage);
	}
	if (ret < 0 || !n_trees)
		return ret < 0 ? ret : 0;
	ret = ops->shares_parents ? spread(check, err) : 0;
	if (!ret)
		ret = repair_images(check, err);
	for (size_t i = 0; i < check->n_damages && !ret; i++) {
		const struct damage *damage = &check->damages[i];

		if (!damage->is_blob && !check->found.findings[damage->finding].remedy)
			ret = forget_or_blame(check, damage, err);
	}
	return ret;
}
