/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a layer: what had to wait for all of its entries, and what waits for the lower layers.
 *
 *   end   default ACLs, setuid and setgid bits, times of the directories that the layer describes
 *   bind  attributes of those it does not describe, whiteouts of nothing, links to lower files
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/marks.h"
#include "kernel/resolve.h"
#include "kernel/xattr.h"
#include "layer/walk.h"

#define SPECIAL_BITS (S_ISUID | S_ISGID)

static int set_time(struct tree_writer *writer, struct node *node, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, node->mtime};
	int fd = node_fd(&writer->nodes, node->parent ? node->parent : node, err);

	if (fd < 0)
		return fd;
	if (utimensat(fd, node->parent ? node->name : ".", times, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "set the times of directory %s", quote(node->name).text);
	return 0;
}

static int finish(struct tree_writer *writer, struct node *node, struct snapdrv_error *err)
{
	int fd, ret;

	if (!(node->mode & SPECIAL_BITS) && !node->default_acl)
		return 0;
	fd = node_fd(&writer->nodes, node, err);
	if (fd < 0)
		return fd;
	if (node->mode & SPECIAL_BITS && fchmod(fd, node->mode))
		return fail_errno(err, "set the mode of directory %s", quote(node->name).text);
	if (!node->default_acl)
		return 0;
	ret = xattr_set(fd, NULL, "system.posix_acl_default", node->default_acl,
			node->default_acl_size, err);
	return ret ? fail_within(err, ret, "directory %s", quote(node->name).text) : 0;
}

int tree_writer_end(struct tree_writer *writer, struct snapdrv_error *err)
{
	int ret = 0;

	/* A directory that nobody describes is made 0755, 0:0, and of no time. */
	for (struct node *node = writer->nodes.root; node && !ret; node = node->next) {
		if (node->flags & NODE_GONE)
			continue;
		ret = finish(writer, node, err);
		if (!ret)
			ret = set_time(writer, node, err);
	}
	/* Until it is bound, a writer may wait with many others. */
	node_close_all(&writer->nodes);
	return ret;
}

/* A directory that the layer does not describe, nor hide what the lower ones have in its place. */
static int is_implied(const struct node *node)
{
	return node->parent && !(node->flags & (NODE_GIVEN | NODE_GONE | NODE_COVERED)) &&
	       node_sees_lower(node->parent);
}

/* One that was made for marks alone, where nothing is below that they could hide. */
static int is_idle(const struct node *node)
{
	return node->parent && !(node->flags & (NODE_GIVEN | NODE_WANTED | NODE_GONE)) &&
	       !node_sees_lower(node->parent);
}

static int drop_directory(struct tree_writer *writer, struct node *node, struct snapdrv_error *err)
{
	int fd = node_fd(&writer->nodes, node->parent, err), ret;

	if (fd < 0)
		return fd;
	node_forget(&writer->nodes, node);
	ret = file_remove_tree(fd, node->name, err);
	return ret ? ret : set_time(writer, node->parent, err);
}

int tree_writer_needs_lower(const struct tree_writer *writer)
{
	if (writer->carries_out)
		return 0;
	if (writer->links.first || writer->needs_view)
		return 1;
	for (const struct node *node = writer->nodes.root; node; node = node->next) {
		if (is_implied(node) || is_idle(node))
			return 1;
		if (node->flags & NODE_WHITEOUTS && !(node->flags & NODE_GONE))
			return 1;
	}
	return 0;
}

int tree_writer_is_tied(const struct tree_writer *writer)
{
	return writer->is_tied;
}

/*
 * Whether the lower layers have a directory in the place of this one: it may stand over something else.
 * Return: 1, 0 or a negative errno value.
 */
static int is_dir_below(const struct node *node, int lower_fd, struct snapdrv_error *err)
{
	cleanup_free char *path = node_path(node, err);
	cleanup_fd int fd = -1;

	if (!path)
		return -ENOMEM;
	fd = resolve_open_beneath(lower_fd, path, O_PATH | O_DIRECTORY);
	if (fd >= 0 || resolve_is_absent(fd))
		return fd >= 0;
	return fail_ret(err, fd, "open directory %s below", quote(path).text);
}

/* A directory that only the lower layers describe: it is to look as it does there. */
static int bind_directory(struct tree_writer *writer, struct node *node, int lower_fd,
			  struct snapdrv_error *err)
{
	cleanup_free char *path = node_path(node, err);
	cleanup_fd int from = -1;
	struct stat st;
	int fd, ret;

	if (!path)
		return -ENOMEM;
	writer->is_tied = 1;
	from = lower_fd < 0 ? -ENOENT
			    : resolve_open_beneath(lower_fd, path, O_RDONLY | O_DIRECTORY);
	if (from == -ELOOP && writer->lower_fd < 0)
		return 1;
	if (!(node->flags & NODE_WANTED) && (from == -ENOENT || from == -ELOOP || from == -ENOTDIR))
		return drop_directory(writer, node, err);
	if (from == -ENOENT || from == -ELOOP)
		return 0;
	ret = from == -ENOTDIR ? is_dir_below(node->parent, lower_fd, err) : 1;
	if (ret <= 0)
		return ret;
	if (from == -ENOTDIR)
		return refuse(err, "entry below %s, which is not a directory", quote(path).text);
	errno = from < 0 ? -from : 0;
	if (from < 0 || fstat(from, &st))
		return fail_errno(err, "open directory %s below", quote(path).text);
	fd = node_fd(&writer->nodes, node, err);
	if (fd < 0)
		return fd;
	if (fchown(fd, st.st_uid, st.st_gid) || fchmod(fd, st.st_mode & 07777))
		return fail_errno(err, "set the owner and mode of %s", quote(path).text);
	ret = xattr_copy(from, fd, err);
	if (ret)
		return ret;
	node->mtime = st.st_mtim;
	return set_time(writer, node, err);
}

static int drop_whiteouts(int fd, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(fd, ".");
	struct dirent *entry;
	struct stat st;

	if (!dir)
		return fail_errno(err, "list a directory");
	while ((entry = file_next(dir))) {
		if (entry->d_type != DT_CHR)
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			return fail_errno(err, "stat what may be a whiteout");
		if (st.st_rdev)
			continue;
		if (unlinkat(fd, entry->d_name, 0))
			return fail_errno(err, "remove a whiteout");
	}
	return errno ? fail_errno(err, "list a directory") : 0;
}

/*
 * The kernel hides whiteouts only where it merges directories: in one that the lower layers lack they
 * would be listed as entries that cannot be opened.
 */
static int bind_whiteouts(struct tree_writer *writer, struct node *node, int lower_fd,
			  struct snapdrv_error *err)
{
	int fd, ret;

	if (lower_fd >= 0 && node_sees_lower(node)) {
		ret = is_dir_below(node, lower_fd, err);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	writer->is_tied = 1;
	fd = node_fd(&writer->nodes, node, err);
	if (fd < 0)
		return fd;
	ret = drop_whiteouts(fd, err);
	return ret ? ret : set_time(writer, node, err);
}

/* Give a place holder, all of its names with it, what the lower file holds. */
static int fill_file(int fd, const char *name, int from, const struct stat *st,
		     struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	cleanup_fd int to = openat(fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int ret;

	if (to < 0)
		return fail_errno(err, "open a place holder");
	ret = file_same_data(from, to, "a file of a lower layer", err);
	if (ret)
		return ret;
	if (fchown(to, st->st_uid, st->st_gid) || fchmod(to, st->st_mode & 07777))
		return fail_errno(err, "set the owner and mode");
	ret = xattr_copy(from, to, err);
	if (ret)
		return ret;
	return futimens(to, times) ? fail_errno(err, "set the times") : 0;
}

/* A symlink, device or FIFO: a place holder cannot become one, so the name is made again. */
static int make_special(int fd, const char *name, int from, const struct stat *st,
			struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	char target[PATH_MAX] = "";
	ssize_t length =
		S_ISLNK(st->st_mode) ? readlinkat(from, "", target, sizeof(target) - 1) : 0;
	int ret;

	if (length < 0 || unlinkat(fd, name, 0))
		return fail_errno(err, "replace a place holder");
	ret = S_ISLNK(st->st_mode) ? symlinkat(target, fd, name)
				   : mknodat(fd, name, st->st_mode, st->st_rdev);
	if (ret || fchownat(fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) ||
	    utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "copy a special file");
	if (!S_ISLNK(st->st_mode) && fchmodat(fd, name, st->st_mode & 07777, 0))
		return fail_errno(err, "set the mode");
	return xattr_copy_name(from, fd, name, NULL, err);
}

/* An earlier name of the same place holder was made into a special file. */
static int link_to_earlier(struct tree_writer *writer, const struct pending_link *link,
			   const struct pending_link *earlier, struct snapdrv_error *err)
{
	int from_fd = node_fd(&writer->nodes, earlier->dir, err), fd;

	if (from_fd < 0)
		return from_fd;
	fd = node_fd(&writer->nodes, link->dir, err);
	from_fd = fd < 0 ? fd : node_fd(&writer->nodes, earlier->dir, err);
	if (from_fd < 0)
		return from_fd;
	if (unlinkat(fd, link->name, 0) || linkat(from_fd, earlier->name, fd, link->name, 0))
		return fail_errno(err, "link a special file");
	return 0;
}

static int bind_special(struct tree_writer *writer, struct pending_link *link, int fd, int from,
			const struct stat *st, struct snapdrv_error *err)
{
	const struct pending_link *other = map_get(&writer->links.by_inode, &link->inode);
	int ret;

	if (other && other->is_special)
		return link_to_earlier(writer, link, other, err);
	ret = make_special(fd, link->name, from, st, err);
	link->is_special = 1;
	/* One that is bound at once is not among them. */
	return ret || !other ? ret : map_set(&writer->links.by_inode, &link->inode, link, err);
}

int bind_link(struct tree_writer *writer, struct pending_link *link, int lower_fd,
	      struct snapdrv_error *err)
{
	cleanup_fd int at = -1, from = -1;
	struct stat st;
	int fd, ret;

	if (link->is_lost || link->dir->flags & NODE_GONE)
		return 0;
	fd = node_fd(&writer->nodes, link->dir, err);
	if (fd < 0)
		return fd;
	writer->is_tied = 1;
	at = lower_fd < 0 ? -ENOENT
			  : resolve_open_beneath(lower_fd, link->target, O_PATH | O_NOFOLLOW);
	/* With the lower layers in view, symlinks on the way are followed, perhaps back into this layer. */
	errno = at < 0 ? -at : 0;
	if (at < 0 && !resolve_is_absent(at))
		return fail_errno(err, "open %s below", quote(link->target).text);
	if (at < 0 && lower_fd >= 0 && writer->lower_fd < 0)
		return 1;
	if (at >= 0 && fstat(at, &st))
		return fail_errno(err, "stat %s below", quote(link->target).text);
	if (at < 0)
		return refuse(err, "entry %s: hard link to nothing: no %s", quote(link->name).text,
			      quote(link->target).text);
	if (S_ISDIR(st.st_mode) && writer->lower_fd < 0)
		return 1;
	if (S_ISDIR(st.st_mode))
		return refuse(err, "entry %s: hard link to directory %s", quote(link->name).text,
			      quote(link->target).text);
	if (S_ISREG(st.st_mode)) {
		from = resolve_open_beneath(lower_fd, link->target, O_RDONLY | O_NOFOLLOW);
		errno = from < 0 ? -from : 0;
		if (from < 0)
			return fail_errno(err, "open %s below", quote(link->target).text);
		ret = fill_file(fd, link->name, from, &st, err);
	} else {
		ret = bind_special(writer, link, fd, at, &st, err);
	}
	return ret < 0 ? ret : set_time(writer, link->dir, err);
}

static int fail_doubt(const struct tree_writer *writer, struct snapdrv_error *err)
{
	return fail(err, writer->doubt.code, writer->doubt.errnum, "%s", writer->doubt.message);
}

int tree_writer_leave(struct tree_writer *writer, struct snapdrv_error *err)
{
	int ret = writer->needs_view ? fail_doubt(writer, err) : 0, fd;

	for (struct pending_link *link = writer->links.first; link && !ret; link = link->next)
		ret = bind_link(writer, link, -1, err);
	for (struct node *node = writer->nodes.root; node && !ret; node = node->next) {
		int is_given_root = !node->parent && node->flags & NODE_GIVEN;

		if (is_given_root || (node->parent && !is_idle(node) && !is_implied(node)))
			continue;
		fd = node_fd(&writer->nodes, node, err);
		ret = fd < 0 ? fd : xattr_set(fd, NULL, MARK_IMPLIED, "y", 1, err);
	}
	return ret;
}

int tree_writer_bind(struct tree_writer *writer, int lower_fd, struct snapdrv_error *err)
{
	int ret = 0;

	if (writer->needs_view)
		return lower_fd >= 0 ? 1 : fail_doubt(writer, err);

	/* Links first: they change directories, whose times are set again after that. */
	for (struct pending_link *link = writer->links.first; link && !ret; link = link->next)
		ret = bind_link(writer, link, lower_fd, err);
	for (struct node *node = writer->nodes.root; node && !ret; node = node->next) {
		if (is_idle(node))
			ret = drop_directory(writer, node, err);
		else if (is_implied(node))
			ret = bind_directory(writer, node, lower_fd, err);
		if (!ret && node->flags & NODE_WHITEOUTS && !(node->flags & NODE_GONE))
			ret = bind_whiteouts(writer, node, lower_fd, err);
	}
	return ret;
}
