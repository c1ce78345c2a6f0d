/* SPDX-License-Identifier: Apache-2.0 */
/* Containers: named active snapshots over an image. */
#ifndef IMAGE_CONTAINER_H
#define IMAGE_CONTAINER_H

#include "image/images.h"
#include "snapshot/graph.h"

int container_create(struct graph *graph, const char *image,
		     const struct snapdrv_create_options *options, char **ret_rootfs,
		     struct snapdrv_error *err);
/**
 * container_adopt() - a draft over an image's layers becomes a container with a made-up name.
 * @draft: of TREE_ACTIVE, not mounted; the container's on success. @ret_name: for free(3).
 */
int container_adopt(struct graph *graph, const struct image *image, struct draft *draft,
		    char **ret_name, struct snapdrv_error *err);
int container_mount(struct graph *graph, const char *name, char **ret_rootfs,
		    struct snapdrv_error *err);
int container_umount(struct graph *graph, const char *name, struct snapdrv_error *err);
/** container_remove() - unmount it first. @expected: only if it is this node that has the name; or NULL. */
int container_remove(struct graph *graph, const char *name, const struct snapshot *expected,
		     struct snapdrv_error *err);
int containers_list(struct graph *graph, struct snapdrv_container **ret_containers,
		    size_t *ret_count, struct snapdrv_error *err);
int container_find(struct graph *graph, const char *name, struct snapdrv_container **ret_container,
		   struct snapdrv_error *err);
void containers_free(struct snapdrv_container *containers, size_t count);

/** container_snapshot() - a container's node. Return: 0, or a negative errno value: MISSING. */
int container_snapshot(struct graph *graph, const char *name, struct snapshot *ret_snapshot,
		       struct snapdrv_error *err);

/** container_diff() - snapdrv_diff(). */
int container_diff(struct graph *graph, const char *name, struct snapdrv_change **ret_changes,
		   size_t *ret_count, struct snapdrv_error *err);
void container_diff_free(struct snapdrv_change *changes, size_t count);

/** container_export() - snapdrv_export_fd(). */
int container_export_file(struct graph *graph, const char *name, const char *path,
			  struct snapdrv_error *err);
int container_export(struct graph *graph, const char *name, int fd, struct snapdrv_error *err);

/** container_commit() - snapdrv_commit(). */
int container_commit(struct graph *graph, const char *name, const char *ref,
		     const struct snapdrv_commit_options *options, char **ret_id,
		     struct snapdrv_error *err);

/** container_inspect() - a JSON object. Return: 1 found, 0 no such container, or negative. */
int container_inspect(struct graph *graph, const char *name, char **ret_json,
		      struct snapdrv_error *err);

#endif
