/* SPDX-License-Identifier: Apache-2.0 */
/* Writing changes as tar entries. */
#include "layer/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "layer/header.h"
#include "layer/holes.h"

#define BUFFER_SIZE (256u << 10)

struct pack {
	enum pack_kind kind;
	struct pack_output output;
	int64_t clamp_ns;
	struct bytes head;	/* of the entry */
	struct strings missing; /* what other names of a file cannot be linked to */
	char buffer[BUFFER_SIZE];
};

struct pack *pack_new(enum pack_kind kind, const struct pack_output *output,
		      struct snapdrv_error *err)
{
	struct pack *pack = malloc(sizeof(*pack));

	if (!pack) {
		fail_memory(err);
		return NULL;
	}
	pack->kind = kind;
	pack->output = *output;
	pack->clamp_ns = INT64_MAX;
	pack->head = (struct bytes){0};
	pack->missing = (struct strings){0};
	return pack;
}

void pack_free(struct pack *pack)
{
	if (!pack)
		return;
	bytes_done(&pack->head);
	strings_done(&pack->missing);
	free(pack);
}

void pack_clamp(struct pack *pack, int64_t mtime_ns)
{
	pack->clamp_ns = mtime_ns;
}

static int put(struct pack *pack, const void *data, size_t size, struct snapdrv_error *err)
{
	return size ? pack->output.write(pack->output.context, data, size, err) : 0;
}

static int put_padding(struct pack *pack, uint64_t size, struct snapdrv_error *err)
{
	static const char zeros[TAR_BLOCK];

	return put(pack, zeros, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK, err);
}

static int put_header(struct pack *pack, const struct tar_header *header, struct snapdrv_error *err)
{
	int ret;

	pack->head.size = 0;
	ret = header_write(header, &pack->head, err);
	return ret ? ret : put(pack, pack->head.data, pack->head.size, err);
}

/* ---- marks -------------------------------------------------------------------------------- */

static int put_mark(struct pack *pack, const char *dir, size_t dir_length, const char *mark,
		    struct snapdrv_error *err)
{
	cleanup_free char *path = text_format(err, "%.*s%s", (int)dir_length, dir, mark);
	const struct tar_header header = {.path = path, .type = '0'};

	return path ? put_header(pack, &header, err) : -ENOMEM;
}

static int put_whiteout(struct pack *pack, const struct change *change, struct snapdrv_error *err)
{
	cleanup_free char *mark = text_format(err, ".wh.%s", change->name);

	if (!mark || pack->kind == PACK_TREE)
		return mark ? 0 : -ENOMEM;
	return put_mark(pack, change->path, strlen(change->path) - strlen(change->name), mark, err);
}

static int put_opaque(struct pack *pack, const char *dir, struct snapdrv_error *err)
{
	return put_mark(pack, dir, strlen(dir), ".wh..wh..opq", err);
}

/* ---- files -------------------------------------------------------------------------------- */

/* A stretch of a file; what is not there any more is zeros. */
static int put_run(struct pack *pack, int fd, uint64_t offset, uint64_t size,
		   struct snapdrv_error *err)
{
	int is_over = 0;

	while (size) {
		size_t want = size < BUFFER_SIZE ? (size_t)size : BUFFER_SIZE;
		ssize_t got = is_over ? 0 : pread(fd, pack->buffer, want, (off_t)offset);
		int ret;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(err, "read");
		if (!got) {
			is_over = 1;
			memset(pack->buffer, 0, want);
			got = (ssize_t)want;
		}
		ret = put(pack, pack->buffer, (size_t)got, err);
		if (ret)
			return ret;
		offset += (uint64_t)got;
		size -= (uint64_t)got;
	}
	return 0;
}

static int add_line(struct bytes *to, uint64_t number, struct snapdrv_error *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)number);
	return bytes_add(to, text, strlen(text), err);
}

/* GNU's map: the number of runs, then where each is and how long, a number a line. */
static int make_map(const struct data_map *map, uint64_t real_size, struct bytes *ret_text,
		    struct snapdrv_error *err)
{
	static const char zeros[TAR_BLOCK];
	const struct data_run *last = map->count ? &map->runs[map->count - 1] : NULL;
	int ends_in_hole = !last || last->offset + last->size < real_size;
	int ret = add_line(ret_text, map->count + (size_t)ends_in_hole, err);

	for (size_t i = 0; last && i < map->count && !ret; i++) {
		ret = add_line(ret_text, map->runs[i].offset, err);
		if (!ret)
			ret = add_line(ret_text, map->runs[i].size, err);
	}
	/* An empty run at the end says how far the last hole goes. */
	if (!ret && ends_in_hole) {
		ret = add_line(ret_text, real_size, err);
		if (!ret)
			ret = add_line(ret_text, 0, err);
	}
	return ret ? ret
		   : bytes_add(ret_text, zeros,
			       (TAR_BLOCK - ret_text->size % TAR_BLOCK) % TAR_BLOCK, err);
}

static int put_sparse(struct pack *pack, struct tar_header *header, int fd,
		      const struct data_map *map, struct snapdrv_error *err)
{
	cleanup_bytes struct bytes text = {0};
	uint64_t size = 0;
	int ret = make_map(map, header->size, &text, err);

	for (size_t i = 0; i < map->count; i++)
		size += map->runs[i].size;
	header->is_sparse = 1;
	header->real_size = header->size;
	header->size = text.size + size;
	if (!ret)
		ret = put_header(pack, header, err);
	if (!ret)
		ret = put(pack, text.data, text.size, err);
	for (size_t i = 0; i < map->count && !ret; i++)
		ret = put_run(pack, fd, map->runs[i].offset, map->runs[i].size, err);
	return ret ? ret : put_padding(pack, header->size, err);
}

static int put_dense(struct pack *pack, const struct tar_header *header, int fd,
		     struct snapdrv_error *err)
{
	int ret = put_header(pack, header, err);

	if (!ret)
		ret = put_run(pack, fd, 0, header->size, err);
	return ret ? ret : put_padding(pack, header->size, err);
}

static int put_file(struct pack *pack, struct tar_header *header, int fd, struct snapdrv_error *err)
{
	struct data_map map = {0};
	int ret, is_whole;

	header->type = '0';
	header->size = (uint64_t)header->st.st_size;
	ret = holes_find(fd, header->size, &map, err);
	is_whole = !header->size || (map.count == 1 && map.runs[0].size == header->size);
	if (!ret)
		ret = is_whole ? put_dense(pack, header, fd, err)
			       : put_sparse(pack, header, fd, &map, err);
	holes_done(&map);
	return ret;
}

/* ---- entries ------------------------------------------------------------------------------ */

static int put_symlink(struct pack *pack, const struct change *change, struct tar_header *header,
		       struct snapdrv_error *err)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(change->dir_fd, change->name, target, sizeof(target) - 1);
	int ret;

	if (length < 0)
		return fail_errno(err, "read a symlink");
	target[length] = '\0';
	header->type = '2';
	header->link = target;
	ret = put_header(pack, header, err);
	header->link = NULL;
	return ret;
}

static int put_directory(struct pack *pack, const struct change *change, struct tar_header *header,
			 struct snapdrv_error *err)
{
	cleanup_free char *path = text_format(err, "%s/", *change->path ? change->path : ".");
	int ret;

	if (!path)
		return -ENOMEM;
	header->type = '5';
	header->path = path;
	/* A root that is as it was needs no entry. */
	ret = change->is_parent && !*change->path ? 0 : put_header(pack, header, err);
	if (ret || !change->is_opaque || pack->kind == PACK_TREE)
		return ret;
	return put_opaque(pack, *change->path ? path : "", err);
}

static int put_entry(struct pack *pack, const struct change *change, struct tar_header *header,
		     int fd, struct snapdrv_error *err)
{
	const mode_t mode = header->st.st_mode;

	if (S_ISDIR(mode))
		return put_directory(pack, change, header, err);
	if (change->link && !strings_has(&pack->missing, change->link)) {
		header->type = '1';
		header->link = change->link;
		header->xattrs = NULL;
		return put_header(pack, header, err);
	}
	if (S_ISREG(mode))
		return put_file(pack, header, fd, err);
	if (S_ISLNK(mode))
		return put_symlink(pack, change, header, err);
	header->type = S_ISCHR(mode) ? '3' : S_ISBLK(mode) ? '4' : '6';
	return put_header(pack, header, err);
}

static int check_name(const struct pack *pack, const struct change *change, const struct stat *st,
		      struct snapdrv_error *err)
{
	if (pack->kind == PACK_TREE)
		return 0;
	if (text_starts(change->name, ".wh."))
		return refuse(err, "a layer cannot hold a name that starts with .wh.");
	if (S_ISCHR(st->st_mode) && !st->st_rdev)
		return refuse(err, "a layer cannot hold a 0:0 device");
	return 0;
}

/* 1: there is no such thing any more. */
static int is_gone(int ret)
{
	return ret == -ENOENT || ret == -ENOTDIR || ret == -ELOOP;
}

/*
 * What the name is now; a regular file is opened, and what stat(2) says is of that file then. In its
 * place there may be a FIFO or device meanwhile, which is not opened.
 */
static int open_entry(const struct change *change, struct stat *ret_st, int *ret_fd,
		      struct snapdrv_error *err)
{
	cleanup_fd int path_fd = -1, fd = -1;

	if (fstatat(change->dir_fd, change->name, ret_st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat");
	if (!S_ISREG(ret_st->st_mode))
		return 0;
	path_fd = openat(change->dir_fd, change->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	fd = path_fd < 0 ? -errno : file_open_regular(path_fd);
	if (fd == -EINVAL)
		return -ENOENT;
	errno = fd < 0 ? -fd : 0;
	if (fd < 0 || fstat(fd, ret_st))
		return fail_errno(err, "open");
	*ret_fd = steal_fd(&fd);
	return 0;
}

static void clamp(const struct pack *pack, struct timespec *time)
{
	const struct timespec latest = {.tv_sec = pack->clamp_ns / 1000000000,
					.tv_nsec = pack->clamp_ns % 1000000000};

	/* A file may well be from after 2262. */
	if (pack->clamp_ns != INT64_MAX &&
	    (time->tv_sec > latest.tv_sec ||
	     (time->tv_sec == latest.tv_sec && time->tv_nsec > latest.tv_nsec)))
		*time = latest;
}

static int write_change(struct pack *pack, const struct change *change, struct snapdrv_error *err)
{
	cleanup_xattr_items struct xattr_items xattrs = {0};
	struct tar_header header = {.path = change->path, .xattrs = &xattrs};
	cleanup_fd int fd = -1;
	int ret = open_entry(change, &header.st, &fd, err);

	clamp(pack, &header.st.st_mtim);
	if (!ret)
		ret = check_name(pack, change, &header.st, err);
	if (!ret && !S_ISSOCK(header.st.st_mode))
		ret = xattr_read(change->dir_fd, change->name, &xattrs, err);
	if (!is_gone(ret) && (ret || !S_ISSOCK(header.st.st_mode)))
		return ret ? ret : put_entry(pack, change, &header, fd, err);
	ret = change->kind == 'A' ? 0 : put_whiteout(pack, change, err);
	return ret ? ret : strings_add(&pack->missing, change->path, err);
}

int pack_change(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct pack *pack = arg;
	int ret;

	if (change->is_covered)
		return 0;
	ret = change->kind == 'D' ? put_whiteout(pack, change, err)
				  : write_change(pack, change, err);
	return ret ? fail_within(err, ret, "entry %s", quote(change->path).text) : 0;
}

int pack_end(struct pack *pack, struct snapdrv_error *err)
{
	static const char zeros[2 * TAR_BLOCK];

	return put(pack, zeros, sizeof(zeros), err);
}
