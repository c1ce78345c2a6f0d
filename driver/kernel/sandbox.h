/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that is run where nobody else sees it: its mounts are the calling thread's, its processes are
 * in a pid namespace of their own, and both end with this process, whatever ends it.
 */
#ifndef KERNEL_SANDBOX_H
#define KERNEL_SANDBOX_H

#include <stddef.h>

#include "snapdrv.h"

/**
 * sandbox_enter() - the calling thread goes into a mount namespace of its own, for as long as it lives.
 *
 * What is mounted outside is still seen in it, and what is unmounted there goes here too. Descriptors of
 * directories that were opened before are no places to mount on: open the store afterwards.
 */
int sandbox_enter(struct snapdrv_error *err);

/** sandbox_tmpfs() - mount an empty tmpfs, which is root's alone, on a directory. */
int sandbox_tmpfs(const char *path, struct snapdrv_error *err);

/** sandbox_unmount() - take down what is mounted on a path, also while it is in use. */
void sandbox_unmount(const char *path);

/**
 * struct sandbox_run - a program to run; everything is borrowed.
 * @argv:    its words, NULL at the end; argv[0] is looked for in PATH.
 * @output:  takes what it writes to stdout and stderr, as it comes, in the calling thread; a negative errno
 *           value, with the error filled, ends the program. @arg: its argument.
 * @cancel_fds: the program is killed when one of them becomes readable; -1 for none.
 */
struct sandbox_run {
	const char *const *argv;
	int (*output)(void *arg, const char *data, size_t size, struct snapdrv_error *err);
	void *arg;
	int cancel_fds[2];
};

/**
 * sandbox_run() - run it to its end, with /dev/null for stdin, no controlling terminal and no signals but
 * those of its own. In a thread that called sandbox_enter().
 * @ret_status: exit status, or 128 and the number of the signal that ended it.
 *
 * It is the first process of a pid namespace with its own /proc: when it ends, or the calling thread does,
 * the kernel kills all that it started.
 *
 * Return: 0, or a negative errno value: MISSING (no such program), FAILED (ECANCELED when it was cancelled).
 */
int sandbox_run(const struct sandbox_run *run, int *ret_status, struct snapdrv_error *err);

/** SANDBOX_CGROUP - what the names of our cgroups begin with; SESSION-N follows. */
#define SANDBOX_CGROUP "snapdrv-"

/**
 * sandbox_drop_cgroups() - remove the empty cgroups of these names, in every hierarchy: a runtime that was
 * killed leaves them.
 * @prefix: what their names begin with; at the top of a hierarchy.
 */
void sandbox_drop_cgroups(const char *prefix);

#endif
