/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing two files. */
#include "kernel/same.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/xattr.h"

#define BUFFER_SIZE (128u << 10)

static int same_targets(const struct same_file *one, const struct same_file *other,
			struct snapdrv_error *err)
{
	char target[PATH_MAX], other_target[PATH_MAX];
	ssize_t size = readlinkat(one->dir_fd, one->name, target, sizeof(target));
	ssize_t other_size =
		readlinkat(other->dir_fd, other->name, other_target, sizeof(other_target));

	if (size < 0 || other_size < 0)
		return fail_errno(err, "read a symlink");
	return size == other_size && !memcmp(target, other_target, (size_t)size);
}

static int same_xattrs(const struct same_file *one, const struct same_file *other,
		       struct snapdrv_error *err)
{
	cleanup_xattr_items struct xattr_items items = {0}, others = {0};
	int ret = xattr_read(one->dir_fd, one->name, &items, err);

	if (!ret)
		ret = xattr_read(other->dir_fd, other->name, &others, err);
	if (ret)
		return ret;
	if (items.count != others.count)
		return 0;
	for (size_t i = 0; i < items.count; i++) {
		const struct xattr_item *a = &items.items[i], *b = &others.items[i];

		if (strcmp(a->name, b->name) || a->size != b->size ||
		    memcmp(a->value, b->value, a->size))
			return 0;
	}
	return 1;
}

int same_attributes(const struct same_file *one, const struct same_file *other, int skips_xattrs,
		    struct snapdrv_error *err)
{
	const struct stat *a = &one->st, *b = &other->st;

	if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid ||
	    a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		return 0;
	if (S_ISREG(a->st_mode) && a->st_size != b->st_size)
		return 0;
	if ((S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode)) && a->st_rdev != b->st_rdev)
		return 0;
	if (S_ISLNK(a->st_mode)) {
		int same = same_targets(one, other, err);

		if (same != 1)
			return same;
	}
	return skips_xattrs ? 1 : same_xattrs(one, other, err);
}

/* What was put in the file's place meanwhile is another thing, and not opened. */
static int open_file(const struct same_file *file, struct snapdrv_error *err)
{
	cleanup_fd int path_fd = openat(file->dir_fd, file->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int fd = path_fd < 0 ? -errno : file_open_regular(path_fd);

	if (fd >= 0)
		return fd;
	errno = fd == -EINVAL ? ENOENT : -fd;
	return fail_errno(err, "open %s", quote(file->name).text);
}

int same_content(const struct same_file *one, const struct same_file *other,
		 struct snapdrv_error *err)
{
	cleanup_fd int fd = open_file(one, err), other_fd = -1;
	cleanup_free char *data = malloc(BUFFER_SIZE), *other_data = malloc(BUFFER_SIZE);
	off_t at = 0;

	if (fd < 0)
		return fd;
	other_fd = open_file(other, err);
	if (other_fd < 0)
		return other_fd;
	if (!data || !other_data)
		return fail_memory(err);
	for (;;) {
		ssize_t got = file_read_at(fd, data, BUFFER_SIZE, at, err);
		ssize_t other_got =
			got < 0 ? got : file_read_at(other_fd, other_data, BUFFER_SIZE, at, err);

		if (got < 0 || other_got < 0)
			return (int)(got < 0 ? got : other_got);
		if (got != other_got || memcmp(data, other_data, (size_t)got))
			return 0;
		if (!got)
			return 1;
		at += got;
	}
}

int same_as_blank(int dir_fd, struct snapdrv_error *err)
{
	cleanup_xattr_items struct xattr_items items = {0};
	struct stat st;
	int ret;

	if (fstat(dir_fd, &st))
		return fail_errno(err, "stat a root");
	if ((st.st_mode & 07777) != 0755 || st.st_uid || st.st_gid || st.st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec)
		return 0;
	ret = xattr_read(dir_fd, ".", &items, err);
	return ret ? ret : !items.count;
}
