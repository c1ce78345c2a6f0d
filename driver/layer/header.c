/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of tar entries (POSIX.1-2017, pax; GNU tar's manual, "Sparse Formats"). */
#include "layer/header.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/error.h"

struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char padding[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is a block");

static int add_block(struct bytes *to, const void *data, size_t size, struct snapdrv_error *err)
{
	static const char zeros[TAR_BLOCK];
	int ret = bytes_add(to, data, size, err);

	return ret || !(size % TAR_BLOCK) ? ret
					  : bytes_add(to, zeros, TAR_BLOCK - size % TAR_BLOCK, err);
}

/* "LENGTH KEY=VALUE\n", whose length counts its own digits. */
static int add_record(struct bytes *to, const char *key, const void *value, size_t size,
		      struct snapdrv_error *err)
{
	size_t rest = strlen(key) + size + 3, length = rest + 1;
	char number[24];
	int ret;

	while (length != rest + (size_t)snprintf(number, sizeof(number), "%zu", length))
		length = rest + strlen(number);
	ret = bytes_add(to, number, strlen(number), err);
	if (!ret)
		ret = bytes_add(to, " ", 1, err);
	if (!ret)
		ret = bytes_add(to, key, strlen(key), err);
	if (!ret)
		ret = bytes_add(to, "=", 1, err);
	if (!ret)
		ret = bytes_add(to, value, size, err);
	return ret ? ret : bytes_add(to, "\n", 1, err);
}

static int add_number(struct bytes *to, const char *key, uint64_t value, struct snapdrv_error *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return add_record(to, key, text, strlen(text), err);
}

/* The field's digits, with NUL behind them. Return: 0 when the number is too big for it. */
static int put_octal(char *field, size_t size, uint64_t value)
{
	if (value >> (3 * (size - 1)))
		return 0;
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	return 1;
}

static int put_number(char *field, size_t size, uint64_t value, const char *key,
		      struct bytes *records, struct snapdrv_error *err)
{
	if (put_octal(field, size, value))
		return 0;
	put_octal(field, size, 0);
	return add_number(records, key, value, err);
}

static int put_text(char *field, size_t size, const char *text, const char *key,
		    struct bytes *records, struct snapdrv_error *err)
{
	size_t length = strlen(text);

	memcpy(field, text, length < size ? length : size);
	return length <= size ? 0 : add_record(records, key, text, length, err);
}

/*
 * Before 1970 there are seconds below zero and nanoseconds that are added to them, as stat(2) has it.
 * POSIX's decimal number is the sum.
 */
static int put_mtime(struct ustar *ustar, const struct timespec *mtime, struct bytes *records,
		     struct snapdrv_error *err)
{
	long long seconds = mtime->tv_sec;
	long nanoseconds = mtime->tv_nsec;
	const char *sign = "";
	char text[48];

	if (seconds >= 0 && put_octal(ustar->mtime, sizeof(ustar->mtime), (uint64_t)seconds) &&
	    !nanoseconds)
		return 0;
	if (seconds < 0) {
		put_octal(ustar->mtime, sizeof(ustar->mtime), 0);
		sign = "-";
		seconds = -seconds - (nanoseconds > 0);
		nanoseconds = nanoseconds ? 1000000000 - nanoseconds : 0;
	}
	if (nanoseconds)
		snprintf(text, sizeof(text), "%s%lld.%09ld", sign, seconds, nanoseconds);
	else
		snprintf(text, sizeof(text), "%s%lld", sign, seconds);
	return add_record(records, "mtime", text, strlen(text), err);
}

static int add_base64(struct bytes *to, const char *data, size_t size, struct snapdrv_error *err)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	int ret = 0;

	for (size_t i = 0; i < size && !ret; i += 3) {
		size_t n = size - i < 3 ? size - i : 3;
		uint32_t bits = 0;
		char four[4];

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < n ? (unsigned char)data[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			four[j] = digits[bits >> (18 - 6 * j) & 63];
		/* libarchive, whose record this is, leaves out the `=` at the end. */
		ret = bytes_add(to, four, n + 1, err);
	}
	return ret;
}

/* A PAX keyword ends at the first `=`; libarchive's own record has the name as in a URL. */
static int add_encoded_xattr(struct bytes *records, const struct xattr_item *xattr,
			     struct snapdrv_error *err)
{
	cleanup_bytes struct bytes key = {0}, value = {0};
	int ret = bytes_add(&key, "LIBARCHIVE.xattr.", 17, err);

	for (const char *at = xattr->name; *at && !ret; at++) {
		char code[4];

		snprintf(code, sizeof(code), "%%%02X", (unsigned char)*at);
		ret = *at == '=' || *at == '%' || *at < 0x21 || *at == 0x7f
			      ? bytes_add(&key, code, 3, err)
			      : bytes_add(&key, at, 1, err);
	}
	if (!ret)
		ret = bytes_add(&key, "", 1, err);
	if (!ret)
		ret = add_base64(&value, xattr->value, xattr->size, err);
	return ret ? ret : add_record(records, key.data, value.data, value.size, err);
}

static int add_xattrs(struct bytes *records, const struct xattr_items *xattrs,
		      struct snapdrv_error *err)
{
	for (size_t i = 0; xattrs && i < xattrs->count; i++) {
		const struct xattr_item *xattr = &xattrs->items[i];
		cleanup_free char *key = text_format(err, "SCHILY.xattr.%s", xattr->name);
		int ret = key ? 0 : -ENOMEM;

		if (!ret)
			ret = strchr(xattr->name, '=')
				      ? add_encoded_xattr(records, xattr, err)
				      : add_record(records, key, xattr->value, xattr->size, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int put_name(struct ustar *ustar, const struct tar_header *header, struct bytes *records,
		    struct snapdrv_error *err)
{
	const char *slash = strrchr(header->path, '/');
	int ret;

	if (!header->is_sparse)
		return put_text(ustar->name, sizeof(ustar->name), header->path, "path", records,
				err);
	/* Whoever does not know the format gets the map and the data under a name of their own. */
	snprintf(ustar->name, sizeof(ustar->name), "GNUSparseFile.0/%.80s",
		 slash ? slash + 1 : header->path);
	ret = add_number(records, "GNU.sparse.major", 1, err);
	if (!ret)
		ret = add_number(records, "GNU.sparse.minor", 0, err);
	if (!ret)
		ret = add_record(records, "GNU.sparse.name", header->path, strlen(header->path),
				 err);
	return ret ? ret : add_number(records, "GNU.sparse.realsize", header->real_size, err);
}

static int put_device(struct ustar *ustar, const struct tar_header *header, struct bytes *records,
		      struct snapdrv_error *err)
{
	int is_device = header->type == '3' || header->type == '4';
	dev_t device = is_device ? header->st.st_rdev : 0;
	int ret = put_number(ustar->major, sizeof(ustar->major), major(device), "SCHILY.devmajor",
			     records, err);

	return ret ? ret
		   : put_number(ustar->minor, sizeof(ustar->minor), minor(device),
				"SCHILY.devminor", records, err);
}

static void put_checksum(struct ustar *ustar)
{
	const unsigned char *bytes = (const unsigned char *)ustar;
	unsigned sum = 0;

	memset(ustar->checksum, ' ', sizeof(ustar->checksum));
	for (size_t i = 0; i < sizeof(*ustar); i++)
		sum += bytes[i];
	snprintf(ustar->checksum, sizeof(ustar->checksum), "%06o", sum);
}

static int write_records(const struct bytes *records, struct bytes *to, struct snapdrv_error *err)
{
	struct ustar ustar = {.name = "PaxHeaders.0/x",
			      .mode = "0000644",
			      .uid = "0000000",
			      .gid = "0000000",
			      .mtime = "00000000000",
			      .type = 'x',
			      .magic = "ustar",
			      .version = {'0', '0'},
			      .major = "0000000",
			      .minor = "0000000"};
	int ret;

	if (!put_octal(ustar.size, sizeof(ustar.size), records->size))
		return fail(err, SNAPDRV_FAILED, E2BIG, "too many xattrs");
	put_checksum(&ustar);
	ret = bytes_add(to, &ustar, sizeof(ustar), err);
	return ret ? ret : add_block(to, records->data, records->size, err);
}

int header_write(const struct tar_header *header, struct bytes *to, struct snapdrv_error *err)
{
	const struct stat *st = &header->st;
	cleanup_bytes struct bytes records = {0};
	struct ustar ustar = {.type = header->type, .magic = "ustar", .version = {'0', '0'}};
	int ret = put_name(&ustar, header, &records, err);

	put_octal(ustar.mode, sizeof(ustar.mode), st->st_mode & 07777);
	if (!ret)
		ret = put_text(ustar.link, sizeof(ustar.link), header->link ? header->link : "",
			       "linkpath", &records, err);
	if (!ret)
		ret = put_number(ustar.uid, sizeof(ustar.uid), st->st_uid, "uid", &records, err);
	if (!ret)
		ret = put_number(ustar.gid, sizeof(ustar.gid), st->st_gid, "gid", &records, err);
	if (!ret)
		ret = put_number(ustar.size, sizeof(ustar.size), header->size, "size", &records,
				 err);
	if (!ret)
		ret = put_mtime(&ustar, &st->st_mtim, &records, err);
	if (!ret)
		ret = put_device(&ustar, header, &records, err);
	if (!ret)
		ret = add_xattrs(&records, header->xattrs, err);
	if (!ret && records.size)
		ret = write_records(&records, to, err);
	if (ret)
		return ret;
	put_checksum(&ustar);
	return bytes_add(to, &ustar, sizeof(ustar), err);
}
