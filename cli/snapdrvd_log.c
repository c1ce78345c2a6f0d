/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's errors, and its lines on standard error. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "snapdrvd.h"

void daemon_log(const char *format, ...)
{
	char line[2048];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* What clients send comes along: it is to make no line of its own, and no terminal obey. */
	for (char *at = line; *at; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
	/* One call for a line: many threads write some. */
	if (size >= 0)
		fprintf(stderr, "snapdrvd: %s\n", line);
}

int daemon_fail(struct snapdrv_error *err, int code, int errnum, const char *format, ...)
{
	va_list args;

	if (!err)
		return -errnum;
	err->code = code;
	err->errnum = errnum;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return -errnum;
}

int daemon_no_memory(struct snapdrv_error *err)
{
	return daemon_fail(err, SNAPDRV_FAILED, ENOMEM, "out of memory");
}
