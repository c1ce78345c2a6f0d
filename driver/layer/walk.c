/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolving the names of an archive: one component at a time from the root's node. Directories of the
 * tree have nodes; what has none is a symlink (its target is put in front of the rest), a file (refused),
 * a whiteout, or missing (looked for in the lower layers when they are in view, and made).
 */
#include "layer/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/resolve.h"
#include "kernel/xattr.h"

#define LINKS_MAX 40 /* path_resolution(7) */

struct walk {
	struct tree_writer *writer;
	enum walk_purpose purpose;
	struct node *at;
	int links;
	char rest[2 * PATH_MAX];
};

/* By its text alone: whether there is at any point more `..` than directories. */
static int climbs(const char *path)
{
	int depth = 0;

	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 2 && !memcmp(path, "..", 2)) {
			if (--depth < 0)
				return 1;
		} else if (length && !(length == 1 && *path == '.')) {
			depth++;
		}
		path += length;
		path += strspn(path, "/");
	}
	return 0;
}

/* Split a path into its directory's length and its last name. */
static int split(const char *path, size_t *ret_dir_length, char name[NAME_MAX + 1],
		 struct snapdrv_error *err)
{
	size_t end = strlen(path), start;

	if (end >= PATH_MAX)
		return refuse(err, "name of more than %d bytes", PATH_MAX - 1);
	for (;;) {
		while (end && path[end - 1] == '/')
			end--;
		if (!end || path[end - 1] != '.' || (end > 1 && path[end - 2] != '/'))
			break;
		end--;
	}
	for (start = end; start && path[start - 1] != '/'; start--)
		;
	if (end - start > NAME_MAX)
		return refuse(err, "a component of more than %d bytes", NAME_MAX);
	memcpy(name, path + start, end - start);
	name[end - start] = '\0';
	if (!strcmp(name, ".."))
		return refuse(err, "name %s",
			      climbs(path) ? "climbs out of the root" : "ends in '..'");
	*ret_dir_length = start;
	return 0;
}

static int put_in_front(struct walk *walk, const char *target, struct snapdrv_error *err)
{
	char rest[2 * PATH_MAX];

	if (++walk->links > LINKS_MAX)
		return refuse_doubtfully(walk->writer, err, "more than %d symlinks on the way",
					 LINKS_MAX);
	if ((size_t)snprintf(rest, sizeof(rest), "%s/%s", target, walk->rest) >= sizeof(rest))
		return refuse(err, "name too long after its symlinks");
	memcpy(walk->rest, rest, sizeof(rest));
	return 0;
}

static int follow(struct walk *walk, int fd, const char *name, struct snapdrv_error *err)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(fd, name, target, sizeof(target) - 1);

	if (length < 0)
		return fail_errno(err, "read symlink %s", quote(name).text);
	target[length] = '\0';
	if (target[0] == '/')
		walk->at = walk->writer->nodes.root;
	return put_in_front(walk, target, err);
}

int walk_hide_lower(struct tree_writer *writer, struct node *node, unsigned flag,
		    struct snapdrv_error *err)
{
	int fd, is_marked = node->flags & (NODE_COVERED | NODE_OPAQUE);

	node->flags |= flag;
	if (is_marked)
		return 0;
	fd = node_fd(&writer->nodes, node, err);
	return fd < 0 ? fd : xattr_set(fd, NULL, "trusted.overlay.opaque", "y", 1, err);
}

/* Take the first component off the rest. Return: 1 and the name, 0 nothing is left, or negative. */
static int next_name(struct walk *walk, char name[NAME_MAX + 1], struct snapdrv_error *err)
{
	size_t skip = strspn(walk->rest, "/"), length = strcspn(walk->rest + skip, "/");

	if (!length)
		return 0;
	if (length > NAME_MAX)
		return refuse(err, "a component of more than %d bytes", NAME_MAX);
	memcpy(name, walk->rest + skip, length);
	name[length] = '\0';
	memmove(walk->rest, walk->rest + skip + length, strlen(walk->rest + skip + length) + 1);
	return 1;
}

/* The directory in the lower layers that this one is merged with; resolve_is_absent() where none is. */
static int open_below(struct walk *walk, const char *path)
{
	if (walk->writer->lower_fd < 0 || !node_sees_lower(walk->at))
		return -ENOENT;
	/* No symlinks: where this layer put a directory, a symlink below it is hidden. */
	return resolve_open_beneath(walk->writer->lower_fd, path, O_PATH | O_DIRECTORY);
}

static int refuse_parent(const struct walk *walk, const char *name, struct snapdrv_error *err)
{
	if (walk->purpose == WALK_MARK)
		return -ENOTDIR;
	return refuse_doubtfully(walk->writer, err, "its parent %s is not a directory",
				 quote(name).text);
}

static int stat_below(int fd, const char *name, struct stat *ret_st)
{
	return fstatat(fd, name, ret_st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

/* What cannot be looked at for another reason may be there: without it the tree would be a wrong one. */
static int fail_unless_absent(int ret, const char *name, struct snapdrv_error *err)
{
	return resolve_is_absent(ret) ? 0
				      : fail_ret(err, ret, "look for %s below", quote(name).text);
}

/*
 * What the lower layers have under a name that this layer lacks.
 * Return: 1 a symlink, followed; 2 a directory; 0 nothing, or out of view; or a negative errno value.
 */
static int look_below(struct walk *walk, const char *name, struct snapdrv_error *err)
{
	cleanup_free char *dir = node_path(walk->at, err);
	cleanup_fd int fd = dir ? open_below(walk, dir) : -1;
	struct stat st;
	int ret;

	if (!dir)
		return -ENOMEM;
	ret = fd < 0 ? fd : stat_below(fd, name, &st);
	if (ret)
		return fail_unless_absent(ret, name, err);
	if (S_ISDIR(st.st_mode))
		return 2;
	if (!S_ISLNK(st.st_mode))
		return refuse_parent(walk, name, err);
	ret = follow(walk, fd, name, err);
	return ret ? ret : 1;
}

static void want(struct node *node)
{
	for (; node && !(node->flags & NODE_WANTED); node = node->parent)
		node->flags |= NODE_WANTED;
}

static int make_missing(struct walk *walk, int fd, const char *name, int is_whiteout,
			struct snapdrv_error *err)
{
	uint64_t most = walk->writer->sink.max_implied;
	struct node *node;

	if (++walk->writer->n_implied > most)
		return refuse(err, "more than %llu directories that no entry names",
			      (unsigned long long)most);
	if (is_whiteout && unlinkat(fd, name, 0))
		return fail_errno(err, "replace whiteout %s", quote(name).text);
	if (mkdirat(fd, name, 0755))
		return fail_errno(err, "make directory %s", quote(name).text);
	node = node_add(&walk->writer->nodes, walk->at, name, strlen(name), err);
	if (!node)
		return -ENOMEM;
	walk->at = node;
	/* The way may lead out of it again, through a `..` of a symlink. */
	if (walk->purpose == WALK_MAKE)
		want(node);
	if (walk->writer->carries_out)
		node->flags |= NODE_COVERED;
	/* The whiteout is gone: the directory has to hide what it hid. */
	return is_whiteout ? walk_hide_lower(walk->writer, node, NODE_COVERED, err) : 0;
}

/*
 * One component that has no node.
 * Return: 1 gone on (into it, or through a symlink), 0 it is missing and not to be made, or negative.
 */
static int step(struct walk *walk, const char *name, struct snapdrv_error *err)
{
	int ret = tree_settle(walk->writer, walk->at, name, err), is_whiteout = 0, fd;
	struct stat st;

	fd = ret ? ret : node_fd(&walk->writer->nodes, walk->at, err);
	if (fd < 0)
		return fd;
	if (!fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (S_ISDIR(st.st_mode)) {
			walk->at = carry_adopt(walk->writer, walk->at, name, &st, err);
			return walk->at ? 1 : -EIO;
		}
		is_whiteout = S_ISCHR(st.st_mode) && !st.st_rdev;
		if (S_ISLNK(st.st_mode)) {
			ret = follow(walk, fd, name, err);
			return ret ? ret : 1;
		}
		if (!is_whiteout || walk->purpose == WALK_MARK)
			return refuse_parent(walk, name, err);
	} else if (errno != ENOENT) {
		return fail_errno(err, "stat %s", quote(name).text);
	}
	/* Where nothing is, there is nothing to delete. */
	if (walk->writer->carries_out && walk->purpose == WALK_MARK)
		return -ENOTDIR;
	ret = is_whiteout ? 0 : look_below(walk, name, err);
	if (ret == 1 || ret < 0)
		return ret;
	if (!ret && walk->purpose == WALK_MARK && walk->writer->lower_fd >= 0)
		return -ENOTDIR;
	if (walk->purpose == WALK_LOOK)
		return 0;
	ret = make_missing(walk, fd, name, is_whiteout, err);
	return ret ? ret : 1;
}

/*
 * Walk the rest from where `walk` stands.
 * Return: 1 all of it, 0 stopped before a missing component (put back in the rest), or negative.
 */
static int go(struct walk *walk, struct snapdrv_error *err)
{
	char name[NAME_MAX + 1];
	struct node *child;
	int ret;

	while ((ret = next_name(walk, name, err)) > 0) {
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			/* Past symlinks this may come to the root: there it stays, as in a chroot. */
			if (walk->at->parent)
				walk->at = walk->at->parent;
			continue;
		}
		child = node_find(&walk->writer->nodes, walk->at, name, strlen(name));
		if (child) {
			walk->at = child;
			continue;
		}
		ret = step(walk, name, err);
		if (ret < 0)
			return ret;
		if (!ret) {
			/* It fits, as it stood there before. */
			memmove(walk->rest + strlen(name), walk->rest, strlen(walk->rest) + 1);
			memcpy(walk->rest, name, strlen(name));
			return 0;
		}
	}
	return ret < 0 ? ret : 1;
}

int walk_parent(struct tree_writer *writer, const char *path, enum walk_purpose purpose,
		struct node **ret_dir, char ret_name[NAME_MAX + 1], struct snapdrv_error *err)
{
	struct walk walk = {.writer = writer, .purpose = purpose, .at = writer->nodes.root};
	size_t length;
	int ret;

	path += strspn(path, "/");
	ret = split(path, &length, ret_name, err);
	if (ret)
		return ret;
	if (writer->recent && length == writer->recent_length &&
	    !memcmp(path, writer->recent_path, length) && !(writer->recent->flags & NODE_GONE)) {
		walk.at = writer->recent;
	} else {
		if (climbs(path))
			return refuse(err, "name climbs out of the root");
		memcpy(walk.rest, path, length);
		walk.rest[length] = '\0';
		ret = go(&walk, err);
		if (ret < 0)
			return ret == -ENOTDIR && purpose == WALK_MARK ? 1 : ret;
		/* A name that went through a symlink may lead elsewhere next time. */
		writer->recent = walk.links ? NULL : walk.at;
		writer->recent_length = length;
		memcpy(writer->recent_path, path, length);
	}
	if (purpose == WALK_MAKE)
		want(walk.at);
	*ret_dir = walk.at;
	return 0;
}

/*
 * `walk` stands before a component that this layer lacks, and what follows can only be in the lower
 * layers, unless a symlink there leads back: then the walk is set to start again at the root.
 * Return: 1 start again, 0 no symlink on the way, or a negative errno value.
 */
static int look_far_below(struct walk *walk, struct snapdrv_error *err)
{
	cleanup_free char *path = node_path(walk->at, err);
	cleanup_fd int fd = path ? open_below(walk, path) : -1;
	struct walk ahead = *walk;
	char name[NAME_MAX + 1];
	int ret = 0;

	if (!path)
		return -ENOMEM;
	if (fd < 0)
		return fail_unless_absent(fd, path, err);
	while ((ret = next_name(&ahead, name, err)) > 0) {
		cleanup_free char *above = steal_ptr(&path);
		struct stat st;
		int next;

		ret = stat_below(fd, name, &st);
		if (ret)
			return fail_unless_absent(ret, name, err);
		if (S_ISLNK(st.st_mode)) {
			ahead.at = NULL;
			ret = follow(&ahead, fd, name, err);
			/* A relative target starts where the link stands. */
			if (!ret && !ahead.at)
				ret = put_in_front(&ahead, above, err);
			*walk = ahead;
			walk->at = walk->writer->nodes.root;
			return ret ? ret : 1;
		}
		path = text_format(err, "%s/%s", above, name);
		if (!path)
			return -ENOMEM;
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return fail_unless_absent(-errno, name, err);
		close(fd);
		fd = next;
	}
	return ret;
}

int walk_target(struct tree_writer *writer, const char *path, struct node **ret_dir,
		char ret_name[NAME_MAX + 1], char **ret_lower, struct snapdrv_error *err)
{
	struct walk walk = {.writer = writer, .purpose = WALK_LOOK, .at = writer->nodes.root};
	cleanup_free char *dir = NULL;
	const struct node *child;
	size_t length;
	struct stat st;
	int found, ret, fd;

	path += strspn(path, "/");
	ret = split(path, &length, ret_name, err);
	if (ret)
		return ret;
	if (climbs(path) || !*ret_name)
		return refuse(err, "hard link to %s, which is no name in the root",
			      quote(path).text);
	memcpy(walk.rest, path, length);
	walk.rest[length] = '\0';
	do {
		found = go(&walk, err);
		ret = found ? 0 : look_far_below(&walk, err);
	} while (found >= 0 && ret == 1);
	if (found < 0 || ret < 0)
		return found < 0 ? found : ret;
	ret = tree_settle(writer, walk.at, ret_name, err);
	fd = ret ? ret : node_fd(&writer->nodes, walk.at, err);
	if (fd < 0)
		return fd;
	child = node_find(&writer->nodes, walk.at, ret_name, strlen(ret_name));
	/* A directory that was made for marks alone is none: what is below may be something else. */
	found = found && !(child && !(child->flags & (NODE_GIVEN | NODE_WANTED)));
	if (found && fstatat(fd, ret_name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			return fail_errno(err, "stat %s", quote(path).text);
		found = 0;
	}
	if (found) {
		if (S_ISCHR(st.st_mode) && !st.st_rdev)
			return refuse_doubtfully(writer, err, "hard link to nothing: %s is deleted",
						 quote(path).text);
		*ret_dir = walk.at;
		return 1;
	}
	if (!node_sees_lower(walk.at) || writer->carries_out)
		return refuse_doubtfully(writer, err, "hard link to nothing: no %s",
					 quote(path).text);
	dir = node_path(walk.at, err);
	*ret_lower =
		dir ? text_format(err, "%s/%s%s%s", dir, walk.rest, *walk.rest ? "/" : "", ret_name)
		    : NULL;
	return *ret_lower ? 0 : -ENOMEM;
}
