/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of whole trees of files. */
#ifndef KERNEL_COPY_H
#define KERNEL_COPY_H

#include <stdint.h>
#include <sys/stat.h>

#include "snapdrv.h"

/**
 * copy_tree() - copy a directory and all below it, everything about each file kept.
 * @from_fd: the directory, open for reading. Nobody writes below it meanwhile; no mount is entered.
 * @dir_fd, @name: where the copy is to be; must not exist. @name.links beside it is used meanwhile.
 *
 * Kept are owners, modes, mtimes, xattrs (but for those that xattr_copy() leaves out), hard links within
 * the tree, devices, FIFOs, sockets, symlinks, holes. Data are shared (FICLONE) where the filesystem
 * can: btrfs, xfs, bcachefs. Depth is no limit, to the descriptors and to the stack.
 *
 * Return: 0, or a negative errno value; a half-made copy, and @name.links, stay behind then.
 */
int copy_tree(int from_fd, int dir_fd, const char *name, struct snapdrv_error *err);

/** enum copy_choice - what is to be done with a name. */
enum copy_choice {
	COPY_IT,
	COPY_NOT,	 /* nor what is below it */
	COPY_WHAT_IS_IN, /* a directory that is only there when something in it is */
};

/**
 * struct copy_rules - what is different about a copy. Everything is borrowed.
 * @uid, @gid:  of all, or -1: as it is. @mode: of all but symlinks, or -1.
 * @latest_ns:  later mtimes become this one; INT64_MAX for none.
 * @wants_xattr: which ones, of those that xattr_copy() takes; NULL for all.
 * @choose:     asked for each name; @path is from the top. A negative errno value with @err filled is a
 *              choice too. NULL takes all.
 * @root_fd, @target: copy_merge() alone: a root, and the path of the top of the copy in it. A symlink that
 *              stands where a directory is copied to is followed inside this root.
 */
struct copy_rules {
	int64_t uid, gid, mode;
	int64_t latest_ns;
	int (*wants_xattr)(const char *name);
	int (*choose)(void *arg, const char *path, const struct stat *st,
		      struct snapdrv_error *err);
	void *arg;
	int root_fd;
	const char *target;
};

/**
 * copy_merge() - copy what is in a directory into another one.
 * @from_fd: open for reading. Others may write below it meanwhile: no name is resolved twice, and none that
 *           became a symlink is followed, so that nothing but what is below it is read.
 * @to_fd:   open for reading. A directory in a directory merges: it gets the attributes of the copied one, but
 *           keeps its xattrs; @to_fd itself keeps all. A file replaces what is no directory.
 *
 * Kept as copy_tree() does; hard links where both names are copied. A name for them is used in @to_fd meanwhile.
 *
 * Return: 0, or a negative errno value, after which some of it is there; REFUSED where a directory
 * stands in the way of a file, or the other way round. The message names the path from the top.
 */
int copy_merge(int from_fd, int to_fd, const struct copy_rules *rules, struct snapdrv_error *err);

/**
 * copy_leaf() - copy one name that is no directory.
 * @dir_fd, @name: the name. @to_fd, @as: what is there is replaced, unless it is a directory: REFUSED.
 */
int copy_leaf(int dir_fd, const char *name, int to_fd, const char *as,
	      const struct copy_rules *rules, struct snapdrv_error *err);

/** copy_mtime() - what an mtime becomes. */
struct timespec copy_mtime(const struct copy_rules *rules, const struct timespec *mtime);

/** copy_clamp_dir() - a directory that was there already: its mtime becomes the latest one if it is later. */
int copy_clamp_dir(int fd, const struct copy_rules *rules, struct snapdrv_error *err);

/**
 * copy_blank() - give a directory the attributes of a root that no layer says anything of: mode 0755,
 * owner 0:0, mtime 0, no ACL, whatever it has from the umask and from the directory above it.
 */
int copy_blank(int fd, struct snapdrv_error *err);

/**
 * copy_probe() - try whether a filesystem keeps what a tree is made of: owners, xattrs, hard links,
 * symlinks, devices.
 * @dir_fd: an empty directory on the filesystem in question; left empty.
 *
 * Return: 0, or a negative errno value; the message says what the filesystem lacks.
 */
int copy_probe(int dir_fd, struct snapdrv_error *err);

#endif
