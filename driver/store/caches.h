/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that the steps of builds keep between them, caches/NAME. Each is locked by flock(2) while it is used, so that the kernel gives it back when the process dies.
 */
#ifndef STORE_CACHES_H
#define STORE_CACHES_H

#include "store/store.h"

/** enum cache_sharing - who may use one at the same time. */
enum cache_sharing {
	CACHE_SHARED,  /* everybody */
	CACHE_PRIVATE, /* nobody else: they get others */
	CACHE_LOCKED   /* nobody else: they wait */
};

/** struct cache - a directory that is used; for cache_done(). All zero, with an @fd of -1, is none. */
struct cache {
	int fd;
	int is_new; /* it is to be filled, see cache_filled() */
	enum cache_sharing sharing;
	char name[48];
	char *path; /* absolute */
};

/**
 * cache_take() - the directory that goes by an id, made when there is none (0755, root's).
 * @id: any text.
 *
 * A new one is nobody else's until cache_filled(). One that was not filled, as its maker failed or died, is removed and
 * made again.
 *
 * Return: 1, 0 when somebody else has it: try again; or a negative errno value.
 */
int cache_take(struct store *store, const char *id, enum cache_sharing sharing,
	       struct cache *ret_cache, struct snapdrv_error *err);

/**
 * cache_filled() - a new cache has what it is to begin with; from now on it is shared as was asked for.
 * @is_synced: what it begins with has to be on disk first.
 *
 * Return: as cache_take(); with 0 it was removed in that moment, and @cache is none.
 */
int cache_filled(struct store *store, struct cache *cache, const char *id, int is_synced,
		 struct snapdrv_error *err);

/** cache_note() - a step is through with it: write down what it holds. */
int cache_note(struct store *store, const struct cache *cache, const char *id,
	       struct snapdrv_error *err);

void cache_done(struct cache *cache);

/**
 * caches_sweep() - remove all that nobody uses; for a collection of garbage.
 * @only_count: 1 to remove nothing. @ret_count, @ret_bytes: how many, and what they hold, are added to.
 */
int caches_sweep(struct store *store, int only_count, size_t *ret_count, uint64_t *ret_bytes,
		 struct snapdrv_error *err);

#endif
