/* SPDX-License-Identifier: Apache-2.0 */
/* The store on disk: its directories, its database, and this process's place in staging/. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/digest.h"
#include "snapdrv.h"
#include "store/db.h"

/**
 * struct store - an open store.
 *
 *   snapdrv.db            the database: what has no row here does not exist
 *   content/sha256/HEX    blobs
 *   content/partial/HEX   blobs that came only in part, see store/partial.h
 *   layers/ID             read-only trees of the backend, by the id of their row in `tree`
 *   active/ID             trees of containers, likewise
 *   containers/NAME       a container's rootfs/, the mount point
 *   staging/SESSION       what a process is working on; its lock tells whether that process lives
 *   locks/store           byte ranges, see store/lock.h
 *   locks/reserve         room for the time when the disk is full, see store/reserve.h
 *   locks/boot            the boot in which everything was looked through last
 */
struct store {
	char *root; /* absolute, without symlinks */
	int root_fd;
	int content_fd; /* content/sha256 */
	int layers_fd;
	int active_fd;
	int containers_fd;
	int staging_fd;
	int locks_fd;
	int lock_fd;
	int session_fd; /* staging/SESSION, or -1 before store_session() */
	char session[24];
	unsigned names;		  /* made so far by store_name() */
	struct store_move *moves; /* made since store_begin() */
	size_t n_moves;
	int is_lazy;   /* the change that was begun */
	int is_writer; /* holds the writer's lock */
	int is_left;   /* see store_leave() */
	int is_read_only; /* its filesystem: what is there can be read, and mounted where it was before */
	struct db *db;
};

/**
 * store_open() - open the store at @root, making what is missing. Looks at nothing but the database.
 * @root: made with mode 0700; an existing one gets that mode.
 *
 * One whose filesystem is read-only (a broken disk, errors=remount-ro) opens too: what changes it is EROFS then.
 */
int store_open(const char *root, struct store *ret_store, struct snapdrv_error *err);

/** store_close() - remove the session and close everything. */
void store_close(struct store *store);

/**
 * store_session() - the directory for what is being made, staging/SESSION, made on first use.
 *
 * It is locked as long as this process lives (flock(2): the kernel lets go of it when the process
 * dies), so that others can tell what was left behind.
 *
 * Return: its descriptor, borrowed, or a negative errno value.
 */
int store_session(struct store *store, struct snapdrv_error *err);

/**
 * store_leave() - what has no row could not be removed: the session stays behind when the store is closed, as
 * that of a process that died, and the next opening looks for all that has no row.
 */
void store_leave(struct store *store);

/** store_name() - a name that is not taken in this session: "0", "1", ... */
struct store_name {
	char text[16];
};
struct store_name store_name(struct store *store);

/**
 * store_take_dead_session() - find a session whose process is dead.
 * @ret_name: its name in staging/.
 *
 * Return: 1 and a descriptor in *ret_fd that holds its lock, 0 there is none, or a negative errno value.
 */
int store_take_dead_session(struct store *store, char ret_name[24], int *ret_fd,
			    struct snapdrv_error *err);

/** store_sync() - all that was written to the store is on disk. One syncfs(2). */
int store_sync(struct store *store, struct snapdrv_error *err);

/**
 * store_begin() - start a change of the database: waits for other writers, blocks no readers.
 * Nothing slow belongs between this and store_commit().
 */
int store_begin(struct store *store, struct snapdrv_error *err);

/**
 * store_move() - within store_begin(): move a file or tree of the session to its place.
 * @dir_fd: store->layers_fd or another directory of the store. @name: its name there.
 * @is_remade:  the next sweep can make up for the move if a power cut undoes it: no fsync(2) is needed.
 *
 * It comes back to the session when the change is given up.
 */
int store_move(struct store *store, const char *session_name, int dir_fd, const char *name,
	       int is_remade, struct snapdrv_error *err);

/**
 * store_begin_lazy() - store_begin() of a change whose store_commit() does not wait for the disk: a power
 * cut before store_flush() may undo it. Files of what it removes must stay until then; what it adds may
 * be there as a row alone after a power cut.
 */
int store_begin_lazy(struct store *store, struct snapdrv_error *err);

/** store_flush() - every change that was committed, by whomever, is on disk. One fdatasync(2). */
int store_flush(struct store *store, struct snapdrv_error *err);

/**
 * store_commit() - after store_begin() the change is on disk when this returns. A failure rolls it back; if even
 * that fails, what was moved stays in its place, for a later opening may find the change, and removes it if not.
 */
int store_commit(struct store *store, struct snapdrv_error *err);

/** store_rollback() - give up the change, if there is one. */
void store_rollback(struct store *store);

/**
 * store_end() - end a change as it went: store_commit() where @ret, what was done within it returned, is 0, else
 * store_rollback().
 * Return: @ret where that is not 0, also a positive one (what was found before the change has gone), else
 * store_commit()'s.
 */
int store_end(struct store *store, int ret, struct snapdrv_error *err);

/**
 * store_is_new_boot() - whether nobody has called store_mark_boot() since the machine was started: what
 * a power cut left may be anywhere then, since staging/ itself may have lost what was last made in it.
 */
int store_is_new_boot(struct store *store);
void store_mark_boot(struct store *store);

/** store_now_ns() - the time of the clock. */
int64_t store_now_ns(void);

#endif
