/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount=type=cache: waiting for the directories, and filling new ones. */
#include "build/run_cache.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/build.h"
#include "snapshot/rootfs.h"

#define WAIT_MS 50 /* between two tries for one that somebody has */

/* A new cache has the mode, owner and files that it is to begin with. */
static int begin_cache(struct stage *stage, struct run_mount *mount, struct snapdrv_error *err)
{
	const struct recipe_mount *recipe = mount->recipe;
	const char *source = mount->source ? mount->source : ".";
	struct context tree = {.fd = -1, .is_image = 1};
	const struct copy copy = run_mount_copy(&tree, &source);
	int fd = mount->cache.fd, ret = 0;

	if (mount->has_from && mount->from.id) {
		tree.fd = rootfs_peek(stage->graph, &mount->from, err);
		ret = tree.fd < 0 ? tree.fd : copy_into(&copy, fd, err);
		if (tree.fd >= 0)
			close(tree.fd);
	}
	if (!ret && ((recipe->mode >= 0 && fchmod(fd, (mode_t)recipe->mode)) ||
		     fchown(fd, recipe->uid < 0 ? 0 : (uid_t)recipe->uid,
			    recipe->gid < 0 ? 0 : (gid_t)recipe->gid)))
		ret = fail_errno(err, "--mount: set the owner of a cache");
	return ret;
}

/* Return: as cache_take(). */
static int try_cache(struct stage *stage, struct run_mount *mount, struct snapdrv_error *err)
{
	static const enum cache_sharing sharing[] = {[RECIPE_SHARED] = CACHE_SHARED,
						     [RECIPE_PRIVATE] = CACHE_PRIVATE,
						     [RECIPE_LOCKED] = CACHE_LOCKED};
	struct store *store = &stage->graph->store;
	int ret = cache_take(store, mount->id, sharing[mount->sharing], &mount->cache, err);

	if (ret <= 0 || !mount->cache.is_new)
		return ret;
	ret = begin_cache(stage, mount, err);
	return ret ? ret : cache_filled(store, &mount->cache, mount->id, mount->has_from, err);
}

/* Waits for whoever has it. */
static int take(struct stage *stage, struct run_mount *mount, struct snapdrv_error *err)
{
	int ret;

	while (!(ret = try_cache(stage, mount, err))) {
		poll(NULL, 0, WAIT_MS);
		ret = build_is_stopped(stage->build, err);
		if (ret)
			return ret;
	}
	return ret < 0 ? ret : 0;
}

/* The first mount with its id takes the cache; the later ones borrow it, as strict as any of them wants it. */
static void find_lender(struct run_mount **takers, size_t *count, struct run_mount *mount)
{
	mount->sharing = mount->recipe->sharing;
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(takers[i]->id, mount->id))
			continue;
		mount->lender = takers[i];
		if (takers[i]->sharing < mount->sharing)
			takers[i]->sharing = mount->sharing;
		return;
	}
	takers[(*count)++] = mount;
}

static int compare_ids(const void *one, const void *other)
{
	const struct run_mount *const *left = one, *const *right = other;

	return strcmp((*left)->id, (*right)->id);
}

int run_caches_take(struct run_mounts *mounts, struct snapdrv_error *err)
{
	cleanup_free struct run_mount **takers = calloc(mounts->count + 1, sizeof(*takers));
	size_t count = 0;
	int ret = takers ? 0 : fail_memory(err);

	for (size_t i = 0; i < mounts->count && !ret; i++) {
		if (mounts->items[i].recipe->type == RECIPE_MOUNT_CACHE)
			find_lender(takers, &count, &mounts->items[i]);
	}
	/* In the same order in every step: two that run at once never have what the other one waits for. */
	if (!ret)
		qsort(takers, count, sizeof(*takers), compare_ids);
	for (size_t i = 0; i < count && !ret; i++)
		ret = take(mounts->stage, takers[i], err);
	return ret;
}

const char *run_cache_path(const struct run_mount *mount)
{
	return mount->lender ? mount->lender->cache.path : mount->cache.path;
}
