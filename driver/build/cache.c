/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that are known to the graph, by what they were made of. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"

/* Keys of another way to carry out a step, or to make a key, are other keys. */
#define KEY_VERSION "1"

int key_begin(struct key *key, const struct stage *stage, const char *kind,
	      struct snapdrv_error *err)
{
	key->hasher = hasher_new(err);
	if (!key->hasher)
		return -ENOMEM;
	key_add(key, KEY_VERSION);
	key_add(key, kind);
	key_add(key, stage->has_layers ? digest_format(&stage->chain).text : "");
	/* Later times in a layer are changed by it. */
	key_add_number(key, stage->build->has_epoch ? stage->build->epoch_ns : -1);
	return 0;
}

/* The length in front: no two lists of texts look the same. */
void key_add_bytes(struct key *key, const void *data, size_t size)
{
	const uint64_t length = size;

	hasher_update(key->hasher, &length, sizeof(length));
	hasher_update(key->hasher, data, size);
}

void key_add(struct key *key, const char *text)
{
	/* None at all is not the empty text. */
	key_add_bytes(key, text ? text : "", text ? strlen(text) + 1 : 0);
}

void key_add_number(struct key *key, int64_t number)
{
	key_add_bytes(key, &number, sizeof(number));
}

void key_add_list(struct key *key, const struct strings *list)
{
	key_add_number(key, (int64_t)list->count);
	for (size_t i = 0; i < list->count; i++)
		key_add(key, list->items[i]);
}

struct digest_text key_text(struct key *key)
{
	struct digest digest = hasher_final(key->hasher);

	return digest_format(&digest);
}

void key_done(struct key *key)
{
	hasher_free(steal_ptr(&key->hasher));
}

int cache_find(struct stage *stage, const char *key, struct cached *ret_cached,
	       struct snapdrv_error *err)
{
	cleanup_query struct query *query = NULL;
	struct cached cached = {0};
	int found;

	if (stage->build->options->flags & SNAPDRV_BUILD_NO_CACHE)
		return 0;
	query = db_query(stage->graph->store.db, err,
			 "SELECT diff_id, size, created_ns FROM build_step WHERE key = ?", "s",
			 key);
	found = query ? query_next(query, err) : -EIO;
	if (found != 1)
		return found;
	cached.has_layer = !query_is_null(query, 0);
	cached.size = (uint64_t)query_int(query, 1);
	cached.created_ns = query_int(query, 2);
	/* A row that makes no sense, of a damaged database, is none. */
	if (cached.has_layer && digest_parse(query_text(query, 0), &cached.diff, NULL))
		return 0;
	*ret_cached = cached;
	return 1;
}

int cache_alias(struct stage *stage, const char *key, const char *alias, struct snapdrv_error *err)
{
	struct store *store = &stage->graph->store;
	int ret = store_begin_lazy(store, err);

	if (ret)
		return ret;
	ret = db_run(store->db, err,
		     "INSERT OR REPLACE INTO build_step(key, snapshot, diff_id, size, created_ns)"
		     " SELECT ?, snapshot, diff_id, size, created_ns FROM build_step WHERE key = ?",
		     "ss", alias, key);
	return store_end(store, ret < 0 ? ret : 0, err);
}

int cache_put_nothing(struct stage *stage, const struct strings *keys, int64_t created_ns,
		      struct snapdrv_error *err)
{
	struct store *store = &stage->graph->store;
	struct snapshot top;
	int ret = stage_top(stage, &top, err);

	if (!ret)
		ret = store_begin_lazy(store, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < keys->count && ret >= 0; i++)
		ret = db_run(store->db, err,
			     "INSERT OR REPLACE INTO build_step(key, snapshot, diff_id, size,"
			     " created_ns) VALUES(?, nullif(?, 0), NULL, 0, ?)",
			     "sii", keys->items[i], top.id, created_ns);
	return store_end(store, ret < 0 ? ret : 0, err);
}
