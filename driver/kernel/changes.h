/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has changed between two trees of files. The answer depends on the two trees alone, not on how the
 * filesystem, or the container, came from the one to the other.
 */
#ifndef KERNEL_CHANGES_H
#define KERNEL_CHANGES_H

#include <stdint.h>
#include <time.h>

#include "snapdrv.h"

/**
 * struct change - a path that is not as it was. Everything is borrowed.
 * @kind:       'A' it was not there before, 'C' it was, 'D' it is not there any more.
 * @path:       from the root, without a slash in front; "" is the root itself. Any bytes.
 * @name:       its last part in @dir_fd; "." for the root.
 * @dir_fd:     the directory that holds it, or held it, open for reading.
 * @link:       the path of the first of the changes that is another name of the same file, or NULL.
 * @inode:      its number where contents_walk() knows it, or 0.
 * @is_parent:  a directory that is as it was, but for something below it.
 * @is_opaque:  a directory of which nothing is left that was in it before.
 * @is_covered: deleted from a directory that is opaque.
 */
struct change {
	char kind;
	const char *path;
	const char *name;
	int dir_fd;
	const char *link;
	uint64_t inode;
	int is_parent;
	int is_opaque;
	int is_covered;
};

/** change_fn - is told of a change. Return: 0 to go on, or a negative errno value, which ends the walk. */
typedef int change_fn(void *arg, const struct change *change, struct snapdrv_error *err);

/** struct inode_set - a set of inode numbers; all zero is an empty one. */
struct inode_set {
	uint64_t *slots; /* 0 is a free one */
	size_t n_slots;
	size_t count;
};

/** inode_set_add() - Return: 1 it is new in the set, 0 it was there, or -ENOMEM. */
int inode_set_add(struct inode_set *set, uint64_t inode, struct snapdrv_error *err);
int inode_set_has(const struct inode_set *set, uint64_t inode);
void inode_set_done(struct inode_set *set);

#define cleanup_inode_set __attribute__((cleanup(inode_set_done)))

/**
 * struct change_trees - what is compared with what.
 * @new_fd, @old_fd: the roots, open for reading; @old_fd -1: everything is new.
 * @new_root_fd, @old_root_fd: whose attributes the roots have; -1: of a root of which nobody says
 *                anything (copy_blank()).
 * @is_upper:     @new_fd is the upper directory of an overlay over @old_fd: deletions are marks, and what
 *                is not in it is as it was.
 * @is_whole:     an upper directory that hides all that is below it.
 * @reports_root: the root is reported in any case.
 * @changed:      of a tree whose inodes keep their numbers from @old_fd: those that may have changed, and
 *                all directories above them. NULL: any may have.
 * @copied:       @new_fd is a copy, and inodes that did not change since have a ctime before this one.
 */
struct change_trees {
	int new_fd, old_fd;
	int new_root_fd, old_root_fd;
	int is_upper;
	int is_whole;
	int reports_root;
	const struct inode_set *changed;
	const struct timespec *copied;
};

/**
 * changes_walk() - compare two trees, and report what is different.
 *
 * What counts: kind, owner, mode, mtime, content, link target, device number, all xattrs but overlay's own
 * and security.selinux, and which names are one file. An entry for which all these are as they were is no
 * change, whatever happened to it. Reported in the order of the names, byte by byte, a directory before
 * what is in it; the directories above a change are reported too. What is in a directory that is gone is
 * not. All names of a file that changed, or got a new name, are reported.
 *
 * The new tree may be written to meanwhile: nothing outside of it is ever read, and what vanishes is left
 * out. Holds at most some hundred descriptors, whatever the depth, and in memory what is reported.
 */
int changes_walk(const struct change_trees *trees, change_fn *report, void *arg,
		 struct snapdrv_error *err);

#endif
