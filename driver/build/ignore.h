/* SPDX-License-Identifier: Apache-2.0 */
/* .dockerignore: which paths of a context are left out, and the patterns of file names that it shares with COPY. */
#ifndef BUILD_IGNORE_H
#define BUILD_IGNORE_H

#include "base/text.h"

/** struct ignore - the patterns of a .dockerignore in their order; all zero leaves nothing out. */
struct ignore {
	struct ignore_rule *rules;
	size_t n_rules;
};

/**
 * ignore_parse() - read a .dockerignore (docs.docker.com/build/concepts/context, moby/patternmatcher): a
 * pattern a line, `#` in front of a comment, `!` for an exception, `**`, blanks and slashes around taken off.
 * @file: for errors. @ret_ignore: for ignore_done().
 *
 * Return: 0, or a negative errno value: REFUSED with `FILE:LINE: `.
 */
int ignore_parse(const char *file, const char *text, size_t size, struct ignore *ret_ignore,
		 struct snapdrv_error *err);

/** ignore_add() - one more pattern, for --exclude. REFUSED when it cannot be read. */
int ignore_add(struct ignore *ignore, const char *pattern, struct snapdrv_error *err);

/**
 * ignore_has() - whether a path is left out; the last rule that matches it, or a directory above it, says so.
 * @path: from the context's root, no slash in front.
 */
int ignore_has(const struct ignore *ignore, const char *path);

/** ignore_enters() - whether something below an ignored directory may be in by an exception. */
int ignore_enters(const struct ignore *ignore, const char *path);

void ignore_done(struct ignore *ignore);

#define cleanup_ignore __attribute__((cleanup(ignore_done)))

/**
 * pattern_matches() - Go's filepath.Match: `*`, `?`, `[a-z]`, `[^a]`, backslash; a slash is matched by none of them.
 * Return: 1, 0, or -EINVAL for a pattern that cannot be read.
 */
int pattern_matches(const char *pattern, const char *path);

/** pattern_is_plain() - no character of it has a meaning. */
int pattern_is_plain(const char *pattern);

#endif
