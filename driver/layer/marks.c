/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of deletion: whiteouts and opaque directories, marked as the kernel marks them or carried out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "layer/carry.h"

int tree_write_whiteout(struct tree_sink *sink, const char *path, struct snapdrv_error *err)
{
	struct tree_writer *writer = (struct tree_writer *)sink;
	char name[NAME_MAX + 1];
	struct node *dir, *child;
	int ret = walk_parent(writer, path, WALK_MARK, &dir, name, err), fd;

	if (ret)
		return ret < 0 ? ret : 0;
	if (!*name)
		return refuse(err, "whiteout of the root");
	if (writer->carries_out)
		return carry_whiteout(writer, dir, name, err);
	dir->flags |= NODE_WHITEOUTS;
	child = node_find(&writer->nodes, dir, name, strlen(name));
	if (child && child->flags & (NODE_GIVEN | NODE_WANTED))
		return walk_hide_lower(writer, child, NODE_COVERED, err);
	fd = node_fd(&writer->nodes, dir, err);
	if (fd < 0)
		return fd;
	/* A directory that was made for marks alone: they are all in this one. */
	ret = child ? tree_clear_name(writer, dir, fd, name, err) : 0;
	if (ret)
		return ret;
	/* Where this layer has a file of the name, that hides the lower one already. */
	if (mknodat(fd, name, S_IFCHR, makedev(0, 0)) && errno != EEXIST)
		return fail_errno(err, "make a whiteout");
	return 0;
}

int tree_write_opaque(struct tree_sink *sink, const char *path, struct snapdrv_error *err)
{
	struct tree_writer *writer = (struct tree_writer *)sink;
	char marked[PATH_MAX + 4], name[NAME_MAX + 1];
	struct node *dir;
	int ret;

	/* The directory itself is the parent of a name in it. */
	if (snprintf(marked, sizeof(marked), "%s/x", path) >= (int)sizeof(marked))
		return refuse(err, "name of more than %d bytes", PATH_MAX - 1);
	ret = walk_parent(writer, marked, WALK_MARK, &dir, name, err);
	if (ret)
		return ret < 0 ? ret : 0;
	if (writer->carries_out)
		return carry_opaque(writer, dir, err);
	return walk_hide_lower(writer, dir, NODE_OPAQUE, err);
}
