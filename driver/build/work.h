/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out one step: a writable tree over the stage's layers, which becomes a layer more. */
#ifndef BUILD_WORK_H
#define BUILD_WORK_H

#include "build/state.h"

/**
 * struct work - a tree that is worked in; for work_done(). Mounts are the thread's alone.
 * @path:    absolute, of a tmpfs: what is put there is never on a disk. @root: of the tree, PATH/rootfs.
 * @name:    the last part of @path.
 * @root_fd: the tree's root, open for reading; -1 before work_mount().
 */
struct work {
	struct stage *stage;
	struct snapshot top; /* its id is 0 for none */
	struct tree_stack stack;
	struct draft draft;
	struct store_name name;
	char *path;
	char *root;
	int root_fd;
};

#define cleanup_work __attribute__((cleanup(work_done)))

/** work_begin() - the place to work in, with the tree mounted. @work: all zero. */
int work_begin(struct stage *stage, struct work *work, struct snapdrv_error *err);

/**
 * work_commit() - what has changed becomes the step's result, and is found by its keys from now on.
 * @ret_cached: for step_finish().
 */
int work_commit(struct work *work, const struct strings *keys, struct cached *ret_cached,
		struct snapdrv_error *err);

/** work_add_empty() - a layer with nothing in it, for an image that has none: it needs one. */
int work_add_empty(struct stage *stage, struct snapdrv_error *err);

/** work_done() - nothing stays of it. */
void work_done(struct work *work);

/**
 * session_place() - a new directory of the session, on the store's disk, for file_remove_tree() below its session_fd.
 * @ret_name: its name there. @ret_path: absolute, for free(3).
 */
int session_place(struct store *store, mode_t mode, struct store_name *ret_name, char **ret_path,
		  struct snapdrv_error *err);

/** work_path() - PATH/NAME, for free(3), or NULL with @err filled. */
char *work_path(const struct work *work, const char *name, struct snapdrv_error *err);

/** work_write() - a file in the place. @ret_path: its absolute path, for free(3). */
int work_write(const struct work *work, const char *name, const void *data, size_t size,
	       mode_t mode, char **ret_path, struct snapdrv_error *err);

/** work_keep() - the tree becomes a container. @ret_name: its name, for free(3). */
int work_keep(struct work *work, char **ret_name, struct snapdrv_error *err);

/** step_finish() - the stage has the step's result. @created_by: its line of history. */
int step_finish(struct stage *stage, const struct cached *cached, const char *created_by,
		struct snapdrv_error *err);

/**
 * struct doing - what the three steps do differently; everything is borrowed.
 * @keys:  the first is looked for at once; the others are only what the result is found by too.
 * @late_key: computes another key, of content that is not looked at without need; or NULL. It appends it.
 * @change: works in the tree.
 */
struct doing {
	const struct recipe_step *step;
	const char *created_by;
	struct strings *keys;
	int (*late_key)(void *arg, struct strings *keys, struct snapdrv_error *err);
	int (*change)(void *arg, struct work *work, const struct report *report,
		      struct snapdrv_error *err);
	void *arg;
};

/** step_do() - find a step's result, or come to it. Return: 0, TAKES_WORK, or a negative errno value. */
int step_do(struct stage *stage, const struct doing *doing, struct snapdrv_error *err);

/** user_find() - a user as USER or --chown has it, in the stage's tree. */
int user_find(struct stage *stage, const char *user, uint32_t *ret_uid, uint32_t *ret_gid,
	      struct snapdrv_error *err);

#endif
