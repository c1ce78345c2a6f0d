/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying out a step.
 *
 *   mount     a draft over the stage's layers, in the thread's own mount namespace
 *   change    what the step does
 *   pack      the difference, as a layer of this session; none where there is none
 *   bring in  as a load does, with the rows of the step in the same change
 */
#include "build/work.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/addition.h"
#include "image/container.h"
#include "image/images.h"
#include "image/times.h"
#include "image/user.h"
#include "kernel/file.h"
#include "kernel/sandbox.h"
#include "snapshot/rootfs.h"

#define USER_FILE_MAX (1u << 20)
#define cleanup_plans __attribute__((cleanup(plans_done)))

char *work_path(const struct work *work, const char *name, struct snapdrv_error *err)
{
	return text_format(err, "%s/%s", work->path, name);
}

int work_write(const struct work *work, const char *name, const void *data, size_t size,
	       mode_t mode, char **ret_path, struct snapdrv_error *err)
{
	cleanup_free char *path = work_path(work, name, err);
	cleanup_fd int fd =
		path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode) : -ENOMEM;
	int ret = fd == -ENOMEM ? fd : fd < 0 ? fail_errno(err, "make file %s", name) : 0;

	if (!ret && fchmod(fd, mode))
		ret = fail_errno(err, "set the mode of %s", name);
	if (!ret)
		ret = file_write(fd, data, size, name, err);
	if (!ret)
		*ret_path = steal_ptr(&path);
	return ret;
}

static int mount_tree(struct work *work, struct snapdrv_error *err)
{
	cleanup_fd int target_fd = -1;
	int ret;

	if (mkdir(work->root, 0700))
		return fail_errno(err, "make directory %s", work->root);
	target_fd = open(work->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target_fd < 0)
		return fail_errno(err, "open directory %s", work->root);
	ret = draft_mount(work->stage->graph, &work->draft, TREE_ACTIVE, &work->stack, target_fd,
			  err);
	if (ret)
		return ret;
	work->root_fd = open(work->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return work->root_fd < 0 ? fail_errno(err, "open the tree") : 0;
}

int session_place(struct store *store, mode_t mode, struct store_name *ret_name, char **ret_path,
		  struct snapdrv_error *err)
{
	int session_fd = store_session(store, err);
	const struct store_name name = store_name(store);
	cleanup_free char *path = NULL;

	if (session_fd < 0)
		return session_fd;
	path = text_format(err, "%s/staging/%s/%s", store->root, store->session, name.text);
	if (!path)
		return -ENOMEM;
	if (mkdirat(session_fd, name.text, mode))
		return fail_errno(err, "make directory %s", path);
	*ret_name = name;
	*ret_path = steal_ptr(&path);
	return 0;
}

/* On a tmpfs: the bundle, and the secrets in it, are on no disk. */
static int make_place(struct work *work, struct snapdrv_error *err)
{
	int ret = session_place(&work->stage->graph->store, 0700, &work->name, &work->path, err);

	if (ret)
		return ret;
	work->root = text_format(err, "%s/rootfs", work->path);
	return work->root ? sandbox_tmpfs(work->path, err) : -ENOMEM;
}

int work_begin(struct stage *stage, struct work *work, struct snapdrv_error *err)
{
	int ret;

	work->stage = stage;
	work->root_fd = -1;
	ret = stage_top(stage, &work->top, err);
	if (!ret && work->top.id)
		ret = snapshot_stack(stage->graph, &work->top, &work->stack, err);
	if (!ret)
		ret = draft_make(stage->graph, TREE_ACTIVE, &work->stack, &work->draft, err);
	if (!ret)
		ret = make_place(work, err);
	return ret ? ret : mount_tree(work, err);
}

static void unmount_tree(struct work *work)
{
	if (work->root_fd >= 0)
		close(steal_fd(&work->root_fd));
	if (work->root)
		sandbox_unmount(work->root);
}

void work_done(struct work *work)
{
	if (!work->stage)
		return;
	unmount_tree(work);
	if (work->path) {
		sandbox_unmount(work->path);
		unlinkat(work->stage->graph->store.session_fd, work->name.text, AT_REMOVEDIR);
	}
	draft_drop(work->stage->graph, &work->draft);
	stack_done(&work->stack);
	free(steal_ptr(&work->path));
	free(steal_ptr(&work->root));
}

/* ---- the result --------------------------------------------------------------------------- */

static int changes_of(void *context, change_fn *report, void *arg, struct snapdrv_error *err)
{
	struct work *work = context;

	return draft_changes(work->stage->graph, &work->draft, &work->stack, report, arg, err);
}

/* The layers of the stage, and the new one. */
static int plan_layers(const struct stage *stage, const struct addition *addition,
		       struct image_plan *image, struct snapdrv_error *err)
{
	const json_t *diff_ids =
		json_object_get(json_object_get(stage->document, "rootfs"), "diff_ids");
	size_t count = json_array_size(diff_ids);
	int ret = plan_make_layers(image, count + 1, err);

	for (size_t i = 0; i <= count && !ret; i++) {
		const json_t *descriptor = json_array_get(stage->descriptors, i);
		struct layer_plan *layer = &image->layers[i];

		layer->has_blob = layer->is_base = 1;
		layer->diff = layer->blob = addition->diff;
		layer->size = addition->size;
		if (i < count) {
			layer->size =
				(uint64_t)json_integer_value(json_object_get(descriptor, "size"));
			ret = digest_parse(json_string_value(json_array_get(diff_ids, i)),
					   &layer->diff, err);
			if (!ret)
				ret = digest_parse(
					json_string_value(json_object_get(descriptor, "digest")),
					&layer->blob, err);
		}
		layer->chain = digest_chain(i ? &layer[-1].chain : NULL, &layer->diff);
	}
	return ret;
}

static int bring_in(struct stage *stage, const struct addition *addition,
		    const struct strings *keys, int64_t created_ns, struct snapdrv_error *err)
{
	const struct step_plan step = {(const char *const *)keys->items, keys->count, created_ns};
	cleanup_plans struct plans plans = {0};
	struct image_plan *image = plans_add(&plans, err);
	int ret = image ? strings_add(&image->references, "in the making", err) : -ENOMEM;

	if (!ret)
		ret = plan_layers(stage, addition, image, err);
	if (ret)
		return ret;
	image->step = &step;
	return addition_bring_in(stage->graph, addition, &plans, 0, err);
}

int work_commit(struct work *work, const struct strings *keys, struct cached *ret_cached,
		struct snapdrv_error *err)
{
	const struct build *build = work->stage->build;
	const struct pack_source source = {changes_of, work,
					   build->has_epoch ? &build->epoch_ns : NULL};
	cleanup_addition struct addition addition = ADDITION_NONE;
	struct cached cached = {.created_ns = times_creation_ns()};
	int ret;

	unmount_tree(work);
	ret = addition_pack(work->stage->graph, &source, &addition, err);
	if (ret)
		return ret;
	cached.has_layer = addition.n_changes > 0;
	cached.diff = addition.diff;
	cached.size = addition.size;
	ret = cached.has_layer ? bring_in(work->stage, &addition, keys, cached.created_ns, err)
			       : cache_put_nothing(work->stage, keys, cached.created_ns, err);
	if (!ret)
		*ret_cached = cached;
	return ret;
}

static int no_changes(void *context, change_fn *report, void *arg, struct snapdrv_error *err)
{
	(void)context, (void)report, (void)arg, (void)err;
	return 0;
}

int work_add_empty(struct stage *stage, struct snapdrv_error *err)
{
	const struct pack_source source = {.changes = no_changes};
	cleanup_addition struct addition addition = ADDITION_NONE;
	struct cached cached = {.has_layer = 1, .created_ns = times_creation_ns()};
	cleanup_strings struct strings keys = {0};
	cleanup_key struct key key = {0};
	int found = key_begin(&key, stage, "empty", err);

	if (!found)
		found = strings_add(&keys, key_text(&key).text, err);
	if (!found)
		found = cache_find(stage, keys.items[0], &cached, err);
	if (!found) {
		found = addition_pack(stage->graph, &source, &addition, err);
		cached.diff = addition.diff;
		cached.size = addition.size;
		if (!found)
			found = bring_in(stage, &addition, &keys, cached.created_ns, err);
	}
	return found < 0 ? found : step_finish(stage, &cached, "an empty layer", err);
}

int work_keep(struct work *work, char **ret_name, struct snapdrv_error *err)
{
	struct stage *stage = work->stage;
	cleanup_image struct image image = {0};
	cleanup_free char *id = NULL;
	const struct strings no_names = {0};
	int ret;

	if (!stage->has_layers)
		return fail(err, SNAPDRV_FAILED, ENOTSUP, "nothing is in it but mounts");
	unmount_tree(work);
	/* A container is of an image: that of the steps before. */
	ret = export_image(stage, &no_names, &id, err);
	if (!ret)
		ret = image_find(stage->graph, id, &image, err);
	return ret ? ret : container_adopt(stage->graph, &image, &work->draft, ret_name, err);
}

int step_finish(struct stage *stage, const struct cached *cached, const char *created_by,
		struct snapdrv_error *err)
{
	return cached->has_layer ? config_add_layer(stage, &cached->diff, cached->size,
						    cached->created_ns, created_by, err)
				 : config_add_history(stage, created_by, err);
}

/* ---- a step ------------------------------------------------------------------------------- */

static int work_out(struct stage *stage, const struct doing *doing, struct cached *ret_cached,
		    struct snapdrv_error *err)
{
	struct report report =
		report_begin(stage, step_line(stage, doing->step), doing->step->text);
	cleanup_work struct work work = {0};
	int ret = work_begin(stage, &work, err);

	if (!ret)
		ret = doing->change(doing->arg, &work, &report, err);
	if (!ret)
		ret = work_commit(&work, doing->keys, ret_cached, err);
	report_end(&report, ret);
	return ret;
}

/* By content that takes a while to look at. Return: as cache_find(). */
static int find_late(struct stage *stage, const struct doing *doing, struct cached *ret_cached,
		     struct snapdrv_error *err)
{
	const struct strings *keys = doing->keys;
	int found;

	if (!doing->late_key)
		return 0;
	found = doing->late_key(doing->arg, doing->keys, err);
	if (!found)
		found = cache_find(stage, keys->items[keys->count - 1], ret_cached, err);
	if (found == 1)
		found = cache_alias(stage, keys->items[keys->count - 1], keys->items[0], err);
	else
		return found;
	return found ? found : 1;
}

int step_do(struct stage *stage, const struct doing *doing, struct snapdrv_error *err)
{
	struct cached cached;
	int found = cache_find(stage, doing->keys->items[0], &cached, err);

	if (!found && !stage->may_work)
		return TAKES_WORK;
	if (!found)
		found = build_is_stopped(stage->build, err);
	if (!found)
		found = find_late(stage, doing, &cached, err);
	if (found == 1)
		report_cached(stage, step_line(stage, doing->step), doing->step->text);
	else if (!found)
		found = work_out(stage, doing, &cached, err);
	return found < 0 ? found : step_finish(stage, &cached, doing->created_by, err);
}

/* ---- users -------------------------------------------------------------------------------- */

int user_find(struct stage *stage, const char *user, uint32_t *ret_uid, uint32_t *ret_gid,
	      struct snapdrv_error *err)
{
	cleanup_free char *passwd = NULL, *group = NULL;
	cleanup_image_user struct image_user found = {0};
	cleanup_fd int fd = -1;
	struct user_files files = {0};
	struct snapshot top;
	int ret = stage_top(stage, &top, err);

	if (!ret && top.id) {
		fd = rootfs_peek(stage->graph, &top, err);
		ret = fd < 0 ? fd : 0;
	}
	if (fd >= 0 && ret >= 0)
		ret = rootfs_read_file(fd, "/etc/passwd", USER_FILE_MAX, &passwd,
				       &files.passwd_size, err);
	if (fd >= 0 && ret >= 0)
		ret = rootfs_read_file(fd, "/etc/group", USER_FILE_MAX, &group, &files.group_size,
				       err);
	files.passwd = passwd;
	files.group = group;
	if (ret >= 0)
		ret = image_user_lookup(user, &files, &found, err);
	if (ret < 0)
		return ret;
	*ret_uid = found.uid;
	*ret_gid = found.gid;
	return 0;
}
