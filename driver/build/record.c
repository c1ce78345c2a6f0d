/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of files for the digest of a copy.
 *
 *   record     mode, owner; then by kind: xattrs, link text, device number, digest of xattrs and content,
 *              or the first path of a file that has several
 *
 * Blocks of zeros are left out of the content, like holes, with which they may take turns.
 */
#include "build/record.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/xattr.h"

#define BLOCK_SIZE (1u << 16)

DEFINE_CLEANUP(hasher, struct hasher, hasher_free)
#define cleanup_hasher __attribute__((cleanup(cleanup_hasher_at)))

/* A file with several names, and the first of them. */
struct record_link {
	dev_t dev;
	ino_t ino;
	char *path;
};

void recorder_done(struct recorder *recorder)
{
	for (size_t i = 0; i < recorder->n_places; i++)
		free(recorder->links[i].path);
	free(recorder->links);
	free(recorder->block);
	*recorder = (struct recorder){0};
}

int record_number(struct bytes *bytes, uint64_t number, struct snapdrv_error *err)
{
	unsigned char data[8];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(number >> 8 * i);
	return bytes_add(bytes, data, sizeof(data), err);
}

int record_text(struct bytes *bytes, const void *data, size_t size, struct snapdrv_error *err)
{
	int ret = record_number(bytes, size, err);

	return ret || !size ? ret : bytes_add(bytes, data, size, err);
}

int record_tag(struct bytes *bytes, char tag, struct snapdrv_error *err)
{
	return bytes_add(bytes, &tag, 1, err);
}

static int is_wanted(const struct copy *copy, const char *attribute)
{
	return copy->from->is_image || xattr_is_portable(attribute);
}

static int put_xattrs(const struct recorder *recorder, int dir_fd, const char *name,
		      struct bytes *bytes, struct snapdrv_error *err)
{
	cleanup_xattr_items struct xattr_items items = {0};
	int ret = xattr_read(dir_fd, name, &items, err);

	for (size_t i = 0; i < items.count && !ret; i++) {
		const struct xattr_item *item = &items.items[i];

		if (!is_wanted(recorder->copy, item->name))
			continue;
		ret = record_tag(bytes, 'x', err);
		if (!ret)
			ret = record_text(bytes, item->name, strlen(item->name), err);
		if (!ret)
			ret = record_text(bytes, item->value, item->size, err);
	}
	return ret ? ret : record_tag(bytes, '.', err);
}

static int is_zero(const unsigned char *data, size_t size)
{
	return !size || (!data[0] && !memcmp(data, data + 1, size - 1));
}

static int hash_block(const struct recorder *recorder, struct hasher *hasher, int fd, off_t at,
		      struct snapdrv_error *err)
{
	ssize_t got = file_read_at(fd, recorder->block, BLOCK_SIZE, at, err);
	uint64_t head[2] = {htole64((uint64_t)at), htole64((uint64_t)got)};

	if (got < 0)
		return (int)got;
	if (is_zero(recorder->block, (size_t)got))
		return 0;
	hasher_update(hasher, head, sizeof(head));
	hasher_update(hasher, recorder->block, (size_t)got);
	return 0;
}

static int hash_data(const struct recorder *recorder, struct hasher *hasher, int fd, off_t size,
		     struct snapdrv_error *err)
{
	off_t at = 0;
	int ret = 0;

	while (at < size && !ret) {
		off_t data = lseek(fd, at, SEEK_DATA), end;

		if (data < 0 && errno == ENXIO)
			break;
		end = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		/* A filesystem that knows no holes, or a file that has grown. */
		if (end < 0) {
			data = at;
			end = size;
		}
		end = end > size ? size : end;
		if (data - data % BLOCK_SIZE > at)
			at = data - data % BLOCK_SIZE;
		for (; at < end && !ret; at += BLOCK_SIZE)
			ret = hash_block(recorder, hasher, fd, at, err);
	}
	return ret;
}

/* Xattrs, size and data, of a file that may be another one by now. @ret_st: of the one that was read. */
static int hash_file(struct recorder *recorder, int dir_fd, const char *name, struct stat *ret_st,
		     struct digest *ret_digest, struct snapdrv_error *err)
{
	cleanup_fd int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	cleanup_hasher struct hasher *hasher = NULL;
	cleanup_bytes struct bytes head = {0};
	int ret;

	if (fd < 0 || fstat(fd, ret_st))
		return fail_errno(err, "open");
	if (!S_ISREG(ret_st->st_mode))
		return fail(err, SNAPDRV_FAILED, ESTALE, "it became something else meanwhile");
	if (known_find(recorder->copy->from->known, ret_st, ret_digest))
		return 0;
	if (!recorder->block)
		recorder->block = malloc(BLOCK_SIZE);
	if (!recorder->block)
		return fail_memory(err);
	hasher = hasher_new(err);
	ret = hasher ? put_xattrs(recorder, dir_fd, name, &head, err) : -ENOMEM;
	if (!ret)
		ret = record_number(&head, (uint64_t)ret_st->st_size, err);
	if (ret)
		return ret;
	hasher_update(hasher, head.data, head.size);
	ret = hash_data(recorder, hasher, fd, ret_st->st_size, err);
	if (ret)
		return ret;
	*ret_digest = hasher_final(hasher);
	known_add(recorder->copy->from->known, ret_st, ret_digest);
	return 0;
}

static struct record_link *link_place(struct record_link *links, size_t places, dev_t dev,
				      ino_t ino)
{
	size_t at = (size_t)(((uint64_t)ino * 0x9e3779b97f4a7c15u) >> 20) & (places - 1);

	while (links[at].path && (links[at].ino != ino || links[at].dev != dev))
		at = (at + 1) & (places - 1);
	return &links[at];
}

static int grow_links(struct recorder *recorder, struct snapdrv_error *err)
{
	size_t places = recorder->n_places ? 2 * recorder->n_places : 64;
	struct record_link *links = calloc(places, sizeof(*links));

	if (!links)
		return fail_memory(err);
	for (size_t i = 0; i < recorder->n_places; i++) {
		const struct record_link *old = &recorder->links[i];

		if (old->path)
			*link_place(links, places, old->dev, old->ino) = *old;
	}
	free(recorder->links);
	recorder->links = links;
	recorder->n_places = places;
	return 0;
}

/* A file with several names: the first one's path, or NULL when this is it. */
static int first_name(struct recorder *recorder, const char *path, const struct stat *st,
		      const char **ret_first, struct snapdrv_error *err)
{
	int ret = 2 * recorder->n_links < recorder->n_places ? 0 : grow_links(recorder, err);
	struct record_link *place;

	if (ret)
		return ret;
	place = link_place(recorder->links, recorder->n_places, st->st_dev, st->st_ino);
	*ret_first = place->path;
	if (place->path)
		return 0;
	*place = (struct record_link){st->st_dev, st->st_ino, text_dup(path, err)};
	recorder->n_links++;
	return place->path ? 0 : -ENOMEM;
}

static int put_owner(const struct recorder *recorder, const struct stat *st, struct bytes *bytes,
		     struct snapdrv_error *err)
{
	const struct copy *copy = recorder->copy;
	int64_t uid = copy->from->is_image ? st->st_uid : 0;
	int64_t gid = copy->from->is_image ? st->st_gid : 0;
	int is_given = copy->mode >= 0 && !S_ISLNK(st->st_mode);
	mode_t mode = (is_given ? (mode_t)copy->mode : st->st_mode) & 07777;
	int ret = record_number(bytes, (st->st_mode & S_IFMT) | mode, err);

	if (!ret)
		ret = record_number(bytes, (uint64_t)(copy->uid >= 0 ? copy->uid : uid), err);
	return ret ? ret : record_number(bytes, (uint64_t)(copy->gid >= 0 ? copy->gid : gid), err);
}

static int put_symlink(int dir_fd, const char *name, struct bytes *bytes, struct snapdrv_error *err)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(dir_fd, name, target, sizeof(target));

	return length < 0 ? fail_errno(err, "read a symlink")
			  : record_text(bytes, target, (size_t)length, err);
}

static int put_file(struct recorder *recorder, int dir_fd, const char *name,
		    const struct stat *seen, struct bytes *bytes, struct snapdrv_error *err)
{
	struct stat st = *seen;
	struct digest digest;
	int ret = known_find(recorder->copy->from->known, seen, &digest)
			  ? 0
			  : hash_file(recorder, dir_fd, name, &st, &digest, err);

	if (!ret)
		ret = put_owner(recorder, &st, bytes, err);
	return ret ? ret : bytes_add(bytes, digest.bytes, sizeof(digest.bytes), err);
}

int record_put(struct recorder *recorder, int dir_fd, const char *name, const char *path,
	       const struct stat *st, struct bytes *bytes, struct snapdrv_error *err)
{
	const char *first = NULL;
	int ret = !S_ISDIR(st->st_mode) && st->st_nlink > 1
			  ? first_name(recorder, path, st, &first, err)
			  : 0;

	if (ret)
		return ret;
	if (first) {
		ret = record_tag(bytes, 'L', err);
		return ret ? ret : record_text(bytes, first, strlen(first), err);
	}
	ret = record_tag(bytes, 'F', err);
	if (ret || S_ISREG(st->st_mode))
		return ret ? ret : put_file(recorder, dir_fd, name, st, bytes, err);
	ret = put_owner(recorder, st, bytes, err);
	if (!ret)
		ret = put_xattrs(recorder, dir_fd, name, bytes, err);
	if (!ret && S_ISLNK(st->st_mode))
		return put_symlink(dir_fd, name, bytes, err);
	return ret || S_ISDIR(st->st_mode) ? ret : record_number(bytes, st->st_rdev, err);
}
