/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of inode numbers: a table with open addressing, never more than half full. */
#include <stdlib.h>

#include "base/error.h"
#include "kernel/changes.h"

static size_t slot_of(const struct inode_set *set, uint64_t inode)
{
	size_t slot = (size_t)(inode * 0x9e3779b97f4a7c15ull >> 20) & (set->n_slots - 1);

	while (set->slots[slot] && set->slots[slot] != inode)
		slot = (slot + 1) & (set->n_slots - 1);
	return slot;
}

static int grow(struct inode_set *set, struct snapdrv_error *err)
{
	struct inode_set grown = {.n_slots = set->n_slots ? 2 * set->n_slots : 64,
				  .count = set->count};

	grown.slots = calloc(grown.n_slots, sizeof(*grown.slots));
	if (!grown.slots)
		return fail_memory(err);
	for (size_t i = 0; i < set->n_slots; i++) {
		if (set->slots[i])
			grown.slots[slot_of(&grown, set->slots[i])] = set->slots[i];
	}
	free(set->slots);
	*set = grown;
	return 0;
}

int inode_set_add(struct inode_set *set, uint64_t inode, struct snapdrv_error *err)
{
	size_t slot;

	if (2 * set->count >= set->n_slots) {
		int ret = grow(set, err);

		if (ret)
			return ret;
	}
	slot = slot_of(set, inode);
	if (set->slots[slot])
		return 0;
	set->slots[slot] = inode;
	set->count++;
	return 1;
}

int inode_set_has(const struct inode_set *set, uint64_t inode)
{
	return set->n_slots && set->slots[slot_of(set, inode)] == inode;
}

void inode_set_done(struct inode_set *set)
{
	free(set->slots);
	*set = (struct inode_set){0};
}
