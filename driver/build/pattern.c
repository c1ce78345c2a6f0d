/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of paths as a row of tokens; all places in it that fit what was read are followed at once. */
#include "build/pattern.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "build/ignore.h"

/*
 * enum kind - what a token takes. A DEEP_SKIP takes nothing; it may leave out the DEEP_BODY behind it, which
 * takes anything and ends behind a slash.
 */
enum kind { LITERAL, ANY, CLASS, STAR, DEEP_SKIP, DEEP_BODY, EVERYTHING };

struct range {
	uint32_t from, to;
};

struct pattern_token {
	enum kind kind;
	uint32_t code;	      /* LITERAL */
	struct range *ranges; /* CLASS */
	size_t n_ranges;
	int is_negated;
};

/* A character of UTF-8; a byte that is none is a character of its own, outside of Unicode. */
static uint32_t next_char(const char **at)
{
	const unsigned char *from = (const unsigned char *)*at;
	unsigned length = from[0] < 0xc2 ? 1 : from[0] < 0xe0 ? 2 : from[0] < 0xf0 ? 3 : 4;
	uint32_t code = length == 1 ? from[0] : from[0] & (0x7fu >> length);

	for (unsigned i = 1; i < length; i++) {
		if ((from[i] & 0xc0) != 0x80) {
			*at += 1;
			return 0x110000u + from[0];
		}
		code = code << 6 | (from[i] & 0x3f);
	}
	*at += length;
	return length == 1 && from[0] >= 0x80 ? 0x110000u + from[0] : code;
}

/* One end of a range in a class. Return: 1 or 0. */
static int class_char(const char **at, uint32_t *ret_code)
{
	if (!**at || **at == '-' || **at == ']')
		return 0;
	if (**at == '\\' && !*++*at)
		return 0;
	*ret_code = next_char(at);
	return 1;
}

/* What stands behind `[`, up to the `]` and with it. */
static int read_class(const char **at, struct pattern_token *token)
{
	token->kind = CLASS;
	token->is_negated = **at == '^';
	*at += token->is_negated;
	do {
		struct range range, *ranges;

		if (!class_char(at, &range.from))
			return -EINVAL;
		range.to = range.from;
		if (**at == '-') {
			*at += 1;
			if (!class_char(at, &range.to))
				return -EINVAL;
		}
		ranges = reallocarray(token->ranges, token->n_ranges + 1, sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		token->ranges = ranges;
		ranges[token->n_ranges++] = range;
	} while (**at != ']');
	*at += 1;
	return 0;
}

static struct pattern_token *add(struct pattern *pattern, enum kind kind)
{
	struct pattern_token *token = &pattern->tokens[pattern->n_tokens++];

	*token = (struct pattern_token){.kind = kind};
	return token;
}

/* `**`, and the slash behind it. */
static void add_deep(struct pattern *pattern, const char **at)
{
	int is_first = !pattern->n_tokens, has_slash = (*at)[2] == '/';

	*at += 2 + has_slash;
	/* Moby has `**.go`, a suffix and nothing else, end in the middle of a name. */
	if (!**at || (is_first && !has_slash && pattern_is_plain(*at))) {
		add(pattern, EVERYTHING);
		return;
	}
	add(pattern, DEEP_SKIP);
	add(pattern, DEEP_BODY);
}

static int add_token(struct pattern *pattern, const char **at, unsigned flags)
{
	if (flags & PATTERN_DEEP && text_starts(*at, "**")) {
		add_deep(pattern, at);
		return 0;
	}
	switch (**at) {
	case '*':
		*at += 1;
		add(pattern, STAR);
		return 0;
	case '?':
		*at += 1;
		add(pattern, ANY);
		return 0;
	case '[':
		*at += 1;
		return read_class(at, add(pattern, CLASS));
	case '\\':
		*at += 1;
		if (!**at)
			return -EINVAL;
	}
	add(pattern, LITERAL)->code = next_char(at);
	return 0;
}

int pattern_init(const char *text, unsigned flags, struct pattern *ret_pattern)
{
	struct pattern pattern = {0};
	size_t length = strlen(text);
	int ret = 0;

	if (length > PATTERN_MAX)
		return -EINVAL;
	pattern.tokens = calloc(length + 1, sizeof(*pattern.tokens));
	if (!pattern.tokens)
		return -ENOMEM;
	while (*text && !ret)
		ret = add_token(&pattern, &text, flags);
	if (ret) {
		pattern_done(&pattern);
		return ret;
	}
	*ret_pattern = pattern;
	return 0;
}

void pattern_done(struct pattern *pattern)
{
	for (size_t i = 0; i < pattern->n_tokens; i++)
		free(pattern->tokens[i].ranges);
	free(pattern->tokens);
	*pattern = (struct pattern){0};
}

static int in_class(const struct pattern_token *token, uint32_t code)
{
	for (size_t i = 0; i < token->n_ranges; i++) {
		if (code >= token->ranges[i].from && code <= token->ranges[i].to)
			return !token->is_negated;
	}
	return token->is_negated;
}

/* Go to a place, and on to those that can be had without reading anything. */
static void enter(const struct pattern *pattern, unsigned char *places, size_t at)
{
	while (!places[at]) {
		places[at] = 1;
		if (at == pattern->n_tokens)
			return;
		switch (pattern->tokens[at].kind) {
		case DEEP_SKIP:
			places[at + 1] = 1;
			at += 2;
			break;
		case STAR:
		case EVERYTHING:
			at++;
			break;
		default:
			return;
		}
	}
}

/* From one place over one character to the next ones. */
static void step(const struct pattern *pattern, unsigned char *places, size_t at, uint32_t code)
{
	const struct pattern_token *token = &pattern->tokens[at];

	switch (token->kind) {
	case LITERAL:
		if (code == token->code)
			enter(pattern, places, at + 1);
		break;
	case ANY:
		if (code != '/')
			enter(pattern, places, at + 1);
		break;
	case CLASS:
		if (code != '/' && in_class(token, code))
			enter(pattern, places, at + 1);
		break;
	case STAR:
		if (code != '/')
			enter(pattern, places, at);
		break;
	case DEEP_SKIP:
		break;
	case DEEP_BODY:
		places[at] = 1;
		if (code == '/')
			enter(pattern, places, at + 1);
		break;
	case EVERYTHING:
		enter(pattern, places, at);
		break;
	}
}

int pattern_fits(const struct pattern *pattern, const char *path, unsigned flags)
{
	unsigned char places[2][PATTERN_MAX + 2];
	size_t size = pattern->n_tokens + 1;
	int now = 0;

	memset(places[0], 0, size);
	enter(pattern, places[0], 0);
	while (*path) {
		int is_alive = 0;
		uint32_t code;

		if (*path == '/' && flags & PATTERN_PARENTS && places[now][pattern->n_tokens])
			return 1;
		code = next_char(&path);
		memset(places[!now], 0, size);
		for (size_t i = 0; i < pattern->n_tokens; i++) {
			if (places[now][i]) {
				step(pattern, places[!now], i, code);
				is_alive = 1;
			}
		}
		if (!is_alive)
			return 0;
		now = !now;
	}
	return places[now][pattern->n_tokens];
}
