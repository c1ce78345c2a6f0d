/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and growing byte buffers. */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

#define NS_PER_SECOND 1000000000LL

char *text_format(struct snapdrv_error *err, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0) {
		fail_memory(err);
		return NULL;
	}
	return text;
}

char *text_dup(const char *text, struct snapdrv_error *err)
{
	char *copy = strdup(text);

	if (!copy)
		fail_memory(err);
	return copy;
}

int text_starts(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

int text_ends(const char *text, const char *suffix)
{
	size_t length = strlen(text), wanted = strlen(suffix);

	return length >= wanted && !strcmp(text + length - wanted, suffix);
}

/* The fraction of a second that stands at @text, in nanoseconds; digits past the ninth are dropped. */
static const char *parse_fraction(const char *text, int64_t *ret_ns)
{
	int64_t unit = NS_PER_SECOND / 10, sum = 0;

	for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
		sum += (*text - '0') * unit;
	*ret_ns = sum;
	return text;
}

int text_time_parse(const char *text, int64_t *ret_ns)
{
	struct tm tm = {0};
	int64_t fraction_ns = 0, offset = 0, seconds;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest)
		return 0;
	if (*rest == '.')
		rest = parse_fraction(rest + 1, &fraction_ns);
	if (*rest == '+' || *rest == '-') {
		int hours, minutes, used = 0;

		if (sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || rest[1 + used])
			return 0;
		offset = (hours * 60 + minutes) * 60 * (*rest == '-' ? -1 : 1);
	} else if (strcmp(rest, "Z")) {
		return 0;
	}
	seconds = timegm(&tm) - offset;
	if (seconds > INT64_MAX / NS_PER_SECOND - 1 || seconds < INT64_MIN / NS_PER_SECOND + 1)
		return 0;
	*ret_ns = seconds * NS_PER_SECOND + fraction_ns;
	return 1;
}

char *text_time_format(int64_t time_ns, struct snapdrv_error *err)
{
	time_t seconds = time_ns / NS_PER_SECOND - (time_ns % NS_PER_SECOND < 0);
	struct tm tm;
	char text[64];

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text_dup(text, err);
}

int strings_add(struct strings *list, const char *text, struct snapdrv_error *err)
{
	char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

	if (!items)
		return fail_memory(err);
	list->items = items;
	items[list->count] = strdup(text);
	if (!items[list->count])
		return fail_memory(err);
	list->count++;
	return 0;
}

int strings_has(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!strcmp(list->items[i], text))
			return 1;
	}
	return 0;
}

void strings_done(struct strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strings){0};
}

int bytes_add(struct bytes *bytes, const void *data, size_t size, struct snapdrv_error *err)
{
	if (bytes->room - bytes->size < size) {
		size_t room = bytes->room + bytes->room / 2 + size;
		char *grown = realloc(bytes->data, room);

		if (!grown)
			return fail_memory(err);
		bytes->data = grown;
		bytes->room = room;
	}
	if (size)
		memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	return 0;
}

void bytes_done(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}
