/* SPDX-License-Identifier: Apache-2.0 */
/* Filters: read into a list of terms, each of which is held against a snapshot. */
#include "snapdrvd_filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "snapdrvd.h"
#include "snapdrvd_regex.h"

#define FILTER_MAX 4096 /* bytes */

struct term {
	struct term *next;
	char *field; /* its first part */
	char *key;   /* the others, with dots between; or NULL */
	char op;     /* '=', '!', '~', or 0: it is there */
	char *value;
	struct regex *regex; /* of '~' */
};

struct filter {
	struct term *terms;
};

struct reader {
	const char *text;
	const char *at;
	struct snapdrv_error *err;
};

static int wrong(struct reader *reader, const char *what)
{
	return daemon_fail(reader->err, SNAPDRV_USAGE, EINVAL, "filter '%.200s': at byte %zu: %s",
			   reader->text, (size_t)(reader->at - reader->text), what);
}

/* One character of a quoted text, behind a backslash. */
static int unescape(struct reader *reader, char *ret)
{
	static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
	const char *found = *reader->at ? strchr(from, *reader->at) : NULL;
	char digits[3] = "";

	if (found) {
		*ret = to[found - from];
		reader->at++;
		return 0;
	}
	if (*reader->at != 'x' || !isxdigit((unsigned char)reader->at[1]) ||
	    !isxdigit((unsigned char)reader->at[2]))
		return wrong(reader, "no such escape");
	memcpy(digits, reader->at + 1, 2);
	*ret = (char)strtol(digits, NULL, 16);
	reader->at += 3;
	return 0;
}

/* @ret_text: for free(3). */
static int read_quoted(struct reader *reader, char **ret_text)
{
	char quote = *reader->at++, *text = calloc(1, strlen(reader->at) + 1), *to = text;
	int ret = 0;

	if (!text)
		return daemon_no_memory(reader->err);
	while (!ret && *reader->at && *reader->at != quote) {
		char next = *reader->at++;

		/* Within other quotes a backslash is one, unless the quote itself comes behind it. */
		if (next == '\\' && quote == '"')
			ret = unescape(reader, to++);
		else if (next == '\\' && *reader->at == quote)
			*to++ = *reader->at++;
		else
			*to++ = next;
	}
	if (!ret && !*reader->at)
		ret = wrong(reader, "the quote does not end");
	if (ret) {
		free(text);
		return ret;
	}
	*to = '\0';
	reader->at++;
	*ret_text = text;
	return 0;
}

static int read_part(struct reader *reader, char **ret_part)
{
	size_t length = 0;

	if (*reader->at == '"')
		return read_quoted(reader, ret_part);
	while (isalnum((unsigned char)reader->at[length]) ||
	       (reader->at[length] && strchr("_-", reader->at[length])))
		length++;
	if (!length)
		return wrong(reader, "a field is expected");
	*ret_part = strndup(reader->at, length);
	reader->at += length;
	return *ret_part ? 0 : daemon_no_memory(reader->err);
}

static int add_part(struct term *term, char *part)
{
	size_t old = term->key ? strlen(term->key) + 1 : 0, size = strlen(part) + 1;
	char *key = realloc(term->key, old + size);

	if (!key) {
		free(part);
		return -ENOMEM;
	}
	if (old)
		key[old - 1] = '.';
	memcpy(key + old, part, size);
	term->key = key;
	free(part);
	return 0;
}

static int read_field(struct reader *reader, struct term *term)
{
	int ret = read_part(reader, &term->field);

	while (!ret && *reader->at == '.') {
		char *part = NULL;

		reader->at++;
		ret = read_part(reader, &part);
		if (part && add_part(term, part))
			ret = daemon_no_memory(reader->err);
	}
	return ret;
}

static int read_value(struct reader *reader, struct term *term)
{
	size_t length;
	int ret = 0;

	if (*reader->at && strchr("\"|/", *reader->at)) {
		ret = read_quoted(reader, &term->value);
	} else {
		length = strcspn(reader->at, ",");
		term->value = strndup(reader->at, length);
		reader->at += length;
		if (!term->value)
			ret = daemon_no_memory(reader->err);
	}
	return ret || term->op != '~' ? ret : regex_new(term->value, &term->regex, reader->err);
}

static int read_term(struct reader *reader, struct term *term)
{
	int ret = read_field(reader, term);

	if (ret || !*reader->at || *reader->at == ',')
		return ret;
	if (!strchr("=!~", *reader->at) || reader->at[1] != '=')
		return wrong(reader, "==, != or ~= is expected");
	term->op = *reader->at;
	reader->at += 2;
	return read_value(reader, term);
}

int filter_parse(const char *text, struct filter **ret_filter, struct snapdrv_error *err)
{
	struct reader reader = {text, text, err};
	struct filter *filter = calloc(1, sizeof(*filter));
	struct term **last;
	int ret = 0;

	if (!filter)
		return daemon_no_memory(err);
	if (strlen(text) > FILTER_MAX)
		ret = wrong(&reader, "it is too long");
	last = &filter->terms;
	while (!ret && *reader.at) {
		*last = calloc(1, sizeof(**last));
		ret = *last ? read_term(&reader, *last) : daemon_no_memory(err);
		if (!ret && *reader.at && (*reader.at != ',' || !reader.at[1]))
			ret = wrong(&reader, "a comma and another term are expected");
		if (!ret && *reader.at)
			reader.at++;
		if (*last)
			last = &(*last)->next;
	}
	if (ret) {
		filter_free(filter);
		return ret;
	}
	*ret_filter = filter;
	return 0;
}

static const char *find_label(const struct snapdrv_snapshot *snapshot, const char *key)
{
	for (size_t i = 0; i < snapshot->n_labels; i++) {
		if (!strcmp(snapshot->labels[i].key, key))
			return snapshot->labels[i].value;
	}
	return NULL;
}

/* Return: the field's value, or NULL where the snapshot has none. */
static const char *find_value(const struct term *term, const struct snapdrv_snapshot *snapshot)
{
	static const char *const kinds[] = {[SNAPDRV_VIEW] = "view",
					    [SNAPDRV_ACTIVE] = "active",
					    [SNAPDRV_COMMITTED] = "committed"};

	if (!strcmp(term->field, "labels") && term->key)
		return find_label(snapshot, term->key);
	if (term->key)
		return NULL;
	if (!strcmp(term->field, "name"))
		return snapshot->name;
	if (!strcmp(term->field, "parent"))
		return snapshot->parent ? snapshot->parent : "";
	return strcmp(term->field, "kind") ? NULL : kinds[snapshot->kind];
}

/* What is not there is empty for all but ==. Return: 1, 0, or negative. */
static int holds(const struct term *term, const struct snapdrv_snapshot *snapshot,
		 struct snapdrv_error *err)
{
	const char *value = find_value(term, snapshot);

	switch (term->op) {
	case '=':
		return value && !strcmp(value, term->value);
	case '!':
		return strcmp(value ? value : "", term->value) != 0;
	case '~':
		return regex_matches(term->regex, value ? value : "", err);
	default:
		return value != NULL;
	}
}

int filter_matches(const struct filter *filter, const struct snapdrv_snapshot *snapshot,
		   struct snapdrv_error *err)
{
	int ret = 1;

	for (const struct term *term = filter->terms; term && ret == 1; term = term->next)
		ret = holds(term, snapshot, err);
	return ret;
}

void filter_free(struct filter *filter)
{
	while (filter && filter->terms) {
		struct term *term = filter->terms;

		filter->terms = term->next;
		regex_free(term->regex);
		free(term->field);
		free(term->key);
		free(term->value);
		free(term);
	}
	free(filter);
}
