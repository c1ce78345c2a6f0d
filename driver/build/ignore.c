/* SPDX-License-Identifier: Apache-2.0 */
/* .dockerignore: its lines, and what they say of a path, as moby's patternmatcher has it. */
#include "build/ignore.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "build/pattern.h"

#define SIZE_MAX_BYTES (1024 * 1024)
#define RULES_MAX 10000

/* @text: the pattern, cleaned, for ignore_enters(). */
struct ignore_rule {
	char *text;
	struct pattern pattern;
	int is_exception;
};

int pattern_is_plain(const char *pattern)
{
	return !strpbrk(pattern, "*?[\\");
}

int pattern_matches(const char *pattern, const char *path)
{
	struct pattern ready;
	int ret = pattern_init(pattern, 0, &ready);

	if (ret)
		return ret;
	ret = pattern_fits(&ready, path, 0);
	pattern_done(&ready);
	return ret;
}

/* Go's path.Clean(), in place: no `.`, no doubled slashes, `..` only in front. */
static void clean(char *path)
{
	int is_absolute = *path == '/';
	char *start = path + is_absolute, *to = start, *barrier = start;

	for (const char *at = start; *at;) {
		size_t length = strcspn(at, "/");

		if (length == 2 && !memcmp(at, "..", 2) && to > barrier) {
			for (to--; to > barrier && *to != '/'; to--)
				;
		} else if (length == 2 && !memcmp(at, "..", 2) && is_absolute) {
			/* Above the root is the root. */
		} else if (length && !(length == 1 && *at == '.')) {
			int is_up = length == 2 && !memcmp(at, "..", 2);

			if (to > start)
				*to++ = '/';
			memmove(to, at, length);
			to += length;
			if (is_up)
				barrier = to;
		}
		at += length;
		at += *at == '/';
	}
	if (to == path)
		*to++ = '.';
	*to = '\0';
}

/* @pattern: blanks and `!` are off. Changed. */
static int add_rule(struct ignore *ignore, char *pattern, int is_exception,
		    struct snapdrv_error *err)
{
	struct ignore_rule *rules, rule = {.is_exception = is_exception};
	int ret;

	if (!*pattern)
		return refuse(err, "'!' without a pattern");
	if (ignore->n_rules == RULES_MAX)
		return refuse(err, "more than %d patterns", RULES_MAX);
	clean(pattern);
	if (pattern[0] == '/' && pattern[1])
		pattern++;
	ret = pattern_init(pattern, PATTERN_DEEP, &rule.pattern);
	if (ret == -EINVAL)
		return refuse(err, "%s cannot be read as a pattern", quote(pattern).text);
	if (ret)
		return fail_memory(err);
	rules = reallocarray(ignore->rules, ignore->n_rules + 1, sizeof(*rules));
	if (rules)
		ignore->rules = rules;
	rule.text = rules ? text_dup(pattern, err) : NULL;
	if (!rule.text) {
		pattern_done(&rule.pattern);
		return fail_memory(err);
	}
	rules[ignore->n_rules++] = rule;
	return 0;
}

/* @line: without blanks around it; changed. */
static int add_line(struct ignore *ignore, char *line, struct snapdrv_error *err)
{
	int is_exception = *line == '!';

	if (is_exception)
		line += 1 + strspn(line + 1, " \t\v\f\r");
	return add_rule(ignore, line, is_exception, err);
}

static char *trimmed(const char *from, const char *end, struct snapdrv_error *err)
{
	while (from < end && isspace((unsigned char)*from))
		from++;
	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	return text_format(err, "%.*s", (int)(end - from), from);
}

int ignore_parse(const char *file, const char *text, size_t size, struct ignore *ret_ignore,
		 struct snapdrv_error *err)
{
	cleanup_ignore struct ignore ignore = {0};
	const char *end = size ? text + size : text, *next;
	unsigned line = 1;

	if (size > SIZE_MAX_BYTES)
		return refuse(err, "%s:1: more than %d bytes", file, SIZE_MAX_BYTES);
	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	for (; text < end; text = next, line++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;
		cleanup_free char *pattern = NULL;
		int ret = 0;

		next = newline ? newline + 1 : end;
		if (memchr(text, '\0', (size_t)(line_end - text)))
			return refuse(err, "%s:%u: a NUL byte", file, line);
		if (*text == '#')
			continue;
		pattern = trimmed(text, line_end, err);
		if (!pattern)
			return -ENOMEM;
		if (*pattern)
			ret = add_line(&ignore, pattern, err);
		if (ret)
			return fail_within(err, ret, "%s:%u", file, line);
	}
	*ret_ignore = ignore;
	ignore = (struct ignore){0};
	return 0;
}

int ignore_add(struct ignore *ignore, const char *pattern, struct snapdrv_error *err)
{
	cleanup_free char *copy = trimmed(pattern, pattern + strlen(pattern), err);

	if (!copy)
		return -ENOMEM;
	return *copy ? add_line(ignore, copy, err) : 0;
}

int ignore_has(const struct ignore *ignore, const char *path)
{
	int is_out = 0;

	for (size_t i = 0; i < ignore->n_rules; i++) {
		const struct ignore_rule *rule = &ignore->rules[i];

		if (rule->is_exception == is_out &&
		    pattern_fits(&rule->pattern, path, PATTERN_PARENTS))
			is_out = !rule->is_exception;
	}
	return is_out;
}

int ignore_enters(const struct ignore *ignore, const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < ignore->n_rules; i++) {
		const struct ignore_rule *rule = &ignore->rules[i];
		size_t plain = strcspn(rule->text, "*?[\\");

		if (!rule->is_exception)
			continue;
		/* What is below the path begins with it and a slash. */
		if (plain > length ? !strncmp(rule->text, path, length) && rule->text[length] == '/'
				   : rule->text[plain] && !strncmp(rule->text, path, plain))
			return 1;
	}
	return 0;
}

void ignore_done(struct ignore *ignore)
{
	for (size_t i = 0; i < ignore->n_rules; i++) {
		free(ignore->rules[i].text);
		pattern_done(&ignore->rules[i].pattern);
	}
	free(ignore->rules);
	*ignore = (struct ignore){0};
}
