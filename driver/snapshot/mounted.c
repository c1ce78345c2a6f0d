/* SPDX-License-Identifier: Apache-2.0 */
/* Understanding the mounts of a runtime, and opening a tree to write into by them. */
#include "snapshot/mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/copy.h"
#include "kernel/file.h"
#include "snapshot/mounted_layers.h"
#include "snapshot/runtime.h"

static int unsupported(struct snapdrv_error *err, const char *why, const char *what)
{
	return fail(err, SNAPDRV_FAILED, EOPNOTSUPP, "%s: %s", why, quote(what).text);
}

/* ---- options ------------------------------------------------------------------------------- */

/*
 * A directory of an overlay's option: a backslash takes what follows it as it is, and in a list a colon ends
 * it. @at: moves on to that.
 */
static int read_dir(const char **at, int in_list, struct strings *list, struct snapdrv_error *err)
{
	cleanup_free char *dir = malloc(strlen(*at) + 1);
	const char *text = *at;
	size_t length = 0;

	if (!dir)
		return fail_memory(err);
	for (; *text && !(in_list && *text == ':'); text++) {
		if (*text == '\\' && text[1])
			text++;
		dir[length++] = *text;
	}
	dir[length] = '\0';
	*at = text;
	return length ? strings_add(list, dir, err)
		      : unsupported(err, "a directory without a name in an overlay", text);
}

static int read_lower(struct mounted *mounted, const char *text, struct snapdrv_error *err)
{
	int ret;

	do {
		ret = read_dir(&text, 1, &mounted->lower, err);
	} while (!ret && *text++);
	return ret;
}

static int read_upper(struct mounted *mounted, const char *text, struct snapdrv_error *err)
{
	cleanup_strings struct strings dir = {0};
	int ret = read_dir(&text, 0, &dir, err);

	if (ret)
		return ret;
	free(mounted->dir);
	mounted->dir = steal_ptr(&dir.items[0]);
	return 0;
}

/* What makes another tree of it than the directories have. */
static int is_strange(const char *option)
{
	static const char *const starts[] = {"uidmap=", "gidmap=",   "X-containerd.", "userxattr",
					     "datadir", "lowerdir+", "idmap"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (text_starts(option, starts[i]))
			return 1;
	}
	return 0;
}

static int read_options(const struct snapdrv_mount *mount, struct mounted *mounted,
			struct snapdrv_error *err)
{
	int no_redirects = 0, no_metacopy = 0, ret = 0;

	for (size_t i = 0; i < mount->n_options && !ret; i++) {
		const char *option = mount->options[i];

		if (is_strange(option))
			return unsupported(err, "mount option not supported", option);
		if (!strcmp(option, "ro"))
			mounted->is_read_only = 1;
		else if (!strcmp(option, "redirect_dir=nofollow") ||
			 !strcmp(option, "redirect_dir=off"))
			no_redirects = 1;
		else if (!strcmp(option, "metacopy=off"))
			no_metacopy = 1;
		else if (mounted->is_overlay && text_starts(option, "lowerdir="))
			ret = read_lower(mounted, option + strlen("lowerdir="), err);
		else if (mounted->is_overlay && text_starts(option, "upperdir="))
			ret = read_upper(mounted, option + strlen("upperdir="), err);
	}
	mounted->may_redirect = mounted->is_overlay && !(no_redirects && no_metacopy);
	return ret;
}

int mounted_read(const struct snapdrv_mount *mounts, size_t n_mounts, struct mounted *ret_mounted,
		 struct snapdrv_error *err)
{
	cleanup_mounted struct mounted mounted = {0};
	int ret;

	if (n_mounts != 1)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP, "%zu mounts, where one is supported",
			    n_mounts);
	mounted.is_overlay = !strcmp(mounts->type, "overlay");
	if (!mounted.is_overlay) {
		if (strcmp(mounts->type, "bind") != 0)
			return unsupported(err, "mount not supported", mounts->type);
		mounted.dir = text_dup(mounts->source, err);
		if (!mounted.dir)
			return -ENOMEM;
	}
	ret = read_options(mounts, &mounted, err);
	if (!ret && mounted.is_overlay && !mounted.lower.count)
		ret = unsupported(err, "an overlay without layers below", mounts->source);
	if (ret)
		return ret;
	*ret_mounted = mounted;
	mounted = (struct mounted){0};
	return 0;
}

void mounted_done(struct mounted *mounted)
{
	free(mounted->dir);
	strings_done(&mounted->lower);
	*mounted = (struct mounted){0};
}

/* ---- writing ------------------------------------------------------------------------------- */

void mounted_tree_done(struct mounted_tree *tree)
{
	if (tree->fd >= 0)
		close(tree->fd);
	if (tree->lower_fd >= 0)
		close(tree->lower_fd);
	xattr_items_done(&tree->xattrs);
	*tree = (struct mounted_tree){.fd = -1, .lower_fd = -1};
}

/* Lower layers' attributes are the root's as long as this layer gives it none, but no entry inherits them. */
static int blank_root(struct mounted_tree *tree, struct snapdrv_error *err)
{
	int ret = fstat(tree->fd, &tree->root) ? fail_errno(err, "stat the root") : 0;

	if (!ret)
		ret = xattr_read(tree->fd, ".", &tree->xattrs, err);
	if (!ret)
		ret = xattr_clear(tree->fd, err);
	return ret ? ret : copy_blank(tree->fd, err);
}

static int open_marked(const struct mounted *mounted, struct mounted_tree *tree,
		       struct snapdrv_error *err)
{
	int empty = layers_is_empty(tree->fd, err);

	if (empty < 0)
		return empty;
	if (!empty)
		return unsupported(err, "not empty", mounted->dir);
	if (mounted->is_overlay) {
		tree->lower_fd = layers_peek(&mounted->lower, err);
		if (tree->lower_fd < 0)
			return tree->lower_fd;
	}
	return blank_root(tree, err);
}

int mounted_open(struct graph *graph, const struct mounted *mounted, struct mounted_tree *ret_tree,
		 struct snapdrv_error *err)
{
	cleanup_mounted_tree struct mounted_tree tree = {.fd = -1, .lower_fd = -1};
	int is_ours, ret;

	if (mounted->is_read_only || !mounted->dir)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP, "mounted read-only");
	tree.fd = layers_open(mounted->dir, err);
	if (tree.fd < 0)
		return tree.fd;
	is_ours = runtime_applied(graph, tree.fd, NULL, 0, err);
	if (is_ours < 0)
		return is_ours;
	tree.may_move = !mounted->is_overlay && is_ours && graph->backend.ops->is_layered;
	tree.carries_out = !mounted->is_overlay && !tree.may_move;
	ret = tree.carries_out ? 0 : open_marked(mounted, &tree, err);
	if (ret)
		return ret;
	*ret_tree = tree;
	tree = (struct mounted_tree){.fd = -1, .lower_fd = -1};
	return 0;
}

int mounted_close(const struct mounted_tree *tree, int root_given, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, tree->root.st_mtim};
	int ret = 0;

	if (tree->carries_out || root_given)
		return 0;
	if (fchown(tree->fd, tree->root.st_uid, tree->root.st_gid) ||
	    fchmod(tree->fd, tree->root.st_mode & 07777))
		return fail_errno(err, "give the root its owner and mode");
	for (size_t i = 0; i < tree->xattrs.count && !ret; i++) {
		const struct xattr_item *item = &tree->xattrs.items[i];

		ret = xattr_set(tree->fd, NULL, item->name, item->value, item->size, err);
	}
	if (ret)
		return ret;
	return futimens(tree->fd, times) ? fail_errno(err, "give the root its times") : 0;
}

int mounted_sync(const struct mounted_tree *tree, struct snapdrv_error *err)
{
	return file_sync_all(tree->fd, err);
}

int mounted_is_lowest(struct graph *graph, const struct mounted_tree *tree,
		      const struct digest *diff, struct snapdrv_error *err)
{
	char ref[DIGEST_TEXT_SIZE];
	int found = runtime_ref(graph, tree->fd, ref, err);

	return found <= 0 ? found : !strcmp(ref, digest_format(diff).text);
}
