/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount: binds, caches, tmpfs, secrets. */
#include "build/run_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/run_cache.h"
#include "build/run_secret.h"
#include "kernel/file.h"
#include "kernel/resolve.h"
#include "kernel/sandbox.h"
#include "snapshot/rootfs.h"

/* A tree for a bind: one that is mounted, or a directory of the session, @copied, with a copy. */
struct run_view {
	struct draft draft;
	struct store_name copied;
	char *path;
};

/* ---- reading ------------------------------------------------------------------------------ */

static int expand(struct stage *stage, const char *text, char **ret_text, struct snapdrv_error *err)
{
	return text ? scope_expand(stage, text, 0, ret_text, err) : 0;
}

static int set_target(struct stage *stage, struct run_mount *mount, const char *target,
		      struct snapdrv_error *err)
{
	size_t length;

	free(mount->target);
	mount->target = path_absolute(config_text(stage, "WorkingDir"), target, err);
	if (!mount->target)
		return -ENOMEM;
	length = strlen(mount->target);
	if (length > 1 && mount->target[length - 1] == '/')
		mount->target[--length] = '\0';
	return length > 1 ? 0 : refuse(err, "--mount: nothing can be mounted on /");
}

/* What is not said follows from what is. */
static int complete(struct stage *stage, struct run_mount *mount, struct snapdrv_error *err)
{
	int is_secret = mount->recipe->type == RECIPE_MOUNT_SECRET;
	cleanup_free char *target = NULL;
	const char *last = mount->target ? strrchr(mount->target, '/') : NULL;

	if (!mount->id && mount->target)
		mount->id = text_dup(is_secret && last ? last + 1 : mount->target, err);
	if (!mount->id && mount->recipe->type != RECIPE_MOUNT_TMPFS)
		return mount->target ? -ENOMEM : refuse(err, "--mount: neither id nor target");
	if (!mount->target && is_secret && !mount->env) {
		target = text_format(err, "/run/secrets/%s", mount->id);
		return target ? set_target(stage, mount, target, err) : -ENOMEM;
	}
	return mount->target || is_secret ? 0 : refuse(err, "--mount: no target");
}

static int read_one(struct stage *stage, const struct recipe_mount *recipe, struct run_mount *mount,
		    struct snapdrv_error *err)
{
	cleanup_free char *target = NULL;
	int ret = expand(stage, recipe->target, &target, err);

	if (!ret && target)
		ret = set_target(stage, mount, target, err);
	if (!ret)
		ret = expand(stage, recipe->source, &mount->source, err);
	if (!ret)
		ret = expand(stage, recipe->id, &mount->id, err);
	if (!ret)
		ret = expand(stage, recipe->env, &mount->env, err);
	if (!ret)
		ret = complete(stage, mount, err);
	if (!ret && recipe->from) {
		mount->has_from = 1;
		ret = from_top(stage, recipe->from, &mount->from, &mount->chain, err);
	}
	return ret;
}

int run_mounts_read(struct stage *stage, const struct recipe_step *step, struct run_mounts *mounts,
		    struct snapdrv_error *err)
{
	int ret = 0;

	mounts->stage = stage;
	mounts->items = calloc(step->n_mounts + 1, sizeof(*mounts->items));
	if (!mounts->items)
		return fail_memory(err);
	for (size_t i = 0; i < step->n_mounts && !ret; i++) {
		struct run_mount *mount = &mounts->items[mounts->count++];

		mount->recipe = &step->mounts[i];
		mount->cache.fd = -1;
		ret = read_one(stage, mount->recipe, mount, err);
	}
	return ret;
}

struct copy run_mount_copy(const struct context *from, const char *const *source)
{
	static const struct ignore no_excludes;

	return (struct copy){.from = from,
			     .sources = source,
			     .n_sources = 1,
			     .is_literal = 1,
			     .target = "/",
			     .uid = -1,
			     .gid = -1,
			     .mode = -1,
			     .excludes = &no_excludes,
			     .clamp_ns = INT64_MAX};
}

static int takes_context(const struct run_mount *mount)
{
	return mount->recipe->type == RECIPE_MOUNT_BIND && !mount->has_from;
}

int run_mounts_key(struct run_mounts *mounts, struct key *key, struct snapdrv_error *err)
{
	for (size_t i = 0; i < mounts->count; i++) {
		struct run_mount *mount = &mounts->items[i];
		const struct recipe_mount *recipe = mount->recipe;
		const char *source = mount->source ? mount->source : ".";

		key_add_number(key, recipe->type);
		key_add(key, mount->target);
		key_add(key, mount->source);
		key_add(key, mount->id);
		key_add(key, mount->env);
		key_add(key, mount->chain.text);
		key_add_number(key, recipe->sharing);
		key_add_number(key, recipe->mode);
		key_add_number(key, recipe->uid);
		key_add_number(key, recipe->gid);
		key_add_number(key, (int64_t)recipe->size);
		key_add_number(key, recipe->read_only * 2 + recipe->writable);
		if (takes_context(mount)) {
			const struct copy copy =
				run_mount_copy(&mounts->stage->build->context, &source);
			int ret = copy_digest(&copy, &mount->digest, err);

			if (ret)
				return ret;
			key_add(key, digest_format(&mount->digest).text);
		}
	}
	return 0;
}

/* ---- mounting ----------------------------------------------------------------------------- */

int run_mounts_add(struct work *work, json_t *array, struct stubs *stubs, const char *source,
		   const char *target, int is_file, int is_read_only, struct snapdrv_error *err)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:[s, s, s, s, s]}", "destination", target,
				 "type", "bind", "source", source, "options", "bind", "rprivate",
				 "nosuid", "nodev", is_read_only ? "ro" : "rw");

	if (!json)
		return refuse(err, "mount point %s: not UTF-8", quote(target).text);
	if (json_array_append_new(array, json))
		return fail_memory(err);
	/* /dev is a tmpfs in the container: the runtime makes what is missing there. */
	return text_starts(target, "/dev/")
		       ? 0
		       : stubs_make(stubs, work->root_fd, target, is_file, err);
}

static int fail_to_open(const char *source, int ret, struct snapdrv_error *err)
{
	if (resolve_is_absent(ret))
		return refuse(err, "--mount: source %s: there is no such file", quote(source).text);
	return fail_ret(err, ret, "--mount: source %s", quote(source).text);
}

/* The path of something in a mounted tree, found as one who is chrooted there finds it. */
static int path_in(const char *tree, const char *name, char **ret_path, int *ret_is_file,
		   struct snapdrv_error *err)
{
	cleanup_fd int tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = tree_fd < 0 ? -errno : resolve_open(tree_fd, name, O_PATH | O_CLOEXEC);
	char link[48], path[PATH_MAX];
	struct stat st;
	ssize_t length;

	if (fd < 0)
		return fail_to_open(name, fd, err);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0 || fstat(fd, &st))
		return fail_errno(err, "--mount: source %s", quote(name).text);
	path[length] = '\0';
	*ret_is_file = !S_ISDIR(st.st_mode);
	*ret_path = text_dup(path, err);
	return *ret_path ? 0 : -ENOMEM;
}

/* On the work's tmpfs, as something is mounted on it. */
static int make_mount_point(const struct work *work, size_t index, char **ret_path,
			    struct snapdrv_error *err)
{
	char name[32];

	snprintf(name, sizeof(name), "mount-%zu", index);
	*ret_path = work_path(work, name, err);
	if (!*ret_path)
		return -ENOMEM;
	return mkdir(*ret_path, 0755) ? fail_errno(err, "--mount: make a directory") : 0;
}

/* A copy of the context is as large as that is: it is on the store's disk, not in memory. */
static int add_view(struct run_mounts *mounts, const struct run_mount *mount,
		    const struct work *work, struct run_view **ret_view, struct snapdrv_error *err)
{
	struct run_view *views =
		reallocarray(mounts->views, mounts->n_views + 1, sizeof(*mounts->views));
	struct run_view *view;

	if (!views)
		return fail_memory(err);
	mounts->views = views;
	view = *ret_view = &views[mounts->n_views++];
	*view = (struct run_view){0};
	return takes_context(mount)
		       ? session_place(&mounts->stage->graph->store, 0755, &view->copied,
				       &view->path, err)
		       : make_mount_point(work, (size_t)(mount - mounts->items), &view->path, err);
}

/* The tree of another stage, or an image; what is written to it is thrown away. */
static int mount_view(struct run_mounts *mounts, const struct run_mount *mount,
		      struct run_view *view, struct snapdrv_error *err)
{
	struct graph *graph = mounts->stage->graph;
	enum tree_kind kind = mount->recipe->writable ? TREE_ACTIVE : TREE_VIEW;
	cleanup_stack struct tree_stack stack = {0};
	cleanup_fd int fd = open(view->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return fail_errno(err, "--mount: open a directory");
	if (!mount->from.id)
		return 0;
	ret = snapshot_stack(graph, &mount->from, &stack, err);
	if (!ret)
		ret = draft_make(graph, kind, &stack, &view->draft, err);
	return ret ? ret : draft_mount(graph, &view->draft, kind, &stack, fd, err);
}

/* What .dockerignore leaves of the context. */
static int copy_context(struct run_mounts *mounts, const struct run_mount *mount,
			const struct run_view *view, char **ret_name, struct snapdrv_error *err)
{
	const struct context *context = &mounts->stage->build->context;
	const char *source = mount->source ? mount->source : ".", *last;
	const struct copy copy = run_mount_copy(context, &source);
	cleanup_fd int into_fd = open(view->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = resolve_open(context->fd, source, O_PATH | O_CLOEXEC);
	struct stat st;
	int ret = into_fd < 0 ? fail_errno(err, "--mount: open a directory")
			      : copy_into(&copy, into_fd, err);

	if (!ret)
		ret = copy_check(&copy, &mount->digest, err);
	if (ret)
		return ret;
	if (fd < 0)
		return fail_to_open(source, fd, err);
	if (fstat(fd, &st))
		return fail_errno(err, "--mount: source %s", quote(source).text);
	last = strrchr(source, '/');
	*ret_name = text_dup(S_ISDIR(st.st_mode) ? "." : last ? last + 1 : source, err);
	return *ret_name ? 0 : -ENOMEM;
}

static int bind_one(struct run_mounts *mounts, struct run_mount *mount, struct work *work,
		    json_t *array, struct stubs *stubs, struct snapdrv_error *err)
{
	cleanup_free char *path = NULL, *name = NULL;
	struct run_view *view = NULL;
	int is_file = 0, ret = add_view(mounts, mount, work, &view, err);

	if (!ret)
		ret = mount->has_from ? mount_view(mounts, mount, view, err)
				      : copy_context(mounts, mount, view, &name, err);
	if (!ret)
		ret = path_in(view->path,
			      name	      ? name
			      : mount->source ? mount->source
					      : "/",
			      &path, &is_file, err);
	return ret ? ret
		   : run_mounts_add(work, array, stubs, path, mount->target, is_file,
				    !mount->recipe->writable, err);
}

static int add_tmpfs(const struct run_mount *mount, struct work *work, json_t *array,
		     struct stubs *stubs, struct snapdrv_error *err)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:[s, s]}", "destination", mount->target, "type",
				 "tmpfs", "source", "tmpfs", "options", "nosuid", "nodev");
	char size[40];

	if (!json || json_array_append_new(array, json))
		return refuse(err, "mount point %s: not UTF-8", quote(mount->target).text);
	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)mount->recipe->size);
	if (mount->recipe->size)
		json_array_append_new(json_object_get(json, "options"), json_string(size));
	return text_starts(mount->target, "/dev/")
		       ? 0
		       : stubs_make(stubs, work->root_fd, mount->target, 0, err);
}

int run_mounts_prepare(struct run_mounts *mounts, struct work *work, json_t *array, json_t *env,
		       struct stubs *stubs, struct snapdrv_error *err)
{
	int ret = run_caches_take(mounts, err);

	for (size_t i = 0; i < mounts->count && !ret; i++) {
		struct run_mount *mount = &mounts->items[i];

		switch (mount->recipe->type) {
		case RECIPE_MOUNT_BIND:
			ret = bind_one(mounts, mount, work, array, stubs, err);
			break;
		case RECIPE_MOUNT_CACHE:
			ret = run_mounts_add(work, array, stubs, run_cache_path(mount),
					     mount->target, 0, mount->recipe->read_only, err);
			break;
		case RECIPE_MOUNT_TMPFS:
			ret = add_tmpfs(mount, work, array, stubs, err);
			break;
		case RECIPE_MOUNT_SECRET:
			ret = run_secret_add(mounts, mount, work, array, env, stubs, err);
			break;
		}
	}
	return ret;
}

/* What cannot be removed is the next sweep's. */
static void drop_view(struct graph *graph, struct run_view *view)
{
	if (*view->copied.text)
		file_remove_tree(graph->store.session_fd, view->copied.text, NULL);
	else if (view->path)
		sandbox_unmount(view->path);
	draft_drop(graph, &view->draft);
	free(view->path);
}

void run_mounts_end(struct run_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		struct run_mount *mount = &mounts->items[i];

		if (mount->cache.fd >= 0 && !mount->cache.is_new)
			cache_note(&mounts->stage->graph->store, &mount->cache, mount->id, NULL);
		cache_done(&mount->cache);
	}
	while (mounts->n_views)
		drop_view(mounts->stage->graph, &mounts->views[--mounts->n_views]);
}

void run_mounts_done(struct run_mounts *mounts)
{
	if (!mounts->items)
		return;
	run_mounts_end(mounts);
	for (size_t i = 0; i < mounts->count; i++) {
		free(mounts->items[i].target);
		free(mounts->items[i].source);
		free(mounts->items[i].id);
		free(mounts->items[i].env);
	}
	free(mounts->items);
	free(mounts->views);
	*mounts = (struct run_mounts){0};
}
