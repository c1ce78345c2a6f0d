/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of what was brought in: layers, blobs, images and names, all in one change or none. */
#include <errno.h>

#include "base/error.h"
#include "image/keys.h"
#include "image/units.h"
#include "store/content.h"

/* The tree for a layer's snapshot. 0 found or published, 1 it has been removed meanwhile, or negative. */
static int settle_tree(struct units *units, struct unit *unit, struct snapdrv_error *err)
{
	struct graph *graph = units->intake->graph;
	int is_chain = !graph->backend.ops->is_layered ||
		       (unit->staged.is_unpacked && unit->staged.is_tied);
	struct tree_key key =
		is_chain ? chain_key(&unit->layer->chain) : diff_key(&unit->layer->diff);
	struct tree_record record = {
		.root_given = unit->staged.draft.ref.root_given,
		.root_opaque = unit->staged.draft.ref.root_opaque,
		.needs_look = unit->staged.needs_lower && !is_chain,
		.bytes = unit->staged.result.bytes,
		.entries = unit->staged.result.entries,
	};
	int found = tree_find(graph, key.text, &unit->tree, err), ret;

	if (found)
		return found < 0 ? found : 0;
	if (!unit->staged.draft.is_made)
		return 1;
	ret = draft_publish(graph, &unit->staged.draft, key.text, &record, err);
	if (!ret)
		unit->tree = record;
	return ret;
}

/* What was there when it was looked up may have gone with another image. 0 it is, 1 it has, or negative. */
static int blob_lost(const struct units *units, const struct unit *unit, struct snapdrv_error *err)
{
	int found = 1;

	if (intake_keeps_blobs(units->intake) && unit->layer->has_blob && !unit->layer->is_base &&
	    !unit->staged.has_blob)
		found = content_has(&units->intake->graph->store, &unit->layer->blob, err);
	return found < 0 ? found : !found;
}

static int commit_layer(struct units *units, struct unit *unit, const struct snapshot *parent,
			struct snapshot *ret_snapshot, struct snapdrv_error *err)
{
	struct graph *graph = units->intake->graph;
	struct digest_text chain = digest_format(&unit->layer->chain);
	int ret = snapshot_find(graph, chain.text, ret_snapshot, err);

	if (ret == 1)
		ret = tree_get(graph, ret_snapshot->tree, &unit->tree, err);
	else if (!ret && unit->is_present)
		ret = 1;
	else if (!ret) {
		ret = settle_tree(units, unit, err);
		if (!ret)
			ret = snapshot_add(graph, chain.text, TREE_LAYER, parent, unit->tree.id,
					   ret_snapshot, err);
	}
	if (!ret && unit->staged.has_blob && intake_keeps_blobs(units->intake))
		ret = content_publish(&graph->store, unit->staged.blob.text, &unit->layer->blob,
				      unit->layer->size, err);
	return ret ? ret : blob_lost(units, unit, err);
}

static int name_blob(struct store *store, int64_t image, const struct digest *digest,
		     struct snapdrv_error *err)
{
	int ret = db_run(store->db, err,
			 "INSERT OR IGNORE INTO image_blob(image, digest) VALUES(?, ?)", "is",
			 image, digest_format(digest).text);

	return ret < 0 ? ret : 0;
}

static int commit_blobs(struct store *store, const struct image_plan *image, int64_t id,
			struct snapdrv_error *err)
{
	int ret = name_blob(store, id, &image->digest, err);

	if (!ret)
		ret = name_blob(store, id, &image->config_digest, err);
	for (size_t i = 0; i < image->n_layers && !ret; i++)
		ret = name_blob(store, id, &image->layers[i].blob, err);
	if (!ret && image->has_files)
		ret = content_publish(store, image->manifest_file.text, &image->digest,
				      image->manifest_size, err);
	if (!ret && image->has_files)
		ret = content_publish(store, image->config_file.text, &image->config_digest,
				      image->config_size, err);
	return ret;
}

static int commit_step(struct store *store, const struct image_plan *image, int64_t snapshot,
		       struct snapdrv_error *err)
{
	const struct layer_plan *top = &image->layers[image->n_layers - 1];
	int ret = 0;

	for (size_t i = 0; i < image->step->n_keys && ret >= 0; i++)
		ret = db_run(store->db, err,
			     "INSERT OR REPLACE INTO build_step(key, snapshot, diff_id, size,"
			     " created_ns) VALUES(?, ?, ?, ?, ?)",
			     "sisii", image->step->keys[i], snapshot,
			     digest_format(&top->diff).text, (int64_t)top->size,
			     image->step->created_ns);
	return ret < 0 ? ret : 0;
}

static int commit_image(struct units *units, struct image_plan *image, struct snapdrv_error *err)
{
	struct store *store = &units->intake->graph->store;
	struct digest_text digest = digest_format(&image->digest);
	struct digest_text config = digest_format(&image->config_digest);
	struct snapshot parent = {0}, snapshot = {0};
	uint64_t bytes = 0;
	int64_t id;
	int ret = 0;

	for (size_t i = 0; i < image->n_layers; i++) {
		struct unit *unit = units_find(units, &image->layers[i]);

		ret = commit_layer(units, unit, i ? &parent : NULL, &snapshot, err);
		if (ret)
			return ret;
		parent = snapshot;
		bytes += unit->tree.bytes;
	}
	if (image->step)
		return commit_step(store, image, snapshot.id, err);
	ret = db_run(store->db, err,
		     "INSERT OR IGNORE INTO image(digest, config_digest, manifest, config, top, "
		     "platform,"
		     " created_ns, bytes, n_layers) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		     "ssbbisiii", digest.text, config.text, image->manifest, image->manifest_size,
		     image->config, image->config_size, snapshot.id, image->platform,
		     image->created_ns, (int64_t)bytes, (int64_t)image->n_layers);
	if (ret >= 0)
		ret = db_get_int(store->db, &id, err, "SELECT id FROM image WHERE digest = ?", "s",
				 digest.text);
	if (ret >= 0 && image->origin)
		ret = db_run(store->db, err, "UPDATE image SET origin = ? WHERE id = ?", "si",
			     image->origin, id);
	if (ret < 0)
		return ret;
	ret = commit_blobs(store, image, id, err);
	for (size_t i = 0; i < image->references.count && !ret; i++) {
		ret = db_run(store->db, err,
			     "INSERT INTO reference(name, image) VALUES(?, ?)"
			     " ON CONFLICT(name) DO UPDATE SET image = excluded.image",
			     "si", image->references.items[i], id);
		ret = ret < 0 ? ret : 0;
	}
	return ret;
}

int units_commit(struct units *units, struct snapdrv_error *err)
{
	struct store *store = &units->intake->graph->store;
	int is_lazy = !!(units->intake->options->flags & SNAPDRV_NO_SYNC);
	int ret = is_lazy ? store_begin_lazy(store, err) : store_begin(store, err);

	if (ret)
		return ret;
	for (size_t i = 0; i < units->plans->count && !ret; i++) {
		ret = commit_image(units, &units->plans->images[i], err);
		if (ret < 0)
			fail_within(err, ret, "image %s",
				    plan_label(&units->plans->images[i]).text);
	}
	ret = store_end(store, ret, err);
	/* What was published is the store's; what turned out not to be needed is still the session's. */
	for (size_t i = 0; i < units->count && !ret; i++) {
		if (units->items[i]->staged.draft.is_published)
			draft_forget(&units->items[i]->staged.draft);
	}
	return ret;
}
