/* SPDX-License-Identifier: Apache-2.0 */
/* The façade of the library: checks its arguments and calls one room. */
#include "snapdrv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "image/container.h"
#include "image/images.h"
#include "image/load.h"
#include "snapshot/info.h"

#define PUBLIC __attribute__((visibility("default")))
#define DEFAULT_ROOT "/var/lib/snapdrv"

struct snapdrv_store {
	struct graph graph;
};

/* Inside the library every error is filled; a caller's may be NULL. */
static struct snapdrv_error *or_own(struct snapdrv_error *err, struct snapdrv_error *own)
{
	return err ? err : own;
}

static const char *setting(const char *given, const char *variable, const char *otherwise)
{
	const char *value = given ? given : getenv(variable);

	return value && *value ? value : otherwise;
}

PUBLIC int snapdrv_open(const char *root, const char *driver, struct snapdrv_store **ret_store,
			struct snapdrv_error *err)
{
	struct snapdrv_error own;
	struct snapdrv_store *store;
	int ret;

	err = or_own(err, &own);
	if (geteuid())
		return fail(err, SNAPDRV_FAILED, EPERM,
			    "store: mounting needs root: run it as root or with sudo");
	store = calloc(1, sizeof(*store));
	if (!store)
		return fail_memory(err);
	ret = graph_open(setting(root, "SNAPDRV_ROOT", DEFAULT_ROOT),
			 setting(driver, "SNAPDRV_DRIVER", "auto"), &store->graph, err);
	if (ret) {
		free(store);
		return ret;
	}
	*ret_store = store;
	return 0;
}

PUBLIC void snapdrv_close(struct snapdrv_store *store)
{
	if (!store)
		return;
	graph_close(&store->graph);
	free(store);
}

PUBLIC int snapdrv_flush(struct snapdrv_store *store, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return graph_flush(&store->graph, or_own(err, &own));
}

PUBLIC int snapdrv_load(struct snapdrv_store *store, const char *source,
			const struct snapdrv_load_options *options,
			struct snapdrv_loaded **ret_loaded, size_t *ret_count,
			struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_load(&store->graph, source, -1, options, ret_loaded, ret_count,
			  or_own(err, &own));
}

PUBLIC int snapdrv_load_fd(struct snapdrv_store *store, int fd,
			   const struct snapdrv_load_options *options,
			   struct snapdrv_loaded **ret_loaded, size_t *ret_count,
			   struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_load(&store->graph, NULL, fd, options, ret_loaded, ret_count,
			  or_own(err, &own));
}

PUBLIC void snapdrv_loaded_free(struct snapdrv_loaded *loaded, size_t count)
{
	image_loaded_free(loaded, count);
}

PUBLIC int snapdrv_import_fd(struct snapdrv_store *store, int fd, const char *ref,
			     const char *const *changes, size_t n_changes, const char *message,
			     const struct snapdrv_load_options *options, char **ret_id,
			     struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_import(&store->graph, fd, ref, changes, n_changes, message, options, ret_id,
			    or_own(err, &own));
}

PUBLIC int snapdrv_images(struct snapdrv_store *store, struct snapdrv_image **ret_images,
			  size_t *ret_count, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return images_list(&store->graph, ret_images, ret_count, or_own(err, &own));
}

PUBLIC void snapdrv_images_free(struct snapdrv_image *images, size_t count)
{
	images_free(images, count);
}

PUBLIC int snapdrv_inspect(struct snapdrv_store *store, const char *name, char **ret_json,
			   struct snapdrv_error *err)
{
	struct snapdrv_error own;
	struct image image = {0};
	int ret;

	err = or_own(err, &own);
	ret = container_inspect(&store->graph, name, ret_json, err);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = image_find(&store->graph, name, &image, err);
	if (!ret)
		ret = image_inspect(&store->graph, &image, ret_json, err);
	image_done(&image);
	return ret;
}

PUBLIC int snapdrv_tag(struct snapdrv_store *store, const char *image, const char *ref,
		       struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_tag(&store->graph, image, ref, or_own(err, &own));
}

PUBLIC int snapdrv_rmi(struct snapdrv_store *store, const char *image, unsigned flags,
		       struct snapdrv_removed *ret_removed, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_remove(&store->graph, image, flags, ret_removed, or_own(err, &own));
}

PUBLIC void snapdrv_removed_done(struct snapdrv_removed *removed)
{
	struct strings names = {removed->untagged, removed->n_untagged};

	strings_done(&names);
	free(removed->deleted);
	*removed = (struct snapdrv_removed){0};
}

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

	return container_remove(&store->graph, name, or_own(err, &own));
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

PUBLIC int snapdrv_info(struct snapdrv_store *store, struct snapdrv_info *ret_info,
			struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return graph_info(&store->graph, ret_info, or_own(err, &own));
}

PUBLIC void snapdrv_info_done(struct snapdrv_info *info)
{
	graph_info_done(info);
}
