/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts: overlays by the new mount API or mount(2), looking one up, taking one down. */
#ifndef KERNEL_MOUNT_H
#define KERNEL_MOUNT_H

#include <stddef.h>

#include "kernel/idmap.h"
#include "snapdrv.h"

/**
 * struct overlay_mount - an overlay to be mounted; everything is borrowed.
 * @base_fd:   directory that the names below are relative to. Short names matter: see mount_overlay().
 * @lower:     @n_lower read-only directories, the topmost first; at least one.
 * @upper:     writable directory, or NULL for a read-only mount. @work: its work directory, empty.
 */
struct overlay_mount {
	int base_fd;
	const char *const *lower;
	size_t n_lower;
	const char *upper;
	const char *work;
	const struct id_shift *shift; /* of the owners of all layers, or NULL */
	const char
		*base_name; /* with a shift: the name of @base_fd in its parent, which is all that
					 the names above may lead into */
};

/** Most lower directories that an overlay takes (OVL_MAX_STACK in fs/overlayfs, all versions). */
#define MOUNT_OVERLAY_MAX 500

/**
 * mount_overlay() - mount an overlay, private, without redirects, metacopy and index.
 * @target_fd: the directory to mount on, or -1: the mount stays detached, and goes away with the
 *             descriptor that is returned.
 *
 * fsopen(2) with `lowerdir+` a layer at a time (Linux 6.8) takes MOUNT_OVERLAY_MAX of them. Where the
 * kernel lacks that, mount(2): all names have to fit one page of options, so the current directory of a
 * short-lived thread is moved to @base_fd and the names are given relative to it. Where they do not fit so
 * either, a descriptor for each layer is open meanwhile, and its number is the name.
 *
 * Return: 0 with a target, a descriptor of the mount's root without one, or a negative errno value;
 * E2BIG when there are too many layers, and the message says how many this kernel takes; EMFILE where
 * RLIMIT_NOFILE leaves no room for the descriptors.
 */
int mount_overlay(const struct overlay_mount *overlay, int target_fd, struct snapdrv_error *err);

/**
 * mount_is() - whether a directory is the root of a mount.
 * Return: 1 or 0, 0 also when there is no such directory; or a negative errno value.
 */
int mount_is(int dir_fd, const char *name);

/**
 * mount_bind() - bind one directory on another, private, without the mounts below it.
 * @shift: of the owners, or NULL.
 * @source_fd, @target_fd: the directories, open; O_PATH will do.
 * @read_only: nonzero: nobody writes through this mount.
 *
 * open_tree(2) and mount_setattr(2) (Linux 5.12), mount(2) where they are missing.
 */
int mount_bind(int source_fd, int target_fd, int read_only, const struct id_shift *shift,
	       struct snapdrv_error *err);

/**
 * mount_remove() - unmount what is mounted on a path; nothing to do when nothing is.
 * @path: absolute. Not followed when it is a symlink.
 *
 * Return: 0, or a negative errno value; BUSY with the holder named: a process, or a mount below it.
 */
int mount_remove(const char *path, struct snapdrv_error *err);

/**
 * mount_keep() - keep the filesystem that is mounted on @path from being shut down when it is unmounted.
 *
 * An overlay that is shut down syncs the whole filesystem below it, which costs more than all else in
 * unmounting it; who has many to remove has them shut down together, when there is nothing left to sync.
 *
 * Return: a descriptor that does so until it is closed, or -1 where the kernel cannot (open_tree(2), Linux
 * 5.2).
 */
int mount_keep(const char *path);

/**
 * mount_detach_below() - unmount lazily whatever is mounted on @path or below it; for cleaning up.
 */
int mount_detach_below(const char *path, struct snapdrv_error *err);

/**
 * mount_options() - the options of what is mounted on @path, as the kernel tells them.
 * Return: for free(3), or NULL when nothing is mounted there or it cannot be told.
 */
char *mount_options(const char *path);

/**
 * mount_holder() - who uses the filesystem mounted on @path, in words: "process 42 (sleep) has its
 * working directory in it", "a mount on PATH".
 * Return: for free(3), or NULL when nobody is found or memory is short.
 */
char *mount_holder(const char *path);

#endif
