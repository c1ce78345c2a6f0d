/* SPDX-License-Identifier: Apache-2.0 */
/* The façade: containers. */
#include "facade.h"
#include "image/container.h"

PUBLIC int snapdrv_create(struct snapdrv_store *store, const char *image,
			  const struct snapdrv_create_options *options, char **ret_rootfs,
			  struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_create(&store->graph, image, options, ret_rootfs, or_own(err, &own));
}

PUBLIC int snapdrv_mount(struct snapdrv_store *store, const char *name, char **ret_rootfs,
			 struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_mount(&store->graph, name, ret_rootfs, or_own(err, &own));
}

PUBLIC int snapdrv_umount(struct snapdrv_store *store, const char *name, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_umount(&store->graph, name, or_own(err, &own));
}

PUBLIC int snapdrv_remove(struct snapdrv_store *store, const char *name, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_remove(&store->graph, name, NULL, or_own(err, &own));
}

PUBLIC int snapdrv_containers(struct snapdrv_store *store,
			      struct snapdrv_container **ret_containers, size_t *ret_count,
			      struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return containers_list(&store->graph, ret_containers, ret_count, or_own(err, &own));
}

PUBLIC int snapdrv_container(struct snapdrv_store *store, const char *name,
			     struct snapdrv_container **ret_container, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_find(&store->graph, name, ret_container, or_own(err, &own));
}

PUBLIC void snapdrv_containers_free(struct snapdrv_container *containers, size_t count)
{
	containers_free(containers, count);
}

PUBLIC int snapdrv_diff(struct snapdrv_store *store, const char *name,
			struct snapdrv_change **ret_changes, size_t *ret_count,
			struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_diff(&store->graph, name, ret_changes, ret_count, or_own(err, &own));
}

PUBLIC void snapdrv_changes_free(struct snapdrv_change *changes, size_t count)
{
	container_diff_free(changes, count);
}

PUBLIC int snapdrv_export(struct snapdrv_store *store, const char *name, const char *path,
			  struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_export_file(&store->graph, name, path, or_own(err, &own));
}

PUBLIC int snapdrv_export_fd(struct snapdrv_store *store, const char *name, int fd,
			     struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_export(&store->graph, name, fd, or_own(err, &own));
}

PUBLIC int snapdrv_commit(struct snapdrv_store *store, const char *name, const char *ref,
			  const struct snapdrv_commit_options *options, char **ret_id,
			  struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return container_commit(&store->graph, name, ref, options, ret_id, or_own(err, &own));
}
