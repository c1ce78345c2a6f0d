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

static int remember_link(struct tree_writer *writer, struct node *dir, const char *name,
			 ino_t inode, const char *target, struct snapdrv_error *err)
{
	struct pending_link *links =
		reallocarray(writer->links, writer->n_links + 1, sizeof(*links));
	struct pending_link link = {.dir = dir, .inode = inode};

	if (!links)
		return fail_memory(err);
	writer->links = links;
	link.name = strdup(name);
	link.target = strdup(target);
	links[writer->n_links++] = link;
	return link.name && link.target ? 0 : fail_memory(err);
}

static struct pending_link *find_held(const struct tree_writer *writer, const struct node *dir,
				      const char *name)
{
	for (size_t i = 0; i < writer->n_links; i++) {
		struct pending_link *link = &writer->links[i];

		if (link->dir == dir && !link->is_lost && !strcmp(link->name, name))
			return link;
	}
	return NULL;
}

void link_lose(struct tree_writer *writer, const struct node *dir, const char *name)
{
	struct pending_link *link = find_held(writer, dir, name);

	if (link)
		link->is_lost = 1;
}

static void drop_last(struct tree_writer *writer)
{
	struct pending_link *link = &writer->links[--writer->n_links];

	free(link->name);
	free(link->target);
}

/* The place holder of a link to what only lower layers can have. With them in view it is bound at once. */
static int hold_place(struct tree_writer *writer, const char *path, const char *lower,
		      struct snapdrv_error *err)
{
	const struct sink_attributes attributes = {.mode = S_IFREG | 0600};
	char name[NAME_MAX + 1];
	struct node *dir;
	struct stat st;
	int fd = tree_place(writer, path, &dir, name, tree_make_node, &attributes, err), ret;

	if (fd < 0)
		return fd;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat a place holder");
	ret = remember_link(writer, dir, name, st.st_ino, lower, err);
	if (ret || writer->lower_fd < 0)
		return ret;
	ret = bind_link(writer, writer->n_links - 1, writer->lower_fd, err);
	drop_last(writer);
	return ret;
}

/* A link to a place holder waits for the same target. */
static int remember_if_pending(struct tree_writer *writer, struct node *dir, int fd,
			       const char *name, struct snapdrv_error *err)
{
	struct stat st;

	if (!writer->n_links)
		return 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat a hard link");
	for (size_t i = 0; i < writer->n_links; i++) {
		const struct pending_link *link = &writer->links[i];

		/* The inode of one that is lost, or went with its directory, may be another file's by now. */
		if (link->inode == st.st_ino && !link->is_lost && !(link->dir->flags & NODE_GONE))
			return remember_link(writer, dir, name, st.st_ino, writer->links[i].target,
					     err);
	}
	return 0;
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
