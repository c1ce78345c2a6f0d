/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of trees.
 *
 *   directory  mkdirat                 setuid and setgid bits, default ACL and mtime at the end
 *   file       all by the finisher (layer/finish.h), but for one with xattrs: openat(O_EXCL), fsetxattr
 *   whiteout   mknodat(0:0), or trusted.overlay.opaque on a directory of this layer
 *
 * Calls that would set what is so already are left out: this is the hot path of a load.
 */
#include "layer/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/xattr.h"
#include "layer/carry.h"

#define SPECIAL_BITS (S_ISUID | S_ISGID)
static const char default_acl[] = "system.posix_acl_default";

static struct tree_writer *writer_of(struct tree_sink *sink)
{
	return (struct tree_writer *)sink;
}

int tree_settle(struct tree_writer *writer, const struct node *dir, const char *name,
		struct snapdrv_error *err)
{
	return finisher_is_pending(writer->finisher, dir, name)
		       ? finisher_wait(writer->finisher, err)
		       : 0;
}

int tree_clear_name(struct tree_writer *writer, struct node *dir, int fd, const char *name,
		    struct snapdrv_error *err)
{
	struct node *child = node_find(&writer->nodes, dir, name, strlen(name));
	int ret = child ? finisher_wait(writer->finisher, err) : 0;

	if (ret)
		return ret;
	if (child)
		node_forget(&writer->nodes, child);
	finisher_replaced(writer->finisher, fd, name);
	link_lose(writer, dir, name);
	/* It may have been a symlink on the way of the recent name. */
	writer->recent = NULL;
	return file_remove_tree(fd, name, err);
}

/* Owner, mode and xattrs of a name that has just been made, by a descriptor of its directory. */
static int set_attributes_at(int fd, const char *name, const struct sink_attributes *attributes,
			     struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, attributes->mtime};
	int ret;

	if ((attributes->uid || attributes->gid) &&
	    fchownat(fd, name, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "set the owner");
	/* chown(2) takes setuid and setgid away. */
	if (!S_ISLNK(attributes->mode) && attributes->mode & SPECIAL_BITS &&
	    fchmodat(fd, name, attributes->mode & 07777, 0))
		return fail_errno(err, "set the mode");
	for (size_t i = 0; i < attributes->n_xattrs; i++) {
		const struct sink_xattr *xattr = &attributes->xattrs[i];

		ret = xattr_set(fd, name, xattr->name, xattr->value, xattr->size, err);
		if (ret)
			return ret;
	}
	return utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) ? fail_errno(err, "set the times")
							       : 0;
}

static int keep_default_acl(struct node *node, const struct sink_xattr *xattr,
			    struct snapdrv_error *err)
{
	char *copy = malloc(xattr->size + 1);

	if (!copy)
		return fail_memory(err);
	memcpy(copy, xattr->value, xattr->size);
	free(node->default_acl);
	node->default_acl = copy;
	node->default_acl_size = xattr->size;
	return 0;
}

/* A directory's owner, mode and xattrs, but for what its entries would inherit. @made: it is new. */
static int set_directory(struct tree_writer *writer, struct node *node,
			 const struct sink_attributes *attributes, int made,
			 struct snapdrv_error *err)
{
	int fd, ret = 0;

	node->mode = attributes->mode & 07777;
	node->mtime = attributes->mtime;
	if (made && !attributes->uid && !attributes->gid && !attributes->n_xattrs) {
		node->flags |= NODE_GIVEN;
		return 0;
	}
	fd = node_fd(&writer->nodes, node, err);
	if (fd < 0)
		return fd;
	if ((!made || attributes->uid || attributes->gid) &&
	    fchown(fd, attributes->uid, attributes->gid))
		return fail_errno(err, "set the owner");
	if (!made && fchmod(fd, node->mode & ~SPECIAL_BITS))
		return fail_errno(err, "set the mode");
	/* What an earlier entry gave the directory, or a lower layer that is in the tree, does not stay. */
	if (!made && (node->flags & NODE_GIVEN || writer->carries_out)) {
		free(steal_ptr(&node->default_acl));
		ret = xattr_clear(fd, err);
	}
	node->flags |= NODE_GIVEN;
	for (size_t i = 0; i < attributes->n_xattrs && !ret; i++) {
		const struct sink_xattr *xattr = &attributes->xattrs[i];

		if (!strcmp(xattr->name, default_acl))
			ret = keep_default_acl(node, xattr, err);
		else
			ret = xattr_set(fd, NULL, xattr->name, xattr->value, xattr->size, err);
	}
	return ret;
}

static int write_directory(struct tree_sink *sink, const char *path,
			   const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	struct tree_writer *writer = writer_of(sink);
	char name[NAME_MAX + 1];
	struct node *dir, *node;
	struct stat st;
	int ret = walk_parent(writer, path, WALK_MAKE, &dir, name, err), fd, replaced = 0;
	mode_t mode = attributes->mode & 07777 & ~SPECIAL_BITS;

	if (ret)
		return ret;
	if (!*name)
		return sink->is_no_layer
			       ? 0
			       : set_directory(writer, writer->nodes.root, attributes, 0, err);
	node = node_find(&writer->nodes, dir, name, strlen(name));
	ret = node ? 0 : tree_settle(writer, dir, name, err);
	if (ret)
		return ret;
	fd = node_fd(&writer->nodes, dir, err);
	if (fd < 0)
		return fd;
	if (!node && writer->carries_out) {
		int is_there = !fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW);

		if (!is_there && errno != ENOENT)
			return fail_errno(err, "stat what the directory takes the place of");
		if (is_there && S_ISDIR(st.st_mode)) {
			node = carry_adopt(writer, dir, name, &st, err);
			if (!node)
				return -EIO;
		}
	}
	if (node)
		return set_directory(writer, node, attributes, 0, err);
	if (mkdirat(fd, name, mode)) {
		if (errno != EEXIST)
			return fail_errno(err, "make the directory");
		replaced = 1;
		ret = tree_clear_name(writer, dir, fd, name, err);
		if (ret)
			return ret;
		if (mkdirat(fd, name, mode))
			return fail_errno(err, "make the directory");
	}
	node = node_add(&writer->nodes, dir, name, strlen(name), err);
	if (!node)
		return -ENOMEM;
	/* A whiteout or a file stood here: what the lower layers have under the name is hidden. */
	if (writer->carries_out)
		node->flags |= NODE_COVERED;
	else if (replaced)
		ret = walk_hide_lower(writer, node, NODE_COVERED, err);
	return ret ? ret : set_directory(writer, node, attributes, 1, err);
}

static int open_file(struct tree_writer *writer, struct node *dir, int fd, const char *name,
		     mode_t mode, struct snapdrv_error *err)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, ret;
	int file_fd = openat(fd, name, flags, mode);

	if (file_fd < 0 && errno == EEXIST) {
		ret = tree_clear_name(writer, dir, fd, name, err);
		if (ret)
			return ret;
		file_fd = openat(fd, name, flags, mode);
	}
	return file_fd < 0 ? fail_errno(err, "create the file") : file_fd;
}

/*
 * Everybody's bits are settled by open(2); setuid and setgid come back after chown(2). A file is created
 * here when more than its name has to be looked at: file capabilities go with a write(2) or chown(2) that
 * comes after them, and a directory or a place holder is known to this thread alone.
 */
static int make_file(struct tree_writer *writer, struct node *dir, const char *name,
		     const char *path, const struct sink_attributes *attributes,
		     struct snapdrv_error *err)
{
	mode_t mode = attributes->mode & 07777 & ~SPECIAL_BITS;
	int ret = tree_settle(writer, dir, name, err), fd;

	fd = ret ? ret : node_fd(&writer->nodes, dir, err);
	if (fd < 0)
		return fd;
	if (!attributes->n_xattrs && !writer->links.first &&
	    !node_find(&writer->nodes, dir, name, strlen(name)))
		return finisher_create(writer->finisher, dir, fd, name, mode, attributes->size,
				       path, &writer->out, err);
	fd = open_file(writer, dir, fd, name, mode, err);
	return fd < 0 ? fd : finisher_adopt(writer->finisher, fd, path, &writer->out, err);
}

static int write_file(struct tree_sink *sink, const char *path,
		      const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	struct tree_writer *writer = writer_of(sink);
	char name[NAME_MAX + 1];
	struct node *dir;
	int ret = walk_parent(writer, path, WALK_MAKE, &dir, name, err);

	if (ret)
		return ret;
	if (!*name)
		return refuse(err, "the root is not a directory");
	ret = make_file(writer, dir, name, path, attributes, err);
	if (ret)
		return ret;
	writer->file = attributes;
	writer->file_written = 0;
	return writer->carries_out ? carry_give(writer, dir, name, err) : 0;
}

static int write_data(struct tree_sink *sink, const void *data, size_t size, uint64_t offset,
		      struct snapdrv_error *err)
{
	struct tree_writer *writer = writer_of(sink);

	if (!writer->out)
		return 0; /* the entry was left out */
	if (offset > writer->file->size || size > writer->file->size - offset)
		return refuse(err, "data past the size of the file");
	if (offset + size > writer->file_written)
		writer->file_written = offset + size;
	return finisher_fill(writer->finisher, writer->out, data, size, offset, err);
}

static int end_with_xattrs(struct tree_writer *writer, const struct file_ending *ending,
			   struct snapdrv_error *err)
{
	const struct sink_attributes *file = writer->file;
	int ret = finisher_wait(writer->finisher, err), fd = finish_file_fd(writer->out);

	if (!ret)
		ret = file_own(fd, ending, err);
	for (size_t i = 0; i < file->n_xattrs && !ret; i++) {
		const struct sink_xattr *xattr = &file->xattrs[i];

		ret = xattr_set(fd, NULL, xattr->name, xattr->value, xattr->size, err);
	}
	return ret ? ret : file_date(fd, ending, err);
}

static int write_file_end(struct tree_sink *sink, struct snapdrv_error *err)
{
	struct tree_writer *writer = writer_of(sink);
	const struct sink_attributes *file = writer->file;
	struct file_ending ending;
	int ret = 0;

	if (!writer->out)
		return 0; /* the entry was left out */
	ending = (struct file_ending){.mode = file->mode,
				      .uid = file->uid,
				      .gid = file->gid,
				      .size = file->size,
				      .written = writer->file_written,
				      .mtime = file->mtime};
	if (!file->n_xattrs)
		return finisher_close(writer->finisher, steal_ptr(&writer->out), &ending, err);
	ret = end_with_xattrs(writer, &ending, err);
	finisher_drop(writer->finisher, steal_ptr(&writer->out));
	return ret;
}

int tree_place(struct tree_writer *writer, const char *path, struct node **ret_dir,
	       char name[NAME_MAX + 1], int (*make)(int fd, const char *name, const void *what),
	       const void *what, struct snapdrv_error *err)
{
	int ret = walk_parent(writer, path, WALK_MAKE, ret_dir, name, err), fd;

	if (!ret && !*name)
		ret = refuse(err, "the root is not a directory");
	if (!ret && writer->carries_out)
		ret = carry_give(writer, *ret_dir, name, err);
	if (!ret)
		ret = tree_settle(writer, *ret_dir, name, err);
	if (ret)
		return ret;
	fd = node_fd(&writer->nodes, *ret_dir, err);
	if (fd < 0)
		return fd;
	if (!make(fd, name, what))
		return fd;
	if (errno != EEXIST)
		return fail_errno(err, "create it");
	ret = tree_clear_name(writer, *ret_dir, fd, name, err);
	if (ret)
		return ret;
	return make(fd, name, what) ? fail_errno(err, "create it") : fd;
}

static int make_symlink(int fd, const char *name, const void *what)
{
	return symlinkat(what, fd, name);
}

int tree_make_node(int fd, const char *name, const void *what)
{
	const struct sink_attributes *attributes = what;

	return mknodat(fd, name, attributes->mode, attributes->device);
}

static int write_symlink(struct tree_sink *sink, const char *path, const char *target,
			 const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	char name[NAME_MAX + 1];
	struct node *dir;
	int fd = tree_place(writer_of(sink), path, &dir, name, make_symlink, target, err);

	return fd < 0 ? fd : set_attributes_at(fd, name, attributes, err);
}

static int write_node(struct tree_sink *sink, const char *path,
		      const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	char name[NAME_MAX + 1];
	struct node *dir;
	int fd = tree_place(writer_of(sink), path, &dir, name, tree_make_node, attributes, err);

	return fd < 0 ? fd : set_attributes_at(fd, name, attributes, err);
}

/*
 * Whether an entry that was refused may be left out for now: with the lower layers out of view its names
 * may have led astray. Then the layer is written again with them in view, or, when there are none, the
 * refusal stands.
 */
static int settle(struct tree_sink *sink, int ret, const char *path, struct snapdrv_error *err)
{
	struct tree_writer *writer = writer_of(sink);
	int may_wait = writer->is_doubtful && !writer->carries_out && writer->lower_fd < 0;

	writer->is_doubtful = 0;
	if (ret >= 0 || !may_wait)
		return ret;
	writer->needs_view = 1;
	if (!writer->doubt.code) {
		writer->doubt = *err;
		fail_within(&writer->doubt, ret, "entry %s", quote(path).text);
	}
	*err = (struct snapdrv_error){0};
	return 0;
}

static int sink_directory(struct tree_sink *sink, const char *path,
			  const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	return settle(sink, write_directory(sink, path, attributes, err), path, err);
}

static int sink_file(struct tree_sink *sink, const char *path,
		     const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	return settle(sink, write_file(sink, path, attributes, err), path, err);
}

static int sink_symlink(struct tree_sink *sink, const char *path, const char *target,
			const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	return settle(sink, write_symlink(sink, path, target, attributes, err), path, err);
}

static int sink_link(struct tree_sink *sink, const char *path, const char *target,
		     struct snapdrv_error *err)
{
	return settle(sink, tree_write_link(sink, path, target, err), path, err);
}

static int sink_node(struct tree_sink *sink, const char *path,
		     const struct sink_attributes *attributes, struct snapdrv_error *err)
{
	return settle(sink, write_node(sink, path, attributes, err), path, err);
}

static int sink_whiteout(struct tree_sink *sink, const char *path, struct snapdrv_error *err)
{
	return settle(sink, tree_write_whiteout(sink, path, err), path, err);
}

static int sink_opaque(struct tree_sink *sink, const char *path, struct snapdrv_error *err)
{
	return settle(sink, tree_write_opaque(sink, path, err), path, err);
}

static const struct tree_sink_ops ops = {
	.directory = sink_directory,
	.file = sink_file,
	.file_data = write_data,
	.file_end = write_file_end,
	.symlink = sink_symlink,
	.link = sink_link,
	.node = sink_node,
	.whiteout = sink_whiteout,
	.opaque = sink_opaque,
};

int tree_writer_new(int root_fd, int carries_out, int lower_fd, struct finisher *finisher,
		    struct tree_writer **ret_writer, struct snapdrv_error *err)
{
	struct tree_writer *writer = calloc(1, sizeof(*writer));
	int ret;

	if (!writer)
		return fail_memory(err);
	writer->sink.ops = &ops;
	writer->lower_fd = lower_fd;
	writer->finisher = finisher;
	writer->carries_out = carries_out;
	links_init(&writer->links);
	ret = node_table_init(&writer->nodes, root_fd, err);
	if (!ret && carries_out)
		ret = carry_init(writer, err);
	if (ret) {
		tree_writer_free(writer);
		return ret;
	}
	*ret_writer = writer;
	return 0;
}

struct tree_sink *tree_writer_sink(struct tree_writer *writer)
{
	return &writer->sink;
}

int tree_writer_root_given(const struct tree_writer *writer)
{
	return !!(writer->nodes.root->flags & NODE_GIVEN);
}

int tree_writer_root_opaque(const struct tree_writer *writer)
{
	return !!(writer->nodes.root->flags & NODE_OPAQUE);
}

void tree_writer_free(struct tree_writer *writer)
{
	if (!writer)
		return;
	/* Only a writer that failed has one, and its finisher is still there. */
	finisher_drop(writer->finisher, writer->out);
	links_done(&writer->links);
	carry_done(writer);
	node_table_done(&writer->nodes);
	free(writer);
}

int tree_writer_thread(struct snapdrv_error *err)
{
	if (unshare(CLONE_FS))
		return fail_errno(err, "give a thread its own umask");
	umask(0);
	return 0;
}
