/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and growing byte buffers. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "snapdrv.h"

/**
 * text_format() - a new string, as by printf(3).
 * Return: for free(3), or NULL with @err filled.
 */
char *text_format(struct snapdrv_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** text_dup() - a copy of a string, for free(3), or NULL with @err filled. */
char *text_dup(const char *text, struct snapdrv_error *err);

/** text_starts() - whether @text starts with @prefix. */
int text_starts(const char *text, const char *prefix);

/** text_ends() - whether @text ends with @suffix. */
int text_ends(const char *text, const char *suffix);

/**
 * text_time_parse() - read an RFC 3339 time.
 * Return: 1 and nanoseconds since 1970, or 0 when it is not one.
 */
int text_time_parse(const char *text, int64_t *ret_ns);

/** text_time_format() - RFC 3339 in UTC, whole seconds, for free(3), or NULL with @err filled. */
char *text_time_format(int64_t time_ns, struct snapdrv_error *err);

/** struct strings - a growing list of owned strings; all zero is an empty one. */
struct strings {
	char **items;
	size_t count;
};

/** strings_add() - append a copy. Return: 0, or -ENOMEM. */
int strings_add(struct strings *list, const char *text, struct snapdrv_error *err);

/** strings_has() - whether @text is in the list. */
int strings_has(const struct strings *list, const char *text);

/** strings_done() - free the items; the list is empty afterwards. */
void strings_done(struct strings *list);

#define cleanup_strings __attribute__((cleanup(strings_done)))

/** struct bytes - a growing buffer; all zero is an empty one. */
struct bytes {
	char *data;
	size_t size;
	size_t room;
};

/** bytes_add() - append. Return: 0, or -ENOMEM. */
int bytes_add(struct bytes *bytes, const void *data, size_t size, struct snapdrv_error *err);

/** bytes_done() - free the data; the buffer is empty afterwards. */
void bytes_done(struct bytes *bytes);

#define cleanup_bytes __attribute__((cleanup(bytes_done)))

#endif
