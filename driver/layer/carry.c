/* SPDX-License-Identifier: Apache-2.0 */
/* Deletions that are carried out. */
#include "layer/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/xattr.h"

#define SPECIAL_BITS (S_ISUID | S_ISGID)
static const char default_acl[] = "system.posix_acl_default";

/*
 * Names are remembered by a 64-bit hash with a secret start, 8 bytes for each: two that collide would
 * have to be found without knowing it. 0 is an empty place.
 */
static uint64_t name_hash(const struct tree_writer *writer, const struct node *dir,
			  const char *name)
{
	uint64_t hash = writer->given_seed ^ (uintptr_t)dir;

	for (; *name; name++) {
		hash = (hash ^ (unsigned char)*name) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	return hash | 1;
}

static void insert(uint64_t *places, size_t n_places, uint64_t hash)
{
	size_t at = (hash >> 1) & (n_places - 1);

	while (places[at] && places[at] != hash)
		at = (at + 1) & (n_places - 1);
	places[at] = hash;
}

static int grow(struct tree_writer *writer, struct snapdrv_error *err)
{
	size_t n_places = writer->n_given_places ? writer->n_given_places * 2 : 1024;
	uint64_t *places = calloc(n_places, sizeof(*places));

	if (!places)
		return fail_memory(err);
	for (size_t i = 0; i < writer->n_given_places; i++) {
		if (writer->given[i])
			insert(places, n_places, writer->given[i]);
	}
	free(writer->given);
	writer->given = places;
	writer->n_given_places = n_places;
	return 0;
}

int carry_give(struct tree_writer *writer, const struct node *dir, const char *name,
	       struct snapdrv_error *err)
{
	if (2 * ++writer->n_given >= writer->n_given_places && grow(writer, err))
		return -ENOMEM;
	insert(writer->given, writer->n_given_places, name_hash(writer, dir, name));
	return 0;
}

static int is_given(const struct tree_writer *writer, const struct node *dir, const char *name)
{
	uint64_t hash = name_hash(writer, dir, name);
	size_t at = (hash >> 1) & (writer->n_given_places - 1);

	if (!writer->n_given_places)
		return 0;
	for (; writer->given[at]; at = (at + 1) & (writer->n_given_places - 1)) {
		if (writer->given[at] == hash)
			return 1;
	}
	return 0;
}

/* Take off what new entries would inherit; tree_writer_end() puts it back. */
static int take_inherited(struct tree_writer *writer, struct node *node, const struct stat *st,
			  struct snapdrv_error *err)
{
	int fd = node_fd(&writer->nodes, node, err);
	ssize_t size;

	if (fd < 0)
		return fd;
	node->mode = st->st_mode & 07777;
	node->mtime = st->st_mtim;
	if (node->mode & SPECIAL_BITS && fchmod(fd, node->mode & ~SPECIAL_BITS))
		return fail_errno(err, "set the mode of directory %s", quote(node->name).text);
	size = fgetxattr(fd, default_acl, NULL, 0);
	if (!size || (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP)))
		return 0;
	if (size < 0)
		return fail_errno(err, "read the default ACL of %s", quote(node->name).text);
	node->default_acl = malloc((size_t)size);
	if (!node->default_acl)
		return fail_memory(err);
	size = fgetxattr(fd, default_acl, node->default_acl, (size_t)size);
	if (size < 0 || fremovexattr(fd, default_acl))
		return fail_errno(err, "take off the default ACL of %s", quote(node->name).text);
	node->default_acl_size = (size_t)size;
	return 0;
}

struct node *carry_adopt(struct tree_writer *writer, struct node *dir, const char *name,
			 const struct stat *st, struct snapdrv_error *err)
{
	struct node *node = node_add(&writer->nodes, dir, name, strlen(name), err);

	if (!node || take_inherited(writer, node, st, err))
		return NULL;
	return node;
}

int carry_init(struct tree_writer *writer, struct snapdrv_error *err)
{
	struct stat st;

	if (getrandom(&writer->given_seed, sizeof(writer->given_seed), 0) < 0)
		return fail_errno(err, "get random bytes");
	if (fstat(writer->nodes.root_fd, &st))
		return fail_errno(err, "stat the root");
	return take_inherited(writer, writer->nodes.root, &st, err);
}

void carry_done(struct tree_writer *writer)
{
	free(writer->given);
}

/* A directory that the layer needs and does not describe, and whose lower self is deleted. */
static int forget_attributes(struct tree_writer *writer, struct node *node,
			     struct snapdrv_error *err)
{
	int fd = node_fd(&writer->nodes, node, err);

	if (fd < 0)
		return fd;
	if (fchown(fd, 0, 0) || fchmod(fd, 0755))
		return fail_errno(err, "reset directory %s", quote(node->name).text);
	node->mode = 0755;
	node->mtime = (struct timespec){0};
	free(steal_ptr(&node->default_acl));
	return xattr_clear(fd, err);
}

static int prune(struct tree_writer *writer, struct node *dir, struct snapdrv_error *err);

static int prune_entry(struct tree_writer *writer, struct node *dir, const char *name,
		       struct snapdrv_error *err)
{
	struct node *child = node_find(&writer->nodes, dir, name, strlen(name));
	int fd, ret = 0;

	if (child && child->flags & (NODE_GIVEN | NODE_WANTED)) {
		ret = prune(writer, child, err);
		if (!ret && !(child->flags & (NODE_GIVEN | NODE_COVERED)))
			ret = forget_attributes(writer, child, err);
		child->flags |= NODE_COVERED;
		return ret;
	}
	if (!child && is_given(writer, dir, name))
		return 0;
	fd = node_fd(&writer->nodes, dir, err);
	if (fd < 0)
		return fd;
	if (child)
		node_forget(&writer->nodes, child);
	writer->recent = NULL;
	return file_remove_tree(fd, name, err);
}

/* Remove what the lower layers have in a directory. Once is enough: nothing of theirs comes back. */
static int prune(struct tree_writer *writer, struct node *dir, struct snapdrv_error *err)
{
	cleanup_dir DIR *list = NULL;
	struct dirent *entry;
	int fd, ret;

	if (dir->flags & (NODE_COVERED | NODE_OPAQUE))
		return 0;
	fd = node_fd(&writer->nodes, dir, err);
	if (fd < 0)
		return fd;
	list = file_list(fd, ".");
	if (!list)
		return fail_errno(err, "list directory %s", quote(dir->name).text);
	while ((entry = file_next(list))) {
		ret = prune_entry(writer, dir, entry->d_name, err);
		if (ret)
			return ret;
	}
	return errno ? fail_errno(err, "list directory %s", quote(dir->name).text) : 0;
}

int carry_whiteout(struct tree_writer *writer, struct node *dir, const char *name,
		   struct snapdrv_error *err)
{
	int ret = finisher_wait(writer->finisher, err), fd;
	struct stat st;

	fd = ret ? ret : node_fd(&writer->nodes, dir, err);
	if (fd < 0)
		return fd;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT || errno == ENAMETOOLONG
			       ? 0
			       : fail_errno(err, "stat %s", quote(name).text);
	return prune_entry(writer, dir, name, err);
}

int carry_opaque(struct tree_writer *writer, struct node *dir, struct snapdrv_error *err)
{
	int ret = finisher_wait(writer->finisher, err);

	if (!ret)
		ret = prune(writer, dir, err);
	dir->flags |= NODE_OPAQUE;
	return ret;
}
