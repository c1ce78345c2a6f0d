/* SPDX-License-Identifier: Apache-2.0 */
/* Adding up what a tree holds for itself, by extents. */
#include "kernel/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/changes.h"
#include "kernel/dirs.h"
#include "kernel/file.h"

#define EXTENTS 256 /* asked for at once */

struct count {
	struct usage usage;
	struct dir_walk dirs;
	dev_t device;
	struct inode_set seen; /* inodes of several names */
	struct fiemap *map;
	struct snapdrv_error *err;
};

/* Return: 1 and the bytes that only this file has, 0 the filesystem does not tell, or negative. */
static int own_extents(struct count *count, int fd, uint64_t *ret_bytes)
{
	struct fiemap *map = count->map;
	uint64_t at = 0, bytes = 0;
	int is_last = 0;

	while (!is_last) {
		memset(map, 0, sizeof(*map));
		map->fm_start = at;
		map->fm_length = FIEMAP_MAX_OFFSET - at;
		map->fm_flags = FIEMAP_FLAG_SYNC;
		map->fm_extent_count = EXTENTS;
		if (ioctl(fd, FS_IOC_FIEMAP, map))
			return errno == EOPNOTSUPP || errno == ENOTTY
				       ? 0
				       : fail_errno(count->err, "list extents");
		for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
			const struct fiemap_extent *extent = &map->fm_extents[i];

			if (!(extent->fe_flags & FIEMAP_EXTENT_SHARED))
				bytes += extent->fe_length;
			at = extent->fe_logical + extent->fe_length;
			is_last = !!(extent->fe_flags & FIEMAP_EXTENT_LAST);
		}
		is_last |= !map->fm_mapped_extents;
	}
	*ret_bytes = bytes;
	return 1;
}

/* In a tree that somebody works in, another thing may be there than was a moment ago: then it does not count. */
static int skip_gone(struct count *count, const char *name, int errnum)
{
	if (errnum == ENOENT || errnum == ENOTDIR || errnum == EINVAL)
		return 0;
	errno = errnum;
	return fail_errno(count->err, "open %s", quote(name).text);
}

static int count_file(struct count *count, int dir_fd, const char *name, const struct stat *st)
{
	uint64_t bytes = (uint64_t)st->st_blocks * 512;
	cleanup_fd int path_fd = -1, fd = -1;

	if (st->st_size) {
		path_fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		fd = path_fd < 0 ? -errno : file_open_regular(path_fd);
		if (fd < 0)
			return skip_gone(count, name, -fd);
		if (own_extents(count, fd, &bytes) < 0)
			return -EIO;
	}
	count->usage.bytes += bytes;
	return 0;
}

static int count_entry(struct count *count, int dir_fd, const char *name)
{
	struct stat st;
	int ret;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail_errno(count->err, "stat %s", quote(name).text);
	if (S_ISDIR(st.st_mode)) {
		if (st.st_dev != count->device)
			return 0;
		count->usage.inodes++;
		ret = dirs_enter(&count->dirs, name, count->err);
		return dirs_is_gone(ret) ? 0 : ret;
	}
	ret = st.st_nlink < 2 ? 1 : inode_set_add(&count->seen, st.st_ino, count->err);
	if (ret <= 0)
		return ret;
	count->usage.inodes++;
	return S_ISREG(st.st_mode) ? count_file(count, dir_fd, name, &st) : 0;
}

static int count_tree(struct count *count)
{
	int ret = dirs_enter(&count->dirs, NULL, count->err);

	while (!ret && count->dirs.level) {
		struct dir_level *level = count->dirs.level;
		int fd = level->next < level->list.count ? dirs_fd(&count->dirs.chain, count->err)
							 : -ENOENT;

		if (fd >= 0)
			ret = count_entry(count, fd, level->list.entries[level->next++].name);
		else if (dirs_is_gone(fd))
			dirs_leave(&count->dirs);
		else
			ret = fd;
	}
	return ret;
}

int usage_of_tree(int fd, struct usage *ret_usage, struct snapdrv_error *err)
{
	struct count count = {.err = err};
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return fail_errno(err, "stat a tree");
	count.device = st.st_dev;
	count.usage.inodes = 1;
	count.map = malloc(sizeof(*count.map) + EXTENTS * sizeof(struct fiemap_extent));
	count.dirs.chain.root_fd = fd;
	ret = count.map ? count_tree(&count) : fail_memory(err);
	dirs_walk_done(&count.dirs);
	free(count.map);
	inode_set_done(&count.seen);
	if (!ret)
		*ret_usage = count.usage;
	return ret;
}
