/* SPDX-License-Identifier: Apache-2.0 */
/* Getting blobs again from where their images came from. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/fetch.h"
#include "image/reference.h"
#include "image/registry.h"
#include "image/repair.h"
#include "store/lock.h"

/* A repository: struct registry_options that fit, and the name with the registry in it. */
struct origin {
	struct snapdrv_registry_options options;
	struct reference reference;
	struct registry *registry;
};

static void origin_done(struct origin *origin)
{
	reference_done(&origin->reference);
	registry_close(origin->registry);
}

/* SCHEME://HOST[:PORT] of an origin, without its end. */
static size_t registry_length(const char *origin)
{
	const char *name = strstr(origin, "://");

	return name ? strcspn(name + strlen("://"), "/") + (size_t)(name + strlen("://") - origin)
		    : strlen(origin);
}

/* Whether an origin is at the registry that the user's name, password and certificates are for. */
static int is_for(const char *registry, const char *origin)
{
	size_t length = registry_length(origin);

	return registry && strlen(registry) == length && !strncmp(registry, origin, length);
}

/* What the user gave for a registry is for the first one that is met, and for no other. */
static int meet_registry(struct check *check, const char *origin, struct snapdrv_error *err)
{
	if (!check->registry)
		check->registry = text_format(err, "%.*s", (int)registry_length(origin), origin);
	if (!check->registry)
		return -ENOMEM;
	if (is_for(check->registry, origin))
		return 0;
	return fail(err, SNAPDRV_USAGE, EINVAL,
		    "damaged images came from %s and from %.*s: credentials and certificates "
		    "can be given for one registry only",
		    quote(check->registry).text, (int)registry_length(origin), origin);
}

static int meet_registries(struct check *check, const struct damage *damage,
			   struct snapdrv_error *err)
{
	struct db *db = check->graph->store.db;
	struct digest_text digest = digest_format(&damage->digest);
	cleanup_query struct query *query =
		damage->is_blob
			? db_query(db, err,
				   "SELECT DISTINCT origin FROM image JOIN image_blob"
				   " ON image_blob.image = image.id WHERE image_blob.digest = ?"
				   " AND origin IS NOT NULL",
				   "s", digest.text)
			: db_query(db, err,
				   CHECK_STANDING "SELECT DISTINCT origin FROM image"
						  " WHERE top IN above AND origin IS NOT NULL",
				   "i", damage->tree);
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1)
		ret = meet_registry(check, query_text(query, 0), err);
	return ret;
}

int repair_registry(struct check *check, struct snapdrv_error *err)
{
	const struct snapdrv_registry_options *options = check->options->registry;
	int ret = 0;

	if (!options || (!options->creds && !options->cert_dir))
		return 0;
	for (size_t i = 0; i < check->n_damages && !ret; i++)
		ret = meet_registries(check, &check->damages[i], err);
	return ret;
}

static int origin_open(struct check *check, const char *text, struct origin *origin,
		       struct snapdrv_error *err)
{
	const char *name = strstr(text, "://");
	int ret;

	if (!name)
		return fail(err, SNAPDRV_FAILED, EUCLEAN, "database: origin %s", quote(text).text);
	/* An image that came meanwhile may be from elsewhere. */
	if (is_for(check->registry, text))
		origin->options = *check->options->registry;
	origin->options.flags = text_starts(text, "http://") ? SNAPDRV_PLAIN_HTTP : 0;
	ret = reference_parse(name + strlen("://"), &origin->reference, err);
	return ret ? ret
		   : registry_open(&origin->reference, &origin->options, &origin->registry, err);
}

/* With the blob's lock. */
static int fetch(struct intake *intake, struct fetcher *fetcher, const struct digest *digest,
		 uint64_t size, struct store_name *ret_name, struct snapdrv_error *err)
{
	struct fetch_reader reader = {0};
	const struct layer_input input = fetch_input(&reader);
	struct staged staged = {0};
	int ret = fetcher_add(fetcher, digest, size, &reader.fetch, err);

	if (!ret)
		ret = stage_blob(intake, &input, 0, &staged, err);
	if (!ret && !digest_equal(&staged.result.blob, digest))
		ret = refuse(err, "the registry gave %s", digest_format(&staged.result.blob).text);
	if (!ret)
		ret = fetch_keep(reader.fetch, ret_name, err);
	return ret;
}

static int fetch_from(struct check *check, const char *text, const struct digest *digest,
		      uint64_t size, struct store_name *ret_name, struct snapdrv_error *err)
{
	__attribute__((cleanup(origin_done))) struct origin origin = {0};
	struct store *store = &check->graph->store;
	struct digest locked = *digest;
	struct fetcher *fetcher;
	struct intake intake;
	int ret = origin_open(check, text, &origin, err);

	if (ret)
		return ret;
	intake_init(&intake, check->graph, NULL);
	ret = fetcher_new(&intake, origin.registry, origin.reference.repository, &fetcher, err);
	if (ret)
		return ret;
	ret = lock_layers(store, &locked, 1, err);
	if (!ret) {
		ret = fetch(&intake, fetcher, digest, size, ret_name, err);
		fetcher_end(fetcher, 0);
		unlock_layers(store);
	}
	fetcher_free(fetcher);
	return ret;
}

/* A copy: no query is open while the registry is asked. */
static int read_origin(struct check *check, int64_t image, char **ret_origin,
		       struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		check->graph->store.db, err,
		"SELECT origin FROM image WHERE id = ? AND origin IS NOT NULL", "i", image);
	int found = query ? query_next(query, err) : -EIO;

	if (found != 1)
		return found;
	*ret_origin = text_dup(query_text(query, 0), err);
	return *ret_origin ? 1 : -ENOMEM;
}

int repair_fetch(struct check *check, int64_t image, const struct digest *digest, uint64_t size,
		 struct store_name *ret_name, struct snapdrv_error *err)
{
	cleanup_free char *origin = NULL;
	int found = read_origin(check, image, &origin, err);

	if (found == 1)
		found = fetch_from(check, origin, digest, size, ret_name, err);
	return found;
}
