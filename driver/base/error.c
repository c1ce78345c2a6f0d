/* SPDX-License-Identifier: Apache-2.0 */
/* Filling error objects and quoting names for them. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUOTED_MAX 120 /* characters between the quotes */

/*
 * One line of ASCII, whatever was not quoted: a damaged database, and what SQLite says of it, may give any
 * bytes.
 */
static void make_printable(char *message)
{
	for (; *message; message++) {
		if (*message < ' ' || *message > '~')
			*message = '?';
	}
}

static int fill(struct snapdrv_error *err, int code, int errnum, const char *format, va_list args)
{
	if (err) {
		err->code = code;
		err->errnum = errnum;
		vsnprintf(err->message, sizeof(err->message), format, args);
		make_printable(err->message);
	}
	return -errnum;
}

int fail(struct snapdrv_error *err, int code, int errnum, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(err, code, errnum, format, args);
	va_end(args);
	return -errnum;
}

int refuse(struct snapdrv_error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(err, SNAPDRV_REFUSED, EBADMSG, format, args);
	va_end(args);
	return -EBADMSG;
}

static int fill_strerror(struct snapdrv_error *err, int errnum, const char *format, va_list args)
{
	fill(err, SNAPDRV_FAILED, errnum, format, args);
	if (err) {
		size_t used = strlen(err->message);

		snprintf(err->message + used, sizeof(err->message) - used, ": %s",
			 strerror(errnum));
	}
	return -errnum;
}

int fail_errno(struct snapdrv_error *err, const char *format, ...)
{
	int errnum = errno;
	va_list args;

	va_start(args, format);
	fill_strerror(err, errnum, format, args);
	va_end(args);
	return -errnum;
}

int fail_ret(struct snapdrv_error *err, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill_strerror(err, -ret, format, args);
	va_end(args);
	return ret;
}

int fail_within(struct snapdrv_error *err, int ret, const char *format, ...)
{
	char inner[sizeof(err->message)];
	va_list args;
	size_t used;

	if (!err)
		return ret;
	memcpy(inner, err->message, sizeof(inner));
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	make_printable(err->message);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s", inner);
	return ret;
}

int errno_is_passing(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == EINTR;
}

int fail_as(struct snapdrv_error *err, const struct snapdrv_error *why)
{
	if (err)
		*err = *why;
	return -why->errnum;
}

int fail_memory(struct snapdrv_error *err)
{
	return fail(err, SNAPDRV_FAILED, ENOMEM, "out of memory");
}

static size_t quote_byte(char *to, unsigned char byte)
{
	if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
		*to = (char)byte;
		return 1;
	}
	return (size_t)sprintf(to, "\\x%02x", byte);
}

struct quoted quote(const char *name)
{
	struct quoted out;
	size_t length = strlen(name), head = length, tail = 0, used = 0;
	char *to = out.text;

	if (length > QUOTED_MAX) {
		head = QUOTED_MAX / 2;
		tail = QUOTED_MAX / 2 - 3;
	}
	to[used++] = '\'';
	for (size_t i = 0; i < length; i++) {
		char piece[8] = "...";
		size_t size = 3;

		if (i == head && tail)
			i = length - tail - 1;
		else
			size = quote_byte(piece, (unsigned char)name[i]);
		/* Room for three more dots, the quote and the NUL stays in any case. */
		if (used + size > sizeof(out.text) - 6) {
			memcpy(to + used, "...", 3);
			used += 3;
			break;
		}
		memcpy(to + used, piece, size);
		used += size;
	}
	to[used++] = '\'';
	to[used] = '\0';
	return out;
}
