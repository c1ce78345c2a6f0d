/* SPDX-License-Identifier: Apache-2.0 */
/* The members of an image archive. */
#include "layer/members.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "layer/inflate.h"
#include "layer/tar.h"

#define BUFFER_SIZE (1u << 18)

struct members {
	struct archive *archive;
	int fd;
	struct input_range range;  /* of a plain tar in a regular file */
	uint64_t start;		   /* of the archive in that file */
	struct layer_input input;  /* of the descriptor */
	struct inflater *inflater; /* NULL for what can be skipped through */
	unsigned char *buffer;
	struct snapdrv_error error; /* why reading failed beneath libarchive */
};

static la_ssize_t feed(struct archive *archive, void *context, const void **ret_data)
{
	struct members *members = context;
	ssize_t got;

	(void)archive;
	if (members->inflater)
		got = inflater_read(members->inflater, members->buffer, BUFFER_SIZE,
				    &members->error);
	else
		got = members->input.read(members->input.context, members->buffer, BUFFER_SIZE,
					  &members->error);
	*ret_data = members->buffer;
	return got;
}

static la_int64_t skip(struct archive *archive, void *context, la_int64_t size)
{
	struct members *members = context;
	struct input_range *range = &members->range;

	(void)archive;
	if (members->inflater || (uint64_t)size > range->end - range->offset)
		return 0;
	range->offset += (uint64_t)size;
	return size;
}

static int fail_archive(struct members *members, struct snapdrv_error *err)
{
	if (members->error.code)
		return fail(err, members->error.code, members->error.errnum, "%s",
			    members->error.message);
	if (archive_errno(members->archive) == ENOMEM)
		return fail_memory(err);
	return refuse(err, "%s", archive_error_string(members->archive));
}

static int start(struct members *members, struct snapdrv_error *err)
{
	struct archive *archive = members->archive;

	if (archive_read_set_read_callback(archive, feed) ||
	    archive_read_set_skip_callback(archive, skip) ||
	    archive_read_set_callback_data(archive, members))
		return fail(err, SNAPDRV_FAILED, EINVAL, "libarchive: %s",
			    archive_error_string(archive));
	return archive_read_open1(archive) ? fail_archive(members, err) : 0;
}

static int choose_input(struct members *members, struct snapdrv_error *err)
{
	struct stat st;
	off_t at = lseek(members->fd, 0, SEEK_CUR);
	int ret;

	if (fstat(members->fd, &st))
		return fail_errno(err, "stat the archive");
	if (S_ISDIR(st.st_mode))
		return fail(err, SNAPDRV_USAGE, EISDIR, "a directory, not an archive");
	if (!S_ISREG(st.st_mode) || at < 0) {
		members->input = input_from_fd(&members->fd);
		return inflater_new(&members->input, &members->inflater, err);
	}
	members->range = (struct input_range){members->fd, (uint64_t)at, (uint64_t)st.st_size};
	members->input = input_from_range(&members->range);
	ret = inflater_new(&members->input, &members->inflater, err);
	if (ret || !inflater_is_plain(members->inflater))
		return ret;
	inflater_free(members->inflater);
	members->inflater = NULL;
	members->range.offset = members->start = (uint64_t)at;
	return 0;
}

int members_open(int fd, struct members **ret_members, struct snapdrv_error *err)
{
	struct members *members = calloc(1, sizeof(*members));
	int ret;

	if (!members)
		return fail_memory(err);
	members->fd = fd;
	members->buffer = malloc(BUFFER_SIZE);
	members->archive = tar_new(err);
	ret = members->buffer && members->archive ? choose_input(members, err) : fail_memory(err);
	if (!ret)
		ret = start(members, err);
	if (ret) {
		members_close(members);
		return ret;
	}
	*ret_members = members;
	return 0;
}

int members_can_seek(const struct members *members)
{
	return !members->inflater;
}

int members_next(struct members *members, struct member *ret_member, struct snapdrv_error *err)
{
	struct archive_entry *entry;
	const char *name, *link;
	int ret = tar_next(members->archive, &entry);

	if (ret <= 0)
		return ret ? fail_archive(members, err) : 0;
	name = archive_entry_pathname(entry);
	if (!name)
		return refuse(err, "member without a name");
	while (text_starts(name, "./"))
		name += 2;
	link = archive_entry_hardlink(entry);
	if (!link && archive_entry_filetype(entry) == AE_IFLNK)
		link = archive_entry_symlink(entry);
	*ret_member = (struct member){
		.name = name,
		.link = link,
		.size = (uint64_t)archive_entry_size(entry),
		.offset = members->start + (uint64_t)archive_filter_bytes(members->archive, 0),
		/* Data of a sparse member does not lie in one piece. */
		.is_file = !link && archive_entry_filetype(entry) == AE_IFREG &&
			   !archive_entry_sparse_count(entry),
	};
	return 1;
}

static ssize_t read_member(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct members *members = context;
	la_ssize_t got = archive_read_data(members->archive, data, size);

	return got < 0 ? fail_archive(members, err) : got;
}

struct layer_input members_input(struct members *members)
{
	return (struct layer_input){.read = read_member, .context = members};
}

void members_close(struct members *members)
{
	if (!members)
		return;
	archive_read_free(members->archive);
	inflater_free(members->inflater);
	free(members->buffer);
	free(members);
}
