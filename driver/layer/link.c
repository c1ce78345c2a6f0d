/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links: within the layer at once, to lower layers by a place holder that is bound at the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/carry.h"

/* Where a pending link stands. */
struct link_name {
	const struct node *dir;
	const char *name;
};

static uint64_t hash_name(const void *key, uint64_t secret)
{
	const struct link_name *at = key;

	return map_hash(at->name, strlen(at->name), secret ^ (uintptr_t)at->dir);
}

static int has_name(const void *item, const void *key)
{
	const struct pending_link *link = item;
	const struct link_name *at = key;

	return link->dir == at->dir && !strcmp(link->name, at->name);
}

static uint64_t hash_inode(const void *key, uint64_t secret)
{
	return map_hash(key, sizeof(ino_t), secret);
}

static int has_inode(const void *item, const void *key)
{
	return ((const struct pending_link *)item)->inode == *(const ino_t *)key;
}

void links_init(struct pending_links *links)
{
	static const struct map_kind by_name = {hash_name, has_name};
	static const struct map_kind by_inode = {hash_inode, has_inode};

	*links = (struct pending_links){.by_name = {.kind = &by_name},
					.by_inode = {.kind = &by_inode}};
}

static void free_link(struct pending_link *link)
{
	free(link->name);
	free(link->target);
	free(link);
}

void links_done(struct pending_links *links)
{
	struct pending_link *next;

	for (struct pending_link *link = links->first; link; link = next) {
		next = link->next;
		free_link(link);
	}
	map_done(&links->by_name);
	map_done(&links->by_inode);
}

static struct pending_link *new_link(struct node *dir, const char *name, ino_t inode,
				     const char *target, struct snapdrv_error *err)
{
	struct pending_link *link = calloc(1, sizeof(*link));

	if (!link) {
		fail_memory(err);
		return NULL;
	}
	link->dir = dir;
	link->inode = inode;
	link->name = strdup(name);
	link->target = strdup(target);
	if (link->name && link->target)
		return link;
	free_link(link);
	fail_memory(err);
	return NULL;
}

/* @link: taken over. */
static int remember_link(struct pending_links *links, struct pending_link *link,
			 struct snapdrv_error *err)
{
	const struct link_name at = {link->dir, link->name};
	int ret;

	if (links->last)
		links->last->next = link;
	else
		links->first = link;
	links->last = link;
	link->same = map_get(&links->by_inode, &link->inode);
	ret = map_set(&links->by_inode, &link->inode, link, err);
	return ret ? ret : map_set(&links->by_name, &at, link, err);
}

void link_lose(struct tree_writer *writer, const struct node *dir, const char *name)
{
	const struct link_name at = {dir, name};
	struct pending_link *link = map_get(&writer->links.by_name, &at);

	if (link)
		link->is_lost = 1;
}

/* The place holder of a link to what only lower layers can have. With them in view it is bound at once. */
static int hold_place(struct tree_writer *writer, const char *path, const char *lower,
		      struct snapdrv_error *err)
{
	const struct sink_attributes attributes = {.mode = S_IFREG | 0600};
	char name[NAME_MAX + 1];
	struct pending_link *link;
	struct node *dir;
	struct stat st;
	int fd = tree_place(writer, path, &dir, name, tree_make_node, &attributes, err), ret;

	if (fd < 0)
		return fd;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat a place holder");
	link = new_link(dir, name, st.st_ino, lower, err);
	if (!link)
		return -ENOMEM;
	if (writer->lower_fd < 0)
		return remember_link(&writer->links, link, err);
	ret = bind_link(writer, link, writer->lower_fd, err);
	free_link(link);
	return ret;
}

/* The inode of one that is lost, or went with its directory, may be another file's by now. */
static int is_held(const struct pending_link *link)
{
	return !link->is_lost && !(link->dir->flags & NODE_GONE);
}

/* A link to a place holder waits for the same target. */
static int remember_if_pending(struct tree_writer *writer, struct node *dir, int fd,
			       const char *name, struct snapdrv_error *err)
{
	struct pending_link *link;
	struct stat st;

	if (!writer->links.first)
		return 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat a hard link");
	link = map_get(&writer->links.by_inode, &st.st_ino);
	if (!link)
		return 0;
	/* What is not held will never be again: it is passed over once. */
	while (link->same && !is_held(link->same))
		link->same = link->same->same;
	if (!is_held(link))
		link = link->same;
	if (!link)
		return 0;
	link = new_link(dir, name, st.st_ino, link->target, err);
	return link ? remember_link(&writer->links, link, err) : -ENOMEM;
}

int tree_write_link(struct tree_sink *sink, const char *path, const char *target,
		    struct snapdrv_error *err)
{
	struct tree_writer *writer = (struct tree_writer *)sink;
	char name[NAME_MAX + 1], target_name[NAME_MAX + 1];
	cleanup_free char *lower = NULL;
	struct node *dir = NULL, *target_dir = NULL;
	int ret = walk_target(writer, target, &target_dir, target_name, &lower, err), fd, target_fd;

	if (ret < 0)
		return ret;
	if (!ret)
		return hold_place(writer, path, lower, err);
	ret = walk_parent(writer, path, WALK_MAKE, &dir, name, err);
	if (ret)
		return ret;
	if (!*name)
		return refuse(err, "the root is not a directory");
	if (dir == target_dir && !strcmp(name, target_name))
		return 0;
	ret = tree_settle(writer, dir, name, err);
	if (ret)
		return ret;
	/* Opening one may close the other, but never the one that was opened last: ask for the first again. */
	target_fd = node_fd(&writer->nodes, target_dir, err);
	fd = target_fd < 0 ? target_fd : node_fd(&writer->nodes, dir, err);
	target_fd = fd < 0 ? fd : node_fd(&writer->nodes, target_dir, err);
	if (target_fd < 0)
		return target_fd;
	ret = linkat(target_fd, target_name, fd, name, 0);
	if (ret && errno == EEXIST) {
		ret = tree_clear_name(writer, dir, fd, name, err);
		if (ret)
			return ret;
		/* With the name the target's directory may have gone, and its descriptor. */
		errno = ENOENT;
		ret = target_dir->flags & NODE_GONE ? -1
						    : linkat(target_fd, target_name, fd, name, 0);
	}
	if (ret && (errno == EPERM || errno == ENOENT))
		return refuse_doubtfully(
			writer, err, "hard link to %s, which %s", quote(target).text,
			errno == EPERM ? "is a directory" : "the entry itself replaces");
	if (ret)
		return fail_errno(err, "link it");
	finisher_linked(writer->finisher, fd, name);
	if (writer->carries_out)
		return carry_give(writer, dir, name, err);
	return remember_if_pending(writer, dir, fd, name, err);
}
