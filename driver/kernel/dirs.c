/* SPDX-License-Identifier: Apache-2.0 */
/* Going down and up in a tree by descriptors. */
#include "kernel/dirs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"

#define OPEN_MAX_LINKS 128 /* the lowest ones; those above are opened again when they are needed */

struct dir_link {
	char *name;
	int fd;	      /* or -1 */
	dev_t device; /* of one that was closed */
	ino_t inode;
};

int dirs_is_gone(int ret)
{
	return ret == -ENOENT || ret == -ENOTDIR || ret == -ELOOP || ret == -ESTALE;
}

/* A name at a time, from the root: nothing that was put in its place on the way is followed. */
static int open_again(struct dir_chain *chain, struct snapdrv_error *err)
{
	cleanup_fd int fd = file_open_dir(chain->root_fd, ".", err);

	for (size_t i = 0; i < chain->count && fd >= 0; i++) {
		int next = file_open_dir(fd, chain->links[i].name, err);

		close(fd);
		fd = next;
	}
	return steal_fd(&fd);
}

static void close_link(struct dir_link *link)
{
	struct stat st = {0};

	if (link->fd >= 0 && !fstat(link->fd, &st)) {
		link->device = st.st_dev;
		link->inode = st.st_ino;
	}
	cleanup_fd_at(&link->fd);
	link->fd = -1;
}

/*
 * Its "..", where that is still the directory that it was: the way from the root is longer with each level. Where it
 * is not, dirs_fd() goes that way.
 */
static void open_above(struct dir_link *above, int fd)
{
	struct stat st;

	above->fd = file_open_dir(fd, "..", NULL);
	if (above->fd < 0 ||
	    (!fstat(above->fd, &st) && st.st_dev == above->device && st.st_ino == above->inode))
		return;
	close(above->fd);
	above->fd = -1;
}

int dirs_fd(struct dir_chain *chain, struct snapdrv_error *err)
{
	struct dir_link *link;

	if (!chain->count)
		return chain->root_fd;
	link = &chain->links[chain->count - 1];
	if (link->fd < 0) {
		int fd = open_again(chain, err);

		if (fd < 0)
			return fd;
		link->fd = fd;
	}
	return link->fd;
}

int dirs_push(struct dir_chain *chain, const char *name, struct snapdrv_error *err)
{
	int above_fd = dirs_fd(chain, err);
	cleanup_fd int fd = above_fd < 0 ? above_fd : file_open_dir(above_fd, name, err);
	char *copy;

	if (fd < 0)
		return fd;
	if (chain->count == chain->room) {
		size_t room = chain->room ? 2 * chain->room : 16;
		struct dir_link *links = reallocarray(chain->links, room, sizeof(*links));

		if (!links)
			return fail_memory(err);
		chain->links = links;
		chain->room = room;
	}
	copy = strdup(name);
	if (!copy)
		return fail_memory(err);
	chain->links[chain->count++] = (struct dir_link){.name = copy, .fd = steal_fd(&fd)};
	if (chain->count > OPEN_MAX_LINKS)
		close_link(&chain->links[chain->count - 1 - OPEN_MAX_LINKS]);
	return 0;
}

void dirs_pop(struct dir_chain *chain)
{
	struct dir_link *link = &chain->links[--chain->count];

	if (chain->count && link->fd >= 0 && chain->links[chain->count - 1].fd < 0)
		open_above(&chain->links[chain->count - 1], link->fd);
	cleanup_fd_at(&link->fd);
	free(link->name);
}

void dirs_done(struct dir_chain *chain)
{
	while (chain->count)
		dirs_pop(chain);
	free(chain->links);
	*chain = (struct dir_chain){.root_fd = -1};
}

static int compare_names(const void *a, const void *b)
{
	const struct dir_entry *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static int read_entries(DIR *dir, struct dir_list *list, struct snapdrv_error *err)
{
	struct dirent *entry;
	size_t room = 0;

	while ((entry = file_next(dir))) {
		char *name;

		if (list->count == room) {
			struct dir_entry *entries;

			room = room ? 2 * room : 16;
			entries = reallocarray(list->entries, room, sizeof(*entries));
			if (!entries)
				return fail_memory(err);
			list->entries = entries;
		}
		name = strdup(entry->d_name);
		if (!name)
			return fail_memory(err);
		list->entries[list->count++] =
			(struct dir_entry){name, entry->d_ino, entry->d_type, 0};
	}
	return errno ? fail_errno(err, "list a directory") : 0;
}

int dirs_list(int dir_fd, struct dir_list *ret_list, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(dir_fd, ".");
	struct dir_list list = {0};
	int ret;

	if (!dir)
		return fail_errno(err, "list a directory");
	ret = read_entries(dir, &list, err);
	if (ret) {
		dirs_list_done(&list);
		return ret;
	}
	if (list.count)
		qsort(list.entries, list.count, sizeof(*list.entries), compare_names);
	*ret_list = list;
	return 0;
}

void dirs_list_done(struct dir_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i].name);
	free(list->entries);
	*list = (struct dir_list){0};
}

int dirs_enter(struct dir_walk *walk, const char *name, struct snapdrv_error *err)
{
	struct dir_level *level = calloc(1, sizeof(*level));
	int ret = level ? 0 : fail_memory(err), fd;

	if (!ret && name)
		ret = dirs_push(&walk->chain, name, err);
	if (ret) {
		free(level);
		return ret;
	}
	fd = dirs_fd(&walk->chain, err);
	ret = fd < 0 ? fd : dirs_list(fd, &level->list, err);
	if (ret) {
		if (name)
			dirs_pop(&walk->chain);
		free(level);
		return ret;
	}
	level->up = walk->level;
	walk->level = level;
	return 0;
}

void dirs_leave(struct dir_walk *walk)
{
	struct dir_level *level = walk->level;

	walk->level = level->up;
	if (level->up)
		dirs_pop(&walk->chain);
	dirs_list_done(&level->list);
	free(level);
}

void dirs_walk_done(struct dir_walk *walk)
{
	while (walk->level)
		dirs_leave(walk);
	dirs_done(&walk->chain);
}
