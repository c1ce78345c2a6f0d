/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs that came only in part: content/partial/HEX, named by the digest that they are to have. Whoever
 * works on one holds the lock of its layer (store/lock.h). They have no row and nothing is known of
 * their bytes: what goes on from one hashes it again from its start.
 */
#ifndef STORE_PARTIAL_H
#define STORE_PARTIAL_H

#include <stdint.h>

#include "store/store.h"

/**
 * partial_open() - open what is there of a blob, or begin one. With the layer's lock.
 * @ret_size: bytes that are there. Return: a descriptor for both ways, or a negative errno value.
 */
int partial_open(struct store *store, const struct digest *digest, uint64_t *ret_size,
		 struct snapdrv_error *err);

/**
 * partial_take() - make it a file of this session, since it is complete.
 * @ret_name: its name there. Return: 0, or a negative errno value.
 */
int partial_take(struct store *store, const struct digest *digest, struct store_name *ret_name,
		 struct snapdrv_error *err);

/** partial_drop() - remove it, if it is there. With the layer's lock. */
void partial_drop(struct store *store, const struct digest *digest);

/**
 * partials_sweep() - remove all that nobody is working on; for a collection of garbage. No lock may be
 * held before.
 * @only_count: 1 to remove nothing. @ret_count, @ret_bytes: how many, and what they hold.
 */
int partials_sweep(struct store *store, int only_count, uint64_t *ret_count, uint64_t *ret_bytes,
		   struct snapdrv_error *err);

#endif
