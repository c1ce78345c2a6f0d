/* SPDX-License-Identifier: Apache-2.0 */
/* Variables and quotes in the words of a Dockerfile, as docker's own reader takes them. */
#include "build/words.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "build/glob.h"

#define DEPTH_MAX 64
#define RESULT_MAX (1u << 20) /* bytes */

/* struct split - words of what is expanded: a blank ends one unless it was quoted. */
struct split {
	struct strings *list;
	struct bytes word;
};

struct expander {
	const struct words_scope *scope;
	const char *at;
	unsigned flags;
	int depth;
	struct snapdrv_error *err;
};

static int expand_until(struct expander *expander, char stop, int keep_escapes, struct bytes *out,
			struct split *split);

static int split_end(struct split *split, struct snapdrv_error *err)
{
	int ret;

	if (!split->word.size)
		return 0;
	ret = bytes_add(&split->word, "", 1, err);
	if (!ret)
		ret = strings_add(split->list, split->word.data, err);
	split->word.size = 0;
	return ret;
}

static int split_add(struct split *split, const char *text, size_t size, int is_quoted,
		     struct snapdrv_error *err)
{
	int ret = 0;

	if (is_quoted)
		return bytes_add(&split->word, text, size, err);
	for (size_t i = 0; i < size && !ret; i++) {
		if (isspace((unsigned char)text[i]))
			ret = split_end(split, err);
		else
			ret = bytes_add(&split->word, text + i, 1, err);
	}
	return ret;
}

static int put(struct expander *expander, struct bytes *out, struct split *split, const char *text,
	       size_t size, int is_quoted)
{
	if (out->size + size > RESULT_MAX)
		return refuse(expander->err, "more than %u bytes come of it", RESULT_MAX);
	if (split) {
		int ret = split_add(split, text, size, is_quoted, expander->err);

		if (ret)
			return ret;
	}
	return bytes_add(out, text, size, expander->err);
}

/* The value of a variable, borrowed until the next one is asked for; NULL when it is not set. */
static const char *value_of(const struct expander *expander, const char *name, size_t length)
{
	if (expander->flags & WORDS_CHECK)
		return NULL;
	return expander->scope->get(expander->scope->context, name, length);
}

static int is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The name of a variable: letters, a number, or one of the shell's own, which are never set. */
static size_t name_length(const char *at)
{
	size_t length = 0;

	if (isdigit((unsigned char)*at)) {
		while (isdigit((unsigned char)at[length]))
			length++;
		return length;
	}
	if (*at && strchr("@*#?-$!", *at))
		return 1;
	while (is_name(at[length]))
		length++;
	return length;
}

/* struct substitution - ${NAME...} as it is written, and what was expanded in it. */
struct substitution {
	const char *name;
	size_t length;
	char kind; /* - + ? # % */
	int empty_is_unset;
	const char *word; /* NUL behind it */
	size_t word_size;
};

static int check_set(struct expander *expander, const struct substitution *of, const char *value)
{
	const char *why;

	if ((value && (*value || !of->empty_is_unset)) || (expander->flags & WORDS_CHECK))
		return 0;
	why = value ? "is not allowed to be empty" : "is not allowed to be unset";
	return refuse(expander->err, "%.*s: %s", (int)(of->length > 100 ? 100 : of->length),
		      of->name, of->word_size ? quote(of->word).text : why);
}

static int trim(struct expander *expander, const struct substitution *of, const char *value,
		struct bytes *out)
{
	int is_longest = of->word[0] == of->kind;
	struct glob_range rest = {0, strlen(value)};
	int ret = glob_trim(of->word + is_longest, value,
			    (of->kind == '%' ? GLOB_SUFFIX : 0) | (is_longest ? GLOB_LONGEST : 0),
			    &rest, expander->err);

	if (ret)
		return ret;
	return put(expander, out, NULL, value + rest.from, rest.to - rest.from, 0);
}

static int substitute(struct expander *expander, const struct substitution *of, struct bytes *out)
{
	const char *value = value_of(expander, of->name, of->length);
	int is_set = value && (*value || !of->empty_is_unset), ret;

	switch (of->kind) {
	case '-':
		if (!is_set)
			return put(expander, out, NULL, of->word, of->word_size, 0);
		return put(expander, out, NULL, value, strlen(value), 0);
	case '+':
		return is_set ? put(expander, out, NULL, of->word, of->word_size, 0) : 0;
	case '?':
		ret = check_set(expander, of, value);
		if (ret || !value)
			return ret;
		return put(expander, out, NULL, value, strlen(value), 0);
	default:
		return trim(expander, of, value ? value : "", out);
	}
}

static int unknown_modifier(const struct expander *expander, const struct substitution *of)
{
	const char modifier[] = {of->empty_is_unset ? ':' : of->kind,
				 of->empty_is_unset ? of->kind : '\0', '\0'};

	return refuse(expander->err, "the modifier %s is not known", quote(modifier).text);
}

static int expand_modifier(struct expander *expander, struct substitution *of, struct bytes *out)
{
	cleanup_bytes struct bytes word = {0};
	int ret;

	of->kind = *expander->at++;
	if (of->kind == ':') {
		of->empty_is_unset = 1;
		of->kind = *expander->at;
		if (of->kind)
			expander->at++;
	}
	if (!of->kind)
		return refuse(expander->err, "a '}' is missing");
	if (!strchr("-+?#%", of->kind))
		return unknown_modifier(expander, of);
	ret = expand_until(expander, '}', of->kind == '#' || of->kind == '%', &word, NULL);
	if (!ret)
		ret = bytes_add(&word, "", 1, expander->err);
	if (ret)
		return ret;
	of->word = word.data;
	of->word_size = word.size - 1;
	return substitute(expander, of, out);
}

/* ${NAME/pattern/word}, and with // all of them. */
static int expand_replacement(struct expander *expander, const struct substitution *of,
			      struct bytes *out)
{
	cleanup_bytes struct bytes pattern = {0}, word = {0};
	const char *value;
	int is_all, ret;

	expander->at++;
	is_all = *expander->at == '/';
	expander->at += is_all;
	ret = expand_until(expander, '/', 1, &pattern, NULL);
	if (!ret)
		ret = bytes_add(&pattern, "", 1, expander->err);
	if (!ret)
		ret = expand_until(expander, '}', 1, &word, NULL);
	if (ret)
		return ret;
	ret = bytes_add(&word, "", 1, expander->err);
	if (ret)
		return ret;
	value = value_of(expander, of->name, of->length);
	return glob_replace(pattern.data, value ? value : "", word.data, is_all, RESULT_MAX, out,
			    expander->err);
}

/* What stands behind `${`. */
static int expand_braces(struct expander *expander, struct bytes *out)
{
	struct substitution of = {.name = expander->at, .length = name_length(expander->at)};
	int ret;

	if (!*expander->at)
		return refuse(expander->err, "a '}' is missing");
	if (strchr("{}:", *expander->at))
		return refuse(expander->err, "'${' without a name");
	if (expander->depth >= DEPTH_MAX)
		return refuse(expander->err, "variables nested deeper than %d", DEPTH_MAX);
	expander->at += of.length;
	if (*expander->at == '}') {
		const char *value = value_of(expander, of.name, of.length);

		expander->at++;
		return value ? put(expander, out, NULL, value, strlen(value), 0) : 0;
	}
	expander->depth++;
	ret = *expander->at == '/' ? expand_replacement(expander, &of, out)
				   : expand_modifier(expander, &of, out);
	expander->depth--;
	return ret;
}

static int expand_dollar(struct expander *expander, struct bytes *out)
{
	const char *value, *name = ++expander->at;
	size_t length;

	if (*name == '{') {
		expander->at++;
		return expand_braces(expander, out);
	}
	length = name_length(name);
	if (!length)
		return put(expander, out, NULL, "$", 1, 0);
	expander->at += length;
	value = value_of(expander, name, length);
	return value ? put(expander, out, NULL, value, strlen(value), 0) : 0;
}

static int expand_single_quotes(struct expander *expander, struct bytes *out)
{
	const char *from = expander->at + 1, *end = strchr(from, '\'');

	if (!end)
		return refuse(expander->err, "a single quote is not closed");
	expander->at = end + 1;
	return put(expander, out, NULL, from, (size_t)(end - from), 0);
}

static int expand_double_quotes(struct expander *expander, int keep_escapes, struct bytes *out)
{
	int ret = 0;

	expander->at++;
	while (!ret) {
		char c = *expander->at;

		if (!c)
			return refuse(expander->err, "a double quote is not closed");
		if (c == '"') {
			expander->at++;
			return 0;
		}
		if (c == '$') {
			ret = expand_dollar(expander, out);
			continue;
		}
		expander->at++;
		if (c == expander->scope->escape) {
			char next = *expander->at;

			if (keep_escapes)
				ret = put(expander, out, NULL, &c, 1, 0);
			/* It stands for itself in front of all others. */
			if (next == '"' || next == '$' || next == c) {
				c = next;
				expander->at++;
			}
		}
		if (!ret)
			ret = put(expander, out, NULL, &c, 1, 0);
	}
	return ret;
}

static int expand_escape(struct expander *expander, int keep_escapes, struct bytes *out,
			 struct split *split)
{
	int ret = keep_escapes ? put(expander, out, split, expander->at, 1, 1) : 0;

	expander->at++;
	if (!ret && *expander->at)
		ret = put(expander, out, split, expander->at++, 1, 1);
	return ret;
}

/* A piece with a meaning of its own, into @piece. */
static int expand_piece(struct expander *expander, int keep_escapes, struct bytes *piece)
{
	switch (*expander->at) {
	case '$':
		return expand_dollar(expander, piece);
	case '\'':
		return expand_single_quotes(expander, piece);
	default:
		return expand_double_quotes(expander, keep_escapes, piece);
	}
}

/* Up to @stop, which is taken too, or to the end for a stop of NUL. */
static int expand_until(struct expander *expander, char stop, int keep_escapes, struct bytes *out,
			struct split *split)
{
	const char *special = expander->flags & WORDS_KEEP_QUOTES ? "$" : "$'\"";
	int ret = 0;

	while (!ret && *expander->at && *expander->at != stop) {
		if (strchr(special, *expander->at)) {
			cleanup_bytes struct bytes piece = {0};
			int is_quoted = *expander->at != '$';

			ret = expand_piece(expander, keep_escapes, &piece);
			if (!ret)
				ret = put(expander, out, split, piece.data, piece.size, is_quoted);
		} else if (*expander->at == expander->scope->escape) {
			ret = expand_escape(expander, keep_escapes, out, split);
		} else {
			ret = put(expander, out, split, expander->at++, 1, 0);
		}
	}
	if (ret || !stop)
		return ret;
	if (!*expander->at)
		return refuse(expander->err, "a '%c' is missing", stop);
	expander->at++;
	return 0;
}

int words_expand(const struct words_scope *scope, const char *word, unsigned flags, char **ret_text,
		 struct snapdrv_error *err)
{
	struct expander expander = {.scope = scope, .at = word, .flags = flags, .err = err};
	cleanup_bytes struct bytes out = {0};
	int ret = expand_until(&expander, '\0', 0, &out, NULL);

	if (ret)
		return fail_within(err, ret, "%s", quote(word).text);
	ret = bytes_add(&out, "", 1, err);
	if (ret)
		return ret;
	*ret_text = steal_ptr(&out.data);
	return 0;
}

int words_expand_list(const struct words_scope *scope, const char *word, struct strings *list,
		      struct snapdrv_error *err)
{
	struct expander expander = {.scope = scope, .at = word, .err = err};
	cleanup_bytes struct bytes out = {0};
	struct split split = {.list = list};
	int ret = expand_until(&expander, '\0', 0, &out, &split);

	if (ret)
		ret = fail_within(err, ret, "%s", quote(word).text);
	else
		ret = split_end(&split, err);
	bytes_done(&split.word);
	return ret;
}
