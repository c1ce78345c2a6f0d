/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a path inside a root that is not trusted. */
#ifndef KERNEL_RESOLVE_H
#define KERNEL_RESOLVE_H

#include <limits.h>

#include "snapdrv.h"

/**
 * resolve_open() - open a path as a process that is chrooted to @root_fd would: symlinks, absolute ones
 * and `..` included, never lead out of the root.
 * @root_fd: a directory.
 * @path:    leading slashes do not matter.
 * @flags:   open(2)'s, without O_CREAT. O_NOFOLLOW concerns the last component, as in open(2).
 *
 * openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS (Linux 5.6); where that answers ENOSYS or
 * EPERM (old kernels, seccomp filters), a walk that opens one component at a time with O_NOFOLLOW.
 *
 * Return: a descriptor, or a negative errno value; no error object, since ENOENT is an answer here.
 */
int resolve_open(int root_fd, const char *path, int flags);

/**
 * resolve_open_beneath() - the same for a path that has no symlink in it; ELOOP when there is one.
 */
int resolve_open_beneath(int root_fd, const char *path, int flags);

/**
 * resolve_is_absent() - whether a failure of these says that no such thing is there, rather than that it could
 * not be looked for.
 */
int resolve_is_absent(int ret);

/** struct resolved - a path from a root to something, without a symlink, `.` or slashes around; "" is the root. */
struct resolved {
	char path[PATH_MAX];
};

/**
 * resolve_real() - resolve_open(), and where that led. Always walks one component at a time.
 * @ret_real: written on success.
 */
int resolve_real(int root_fd, const char *path, int flags, struct resolved *ret_real);

/** struct resolve_maker - what resolve_make() does with directories that it has made. */
struct resolve_maker {
	/* Give @name in @dir_fd (O_PATH) its attributes. Return: 0, or a negative errno value. */
	int (*made)(void *arg, int dir_fd, const char *name);
	void *arg;
};

/**
 * resolve_make() - open a directory as resolve_open() does, after making what is missing of it, also behind
 * a symlink that leads to nothing yet.
 * Return: a descriptor, or a negative errno value; ENOTDIR when there is something else.
 */
int resolve_make(int root_fd, const char *path, const struct resolve_maker *maker);

#endif
