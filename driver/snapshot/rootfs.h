/* SPDX-License-Identifier: Apache-2.0 */
/* Where containers' trees are mounted: ROOT/containers/NAME/rootfs. */
#ifndef SNAPSHOT_ROOTFS_H
#define SNAPSHOT_ROOTFS_H

#include "snapshot/graph.h"

/** rootfs_path() - absolute path, for free(3), or NULL with @err filled. */
char *rootfs_path(struct graph *graph, const char *name, struct snapdrv_error *err);

/** rootfs_make() - make the directory to mount on, as far as it is missing. */
int rootfs_make(struct graph *graph, const char *name, struct snapdrv_error *err);

/** rootfs_remove() - remove that directory; BUSY when something is mounted on it. */
int rootfs_remove(struct graph *graph, const char *name, struct snapdrv_error *err);

/** rootfs_is_mounted() - whether a container's tree is mounted. Return: 1, 0, or a negative errno value. */
int rootfs_is_mounted(struct graph *graph, const char *name, struct snapdrv_error *err);

/** rootfs_shows() - whether what is mounted for a container is its own tree. Return: 1, 0, or negative. */
int rootfs_shows(struct graph *graph, const char *name, const struct snapshot *snapshot,
		 struct snapdrv_error *err);

/** rootfs_mount_options() - as mount_options() of a container's tree, for free(3), or NULL. */
char *rootfs_mount_options(struct graph *graph, const char *name);

/**
 * rootfs_mount() - mount a snapshot on its directory, unless that is done.
 * @shift: of the owners that are seen, or NULL. The user that root is shifted to is let through the
 *         directories above, which are nobody's but root's otherwise.
 */
int rootfs_mount(struct graph *graph, const char *name, const struct snapshot *snapshot,
		 const struct id_shift *shift, struct snapdrv_error *err);

/**
 * rootfs_umount() - unmount it, if it is mounted. BUSY with the holder named.
 * @doomed: NULL, or where an overlay's shut-down is left until its container's files go.
 */
int rootfs_umount(struct graph *graph, const char *name, struct doomed *doomed,
		  struct snapdrv_error *err);

/** rootfs_peek() - the merged tree of a snapshot, for reading. A descriptor, or negative. */
int rootfs_peek(struct graph *graph, const struct snapshot *snapshot, struct snapdrv_error *err);

/** rootfs_read_file() - read_file of struct bundle_spec (image/bundle.h). */
int rootfs_read_file(int rootfs_fd, const char *path, size_t max, char **ret_data, size_t *ret_size,
		     struct snapdrv_error *err);

#endif
