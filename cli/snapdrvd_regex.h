/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions from outside, by PCRE2: with its limits none takes more than some MiB or milliseconds. */
#ifndef CLI_SNAPDRVD_REGEX_H
#define CLI_SNAPDRVD_REGEX_H

#include "snapdrv.h"

struct regex;

/**
 * regex_new() - compile one. @pattern: as Go has it (RE2), in UTF-8; what PCRE2 has besides is taken too.
 * Return: 0 and what is for regex_free(), or a negative errno value; USAGE.
 */
int regex_new(const char *pattern, struct regex **ret_regex, struct snapdrv_error *err);

/** regex_matches() - whether a part of a text does. Return: 1, 0, or a negative errno value; USAGE: it takes too long. */
int regex_matches(const struct regex *regex, const char *text, struct snapdrv_error *err);

/** regex_free() - takes NULL. */
void regex_free(struct regex *regex);

#endif
