/* SPDX-License-Identifier: Apache-2.0 */
/* Error objects: made where it went wrong, given one more noun on each floor, printed by the CLI. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "snapdrv.h"

/**
 * fail() - fill an error.
 * @err:    to be filled, or NULL.
 * @code:   an enum snapdrv_code.
 * @errnum: a positive errno value.
 * @format: printf(3) format of the whole line, `WHAT: WHY`. Bytes that are not printable ASCII become `?`.
 *
 * Return: -@errnum, for `return fail(...)`.
 */
int fail(struct snapdrv_error *err, int code, int errnum, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * fail_errno() - fill an error of code FAILED from errno; `: ` and strerror(errno) end the line.
 *
 * ENOENT does not become MISSING: that is for things with a name that the user gave.
 *
 * Return: -errno.
 */
int fail_errno(struct snapdrv_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** fail_ret() - fail_errno() for a callee that gave no error object. @ret: its negative errno value. Return: @ret. */
int fail_ret(struct snapdrv_error *err, int ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** errno_is_passing() - it says something of this process at this moment, and nothing of what was looked at. */
int errno_is_passing(int errnum);

/** refuse() - fail() with code REFUSED and EBADMSG: the input is not what it should be. */
int refuse(struct snapdrv_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * fail_within() - put a noun and `: ` in front of the message of a filled error.
 * @err: filled by the callee, or NULL.
 * @ret: the callee's negative errno value.
 *
 * Return: @ret.
 */
int fail_within(struct snapdrv_error *err, int ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** fail_as() - the failure that another error was filled with. Return: -@why->errnum. */
int fail_as(struct snapdrv_error *err, const struct snapdrv_error *why);

/** fail_memory() - fail() for a failed allocation. */
int fail_memory(struct snapdrv_error *err);

/**
 * struct quoted - a name from outside, fit for a message: in single quotes, bytes that are not
 * printable ASCII as \xHH, at most 120 characters of it with the middle left out.
 */
struct quoted {
	char text[160];
};

/** quote() - quote a name; used as quote(name).text within one expression. */
struct quoted quote(const char *name);

#endif
