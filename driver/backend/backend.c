/* SPDX-License-Identifier: Apache-2.0 */
/* The table of backends. */
#include "backend/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int backend_usage(const struct backend *backend, int dir_fd, const char *name,
		  struct usage *ret_usage, struct snapdrv_error *err)
{
	cleanup_fd int fd = backend->ops->open(backend, dir_fd, name, err);

	return fd < 0 ? fd : usage_of_tree(fd, ret_usage, err);
}
