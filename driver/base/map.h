/* SPDX-License-Identifier: Apache-2.0 */
/* Finding one of many items by a key: a hash table with open addressing, never more than half full. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

/**
 * struct map_kind - what is told apart by what.
 * @hash:    of a key. @secret goes into it, so that keys from outside cannot be chosen to fall together.
 * @is_same: whether an item of the map has the key.
 */
struct map_kind {
	uint64_t (*hash)(const void *key, uint64_t secret);
	int (*is_same)(const void *item, const void *key);
};

/** struct map - borrowed items, none of them NULL; with @kind alone set it is an empty one. */
struct map {
	const struct map_kind *kind;
	struct {
		uint64_t hash;
		void *item;
	} * places;
	size_t n_places; /* a power of two, or 0 */
	size_t count;
	uint64_t secret;
};

/** map_get() - the item that has a key, or NULL. */
void *map_get(const struct map *map, const void *key);

/**
 * map_set() - the item that a key finds from now on, in place of what it found before.
 * @item: has the key.
 */
int map_set(struct map *map, const void *key, void *item, struct snapdrv_error *err);

/** map_done() - forget the items, which stay as they are. */
void map_done(struct map *map);

/** map_hash() - for @hash of struct map_kind. */
uint64_t map_hash(const void *data, size_t size, uint64_t secret);

#endif
