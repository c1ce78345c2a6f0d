/* SPDX-License-Identifier: Apache-2.0 */
/* Hash tables. */
#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/checksum.h"
#include "base/error.h"

#define PLACES_MIN 64

uint64_t map_hash(const void *data, size_t size, uint64_t secret)
{
	return checksum_short(data, size, secret);
}

/* Where the key's item is, or else the free place for it. */
static size_t place_of(const struct map *map, const void *key, uint64_t hash)
{
	size_t at = (size_t)hash & (map->n_places - 1);

	while (map->places[at].item &&
	       (map->places[at].hash != hash || !map->kind->is_same(map->places[at].item, key)))
		at = (at + 1) & (map->n_places - 1);
	return at;
}

void *map_get(const struct map *map, const void *key)
{
	if (!map->n_places)
		return NULL;
	return map->places[place_of(map, key, map->kind->hash(key, map->secret))].item;
}

static int grow(struct map *map, struct snapdrv_error *err)
{
	struct map grown = *map;

	grown.n_places = map->n_places ? 2 * map->n_places : PLACES_MIN;
	if (!map->n_places && getrandom(&grown.secret, sizeof(grown.secret), 0) < 0)
		return fail_errno(err, "get random bytes");
	grown.places = calloc(grown.n_places, sizeof(*grown.places));
	if (!grown.places)
		return fail_memory(err);
	for (size_t i = 0; i < map->n_places; i++) {
		size_t at = (size_t)map->places[i].hash & (grown.n_places - 1);

		if (!map->places[i].item)
			continue;
		while (grown.places[at].item)
			at = (at + 1) & (grown.n_places - 1);
		grown.places[at] = map->places[i];
	}
	free(map->places);
	*map = grown;
	return 0;
}

int map_set(struct map *map, const void *key, void *item, struct snapdrv_error *err)
{
	int ret = 2 * map->count >= map->n_places ? grow(map, err) : 0;
	uint64_t hash;
	size_t at;

	if (ret)
		return ret;
	hash = map->kind->hash(key, map->secret);
	at = place_of(map, key, hash);
	map->count += !map->places[at].item;
	map->places[at].hash = hash;
	map->places[at].item = item;
	return 0;
}

void map_done(struct map *map)
{
	free(map->places);
	*map = (struct map){.kind = map->kind};
}
