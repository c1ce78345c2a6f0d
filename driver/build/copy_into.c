/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting the sources of a copy into a tree.
 *
 *   directory   what is in it goes into the target
 *   archive     of an ADD: likewise
 *   file        into the target where that is a directory, or says so by a slash; else under its name, or
 *               under the one that a symlink there leads to
 *
 * The target is made as far as it is missing, whatever symlinks the tree has on the way to it.
 */
#include "build/copy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/sources.h"
#include "build/unpack.h"
#include "kernel/copy.h"
#include "kernel/file.h"
#include "kernel/resolve.h"
#include "kernel/xattr.h"
#include "layer/sniff.h"

#define LINKS_MAX 40 /* path_resolution(7) */

struct putting {
	const struct copy *copy;
	int root_fd;
	int is_dir; /* files go into the target, not under its name */
	struct copy_rules rules;
};

/* Where a file goes: a name in an open directory. */
struct place {
	int fd;
	char *name;
};

static void place_done(struct place *place)
{
	cleanup_fd_at(&place->fd);
	free(place->name);
}

#define cleanup_place __attribute__((cleanup(place_done)))

/* Attributes of a directory on the way, and the time of the one that it was made in. */
static int give_attributes(void *arg, int dir_fd, const char *name)
{
	const struct putting *putting = arg;
	const struct copy *copy = putting->copy;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;

	if (fchownat(dir_fd, name, copy->uid < 0 ? 0 : (uid_t)copy->uid,
		     copy->gid < 0 ? 0 : (gid_t)copy->gid, AT_SYMLINK_NOFOLLOW) ||
	    fchmodat(dir_fd, name, 0755, 0) || fstatat(dir_fd, ".", &st, 0))
		return -errno;
	times[1] = copy_mtime(&putting->rules, &st.st_mtim);
	if (copy->clamp_ns != INT64_MAX && utimensat(dir_fd, ".", times, 0))
		return -errno;
	return 0;
}

static int fail_target(const struct putting *putting, int ret, struct snapdrv_error *err)
{
	int is_refused = ret == -ENOTDIR || ret == -ELOOP || ret == -ENAMETOOLONG || ret == -EISDIR;

	return fail(err, is_refused ? SNAPDRV_REFUSED : SNAPDRV_FAILED, -ret, "target %s: %s",
		    quote(putting->copy->target).text, strerror(-ret));
}

static int open_dir(struct putting *putting, const char *path, struct snapdrv_error *err)
{
	const struct resolve_maker maker = {give_attributes, putting};
	int fd = resolve_make(putting->root_fd, path, &maker);

	return fd < 0 ? fail_target(putting, fd, err) : fd;
}

/* The path that a symlink leads to. @path: its own. */
static char *follow(const char *path, const char *target, struct snapdrv_error *err)
{
	const char *slash = strrchr(path, '/');

	return *target == '/' || !slash
		       ? text_dup(target, err)
		       : text_format(err, "%.*s/%s", (int)(slash - path), path, target);
}

/* The last component may be a symlink, also to what is not there yet. */
static int find_name(struct putting *putting, struct place *place, struct snapdrv_error *err)
{
	cleanup_free char *path = text_dup(putting->copy->target, err);

	for (int links = 0; path; links++) {
		char target[PATH_MAX], *slash = strrchr(path, '/'), *next;
		const char *name = slash ? slash + 1 : path;
		cleanup_free char *dir = strndup(path, (size_t)(name - path));
		cleanup_fd int fd = dir ? open_dir(putting, dir, err) : fail_memory(err);
		ssize_t length;

		if (fd < 0)
			return fd;
		if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
			return fail_target(putting, -EISDIR, err);
		length = readlinkat(fd, name, target, sizeof(target) - 1);
		if (length < 0 && (errno == EINVAL || errno == ENOENT)) {
			place->name = text_dup(name, err);
			place->fd = steal_fd(&fd);
			return place->name ? 0 : -ENOMEM;
		}
		if (length < 0 || links == LINKS_MAX)
			return fail_target(putting, length < 0 ? -errno : -ELOOP, err);
		target[length] = '\0';
		next = follow(path, target, err);
		free(path);
		path = next;
	}
	return -ENOMEM;
}

/* @name: what the file is called where the target is a directory. */
static int find_place(struct putting *putting, const char *name, struct place *place,
		      struct snapdrv_error *err)
{
	if (!putting->is_dir)
		return find_name(putting, place, err);
	place->fd = open_dir(putting, putting->copy->target, err);
	if (place->fd < 0)
		return place->fd;
	place->name = text_dup(name, err);
	return place->name ? 0 : -ENOMEM;
}

static int put_directory(struct putting *putting, const struct source *source,
			 struct snapdrv_error *err)
{
	cleanup_fd int from_fd = sources_open(putting->copy, source, O_RDONLY | O_DIRECTORY, err);
	cleanup_fd int to_fd =
		from_fd < 0 ? from_fd : open_dir(putting, putting->copy->target, err);

	return to_fd < 0 ? to_fd : copy_merge(from_fd, to_fd, &putting->rules, err);
}

/* Return: 1 it is an archive and was unpacked, 0 it is none, or a negative errno value. */
static int put_archive(struct putting *putting, const struct source *source,
		       struct snapdrv_error *err)
{
	cleanup_fd int fd = sources_open(putting->copy, source, O_RDONLY | O_NONBLOCK | O_NOCTTY,
					 err),
		       to_fd = -1;
	struct input_range range = {.fd = fd, .end = INT64_MAX};
	const struct layer_input input = input_from_range(&range);
	struct stat st;
	int ret;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return fail_errno(err, "stat");
	if (!S_ISREG(st.st_mode))
		return fail(err, SNAPDRV_FAILED, ESTALE, "it became something else meanwhile");
	ret = sniff_tar(fd, err);
	if (ret <= 0)
		return ret;
	to_fd = open_dir(putting, putting->copy->target, err);
	if (to_fd < 0)
		return to_fd;
	ret = unpack_archive(&input, to_fd, putting->copy->clamp_ns, err);
	if (!ret)
		ret = copy_clamp_dir(to_fd, &putting->rules, err);
	return ret ? ret : 1;
}

static int put_file(struct putting *putting, const struct source *source, struct snapdrv_error *err)
{
	cleanup_place struct place place = {.fd = -1};
	const char *name = NULL;
	cleanup_fd int fd = sources_open_parent(putting->copy, source, &name, err);
	int ret = fd < 0 ? fd : find_place(putting, source->name, &place, err);

	if (!ret)
		ret = copy_leaf(fd, name, place.fd, place.name, &putting->rules, err);
	return ret ? ret : copy_clamp_dir(place.fd, &putting->rules, err);
}

static int put_other(struct putting *putting, const struct source *source,
		     struct snapdrv_error *err)
{
	int ret = chooser_choose(putting->rules.arg, "", &source->st, err);

	if (ret < 0)
		return ret;
	if (putting->copy->is_add && S_ISREG(source->st.st_mode)) {
		ret = put_archive(putting, source, err);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	return put_file(putting, source, err);
}

static int put_source(struct putting *putting, const struct source *source,
		      struct snapdrv_error *err)
{
	struct chooser chooser = {.copy = putting->copy, .source = source};
	int ret;

	putting->rules.arg = &chooser;
	ret = S_ISDIR(source->st.st_mode) ? put_directory(putting, source, err)
					  : put_other(putting, source, err);
	putting->rules.arg = NULL;
	chooser_done(&chooser);
	return ret;
}

static int write_inline(const struct putting *putting, const struct copy_inline *text, int fd,
			struct snapdrv_error *err)
{
	const struct copy *copy = putting->copy;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	int ret = file_write(fd, text->text, text->size, "it", err);

	if (ret)
		return ret;
	if (fchown(fd, copy->uid < 0 ? 0 : (uid_t)copy->uid, copy->gid < 0 ? 0 : (gid_t)copy->gid))
		return fail_errno(err, "set the owner");
	ret = xattr_clear(fd, err);
	if (ret)
		return ret;
	if (fchmod(fd, copy->mode < 0 ? 0644 : (mode_t)copy->mode))
		return fail_errno(err, "set the mode");
	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1] = copy_mtime(&putting->rules, &times[1]);
	return futimens(fd, times) ? fail_errno(err, "set times") : 0;
}

static int put_inline(struct putting *putting, const struct copy_inline *text,
		      struct snapdrv_error *err)
{
	cleanup_place struct place place = {.fd = -1};
	cleanup_fd int fd = -1;
	int ret;

	if (strchr(text->name, '/') || !*text->name || !strcmp(text->name, ".") ||
	    !strcmp(text->name, ".."))
		return refuse(err, "that is no name of a file");
	ret = find_place(putting, text->name, &place, err);
	if (ret)
		return ret;
	assert(place.name);
	if (unlinkat(place.fd, place.name, 0) && errno != ENOENT)
		return errno == EISDIR
			       ? fail(err, SNAPDRV_REFUSED, EISDIR, "a directory stands in the way")
			       : fail_errno(err, "replace what is there");
	fd = openat(place.fd, place.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return fail_errno(err, "create");
	ret = write_inline(putting, text, fd, err);
	return ret ? ret : copy_clamp_dir(place.fd, &putting->rules, err);
}

/* What the text of the target leaves open, the tree says. */
static int find_kind(struct putting *putting, const struct sources *sources,
		     struct snapdrv_error *err)
{
	const struct copy *copy = putting->copy;
	cleanup_fd int fd = -1;
	int has_files = 0;

	putting->is_dir = copy_wants_directory(copy);
	if (putting->is_dir)
		return 0;
	fd = resolve_open(putting->root_fd, copy->target, O_PATH | O_DIRECTORY);
	if (fd < 0 && !resolve_is_absent(fd))
		return fail_ret(err, fd, "target %s", quote(copy->target).text);
	putting->is_dir = fd >= 0;
	for (size_t i = 0; i < sources->count; i++)
		has_files |= !S_ISDIR(sources->items[i].st.st_mode);
	if (sources->is_several && has_files && !putting->is_dir)
		return refuse(err, "target %s: several files want a directory: a slash at its end",
			      quote(copy->target).text);
	return 0;
}

int copy_into(const struct copy *copy, int root_fd, struct snapdrv_error *err)
{
	const int keeps = copy->from->is_image;
	cleanup_sources struct sources sources = {0};
	struct putting putting = {
		.copy = copy,
		.root_fd = root_fd,
		.rules = {.uid = copy->uid >= 0 || keeps ? copy->uid : 0,
			  .gid = copy->gid >= 0 || keeps ? copy->gid : 0,
			  .mode = copy->mode,
			  .latest_ns = copy->clamp_ns,
			  .wants_xattr = keeps ? NULL : xattr_is_portable,
			  .choose = chooser_choose,
			  .root_fd = root_fd,
			  .target = copy->target},
	};
	int ret = sources_find(copy, &sources, err);

	if (!ret)
		ret = find_kind(&putting, &sources, err);
	for (size_t i = 0; i < sources.count && !ret; i++) {
		ret = put_source(&putting, &sources.items[i], err);
		if (ret)
			fail_within(err, ret, "source %s", quote(sources.items[i].name).text);
	}
	for (size_t i = 0; i < copy->n_inlines && !ret; i++) {
		ret = put_inline(&putting, &copy->inlines[i], err);
		if (ret)
			fail_within(err, ret, "here-document %s",
				    quote(copy->inlines[i].name).text);
	}
	return ret;
}
