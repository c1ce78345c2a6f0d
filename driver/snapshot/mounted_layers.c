/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of a runtime's mounts: opening them, and merging them out of everybody's sight. */
#include "snapshot/mounted_layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/mount.h"

int layers_open(const char *path, struct snapdrv_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open directory %s", quote(path).text) : fd;
}

int layers_is_empty(int fd, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(fd, ".");

	if (dir && file_next(dir))
		return 0;
	return dir && !errno ? 1 : fail_errno(err, "list a directory");
}

/* The length of what all paths have in common, up to a slash: short names matter, see mount_overlay(). */
static size_t common_length(const struct strings *dirs)
{
	const char *first = dirs->items[0];
	size_t common = strlen(first);

	for (size_t i = 1; i < dirs->count; i++) {
		size_t length = 0;

		while (length < common && dirs->items[i][length] == first[length])
			length++;
		common = length;
	}
	while (common && first[common - 1] != '/')
		common--;
	return common;
}

int layers_peek(const struct strings *dirs, struct snapdrv_error *err)
{
	cleanup_free const char **names = NULL;
	cleanup_free char *base = NULL;
	cleanup_fd int base_fd = -1;
	size_t common;

	/* The kernel merges two or more. */
	if (dirs->count == 1)
		return layers_open(dirs->items[0], err);
	common = common_length(dirs);
	base = common ? strndup(dirs->items[0], common) : strdup(".");
	names = calloc(dirs->count, sizeof(*names));
	if (!base || !names)
		return fail_memory(err);
	for (size_t i = 0; i < dirs->count; i++)
		names[i] = dirs->items[i][common] ? dirs->items[i] + common : ".";
	base_fd = layers_open(base, err);
	if (base_fd < 0)
		return base_fd;
	return mount_overlay(
		&(struct overlay_mount){.base_fd = base_fd, .lower = names, .n_lower = dirs->count},
		-1, err);
}
