/* SPDX-License-Identifier: Apache-2.0 */
/* The façade: images, from where they come to where they go. */
#include <errno.h>
#include <stdlib.h>

#include "build/build.h"
#include "facade.h"
#include "image/container.h"
#include "image/history.h"
#include "image/images.h"
#include "image/load.h"
#include "image/pull.h"
#include "image/push.h"
#include "image/save.h"
#include "image/times.h"

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

PUBLIC int snapdrv_pull(struct snapdrv_store *store, const char *ref,
			const struct snapdrv_registry_options *registry,
			const struct snapdrv_load_options *options,
			struct snapdrv_loaded **ret_loaded, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_pull(&store->graph, ref, registry, options, ret_loaded, or_own(err, &own));
}

PUBLIC int snapdrv_push(struct snapdrv_store *store, const char *image, const char *ref,
			const struct snapdrv_registry_options *registry,
			const struct snapdrv_push_options *options,
			struct snapdrv_loaded **ret_pushed, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_push(&store->graph, image, ref, registry, options, ret_pushed,
			  or_own(err, &own));
}

PUBLIC void snapdrv_loaded_free(struct snapdrv_loaded *loaded, size_t count)
{
	image_loaded_free(loaded, count);
}

PUBLIC void snapdrv_load_times_done(struct snapdrv_load_times *times)
{
	load_times_done(times);
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

PUBLIC int snapdrv_build(struct snapdrv_store *store, const char *context,
			 const struct snapdrv_build_options *options, char **ret_id,
			 struct snapdrv_error *err)
{
	static const struct snapdrv_build_options no_options = {.input_fd = -1, .cancel_fd = -1};
	struct snapdrv_error own;

	return image_build(&store->graph, context, options ? options : &no_options, ret_id,
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

PUBLIC int snapdrv_history(struct snapdrv_store *store, const char *image,
			   struct snapdrv_history **ret_rows, size_t *ret_count,
			   struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_history(&store->graph, image, ret_rows, ret_count, or_own(err, &own));
}

PUBLIC void snapdrv_history_free(struct snapdrv_history *rows, size_t count)
{
	image_history_free(rows, count);
}

PUBLIC int snapdrv_save(struct snapdrv_store *store, const char *const *images, size_t n_images,
			const char *path, const struct snapdrv_save_options *options,
			struct snapdrv_saved **ret_saved, size_t *ret_count,
			struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_save(&store->graph, images, n_images, path, -1, options, ret_saved, ret_count,
			  or_own(err, &own));
}

PUBLIC int snapdrv_save_fd(struct snapdrv_store *store, const char *const *images, size_t n_images,
			   int fd, const struct snapdrv_save_options *options,
			   struct snapdrv_saved **ret_saved, size_t *ret_count,
			   struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return image_save(&store->graph, images, n_images, NULL, fd, options, ret_saved, ret_count,
			  or_own(err, &own));
}

PUBLIC void snapdrv_saved_free(struct snapdrv_saved *saved, size_t count)
{
	image_saved_free(saved, count);
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
