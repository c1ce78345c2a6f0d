/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories made outside the store: there whole under their name, or not at all. */
#ifndef STORE_TARGET_H
#define STORE_TARGET_H

#include "snapdrv.h"

/** struct target - what is being made. All zero is none. */
struct target {
	int fd;		 /* to write to: the file, or the directory */
	int parent_fd;	 /* the directory that it comes into */
	char *name;	 /* its name there */
	char *temporary; /* what it is called meanwhile; NULL where it has no name, or its last one */
	int is_open;
	int is_dir;
};

/**
 * target_file() - start a file.
 * @path: one that is there is replaced by target_commit(), and keeps what it has until then. What is no
 *        regular file (a FIFO, a device) is written to directly. A symlink is followed.
 *
 * A new file's mode is 0600. Where the filesystem can (O_TMPFILE), the file has no name until it is complete: nothing is left
 * behind when the process dies.
 *
 * Return: 0, or a negative errno value: MISSING (no such directory), USAGE (a directory), FAILED.
 */
int target_file(const char *path, struct target *ret_target, struct snapdrv_error *err);

/**
 * target_dir() - start a directory, beside @path under a temporary name, mode 0755 by the umask.
 * @path: not there yet, or an empty directory.
 *
 * Return: 0, or a negative errno value: MISSING (no directory to make it in), BUSY (not empty), FAILED.
 */
int target_dir(const char *path, struct target *ret_target, struct snapdrv_error *err);

/**
 * target_write_new() - make a small file of mode 0644, where the filesystem can (O_TMPFILE) whole at once. It is
 * not synced.
 *
 * Return: 0, or a negative errno value: BUSY (the name is taken), FAILED.
 */
int target_write_new(int dir_fd, const char *name, const char *text, struct snapdrv_error *err);

/** target_commit() - it is complete: all of it is on disk, and then under its name. */
int target_commit(struct target *target, struct snapdrv_error *err);

/** target_done() - free it; what was not committed is removed. */
void target_done(struct target *target);

#define cleanup_target __attribute__((cleanup(target_done)))

#endif
