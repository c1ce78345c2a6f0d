/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay backend.
 *
 *   tree   ID/fs      the layer's own files, deletions marked as the kernel marks them
 *          ID/work    work directory, of a container's tree alone
 *   make   mkdirat; the root of a container's layer gets the attributes that the merged root has
 *   mount  kernel/mount.h, lowerdirs "12/fs", relative to layers/
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/mount.h"
#include "kernel/probe.h"
#include "kernel/xattr.h"

#define NAMES_MAX 3000 /* bytes of all lowerdirs that leave room for upperdir= and workdir= */

struct dir_name {
	char text[80];
};

static struct dir_name inside(const char *tree, const char *name)
{
	struct dir_name path;

	snprintf(path.text, sizeof(path.text), "%s/%s", tree, name);
	return path;
}

static int copy_attributes(int from, int to, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;
	int ret;

	if (fstat(from, &st) || fchown(to, st.st_uid, st.st_gid) || fchmod(to, st.st_mode & 07777))
		return fail_errno(err, "give the root its attributes");
	ret = xattr_copy(from, to, err);
	if (ret)
		return ret;
	times[1] = st.st_mtim;
	return futimens(to, times) ? fail_errno(err, "give the root its times") : 0;
}

/* The kernel shows the root as the topmost directory has it; the topmost layer may not say anything. */
static int set_root(const struct backend *backend, int tree_fd, const struct tree_stack *parents,
		    struct snapdrv_error *err)
{
	static const struct timespec no_time[2];

	for (size_t i = 0; i < parents->count; i++) {
		cleanup_fd int from = -1;

		if (!parents->trees[i].root_given)
			continue;
		from = backend_open(backend, backend->layers_fd, parents->trees[i].path, err);
		return from < 0 ? from : copy_attributes(from, tree_fd, err);
	}
	/* Nobody says: no time, rather than that of the moment. */
	return futimens(tree_fd, no_time) ? fail_errno(err, "give the root its times") : 0;
}

static int fill(const struct backend *backend, int dir_fd, const char *name, enum tree_kind kind,
		const struct tree_stack *parents, struct snapdrv_error *err)
{
	cleanup_fd int tree_fd = -1;

	if (mkdirat(dir_fd, inside(name, "fs").text, 0755))
		return fail_errno(err, "make directory %s", inside(name, "fs").text);
	if (kind == TREE_ACTIVE && mkdirat(dir_fd, inside(name, "work").text, 0700))
		return fail_errno(err, "make directory %s", inside(name, "work").text);
	tree_fd = backend_open(backend, dir_fd, name, err);
	if (tree_fd < 0)
		return tree_fd;
	/* Whatever the umask of the process made of it. */
	if (fchmod(tree_fd, 0755))
		return fail_errno(err, "set the mode of the root");
	return set_root(backend, tree_fd, parents, err);
}

static int overlay_make(const struct backend *backend, int dir_fd, const char *name,
			enum tree_kind kind, const struct tree_stack *parents,
			struct snapdrv_error *err)
{
	return backend_make(backend, dir_fd, name, kind, parents, fill, err);
}

static int overlay_freeze(const struct backend *backend, int dir_fd, const char *name,
			  struct snapdrv_error *err)
{
	cleanup_fd int tree_fd = file_open_dir(dir_fd, name, err);

	(void)backend;
	return tree_fd < 0 ? tree_fd : file_remove_tree(tree_fd, "work", err);
}

static int overlay_drop(const struct backend *backend, int dir_fd, const char *name,
			struct snapdrv_error *err)
{
	static const char *const dirs[] = {"work/work", "work", "fs"};

	(void)backend;
	/* Of a container that wrote nothing, these are all there is. */
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		unlinkat(dir_fd, inside(name, dirs[i]).text, AT_REMOVEDIR);
	if (!unlinkat(dir_fd, name, AT_REMOVEDIR))
		return 0;
	return file_remove_tree(dir_fd, name, err);
}

/* The lowerdirs of a stack, for free_lower(). */
struct lower {
	struct dir_name *names;
	const char **pointers;
	size_t count;
};

static void free_lower(struct lower *lower)
{
	free(lower->names);
	free(lower->pointers);
}

/* Whether a tree stands in the stack once more, higher up. */
static int is_above(const struct tree_stack *stack, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (!strcmp(stack->trees[i].path, stack->trees[index].path))
			return 1;
	}
	return 0;
}

static int make_lower(const struct tree_ref *first, const struct tree_stack *stack,
		      struct lower *ret_lower, struct snapdrv_error *err)
{
	size_t count = 0, most = stack->count + 2;

	ret_lower->names = calloc(most, sizeof(*ret_lower->names));
	ret_lower->pointers = calloc(most, sizeof(*ret_lower->pointers));
	if (!ret_lower->names || !ret_lower->pointers)
		return fail_memory(err);
	if (first)
		ret_lower->names[count++] = inside(first->path, "fs");
	for (size_t i = 0; i < stack->count; i++) {
		/* The kernel takes no directory twice; the upper one hides all that the lower one would show. */
		if (!is_above(stack, i))
			ret_lower->names[count++] = inside(stack->trees[i].path, "fs");
		/* The kernel does not look for an opaque mark on a root. */
		if (stack->trees[i].root_opaque)
			break;
	}
	for (size_t i = 0; i < count; i++)
		ret_lower->pointers[i] = ret_lower->names[i].text;
	ret_lower->count = count;
	return 0;
}

/*
 * A power cut may leave a container's files without it: btrfs keeps of a new tree what was synced and the
 * directories above that.
 */
static int have_work(const struct backend *backend, const struct dir_name *work,
		     struct snapdrv_error *err)
{
	if (mkdirat(backend->layers_fd, work->text, 0700) && errno != EEXIST)
		return fail_errno(err, "make directory %s", work->text);
	return 0;
}

static int overlay_mount(const struct backend *backend, const struct tree_ref *tree,
			 enum tree_kind kind, const struct tree_stack *parents,
			 const struct id_shift *shift, int target_fd, struct snapdrv_error *err)
{
	__attribute__((cleanup(free_lower))) struct lower lower = {0};
	struct dir_name upper = inside(tree->path, "fs"), work = inside(tree->path, "work");
	struct overlay_mount overlay = {
		.base_fd = backend->layers_fd, .base_name = "layers", .shift = shift};
	int is_view = kind == TREE_VIEW;
	int ret = make_lower(is_view ? tree : NULL, parents, &lower, err);

	if (ret)
		return ret;
	overlay.lower = lower.pointers;
	overlay.n_lower = lower.count;
	/* A view's own directory carries the root's attributes; at the limit there is no room for it. */
	if (is_view && lower.count == MOUNT_OVERLAY_MAX + 1) {
		overlay.lower++;
		overlay.n_lower--;
	}
	if (kind == TREE_ACTIVE) {
		overlay.upper = upper.text;
		overlay.work = work.text;
		ret = have_work(backend, &work, err);
	}
	return ret ? ret : mount_overlay(&overlay, target_fd, err);
}

/*
 * The name of a layer for a lowerdir= of many: a symlink l/ID36 to it. Whoever mounts leaves out what all
 * names have in common (containerd: mount.compactLowerdirOption) and has a page of 4,096 bytes for the rest.
 */
static int short_name(const struct backend *backend, const struct dir_name *dir,
		      struct dir_name *ret_name, struct snapdrv_error *err)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	const char *slash = strrchr(dir->text, '/'), *id_text;
	char target[sizeof(dir->text) + 16], reversed[16];
	unsigned long long id;
	size_t length = 0, at = 0;

	for (id_text = slash; id_text > dir->text && id_text[-1] != '/'; id_text--)
		;
	id = strtoull(id_text, NULL, 10);
	do {
		reversed[length++] = digits[id % 36];
	} while ((id /= 36));
	at = (size_t)snprintf(ret_name->text, sizeof(ret_name->text), "%s/",
			      SHORT_NAMES_FROM_LAYERS);
	while (length)
		ret_name->text[at++] = reversed[--length];
	ret_name->text[at] = '\0';
	snprintf(target, sizeof(target), "../layers/%s", dir->text);
	if (!symlinkat(target, backend->layers_fd, ret_name->text) || errno == EEXIST)
		return 0;
	if (errno != ENOENT ||
	    (mkdirat(backend->layers_fd, SHORT_NAMES_FROM_LAYERS, 0700) && errno != EEXIST))
		return fail_errno(err, "give %s a short name", dir->text);
	return !symlinkat(target, backend->layers_fd, ret_name->text) || errno == EEXIST
		       ? 0
		       : fail_errno(err, "give %s a short name", dir->text);
}

/* As overlay reads a directory: a backslash takes what follows it as it is (ovl_unescape(), Linux 3.18 and later). */
static int add_escaped(struct bytes *text, const char *layers, const char *name,
		       struct snapdrv_error *err)
{
	cleanup_bytes struct bytes path = {0};
	int ret = describe_path(&path, layers, name, err);

	for (size_t i = 0; i < path.size && !ret; i++) {
		if (strchr("\\:,", path.data[i]))
			ret = bytes_add(text, "\\", 1, err);
		if (!ret)
			ret = bytes_add(text, &path.data[i], 1, err);
	}
	return ret;
}

static int add_dir_option(struct strings *options, const char *key, const char *layers,
			  const struct dir_name *names, size_t count, struct snapdrv_error *err)
{
	cleanup_bytes struct bytes text = {0};
	int ret = bytes_add(&text, key, strlen(key), err);

	for (size_t i = 0; i < count && !ret; i++) {
		if (i)
			ret = bytes_add(&text, ":", 1, err);
		if (!ret)
			ret = add_escaped(&text, layers, names[i].text, err);
	}
	if (!ret)
		ret = bytes_add(&text, "", 1, err);
	return ret ? ret : strings_add(options, text.data, err);
}

/* Whether the names, without what they have in common at least, leave room for the other options. */
static int fit_a_page(const struct dir_name *names, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += strlen(names[i].text) + sizeof("layers/") - sizeof("../") + 1;
	return size < NAMES_MAX;
}

static int shorten(const struct backend *backend, struct dir_name *names, size_t count,
		   struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++) {
		struct dir_name dir = names[i];

		ret = short_name(backend, &dir, &names[i], err);
	}
	return ret;
}

static int describe_overlay(const struct backend *backend, const struct tree_ref *upper,
			    struct dir_name *lower, size_t n_lower, const char *layers,
			    struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err)
{
	static const char *const fixed[] = {"index=off", "metacopy=off", "redirect_dir=nofollow"};
	cleanup_strings struct strings options = {0};
	int ret = 0;

	if (n_lower > MOUNT_OVERLAY_MAX)
		return fail(err, SNAPDRV_FAILED, E2BIG,
			    "%zu layers: this kernel mounts at most %d of them at once", n_lower,
			    MOUNT_OVERLAY_MAX);
	if (!fit_a_page(lower, n_lower))
		ret = shorten(backend, lower, n_lower, err);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && !ret; i++)
		ret = strings_add(&options, fixed[i], err);
	if (!ret && upper) {
		struct dir_name fs = inside(upper->path, "fs"), work = inside(upper->path, "work");

		ret = have_work(backend, &work, err);
		if (!ret)
			ret = add_dir_option(&options, "workdir=", layers, &work, 1, err);
		if (!ret)
			ret = add_dir_option(&options, "upperdir=", layers, &fs, 1, err);
	}
	if (!ret)
		ret = add_dir_option(&options, "lowerdir=", layers, lower, n_lower, err);
	return ret ? ret : describe_mount("overlay", "overlay", &options, ret_mounts, err);
}

/* One directory is bound: the kernel merges two or more. */
static int overlay_describe(const struct backend *backend, const struct tree_ref *tree,
			    enum tree_kind kind, const struct tree_stack *parents,
			    const char *layers, struct snapdrv_mounts *ret_mounts,
			    struct snapdrv_error *err)
{
	__attribute__((cleanup(free_lower))) struct lower lower = {0};
	int is_view = kind == TREE_VIEW;
	int ret = make_lower(is_view ? tree : NULL, parents, &lower, err);
	/* A view's own directory carries the root's attributes; where one layer has them, or at the limit,
	   it is left out. */
	size_t first = is_view && (lower.count == 2 || lower.count == MOUNT_OVERLAY_MAX + 1);

	if (ret)
		return ret;
	if (lower.count - first == 0 || (is_view && lower.count - first == 1))
		return describe_bind(
			layers, is_view && parents->count ? parents->trees[0].path : tree->path,
			is_view, ret_mounts, err);
	return describe_overlay(backend, is_view ? NULL : tree, lower.names + first,
				lower.count - first, layers, ret_mounts, err);
}

static int overlay_peek(const struct backend *backend, const struct tree_stack *stack,
			struct snapdrv_error *err)
{
	__attribute__((cleanup(free_lower))) struct lower lower = {0};
	struct overlay_mount overlay = {.base_fd = backend->layers_fd};
	int ret;

	ret = make_lower(NULL, stack, &lower, err);
	if (ret)
		return ret;
	/* The kernel merges two or more. */
	if (lower.count == 1)
		return backend_open(backend, backend->layers_fd, stack->trees[0].path, err);
	overlay.lower = lower.pointers;
	overlay.n_lower = lower.count;
	return mount_overlay(&overlay, -1, err);
}

/* The tree whose directory has the attributes of the merged root; -1: none has. */
static int open_root(const struct backend *backend, const struct tree_stack *stack,
		     struct snapdrv_error *err)
{
	for (size_t i = 0; i < stack->count; i++) {
		if (stack->trees[i].root_given)
			return backend_open(backend, backend->layers_fd, stack->trees[i].path, err);
	}
	return -1;
}

/*
 * The directory of the tree holds what has changed, and more: what was copied up and is as it was, marks
 * of what has been removed again. So all that is in it is compared with the merged parents.
 */
static int overlay_changes(const struct backend *backend, const struct tree_ref *tree,
			   enum tree_kind kind, const struct tree_stack *parents, change_fn *report,
			   void *arg, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1, old_fd = -1, root_fd = -1, old_root_fd = -1;
	struct change_trees trees = {.is_upper = 1, .is_whole = tree->root_opaque};

	if (kind == TREE_VIEW)
		return 0;
	fd = backend_open(backend, backend->layers_fd, tree->path, err);
	if (fd >= 0)
		old_root_fd = open_root(backend, parents, err);
	if (fd < 0 || old_root_fd < -1)
		return fd < 0 ? fd : old_root_fd;
	/* A container's directory has the merged root's attributes from the start. */
	root_fd = dup(kind == TREE_ACTIVE || tree->root_given ? fd : old_root_fd);
	if (parents->count)
		old_fd = overlay_peek(backend, parents, err);
	if (old_fd < -1)
		return old_fd;
	trees.new_fd = fd;
	trees.old_fd = old_fd;
	trees.new_root_fd = root_fd;
	trees.old_root_fd = old_root_fd;
	return changes_walk(&trees, report, arg, err);
}

static size_t overlay_limit(const struct backend *backend)
{
	(void)backend;
	return MOUNT_OVERLAY_MAX;
}

const struct backend_ops overlay_backend = {
	.name = "overlay",
	.is_layered = 1,
	.active_safety = SAFE_EMPTY,
	.can_seal = 1,
	.probe = probe_overlay,
	.make = overlay_make,
	.open = backend_open,
	.freeze = overlay_freeze,
	.drop = overlay_drop,
	.mount = overlay_mount,
	.describe = overlay_describe,
	.peek = overlay_peek,
	.usage = backend_usage,
	.changes = overlay_changes,
	.limit = overlay_limit,
};
