/* SPDX-License-Identifier: Apache-2.0 */
/* The table of backends. */
#include "backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"

const struct backend_ops *const backends[] = {
	&btrfs_backend,
	&overlay_backend,
	&vfs_backend,
	NULL,
};

const struct backend_ops *backend_find(const char *name)
{
	for (size_t i = 0; backends[i]; i++) {
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	}
	return NULL;
}

const struct backend_ops *backend_choose(int dir_fd, struct snapdrv_error *err)
{
	char answers[sizeof(err->message)] = "";
	size_t used = 0;

	for (size_t i = 0; backends[i]; i++) {
		struct snapdrv_error why;

		if (!backends[i]->probe(dir_fd, &why))
			return backends[i];
		used += (size_t)snprintf(answers + used, sizeof(answers) - used, "%s%s: %.250s",
					 used ? "; " : "", backends[i]->name, why.message);
		if (used >= sizeof(answers))
			break;
	}
	fail(err, SNAPDRV_FAILED, EOPNOTSUPP, "no driver works here: %s", answers);
	return NULL;
}

int backend_make(const struct backend *backend, int dir_fd, const char *name, enum tree_kind kind,
		 const struct tree_stack *parents, tree_fill *fill, struct snapdrv_error *err)
{
	int ret;

	if (mkdirat(dir_fd, name, 0700))
		return fail_errno(err, "make tree %s", name);
	ret = fill(backend, dir_fd, name, kind, parents, err);
	if (ret)
		backend->ops->drop(backend, dir_fd, name, NULL);
	return ret;
}

int backend_open(const struct backend *backend, int dir_fd, const char *name,
		 struct snapdrv_error *err)
{
	char path[80];
	int fd;

	(void)backend;
	snprintf(path, sizeof(path), "%s/fs", name);
	fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open tree %s", name) : fd;
}

int backend_usage(const struct backend *backend, int dir_fd, const char *name,
		  struct usage *ret_usage, struct snapdrv_error *err)
{
	cleanup_fd int fd = backend->ops->open(backend, dir_fd, name, err);

	return fd < 0 ? fd : usage_of_tree(fd, ret_usage, err);
}

int backend_compare(int tree_fd, int parent_fd, const struct inode_set *changed,
		    const struct timespec *copied, change_fn *report, void *arg,
		    struct snapdrv_error *err)
{
	const struct change_trees trees = {
		.new_fd = tree_fd,
		.old_fd = parent_fd,
		.new_root_fd = tree_fd,
		.old_root_fd = parent_fd,
		.changed = changed,
		.copied = copied,
	};

	return changes_walk(&trees, report, arg, err);
}
