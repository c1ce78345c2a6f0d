/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an image archive: ustar headers (POSIX.1-1988). libarchive's writer would do it, but for a program
 * that is linked statically it brings all its formats along, libxml2 and nettle with them.
 */
#include "layer/member_writer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kernel/file.h"

#define BLOCK 512

struct member_writer {
	int fd;
	uint64_t left;	  /* bytes that the file still has to come */
	unsigned padding; /* zeros that follow them */
};

struct ustar {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[8]; /* with the version */
	char owner[32], group[32];
	char major[8], minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == BLOCK, "a header is a block");

int member_writer_new(int fd, struct member_writer **ret_writer, struct snapdrv_error *err)
{
	struct member_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return fail_memory(err);
	writer->fd = fd;
	*ret_writer = writer;
	return 0;
}

static int put(struct member_writer *writer, const void *data, size_t size,
	       struct snapdrv_error *err)
{
	return file_write(writer->fd, data, size, "the archive", err);
}

static int pad(struct member_writer *writer, struct snapdrv_error *err)
{
	static const char zeros[BLOCK];
	unsigned padding = writer->padding;

	assert(!writer->left);
	writer->padding = 0;
	return padding ? put(writer, zeros, padding, err) : 0;
}

/* Octal, or from 8 GiB on the binary form that GNU tar has introduced and everybody reads. */
static void set_size(char field[12], uint64_t size)
{
	if (size < 1ull << 33) {
		snprintf(field, 12, "%011llo", (unsigned long long)size);
		return;
	}
	field[0] = (char)0x80;
	for (int i = 11; i > 3; i--, size >>= 8)
		field[i] = (char)(size & 0xff);
}

static int put_header(struct member_writer *writer, const char *name, char type, unsigned mode,
		      uint64_t size, struct snapdrv_error *err)
{
	struct ustar header = {.type = type, .magic = {'u', 's', 't', 'a', 'r', '\0', '0', '0'}};
	unsigned sum = 0;
	int length =
		snprintf(header.name, sizeof(header.name), "%s%s", name, type == '5' ? "/" : "");
	int ret = pad(writer, err);

	assert(length < (int)sizeof(header.name));
	snprintf(header.mode, sizeof(header.mode), "%07o", mode);
	snprintf(header.uid, sizeof(header.uid), "%07o", 0u);
	snprintf(header.gid, sizeof(header.gid), "%07o", 0u);
	snprintf(header.mtime, sizeof(header.mtime), "%011o", 0u);
	set_size(header.size, size);
	memset(header.checksum, ' ', sizeof(header.checksum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += ((const unsigned char *)&header)[i];
	snprintf(header.checksum, sizeof(header.checksum) - 1, "%06o", sum & 0777777);
	writer->left = size;
	writer->padding = (unsigned)(-size % BLOCK);
	return ret ? ret : put(writer, &header, sizeof(header), err);
}

int member_writer_dir(struct member_writer *writer, const char *name, struct snapdrv_error *err)
{
	return put_header(writer, name, '5', 0755, 0, err);
}

int member_writer_file(struct member_writer *writer, const char *name, uint64_t size,
		       struct snapdrv_error *err)
{
	return put_header(writer, name, '0', 0644, size, err);
}

int member_writer_data(struct member_writer *writer, const void *data, size_t size,
		       struct snapdrv_error *err)
{
	if (size > writer->left)
		return fail(err, SNAPDRV_FAILED, EFBIG, "more bytes than were announced");
	writer->left -= size;
	return put(writer, data, size, err);
}

int member_writer_end(struct member_writer *writer, struct snapdrv_error *err)
{
	static const char end[2 * BLOCK];
	int ret = pad(writer, err);

	return ret ? ret : put(writer, end, sizeof(end), err);
}

void member_writer_free(struct member_writer *writer)
{
	free(writer);
}
