/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks between processes: open-file-description locks (fcntl(2), Linux 3.15) on bytes of locks/store.
 * The kernel gives them back when the process dies, whatever kills it.
 *
 * The order, which everybody keeps:
 *   1. layers (lock_layers), all that are wanted in one call, which takes them in the order of their bytes
 *   2. the writer (store_begin to store_commit), last and short
 * Nobody waits for a layer while holding the writer. Readers of the database take no lock.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include <stddef.h>

#include "base/digest.h"
#include "store/store.h"

/**
 * lock_layers() - wait until nobody else is unpacking any of these layers.
 * @digests: @n DiffIDs or blob digests, sorted in place.
 *
 * The layers are this handle's until unlock_layers(). Look into the database again after this: another
 * process may have brought them in the meantime.
 */
int lock_layers(struct store *store, struct digest *digests, size_t n, struct snapdrv_error *err);

/** lock_layer_try() - the same for one, without waiting. Return: 1 locked, 0 busy, or negative. */
int lock_layer_try(struct store *store, const struct digest *digest, struct snapdrv_error *err);

/** unlock_layers() - give back all layers that this handle holds. */
void unlock_layers(struct store *store);

/** lock_writer(), unlock_writer() - for store_begin() and its end. */
int lock_writer(struct store *store, struct snapdrv_error *err);
void unlock_writer(struct store *store);

#endif
