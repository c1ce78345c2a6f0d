/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's patterns in a time that no pattern makes long: stars cut them into segments, each looked for once. */
#include "build/glob.h"

#include <string.h>

#include "base/error.h"

#define PATTERN_MAX 1024
#define ANY 256 /* `?`: one character of UTF-8 */
#define NOWHERE ((size_t)-1)

/* struct segment - what stands between two stars. */
struct segment {
	const short *codes;
	size_t length;
};

/* struct glob - a pattern; all segments but the first and the last have something in them. */
struct glob {
	short codes[PATTERN_MAX];
	struct segment segments[PATTERN_MAX + 1];
	size_t n_segments;
};

/* The character that stands at @at: what a backslash is in front of stands for itself. */
static int read_code(const char **at, struct snapdrv_error *err)
{
	const unsigned char *from = (const unsigned char *)*at;

	*at += 1;
	if (*from == '?')
		return ANY;
	if (*from != '\\')
		return *from;
	*at += from[1] != '\0';
	if (!from[1] || !strchr("*?\\}/", from[1]))
		return refuse(err, "a backslash in the pattern has nothing to stand for");
	return from[1];
}

static int compile(const char *pattern, struct glob *glob, struct snapdrv_error *err)
{
	const char *at = pattern;
	size_t n_codes = 0;

	if (strlen(pattern) > PATTERN_MAX)
		return refuse(err, "a pattern of more than %d bytes", PATTERN_MAX);
	glob->segments[0] = (struct segment){glob->codes, 0};
	glob->n_segments = 1;
	while (*at) {
		struct segment *segment = &glob->segments[glob->n_segments - 1];
		int code;

		if (*at == '*') {
			at++;
			if (glob->n_segments == 1 || segment->length)
				glob->segments[glob->n_segments++] =
					(struct segment){glob->codes + n_codes, 0};
			continue;
		}
		code = read_code(&at, err);
		if (code < 0)
			return code;
		glob->codes[n_codes++] = (short)code;
		segment->length++;
	}
	return 0;
}

static int is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The end of a segment that fits at @from, or NOWHERE. */
static size_t fits(const struct segment *segment, const char *value, size_t from, size_t limit)
{
	for (size_t i = 0; i < segment->length; i++) {
		if (from >= limit)
			return NOWHERE;
		if (segment->codes[i] == ANY) {
			if (is_continuation(value[from]))
				return NOWHERE;
			do
				from++;
			while (from < limit && is_continuation(value[from]));
		} else if ((unsigned char)value[from++] != segment->codes[i]) {
			return NOWHERE;
		}
	}
	return from;
}

static size_t first_fit(const struct segment *segment, const char *value, size_t from, size_t limit,
			size_t *ret_end)
{
	for (; from <= limit; from++) {
		*ret_end = fits(segment, value, from, limit);
		if (*ret_end != NOWHERE)
			return from;
	}
	return NOWHERE;
}

/* The last place of a segment that begins at @from or later and ends at @limit or before; @at_end: at @limit. */
static size_t last_fit(const struct segment *segment, const char *value, size_t from, size_t limit,
		       int at_end, size_t *ret_end)
{
	for (size_t at = limit + 1; at-- > from;) {
		*ret_end = fits(segment, value, at, limit);
		if (*ret_end != NOWHERE && (!at_end || *ret_end == limit))
			return at;
	}
	return NOWHERE;
}

/* The end of the pattern when its first segment ends at @at: of as little, or as much, as fits. */
static size_t find_end(const struct glob *glob, const char *value, size_t at, size_t size,
		       int is_longest)
{
	size_t last = glob->n_segments - 1;

	for (size_t i = 1; i < last; i++) {
		if (first_fit(&glob->segments[i], value, at, size, &at) == NOWHERE)
			return NOWHERE;
	}
	if (last && is_longest) {
		if (last_fit(&glob->segments[last], value, at, size, 0, &at) == NOWHERE)
			return NOWHERE;
	} else if (last) {
		if (first_fit(&glob->segments[last], value, at, size, &at) == NOWHERE)
			return NOWHERE;
	}
	return at;
}

/* The start of the pattern when it has to end where the value does. */
static size_t find_start(const struct glob *glob, const char *value, size_t size, int is_longest)
{
	const struct segment *first = &glob->segments[0];
	size_t at, end, last = glob->n_segments - 1;
	size_t limit = last_fit(&glob->segments[last], value, 0, size, 1, &end);

	if (limit == NOWHERE || !last)
		return limit;
	if (!is_longest) {
		for (at = limit; last-- > 0;) {
			at = last_fit(&glob->segments[last], value, 0, at, 0, &end);
			if (at == NOWHERE)
				return NOWHERE;
		}
		return at;
	}
	at = first_fit(first, value, 0, limit, &end);
	for (size_t i = 1; at != NOWHERE && i < last; i++) {
		if (first_fit(&glob->segments[i], value, end, limit, &end) == NOWHERE)
			return NOWHERE;
	}
	return at;
}

int glob_trim(const char *pattern, const char *value, unsigned flags, struct glob_range *ret_rest,
	      struct snapdrv_error *err)
{
	size_t size = strlen(value), at;
	struct glob glob;
	int ret = compile(pattern, &glob, err);

	if (ret)
		return ret;
	*ret_rest = (struct glob_range){0, size};
	if (flags & GLOB_SUFFIX) {
		at = find_start(&glob, value, size, flags & GLOB_LONGEST);
		if (at != NOWHERE)
			ret_rest->to = at;
		return 0;
	}
	at = fits(&glob.segments[0], value, 0, size);
	if (at != NOWHERE)
		at = find_end(&glob, value, at, size, flags & GLOB_LONGEST);
	if (at != NOWHERE)
		ret_rest->from = at;
	return 0;
}

/* Return: whether there is a place, with at least one byte, from @from on. */
static int find(const struct glob *glob, const char *value, size_t from, size_t size,
		struct glob_range *ret_found)
{
	size_t end, at = first_fit(&glob->segments[0], value, from, size, &end);

	/* When what follows does not fit behind the first place, it does not behind a later one. */
	if (at == NOWHERE)
		return 0;
	end = find_end(glob, value, end, size, 1);
	if (end == NOWHERE || end == at)
		return 0;
	*ret_found = (struct glob_range){at, end};
	return 1;
}

int glob_replace(const char *pattern, const char *value, const char *word, int is_all, size_t max,
		 struct bytes *out, struct snapdrv_error *err)
{
	size_t size = strlen(value), word_size = strlen(word), from = 0;
	struct glob_range found;
	struct glob glob;
	int ret = compile(pattern, &glob, err);

	for (int go_on = 1; go_on && !ret; go_on = is_all) {
		if (!find(&glob, value, from, size, &found))
			break;
		ret = bytes_add(out, value + from, found.from - from, err);
		if (!ret)
			ret = bytes_add(out, word, word_size, err);
		if (!ret && out->size > max)
			return refuse(err, "more than %zu bytes come of it", max);
		from = found.to;
	}
	return ret ? ret : bytes_add(out, value + from, size - from, err);
}
