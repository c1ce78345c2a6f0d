/* SPDX-License-Identifier: Apache-2.0 */
/* Naming images and taking names away; an image without a name and a user is removed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/images.h"
#include "image/reference.h"
#include "store/content.h"
#include "store/reserve.h"

int image_tag(struct graph *graph, const char *text, const char *ref, struct snapdrv_error *err)
{
	struct store *store = &graph->store;
	cleanup_image struct image image = {0};
	cleanup_free char *full = NULL;
	int ret = reference_normalize(ref, &full, err);

	if (!ret)
		ret = store_begin(store, err);
	if (ret)
		return ret;
	ret = image_find(graph, text, &image, err);
	if (!ret)
		ret = reference_check_pin(full, &image.digest, err);
	if (!ret)
		ret = db_run(store->db, err,
			     "INSERT INTO reference(name, image) VALUES(?, ?)"
			     " ON CONFLICT(name) DO UPDATE SET image = excluded.image",
			     "si", full, image.id);
	return store_end(store, ret < 0 ? ret : 0, err);
}

/* Return: 1 and the name of a container that uses the image, 0 there is none, or negative. */
static int find_user(struct graph *graph, int64_t image, char **ret_name, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT name FROM live_container WHERE image = ? LIMIT 1", "i", image);
	int found = query ? query_next(query, err) : -EIO;

	if (found != 1)
		return found;
	*ret_name = text_dup(query_text(query, 0), err);
	return *ret_name ? 1 : -ENOMEM;
}

static int list_blobs(struct graph *graph, int64_t image, struct strings *digests,
		      struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err, "SELECT digest FROM image_blob WHERE image = ?", "i", image);
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = strings_add(digests, query_text(query, 0), err);
	return ret;
}

/* Containers that are only marked as removed still name the image. */
static int release_removed(struct graph *graph, int64_t image, struct doomed *doomed,
			   struct snapdrv_error *err)
{
	int64_t id = 0;
	int found;

	/* One after the other: in a damaged database a row may stay. */
	while ((found = db_get_int(graph->store.db, &id, err,
				   "SELECT snapshot FROM container WHERE image = ? AND"
				   " snapshot > ? ORDER BY snapshot LIMIT 1",
				   "ii", image, id)) == 1) {
		int ret = snapshot_release(graph, id, doomed, err);

		if (ret)
			return ret;
	}
	return found;
}

static int delete_image(struct graph *graph, const struct image *image, struct doomed *doomed,
			struct snapdrv_error *err)
{
	struct store *store = &graph->store;
	cleanup_strings struct strings digests = {0};
	int ret = list_blobs(graph, image->id, &digests, err);

	if (!ret)
		ret = db_run(store->db, err, "DELETE FROM image_blob WHERE image = ?", "i",
			     image->id);
	if (ret >= 0)
		ret = release_removed(graph, image->id, doomed, err);
	if (ret >= 0)
		ret = db_run(store->db, err, "DELETE FROM image WHERE id = ?", "i", image->id);
	for (size_t i = 0; i < digests.count && ret >= 0; i++) {
		ret = content_forget(store, digests.items[i], err);
		if (ret > 0)
			ret = strings_add(&doomed->blobs, digests.items[i], err);
	}
	return ret < 0 ? ret : snapshot_release(graph, image->top, doomed, err);
}

/* Whether a name of the image is what it was called by: the name itself, or any in that repository. */
static int is_meant(const struct image *image, const char *name)
{
	size_t length = image->by_digest ? strcspn(image->name, "@") : 0;

	if (image->by_id)
		return 1;
	return image->by_digest ? !strncmp(name, image->name, length) && strchr(":@", name[length])
				: !strcmp(name, image->name);
}

/* The names that go, and how many there are in all. */
static int list_names(struct graph *graph, const struct image *image, struct strings *names,
		      size_t *ret_all, struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err, "SELECT name FROM reference WHERE image = ? ORDER BY name",
		"i", image->id);
	int ret = query ? 0 : -EIO;

	*ret_all = 0;
	while (!ret && (ret = query_next(query, err)) == 1) {
		const char *name = query_text(query, 0);

		++*ret_all;
		ret = is_meant(image, name) ? strings_add(names, name, err) : 0;
	}
	return ret;
}

static int remove_in_change(struct graph *graph, const char *text, unsigned flags,
			    struct strings *untagged, char **ret_deleted, struct doomed *doomed,
			    struct snapdrv_error *err)
{
	cleanup_image struct image image = {0};
	cleanup_free char *user = NULL;
	int is_forced = flags & SNAPDRV_FORCE, used, ret = image_find(graph, text, &image, err);
	size_t all;

	if (!ret)
		ret = list_names(graph, &image, untagged, &all, err);
	if (ret)
		return ret;
	if (image.by_id && all > 1 && !is_forced)
		return fail(err, SNAPDRV_BUSY, EBUSY,
			    "image %s: it has %zu names: remove them one by one, or use --force",
			    quote(text).text, all);
	used = find_user(graph, image.id, &user, err);
	if (used < 0)
		return used;
	if (used && !is_forced && untagged->count == all)
		return fail(err, SNAPDRV_BUSY, EBUSY, "image %s: container %s uses it",
			    quote(text).text, user);
	for (size_t i = 0; i < untagged->count; i++) {
		ret = db_run(graph->store.db, err, "DELETE FROM reference WHERE name = ?", "s",
			     untagged->items[i]);
		if (ret < 0)
			return ret;
	}
	if (used || untagged->count < all)
		return 0;
	ret = delete_image(graph, &image, doomed, err);
	if (ret)
		return ret;
	*ret_deleted = text_dup(image.config_digest.text, err);
	return *ret_deleted ? 0 : -ENOMEM;
}

int image_remove(struct graph *graph, const char *text, unsigned flags,
		 struct snapdrv_removed *ret_removed, struct snapdrv_error *err)
{
	cleanup_strings struct strings untagged = {0};
	cleanup_free char *deleted = NULL;
	cleanup_doomed struct doomed doomed = {.is_late = 1};
	int ret = reserve_session(&graph->store, err);

	ret = ret < 0 ? ret : store_begin_lazy(&graph->store, err);
	if (ret)
		return ret;
	ret = remove_in_change(graph, text, flags, &untagged, &deleted, &doomed, err);
	ret = store_end(&graph->store, ret, err);
	if (ret)
		return ret;
	graph_bury(graph, &doomed);
	*ret_removed =
		(struct snapdrv_removed){untagged.items, untagged.count, steal_ptr(&deleted)};
	untagged = (struct strings){0};
	return 0;
}
