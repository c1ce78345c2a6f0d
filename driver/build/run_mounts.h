/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount: what is mounted, and where it comes from. */
#ifndef BUILD_RUN_MOUNTS_H
#define BUILD_RUN_MOUNTS_H

#include "build/copy.h"
#include "build/stubs.h"
#include "build/work.h"
#include "store/caches.h"

/**
 * struct run_mount - one of them, with its variables expanded.
 * @target: absolute, or NULL for a secret that is a variable alone. @id: of a cache or secret.
 * @from: the snapshot of --from, where @has_from; @chain: its name.
 * @cache: of a cache, unless an earlier mount, @lender, has taken it. @sharing: how it is taken.
 */
struct run_mount {
	const struct recipe_mount *recipe;
	char *target, *source, *id, *env;
	int has_from;
	struct snapshot from;
	struct digest_text chain;
	struct digest
		digest; /* of what a bind takes from the context, as run_mounts_key() found it */
	struct cache cache;
	enum recipe_sharing sharing;
	const struct run_mount *lender;
};

/** struct run_mounts - all of a RUN; for run_mounts_done(). */
struct run_mounts {
	struct stage *stage;
	struct run_mount *items;
	size_t count;
	struct run_view *views; /* trees that were mounted for it */
	size_t n_views;
};

/** run_mounts_read() - expand them. Return: 0, TAKES_WORK, or a negative errno value. */
int run_mounts_read(struct stage *stage, const struct recipe_step *step, struct run_mounts *mounts,
		    struct snapdrv_error *err);

/** run_mounts_key() - what they bring in belongs to the step's key; what is in caches and secrets does not. */
int run_mounts_key(struct run_mounts *mounts, struct key *key, struct snapdrv_error *err);

/**
 * run_mounts_prepare() - have everything at hand: caches are taken, trees mounted, secrets written.
 * @array: runtime config's "mounts", appended to. @env: "env" of its process, likewise.
 * @stubs: places to mount on.
 */
int run_mounts_prepare(struct run_mounts *mounts, struct work *work, json_t *array, json_t *env,
		       struct stubs *stubs, struct snapdrv_error *err);

/** run_mounts_add() - a bind mount more. @is_file, @is_read_only: of @source. */
int run_mounts_add(struct work *work, json_t *array, struct stubs *stubs, const char *source,
		   const char *target, int is_file, int is_read_only, struct snapdrv_error *err);

/**
 * run_mount_copy() - what a mount takes from a tree, as a COPY of it to "/".
 * @from: borrowed. @source: a name, and no pattern; borrowed.
 */
struct copy run_mount_copy(const struct context *from, const char *const *source);

/** run_mounts_end() - the container is gone: unmount, note what caches hold. */
void run_mounts_end(struct run_mounts *mounts);

void run_mounts_done(struct run_mounts *mounts);

#endif
