/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting damaged or missing blobs again:
 *
 *   documents  manifests and configs are in the database too
 *   layers     from the registry; or, of a plain tar, from the layer's tree, if that gives the same bytes
 *   neither    the blob is put away, as if it had been discarded: who loads the image brings it again
 */
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/detail.h"
#include "image/repair.h"
#include "image/rewrite.h"
#include "store/content.h"

#define REMOVED "it has been removed or replaced meanwhile"

/* 1 done, 0 it is no document of an image, or negative. */
static int from_database(struct check *check, const struct digest *digest,
			 struct store_name *ret_name, struct snapdrv_error *err)
{
	struct store *store = &check->graph->store;
	struct digest_text text = digest_format(digest);
	cleanup_query struct query *query =
		db_query(store->db, err,
			 "SELECT manifest FROM image WHERE digest = ?1"
			 " UNION ALL SELECT config FROM image WHERE config_digest = ?1",
			 "s", text.text);
	int found = query ? query_next(query, err) : -EIO;
	struct digest is;
	const void *data;
	size_t size;

	if (found != 1)
		return found;
	data = query_bytes(query, 0, &size);
	is = digest_of(data, size);
	if (!digest_equal(&is, digest))
		return 0;
	found = content_write(store, data, size, ret_name, err);
	return found ? found : 1;
}

struct writing {
	int fd;
	struct hasher *hasher;
};

static int put(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct writing *writing = context;

	hasher_update(writing->hasher, data, size);
	return content_append(writing->fd, data, size, err);
}

static int rewrite(struct check *check, const struct image_layer *layer,
		   struct store_name *ret_name, struct snapdrv_error *err)
{
	struct store *store = &check->graph->store;
	cleanup_fd int fd = content_create(store, ret_name, err);
	struct writing writing = {fd, NULL};
	struct digest is = {0};
	int ret = fd < 0 ? fd : 0;

	if (ret)
		return ret;
	writing.hasher = hasher_new(err);
	ret = writing.hasher ? rewrite_layer(check->graph, layer, put, &writing, err) : -ENOMEM;
	if (!ret)
		is = hasher_final(writing.hasher);
	hasher_free(writing.hasher);
	if (!ret && digest_equal(&is, &layer->blob))
		return 1;
	unlinkat(store->session_fd, ret_name->text, 0);
	return ret;
}

/* 1 done, 0 it is no plain tar of a tree that is in order, or negative. */
static int from_tree(struct check *check, int64_t image_id, const struct digest *digest,
		     struct store_name *ret_name, struct snapdrv_error *err)
{
	cleanup_detail struct image_detail detail = {0};
	struct image image = {.id = image_id};
	int found = db_get_int(check->graph->store.db, &image.top, err,
			       "SELECT top FROM image WHERE id = ?", "i", image_id);

	if (found == 1)
		found = detail_read(check->graph, &image, &detail, err);
	if (found)
		return found;
	for (size_t i = 0; i < detail.n_layers; i++) {
		const struct image_layer *layer = &detail.layers[i];

		if (digest_equal(&layer->blob, digest) && digest_equal(&layer->diff, digest) &&
		    !check_damaged_tree(check, layer->tree))
			return rewrite(check, layer, ret_name, err);
	}
	return 0;
}

/* Of this process or of the disk, at this moment: the next check may have the blob again. */
static int is_lack(int ret)
{
	return errno_is_passing(-ret) || ret == -ENOSPC || ret == -EDQUOT;
}

/* From one of the images that name it. Return: 1 done, 0 with the reason in @why, or negative. */
static int find_in(struct check *check, int64_t image, const struct digest *digest, uint64_t size,
		   struct store_name *ret_name, const char **ret_how, struct snapdrv_error *why)
{
	int ret;

	*ret_how = "written again from the layer";
	ret = from_tree(check, image, digest, ret_name, why);
	if (ret == 1 || is_lack(ret))
		return ret;
	*ret_how = "pulled again";
	return repair_fetch(check, image, digest, size, ret_name, why);
}

/* The last reason why not is kept; a lack is an error. No query is open while a registry is asked. */
static int find_again(struct check *check, const struct digest *digest, struct store_name *ret_name,
		      const char **ret_how, struct snapdrv_error *why, struct snapdrv_error *err)
{
	struct digest_text text = digest_format(digest);
	struct db *db = check->graph->store.db;
	int64_t image = 0, size = 0;
	int found = db_get_int(db, &size, err, "SELECT size FROM blob WHERE digest = ?", "s",
			       text.text);

	while (found >= 0 && (found = db_get_int(db, &image, err,
						 "SELECT image FROM image_blob WHERE digest = ?1"
						 " AND image > ?2 ORDER BY image LIMIT 1",
						 "si", text.text, image)) == 1) {
		int ret = find_in(check, image, digest, (uint64_t)size, ret_name, ret_how, why);

		if (ret == 1)
			return 1;
		if (is_lack(ret))
			return fail_as(err, why);
	}
	return found;
}

/*
 * It is not to be had again, so it is read once more: a disk's failure may have been one of a moment. The file stays
 * open: no other one can be taken for it.
 */
static int give_up(struct check *check, const struct damage *damage,
		   const struct snapdrv_error *why, struct snapdrv_error *err)
{
	struct store *store = &check->graph->store;
	struct snapdrv_error again;
	cleanup_fd int fd = content_open(store, &damage->digest, &again);
	int ret = fd < 0 ? fd : content_verify_fd(fd, &damage->digest, &again);

	if (is_lack(ret))
		return fail_as(err, &again);
	if (ret == 1)
		return check_remedy(check, damage, 1, err, "whole when it was read again");
	ret = content_put_away(store, &damage->digest, fd, err);
	if (ret < 0)
		return ret;
	if (!ret)
		return check_remedy(check, damage, 1, err, REMOVED);
	return check_remedy(check, damage, 0, err, "put away; load or pull the image again%s%s",
			    *why->message ? ": " : "", why->message);
}

static int repair_blob(struct check *check, const struct damage *damage, struct snapdrv_error *err)
{
	struct snapdrv_error why = {0};
	struct store_name name;
	const char *how = "written again from the database";
	int ret = from_database(check, &damage->digest, &name, err);

	if (!ret)
		ret = find_again(check, &damage->digest, &name, &how, &why, err);
	if (ret < 0)
		return ret;
	if (!ret)
		return give_up(check, damage, &why, err);
	ret = content_replace(&check->graph->store, name.text, &damage->digest, err);
	return ret < 0 ? ret : check_remedy(check, damage, 1, err, "%s", ret ? how : REMOVED);
}

int repair_blobs(struct check *check, struct snapdrv_error *err)
{
	int ret = check->n_damages ? store_session(&check->graph->store, err) : 0;

	ret = ret < 0 ? ret : 0;
	for (size_t i = 0; i < check->n_damages && !ret; i++) {
		if (check->damages[i].is_blob)
			ret = repair_blob(check, &check->damages[i], err);
	}
	return ret;
}
