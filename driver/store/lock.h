/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks between processes: open-file-description locks (fcntl(2), Linux 3.15) on bytes of locks/store.
 * The kernel gives them back when the process dies, whatever kills it.
 *
 * The order of all locks. Who holds one waits only for those that stand further down; who only tries
 * (lock_layer_try(), the locks of sessions) does not wait, and may try anywhere.
 *
 *   between processes, and between the handles of one
 *     1. a session     flock(2) of staging/SESSION: of this handle from its first use to its end; others, who
 *                      look whether its process lives, only try, and hold none but a dead one's while they
 *                      empty it
 *     2. layers        lock_layers(): all that are wanted in one call, which takes them in the order of their
 *                      bytes. Some that were got by trying are given back before such a call. Held until a
 *                      load is committed, however long its layers take to come
 *     3. the writer    lock_writer(): from store_begin() to store_commit() or store_rollback(), and while a
 *                      rootfs is mounted, or the database opened or closed. Short: a change of the database,
 *                      renames, a mount; nothing is unpacked, compared or removed, and nobody waits for a
 *                      layer or another process
 *     4. the database  SQLite's own, for as long as a transaction; a reader of its snapshots never waits
 *
 *   between the threads of one handle (a handle is one caller's at a time)
 *     5. units->lock   of a load: what binds layers holds it, and mounts, and writes. check->lock of a deep
 *                      check: what is looked up in the database holds it
 *     6. fetcher->lock, lane->lock of a writer's thread, removal->lock, ring->lock
 *     7. finisher->failure_lock, writeback->lock, registry->lock, http->lock, and around a caller's
 *        progress function, which must not call the library, push->lock and intake->progress_lock
 *   No two of one line are held at once.
 *
 *   of the daemon: stores->lock, metrics->lock, server->lock. Each alone, while nothing else is called: a
 *   handle is taken out of the stores before it is used.
 *
 * lock.c asserts that nobody waits for a layer, or a second time for the writer, while it holds the writer.
 * Threads of one handle take none of 1 to 3: they belong to the handle, not to a thread.
 *
 * Waiting is not first come, first served, and a process that is stopped keeps what it has; one that dies
 * has nothing.
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

/**
 * lock_builds_join() - from now until lock_builds_leave(), nobody removes what steps of builds came to.
 * lock_builds_stop() - there is no build, and none begins before lock_builds_leave(). Return: 1, 0 there is one,
 * or a negative errno value. Neither waits for the other side but for an instant; before all other locks.
 */
int lock_builds_join(struct store *store, struct snapdrv_error *err);
int lock_builds_stop(struct store *store, struct snapdrv_error *err);
void lock_builds_leave(struct store *store);

#endif
