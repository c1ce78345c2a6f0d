/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's patterns in ${NAME#pattern} and ${NAME/pattern/word}: `*`, `?`, and a backslash in front of them. */
#ifndef BUILD_GLOB_H
#define BUILD_GLOB_H

#include <stddef.h>

#include "base/text.h"

/** struct glob_range - bytes of a value: from the first to the one behind the last. */
struct glob_range {
	size_t from, to;
};

/** enum glob_flags - of glob_trim(). */
enum glob_flags {
	GLOB_SUFFIX = 1 << 0, /* at the end, not at the start */
	GLOB_LONGEST = 1 << 1 /* as much as fits, not as little */
};

/**
 * glob_trim() - what is left of a value without the start, or end, that a pattern fits.
 * @ret_rest: all of the value where it does not fit.
 *
 * A pattern is at most 1,024 bytes; the time is that times the value's length.
 *
 * Return: 0, or -EBADMSG with REFUSED: a pattern that cannot be read.
 */
int glob_trim(const char *pattern, const char *value, unsigned flags, struct glob_range *ret_rest,
	      struct snapdrv_error *err);

/**
 * glob_replace() - a value with @word instead of the first place that a pattern fits, as much as fits.
 * @is_all: all such places, one behind the other.
 * @max:    bytes that @out may have.
 * @out:    appended to.
 *
 * Return: 0, or -EBADMSG with REFUSED.
 */
int glob_replace(const char *pattern, const char *value, const char *word, int is_all, size_t max,
		 struct bytes *out, struct snapdrv_error *err);

#endif
