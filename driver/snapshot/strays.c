/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of strays: what stands in the store's directories without a row. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "snapshot/graph.h"

void strays_done(struct strays *strays)
{
	for (size_t i = 0; i < strays->count; i++)
		free(strays->items[i].name);
	free(strays->items);
	*strays = (struct strays){0};
}

int strays_add(struct strays *strays, int dir_fd, const char *name, struct snapdrv_error *err)
{
	struct stray *items = reallocarray(strays->items, strays->count + 1, sizeof(*items));

	if (!items)
		return fail_memory(err);
	strays->items = items;
	items[strays->count].dir_fd = dir_fd;
	items[strays->count].name = text_dup(name, err);
	return items[strays->count].name ? (int)(strays->count++, 0) : -ENOMEM;
}

uint64_t stray_usage(struct graph *graph, const struct stray *stray)
{
	cleanup_fd int fd = -1;
	struct usage usage = {0};
	struct stat st;

	if (fstatat(stray->dir_fd, stray->name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (!S_ISDIR(st.st_mode))
		return (uint64_t)st.st_size;
	if (!graph->backend.ops->usage(&graph->backend, stray->dir_fd, stray->name, &usage, NULL))
		return usage.bytes;
	fd = file_open_dir(stray->dir_fd, stray->name, NULL);
	return fd >= 0 && !usage_of_tree(fd, &usage, NULL) ? usage.bytes : 0;
}
