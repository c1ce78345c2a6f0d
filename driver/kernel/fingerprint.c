/* SPDX-License-Identifier: Apache-2.0 */
/* What counts of one file of a tree, as checksums. */
#include "kernel/fingerprint.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "kernel/file.h"
#include "kernel/xattr.h"

#define BUFFER_SIZE (1u << 18)

void fingerprinter_done(struct fingerprinter *printer)
{
	bytes_done(&printer->text);
	summer_free(printer->summer);
	printer->summer = NULL;
}

/* Each part has its size in front, so that no two lists of parts are the same bytes. */
static int add(struct bytes *text, const void *data, size_t size, struct snapdrv_error *err)
{
	uint64_t length = size;
	int ret = bytes_add(text, &length, sizeof(length), err);

	return ret ? ret : bytes_add(text, data, size, err);
}

/* Without padding: it is hashed as it lies there. */
struct stat_fields {
	uint64_t mode, uid, gid, mtime, mtime_ns, size, device;
};

static struct stat_fields fields_of(const struct stat *st)
{
	return (struct stat_fields){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.mtime_ns = (uint64_t)st->st_mtim.tv_nsec,
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
		.device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? (uint64_t)st->st_rdev : 0,
	};
}

void fingerprint_plain(const struct stat *st, unsigned char ret_attributes[8])
{
	const struct stat_fields fields = fields_of(st);
	const struct checksum sum = checksum_of(&fields, sizeof(fields));

	memcpy(ret_attributes, sum.bytes, 8);
}

static int add_target(struct bytes *text, const struct change *change, struct snapdrv_error *err)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(change->dir_fd, change->name, target, sizeof(target));

	return size < 0 ? fail_errno(err, "read the link") : add(text, target, (size_t)size, err);
}

static int add_xattrs(struct bytes *text, const struct change *change, struct snapdrv_error *err)
{
	cleanup_xattr_items struct xattr_items items = {0};
	int ret = xattr_read_all(change->dir_fd, change->name, &items, err);

	for (size_t i = 0; i < items.count && !ret; i++) {
		ret = add(text, items.items[i].name, strlen(items.items[i].name), err);
		if (!ret)
			ret = add(text, items.items[i].value, items.items[i].size, err);
	}
	return ret;
}

int fingerprint_attributes(struct fingerprinter *printer, const struct change *change,
			   struct stat *ret_st, struct fingerprint *ret_print,
			   struct snapdrv_error *err)
{
	struct bytes *text = &printer->text;
	struct stat_fields fields;
	struct checksum sum;
	int ret;

	if (fstatat(change->dir_fd, change->name, ret_st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat %s", quote(change->path).text);
	text->size = 0;
	fields = fields_of(ret_st);
	ret = bytes_add(text, &fields, sizeof(fields), err);
	if (!ret && change->link)
		ret = add(text, change->link, strlen(change->link), err);
	if (!ret && S_ISLNK(ret_st->st_mode))
		ret = add_target(text, change, err);
	if (!ret)
		ret = add_xattrs(text, change, err);
	if (ret)
		return fail_within(err, ret, "%s", quote(change->path).text);
	sum = checksum_of(text->data, text->size);
	memcpy(ret_print->attributes, sum.bytes, sizeof(ret_print->attributes));
	ret_print->has_content = S_ISREG(ret_st->st_mode) && ret_st->st_size && !change->link;
	return 0;
}

/* The data between two holes, or from @at to the end where the filesystem knows of none. */
static int sum_run(struct summer *summer, int fd, off_t at, off_t end, char *buffer,
		   struct snapdrv_error *err)
{
	while (at < end) {
		size_t size = end - at < (off_t)BUFFER_SIZE ? (size_t)(end - at) : BUFFER_SIZE;
		ssize_t got = file_read_at(fd, buffer, size, at, err);

		if (got <= 0)
			return (int)got;
		summer_add(summer, buffer, (size_t)got);
		at += got;
	}
	return 0;
}

static int sum_file(struct summer *summer, int fd, char *buffer, struct snapdrv_error *err)
{
	off_t at = 0, data, hole, end = lseek(fd, 0, SEEK_END);
	int ret = 0;

	while (!ret && at < end) {
		data = lseek(fd, at, SEEK_DATA);
		if (data < 0)
			data = errno == ENXIO ? end : at;
		hole = data < end ? lseek(fd, data, SEEK_HOLE) : end;
		if (hole < 0)
			hole = end;
		summer_skip(summer, (uint64_t)(data - at));
		ret = sum_run(summer, fd, data, hole, buffer, err);
		at = hole;
	}
	return ret;
}

int fingerprint_content(struct fingerprinter *printer, const struct change *change, int from_disk,
			struct checksum *ret_sum, struct snapdrv_error *err)
{
	cleanup_fd int fd = openat(change->dir_fd, change->name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	cleanup_free char *buffer = malloc(BUFFER_SIZE);
	int ret;

	if (fd < 0)
		return fail_errno(err, "open %s", quote(change->path).text);
	if (!printer->summer)
		printer->summer = summer_new(err);
	if (!printer->summer || !buffer)
		return buffer ? -ENOMEM : fail_memory(err);
	if (from_disk)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	summer_reset(printer->summer);
	ret = sum_file(printer->summer, fd, buffer, err);
	if (ret)
		return fail_within(err, ret, "%s", quote(change->path).text);
	*ret_sum = summer_end(printer->summer);
	return 0;
}
