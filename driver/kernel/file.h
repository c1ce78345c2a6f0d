/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories relative to descriptors: what libc leaves to be looped over or retried. */
#ifndef KERNEL_FILE_H
#define KERNEL_FILE_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "snapdrv.h"

/**
 * file_write() - write all of @size bytes at the descriptor's position; short writes and EINTR go on.
 * @what: names the file in an error. Borrowed.
 */
int file_write(int fd, const void *data, size_t size, const char *what, struct snapdrv_error *err);

/**
 * file_read_some() - read(2), gone on after EINTR.
 * Return: bytes read, 0 at the end, or a negative errno value.
 */
ssize_t file_read_some(int fd, void *data, size_t size, const char *what,
		       struct snapdrv_error *err);

/**
 * file_read_at() - pread(2) until @size bytes are there or the file ends; EINTR goes on.
 * Return: bytes read, or a negative errno value.
 */
ssize_t file_read_at(int fd, void *data, size_t size, off_t offset, struct snapdrv_error *err);

/**
 * file_slurp() - a whole regular file, from an open descriptor.
 * @fd:  read from its start. A FIFO, device or directory is REFUSED (open it with O_NONBLOCK).
 * @max: longer files are REFUSED.
 * @ret_data: for free(3); a NUL follows the data. @ret_size: without that NUL.
 */
int file_slurp(int fd, size_t max, char **ret_data, size_t *ret_size, struct snapdrv_error *err);

/**
 * file_open_regular() - open a regular file for reading, and nothing else: opening a device may do something
 * (a watchdog starts, a tape winds back), and whoever has made the name may put one there at any time.
 * @path_fd: opened with O_PATH. Borrowed.
 *
 * Return: a descriptor, or a negative errno value; EINVAL when it is no regular file.
 */
int file_open_regular(int path_fd);

/**
 * file_open_named() - open a file that the user has named himself, for file_slurp_named(). Devices are not opened, as
 * by file_open_regular().
 * @path: symlinks are followed.
 *
 * Return: a descriptor, which has O_PATH where it is neither a regular file nor a FIFO; or a negative errno value.
 */
int file_open_named(const char *path);

/**
 * file_slurp_named() - as file_slurp(), and a FIFO (a shell's <(...)) is read until its writers are gone.
 * @fd: of file_open_named(). @cancel_fds: two; one that becomes readable ends the waiting (ECANCELED); -1 for none.
 */
int file_slurp_named(int fd, size_t max, const int *cancel_fds, char **ret_data, size_t *ret_size,
		     struct snapdrv_error *err);

/**
 * file_make_dirs() - mkdir(2) of an absolute path and all that is missing above it, mode 0755.
 */
int file_make_dirs(const char *path, struct snapdrv_error *err);

/**
 * file_list() - open a directory by name below a descriptor, "." for itself, to list what is in it.
 * No access time changes (Linux 2.6.8), unless it is another user's. A symlink is not followed.
 *
 * Return: for closedir(3), or NULL with errno.
 */
DIR *file_list(int dir_fd, const char *name);

/**
 * file_next() - readdir(3) without "." and "..".
 * Return: NULL at the end, with errno 0, or where the directory cannot be read.
 */
struct dirent *file_next(DIR *dir);

/** file_open_dir() - open a directory by name below a descriptor; a symlink is not followed. */
int file_open_dir(int dir_fd, const char *name, struct snapdrv_error *err);

/**
 * file_open_below() - open a directory by a relative path, a name at a time: nothing that a container
 * left on the way may lead elsewhere.
 * Return: a descriptor, or -1 with errno set.
 */
int file_open_below(int top_fd, const char *path);

/**
 * file_remove_tree() - remove a file or a whole directory below a descriptor.
 * @dir_fd: the directory that holds it. @name: its name there, or a path that is to be trusted.
 *
 * Nothing there is no error. Symlinks are removed, never followed. Holds at most some dozens of
 * descriptors, however deep the tree. Goes on after a failure and returns the first one. A big tree is
 * removed by two threads.
 */
int file_remove_tree(int dir_fd, const char *name, struct snapdrv_error *err);

/**
 * file_same_data() - give a new file the contents of another: by reflink (FICLONE) where the filesystem
 * can, else by copying the data and leaving holes.
 * @in: open for reading. @out: an empty file, open for writing.
 */
int file_same_data(int in, int out, const char *what, struct snapdrv_error *err);

/** file_clone() - by reflink (FICLONE) alone. Return: 1 done, 0 not possible. */
int file_clone(int in, int out);

/**
 * file_keep_blob() - put a file of the outside under a name of ours without copying, where possible.
 * @fd: the file, open. @dir_fd, @name: where it is to be; must not exist.
 *
 * Tries a reflink, then a hard link (same filesystem), where nobody but root may write the file: another one might
 * change it between the reflink and the reading.
 *
 * Return: 1 done, 0 neither is possible (copy it), or a negative errno value.
 */
int file_keep_blob(int fd, int dir_fd, const char *name, struct snapdrv_error *err);

/** file_sync_all() - syncfs(2) of the filesystem that holds @fd. */
int file_sync_all(int fd, struct snapdrv_error *err);

/** file_sync_dir() - fsync(2) of a directory: the names in it are on disk. */
int file_sync_dir(int fd, struct snapdrv_error *err);

#endif
