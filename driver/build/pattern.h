/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of paths, made ready once and matched in a time that no pattern makes long. */
#ifndef BUILD_PATTERN_H
#define BUILD_PATTERN_H

#include <stddef.h>

#include "snapdrv.h"

/** PATTERN_MAX - a longer one is refused. Bytes. */
#define PATTERN_MAX 4096

struct pattern_token;

/** struct pattern - one that is ready; all zero fits only "". */
struct pattern {
	struct pattern_token *tokens;
	size_t n_tokens;
};

/** enum pattern_flags - how a pattern is meant. */
enum pattern_flags {
	PATTERN_DEEP =
		1 << 0, /* pattern_init(): `**` is any number of directories, as in .dockerignore */
	PATTERN_PARENTS = 1 << 1 /* pattern_fits(): a directory above the path is enough */
};

/**
 * pattern_init() - make one ready. @text: not needed afterwards. @ret_pattern: for pattern_done().
 * Return: 0, or -EINVAL for one that cannot be read (no error is filled), or -ENOMEM.
 */
int pattern_init(const char *text, unsigned flags, struct pattern *ret_pattern);

/** pattern_fits() - whether it fits all of a path. The time: the path's length times the pattern's. */
int pattern_fits(const struct pattern *pattern, const char *path, unsigned flags);

void pattern_done(struct pattern *pattern);

#endif
