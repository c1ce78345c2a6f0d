/* SPDX-License-Identifier: Apache-2.0 */
/* Settling the marks of a layer over its lower layers: one walk, each directory after what is in it. */
#include "kernel/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/dirs.h"
#include "kernel/resolve.h"
#include "kernel/xattr.h"

/* A directory that is being settled. */
struct level {
	struct level *up;
	struct dir_list list;
	size_t at;
	size_t path_length; /* of the one above */
	struct stat st;
	int is_hidden; /* nothing of the lower layers is seen in it */
	int is_below;  /* a lower layer has it too */
	int is_changed;
};

struct walk {
	struct dir_chain chain;
	struct level *level;
	struct bytes path; /* ends in NUL */
	int lower_fd;
};

static void leave(struct walk *walk)
{
	struct level *level = walk->level;

	walk->level = level->up;
	dirs_list_done(&level->list);
	free(level);
}

static void walk_done(struct walk *walk)
{
	while (walk->level)
		leave(walk);
	dirs_done(&walk->chain);
	bytes_done(&walk->path);
}

static int enter(struct walk *walk, size_t path_length, struct snapdrv_error *err)
{
	struct level *level = calloc(1, sizeof(*level));
	int fd = dirs_fd(&walk->chain, err);

	if (!level)
		return fail_memory(err);
	level->up = walk->level;
	level->path_length = path_length;
	walk->level = level;
	if (fd < 0)
		return fd;
	level->is_hidden = walk->lower_fd < 0 || (level->up && level->up->is_hidden);
	if (!level->is_hidden)
		level->is_hidden = xattr_has(fd, ".", "trusted.overlay.opaque", "y", err);
	if (level->is_hidden < 0)
		return level->is_hidden;
	if (fstat(fd, &level->st))
		return fail_errno(err, "stat a directory");
	return dirs_list(fd, &level->list, err);
}

static int descend(struct walk *walk, const char *name, struct snapdrv_error *err)
{
	size_t length = walk->path.size - 1;
	int ret;

	walk->path.size = length;
	ret = length ? bytes_add(&walk->path, "/", 1, err) : 0;
	if (!ret)
		ret = bytes_add(&walk->path, name, strlen(name) + 1, err);
	if (!ret)
		ret = dirs_push(&walk->chain, name, err);
	return ret ? ret : enter(walk, length, err);
}

static int drop_whiteouts(struct level *level, int fd, struct snapdrv_error *err)
{
	for (size_t i = 0; i < level->list.count; i++) {
		const struct dir_entry *entry = &level->list.entries[i];
		struct stat st;

		if (entry->type != DT_CHR && entry->type != DT_UNKNOWN)
			continue;
		if (fstatat(fd, entry->name, &st, AT_SYMLINK_NOFOLLOW))
			return fail_errno(err, "stat %s", quote(entry->name).text);
		if (!S_ISCHR(st.st_mode) || st.st_rdev)
			continue;
		if (unlinkat(fd, entry->name, 0))
			return fail_errno(err, "remove a whiteout");
		level->is_changed = 1;
	}
	return 0;
}

static int take_attributes(struct walk *walk, int fd, int from, struct snapdrv_error *err)
{
	struct level *level = walk->level;
	int ret = xattr_copy(from, fd, err);

	if (ret)
		return ret;
	if (fstat(from, &level->st) || fchown(fd, level->st.st_uid, level->st.st_gid) ||
	    fchmod(fd, level->st.st_mode & 07777))
		return fail_errno(err, "set the owner and mode of %s", quote(walk->path.data).text);
	level->is_changed = 1;
	return 0;
}

/* All that is in the present directory is settled. */
static int settle(struct walk *walk, int fd, int is_implied, struct snapdrv_error *err)
{
	struct level *level = walk->level;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	const char *path = walk->path.size > 1 ? walk->path.data : ".";
	cleanup_fd int from = level->is_hidden ? -1
					       : resolve_open_beneath(walk->lower_fd, path,
								      O_RDONLY | O_DIRECTORY);
	int ret = 0;

	if (from == -ELOOP && is_implied)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "entry below %s, a symlink of a lower layer: it has to be unpacked "
			    "over its parent",
			    quote(path).text);
	errno = from < 0 ? -from : 0;
	if (from < 0 && !level->is_hidden && !resolve_is_absent(from))
		return fail_errno(err, "open directory %s below", quote(path).text);
	level->is_below = from >= 0;
	if (from < 0)
		ret = drop_whiteouts(level, fd, err);
	else if (is_implied)
		ret = take_attributes(walk, fd, from, err);
	if (!ret && is_implied && fremovexattr(fd, MARK_IMPLIED))
		ret = fail_errno(err, "remove a mark");
	times[1] = level->st.st_mtim;
	if (!ret && level->is_changed && futimens(fd, times))
		ret = fail_errno(err, "set the times of %s", quote(path).text);
	return ret;
}

/* Settle the present directory and go up. */
static int ascend(struct walk *walk, struct snapdrv_error *err)
{
	struct level *level = walk->level, *up = level->up;
	int fd = dirs_fd(&walk->chain, err), is_implied, ret;

	if (fd < 0)
		return fd;
	is_implied = xattr_has(fd, ".", MARK_IMPLIED, NULL, err);
	ret = is_implied < 0 ? is_implied : settle(walk, fd, is_implied, err);
	if (ret || !up) {
		if (!ret)
			leave(walk);
		return ret;
	}
	dirs_pop(&walk->chain);
	fd = dirs_fd(&walk->chain, err);
	if (fd < 0)
		return fd;
	/* It was there for its marks alone, and all of them are gone. */
	if (is_implied && level->is_changed && !level->is_below &&
	    !unlinkat(fd, up->list.entries[up->at - 1].name, AT_REMOVEDIR))
		up->is_changed = 1;
	walk->path.size = level->path_length;
	ret = bytes_add(&walk->path, "", 1, err);
	leave(walk);
	return ret;
}

int marks_settle(int tree_fd, int lower_fd, struct snapdrv_error *err)
{
	__attribute__((cleanup(walk_done))) struct walk walk = {.chain = {.root_fd = tree_fd},
								.lower_fd = lower_fd};
	int ret = bytes_add(&walk.path, "", 1, err);

	if (!ret)
		ret = enter(&walk, 0, err);
	while (!ret && walk.level) {
		struct level *level = walk.level;
		const struct dir_entry *entry =
			level->at < level->list.count ? &level->list.entries[level->at++] : NULL;

		if (!entry)
			ret = ascend(&walk, err);
		else if (entry->type == DT_DIR)
			ret = descend(&walk, entry->name, err);
	}
	return ret;
}
