/* SPDX-License-Identifier: Apache-2.0 */
/* base/map: what was set is found, nothing else is, and keys that fall together are told apart. */
#include "base/map.h"

#include <stdlib.h>

#include "unit.h"

#define ITEMS 5000

struct item {
	uint64_t key;
	int value;
};

static unsigned long asked; /* how often two keys were compared */

static uint64_t hash(const void *key, uint64_t secret)
{
	return map_hash(key, sizeof(uint64_t), secret);
}

static uint64_t hash_badly(const void *key, uint64_t secret)
{
	(void)secret;
	return *(const uint64_t *)key % 3;
}

static int is_same(const void *item, const void *key)
{
	asked++;
	return ((const struct item *)item)->key == *(const uint64_t *)key;
}

static void fill(struct map *map, struct item *items, size_t n, size_t step)
{
	for (size_t i = 0; i < n; i++) {
		items[i] = (struct item){.key = i * step, .value = (int)i};
		CHECK(!map_set(map, &items[i].key, &items[i], NULL));
	}
	CHECK(map->count == n);
	for (size_t i = 0; i < n; i++) {
		uint64_t key = i * step, other = i * step + 1;

		CHECK(map_get(map, &key) == &items[i]);
		CHECK(!map_get(map, &other));
	}
}

static void finds(void)
{
	static const struct map_kind kind = {hash, is_same};
	struct item *items = calloc(ITEMS, sizeof(*items)), newer = {.key = 0};
	struct map map = {.kind = &kind};
	uint64_t key = 0;

	CHECK(!map_get(&map, &key));
	asked = 0;
	/* Keys of which the low bits are all the same. */
	fill(&map, items, ITEMS, 1u << 20);
	CHECK(asked < 2 * ITEMS);
	CHECK(!map_set(&map, &key, &newer, NULL));
	CHECK(map.count == ITEMS && map_get(&map, &key) == &newer);
	map_done(&map);
	CHECK(!map_get(&map, &key));
	map_done(&map);
	free(items);
}

static void tells_apart(void)
{
	static const struct map_kind kind = {hash_badly, is_same};
	struct item items[100];
	struct map map = {.kind = &kind};

	fill(&map, items, 100, 2);
	map_done(&map);
}

int main(void)
{
	RUN(finds);
	RUN(tells_apart);
	return UNIT_STATUS;
}
