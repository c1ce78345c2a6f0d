/* SPDX-License-Identifier: Apache-2.0 */
/* The façade of the library: checks its arguments and calls one room. */
#include "snapdrv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "build/build.h"
#include "image/check.h"
#include "image/container.h"
#include "image/df.h"
#include "image/differ.h"
#include "image/history.h"
#include "image/images.h"
#include "image/load.h"
#include "image/pull.h"
#include "image/push.h"
#include "image/save.h"
#include "image/times.h"
#include "kernel/scratch.h"
#include "snapshot/gc.h"
#include "snapshot/info.h"
#include "snapshot/runtime.h"

#define PUBLIC __attribute__((visibility("default")))
#define DEFAULT_ROOT "/var/lib/snapdrv"

struct snapdrv_store {
	struct graph graph;
};

struct snapdrv_scratch {
	struct scratch scratch;
};

/* Inside the library every error is filled; a caller's may be NULL. */
static struct snapdrv_error *or_own(struct snapdrv_error *err, struct snapdrv_error *own)
{
	return err ? err : own;
}

static int need_root(const char *what, struct snapdrv_error *err)
{
	return geteuid() ? fail(err, SNAPDRV_FAILED, EPERM,
				"%s: mounting needs root: run it as root or with sudo", what)
			 : 0;
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
	ret = need_root("store", err);
	if (ret)
		return ret;
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

PUBLIC void snapdrv_mounts_done(struct snapdrv_mounts *mounts)
{
	mounts_done(mounts);
}

PUBLIC void snapdrv_snapshot_done(struct snapdrv_snapshot *snapshot)
{
	runtime_snapshot_done(snapshot);
}

PUBLIC int snapdrv_snapshot_prepare(struct snapdrv_store *store, const char *key,
				    const char *parent, int kind,
				    const struct snapdrv_label *labels, size_t n_labels,
				    struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	const struct labels all = {labels, n_labels};
	struct snapdrv_error own;

	return runtime_prepare(&store->graph, key, parent, kind, &all, ret_mounts,
			       or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_mounts(struct snapdrv_store *store, const char *key,
				   struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_mounts(&store->graph, key, ret_mounts, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_commit(struct snapdrv_store *store, const char *name, const char *key,
				   const char *parent, const struct snapdrv_label *labels,
				   size_t n_labels, struct snapdrv_error *err)
{
	const struct labels all = {labels, n_labels};
	struct snapdrv_error own;

	return runtime_commit(&store->graph, name, key, parent, &all, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_remove(struct snapdrv_store *store, const char *key,
				   struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_remove(&store->graph, key, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_stat(struct snapdrv_store *store, const char *key,
				 struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_stat(&store->graph, key, ret_snapshot, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_update(struct snapdrv_store *store, const char *key,
				   const struct snapdrv_label *labels, size_t n_labels, int replace,
				   struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err)
{
	const struct labels all = {labels, n_labels};
	struct snapdrv_error own;

	return runtime_update(&store->graph, key, &all, replace, ret_snapshot, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_list(struct snapdrv_store *store,
				 int (*each)(void *arg, const struct snapdrv_snapshot *snapshot),
				 void *arg, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_list(&store->graph, each, arg, or_own(err, &own));
}

PUBLIC int snapdrv_snapshot_usage(struct snapdrv_store *store, const char *key, uint64_t *ret_bytes,
				  uint64_t *ret_inodes, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return runtime_usage(&store->graph, key, ret_bytes, ret_inodes, or_own(err, &own));
}

PUBLIC int snapdrv_cleanup(struct snapdrv_store *store, struct snapdrv_error *err)
{
	struct snapdrv_error own;
	int ret = graph_flush(&store->graph, or_own(err, &own));

	return ret ? ret : graph_sweep(&store->graph, or_own(err, &own));
}

PUBLIC void snapdrv_applied_done(struct snapdrv_applied *applied)
{
	differ_applied_done(applied);
}

PUBLIC int snapdrv_apply(struct snapdrv_store *store, const struct snapdrv_mount *mounts,
			 size_t n_mounts, ssize_t (*read)(void *arg, void *data, size_t size),
			 void *arg, const char *media_type, unsigned flags,
			 struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	const struct differ_mounts all = {mounts, n_mounts};
	const struct differ_input input = {read, arg, media_type};
	struct snapdrv_error own;

	return differ_apply(&store->graph, &all, &input, flags, ret_applied, or_own(err, &own));
}

PUBLIC int snapdrv_diff_mounts(struct snapdrv_store *store, const struct snapdrv_mount *left,
			       size_t n_left, const struct snapdrv_mount *right, size_t n_right,
			       int compression,
			       int (*write)(void *arg, const void *data, size_t size), void *arg,
			       struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	const struct differ_mounts below = {left, n_left}, above = {right, n_right};
	const struct differ_output output = {write, arg, compression};
	struct snapdrv_error own;

	return differ_diff(&store->graph, &below, &above, &output, ret_applied, or_own(err, &own));
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

PUBLIC int snapdrv_df(struct snapdrv_store *store, int each, struct snapdrv_df *ret_df,
		      struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return store_df(&store->graph, each, ret_df, or_own(err, &own));
}

PUBLIC void snapdrv_df_done(struct snapdrv_df *df)
{
	store_df_done(df);
}

PUBLIC int snapdrv_gc(struct snapdrv_store *store, const struct snapdrv_gc_options *options,
		      struct snapdrv_gc *ret_gc, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return graph_gc(&store->graph, options, ret_gc, or_own(err, &own));
}

PUBLIC int snapdrv_check(struct snapdrv_store *store, const struct snapdrv_check_options *options,
			 struct snapdrv_check *ret_check, struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return store_check(&store->graph, options, ret_check, or_own(err, &own));
}

PUBLIC void snapdrv_check_done(struct snapdrv_check *check)
{
	store_check_done(check);
}

PUBLIC const char *const *snapdrv_scratch_filesystems(void)
{
	return scratch_filesystems();
}

PUBLIC int snapdrv_scratch_make(const struct snapdrv_scratch_options *options,
				struct snapdrv_scratch **ret_scratch, struct snapdrv_error *err)
{
	struct snapdrv_error own;
	struct snapdrv_scratch *scratch;
	int ret;

	err = or_own(err, &own);
	if (!options->filesystem == !options->dir)
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "scratch: either a filesystem or a directory");
	ret = need_root("scratch", err);
	if (ret)
		return ret;
	scratch = calloc(1, sizeof(*scratch));
	if (!scratch)
		return fail_memory(err);
	ret = scratch_make(options, &scratch->scratch, err);
	if (ret) {
		free(scratch);
		return ret;
	}
	*ret_scratch = scratch;
	return 0;
}

PUBLIC const char *snapdrv_scratch_path(const struct snapdrv_scratch *scratch)
{
	return scratch->scratch.path;
}

PUBLIC const char *snapdrv_scratch_filesystem(const struct snapdrv_scratch *scratch)
{
	return scratch->scratch.filesystem.text;
}

PUBLIC int snapdrv_scratch_cool(struct snapdrv_scratch *scratch, int *ret_is_cold,
				struct snapdrv_error *err)
{
	struct snapdrv_error own;

	return scratch_cool(&scratch->scratch, ret_is_cold, or_own(err, &own));
}

PUBLIC int snapdrv_scratch_drop(struct snapdrv_scratch *scratch, struct snapdrv_error *err)
{
	struct snapdrv_error own;
	int ret;

	if (!scratch)
		return 0;
	ret = scratch_drop(&scratch->scratch, or_own(err, &own));
	free(scratch);
	return ret;
}
