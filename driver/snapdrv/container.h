/* SPDX-License-Identifier: Apache-2.0 */
/* Containers: the writable trees over images. */
#ifndef SNAPDRV_CONTAINER_H
#define SNAPDRV_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of snapdrv_create(). */
enum snapdrv_create_flags {
	SNAPDRV_READ_ONLY = 1 << 0, /* no writable layer: the rootfs is mounted read-only */
	SNAPDRV_NO_MOUNT = 1 << 1,  /* leave the mounting to snapdrv_mount() */
	SNAPDRV_TERMINAL = 1 << 2   /* the bundle's process gets a terminal */
};

/**
 * struct snapdrv_create_options - how to make a container; all zero is a good start.
 * @name:   1 to 128 of [A-Za-z0-9_.-] starting with a letter or digit, or NULL for a made-up one.
 * @flags:  enum snapdrv_create_flags.
 * @userns: UID:GID:SIZE, to shift owners for a user namespace by idmapped mounts: what is 0 on disk is
 *          seen as UID, and so on up to SIZE; the bundle's process runs in such a namespace. NULL: none.
 * @bundle: directory to be filled as an OCI runtime bundle (config.json); made when it is not there,
 *          refused when it holds a config.json. NULL for none.
 * @args:   @n_args words that take the place of the image's command in the bundle.
 */
struct snapdrv_create_options {
	const char *name;
	unsigned flags;
	const char *userns;
	const char *bundle;
	const char *const *args;
	size_t n_args;
};

/**
 * snapdrv_create() - make a container: a writable tree over an image.
 * @store:   an open store. Borrowed.
 * @image:   a reference, an image ID, or a unique prefix of one (4 or more hex digits). Borrowed.
 * @options: or NULL. Borrowed.
 * @ret_rootfs: absolute path of the tree, ROOT/containers/NAME/rootfs, for free(3).
 *
 * Copies no file data, whatever the image's size. Killed at any point, it leaves the whole container
 * or nothing.
 *
 * Return: 0, or a negative errno value: MISSING (no such image), BUSY (name taken), USAGE (not a name),
 * REFUSED (the image's config or passwd cannot be used for a bundle), FAILED.
 */
int snapdrv_create(struct snapdrv_store *store, const char *image,
		   const struct snapdrv_create_options *options, char **ret_rootfs,
		   struct snapdrv_error *err);

/**
 * snapdrv_mount() - mount a container's rootfs; nothing to do when it is mounted already.
 * @name: the container's. Borrowed. @ret_rootfs: as snapdrv_create().
 *
 * Return: 0, or a negative errno value: MISSING, FAILED.
 */
int snapdrv_mount(struct snapdrv_store *store, const char *name, char **ret_rootfs,
		  struct snapdrv_error *err);

/**
 * snapdrv_umount() - unmount a container's rootfs; nothing to do when it is not mounted.
 *
 * Return: 0, or a negative errno value: MISSING, BUSY (the message names a process that uses it).
 */
int snapdrv_umount(struct snapdrv_store *store, const char *name, struct snapdrv_error *err);

/**
 * snapdrv_remove() - remove a container and what was written in it; it is unmounted first. Its files go
 * by snapdrv_flush().
 *
 * Return: 0, or a negative errno value: MISSING, BUSY (the message names who uses it).
 */
int snapdrv_remove(struct snapdrv_store *store, const char *name, struct snapdrv_error *err);

/**
 * struct snapdrv_container - one container of the store.
 * @name: its name. @image: the reference or ID it was made from. @image_id: that image's ID.
 * @rootfs: absolute path of its tree. @created_ns: when it was made.
 * @mounted: 1 when the rootfs is mounted. @read_only: 1 when it has no writable layer.
 */
struct snapdrv_container {
	char *name;
	char *image;
	char *image_id;
	char *rootfs;
	int64_t created_ns;
	int mounted;
	int read_only;
};

/**
 * snapdrv_containers() - list the containers, the newest first.
 * @ret_containers: array, for snapdrv_containers_free(). @ret_count: its length.
 */
int snapdrv_containers(struct snapdrv_store *store, struct snapdrv_container **ret_containers,
		       size_t *ret_count, struct snapdrv_error *err);

/**
 * snapdrv_container() - one container, by its name.
 * @ret_container: one, for snapdrv_containers_free() with a count of 1.
 *
 * Return: 0, or a negative errno value: MISSING.
 */
int snapdrv_container(struct snapdrv_store *store, const char *name,
		      struct snapdrv_container **ret_container, struct snapdrv_error *err);

/** snapdrv_containers_free() - free what snapdrv_containers() gave. Takes NULL. */
void snapdrv_containers_free(struct snapdrv_container *containers, size_t count);

/**
 * struct snapdrv_change - a path of a container that is not as its image has it.
 * @kind: 'A' it was added, 'C' changed (it, or of a directory something in it), 'D' deleted.
 * @path: from the container's root, "/etc/motd". Any bytes but NUL.
 */
struct snapdrv_change {
	int kind;
	char *path;
};

/**
 * snapdrv_diff() - what has changed in a container, mounted or not.
 * @name: the container's. Borrowed.
 * @ret_changes: array in the order of the paths' bytes, for snapdrv_changes_free(). @ret_count: its
 *               length.
 *
 * The directories above a change are listed too, but for the root; what was in a directory that is gone
 * is not. A file whose content and attributes are as the image has them is no change, whatever happened to
 * it; one whose content differs is, whatever its size and times. All drivers answer the same: overlay
 * looks at what the container wrote, btrfs at what changed since the snapshot, vfs at all files.
 *
 * Return: 0, or a negative errno value: MISSING (also when it was removed meanwhile), FAILED.
 */
int snapdrv_diff(struct snapdrv_store *store, const char *name, struct snapdrv_change **ret_changes,
		 size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_changes_free() - free what snapdrv_diff() gave. Takes NULL. */
void snapdrv_changes_free(struct snapdrv_change *changes, size_t count);

/**
 * snapdrv_export(), snapdrv_export_fd() - write all that is in a container, mounted or not, as a tar.
 * @path: a file; one that is there is replaced when the tar is complete, a device or FIFO written to.
 *        Borrowed.
 * @fd: open for writing; may be a pipe. Borrowed.
 *
 * In the order of the names' bytes, the root directory first. Other filesystems that are mounted in it
 * (/proc, ...) are not looked into. Kept are owners as numbers, modes, mtimes, xattrs with ACLs and
 * capabilities, hard links, holes, devices, FIFOs; sockets are left out.
 *
 * Return: 0, or a negative errno value: MISSING (also when it was removed meanwhile), FAILED.
 */
int snapdrv_export(struct snapdrv_store *store, const char *name, const char *path,
		   struct snapdrv_error *err);
int snapdrv_export_fd(struct snapdrv_store *store, const char *name, int fd,
		      struct snapdrv_error *err);

/**
 * struct snapdrv_commit_options - how to make an image of a container; all zero is a good start.
 * @author:  of the image, or NULL. @message: the comment in its history, or NULL. UTF-8.
 * @changes: @n_changes instructions for the config, as in snapdrv_import_fd().
 * @flags:   enum snapdrv_load_flags.
 */
struct snapdrv_commit_options {
	const char *author;
	const char *message;
	const char *const *changes;
	size_t n_changes;
	unsigned flags;
};

/**
 * snapdrv_commit() - make an image of a container: one layer more than the image it was made from.
 * @name:    the container's. Borrowed. It stays as it is; it may be mounted and running.
 * @ref:     the image's name. Borrowed.
 * @options: or NULL. Borrowed.
 * @ret_id:  the image ID, for free(3).
 *
 * The layer holds what snapdrv_diff() lists; it is kept as a tar, not compressed. It depends on the change
 * alone: the same DiffID on each driver and each time. The image is made now, or at the time that
 * SOURCE_DATE_EPOCH says; files keep their times. Sockets are left out.
 *
 * Return: 0, or a negative errno value: MISSING (also when it was removed meanwhile), USAGE (a name or a change that cannot be read,
 * or a name with a digest that is not the image's), REFUSED
 * (a file that no layer can hold: named .wh.*, or a 0:0 device), FAILED.
 */
int snapdrv_commit(struct snapdrv_store *store, const char *name, const char *ref,
		   const struct snapdrv_commit_options *options, char **ret_id,
		   struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
