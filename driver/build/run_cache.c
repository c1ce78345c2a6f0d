/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount=type=cache: waiting for the directory, and filling a new one. */
#include "build/run_cache.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

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
	int ret = cache_take(store, mount->id, sharing[mount->recipe->sharing], &mount->cache, err);

	if (ret <= 0 || !mount->cache.is_new)
		return ret;
	ret = begin_cache(stage, mount, err);
	return ret ? ret : cache_filled(store, &mount->cache, mount->id, mount->has_from, err);
}

int run_cache_take(struct stage *stage, struct run_mount *mount, struct snapdrv_error *err)
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
