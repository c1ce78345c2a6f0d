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

static int origin_open(struct check *check, const char *text, struct origin *origin,
		       struct snapdrv_error *err)
{
	const char *name = strstr(text, "://");
	int ret;

	if (!name)
		return fail(err, SNAPDRV_FAILED, EUCLEAN, "database: origin %s", quote(text).text);
	if (check->options->registry)
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
