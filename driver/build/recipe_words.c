/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind an instruction's name: flags, words, JSON arrays, pairs. */
#include "build/recipe_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/json.h"

/*
 * A flag's word at the start of `*at`: quotes and backslashes are taken off, as docker does here.
 * Return: 1, 0 no flag is there, or -ENOMEM.
 */
static int next_flag(const char **at, char **ret_word, struct snapdrv_error *err)
{
	const char *from = *at + strspn(*at, RECIPE_BLANKS);
	char *word, *to, quote_char = 0;

	if (!text_starts(from, "--"))
		return 0;
	word = to = malloc(strlen(from) + 1);
	if (!word)
		return fail_memory(err);
	for (; *from && (quote_char || !isspace((unsigned char)*from)); from++) {
		if (*from == '\\' && from[1])
			*to++ = *++from;
		else if (quote_char && *from == quote_char)
			quote_char = 0;
		else if (!quote_char && (*from == '"' || *from == '\''))
			quote_char = *from;
		else if (*from != '\\')
			*to++ = *from;
	}
	*to = '\0';
	*at = from;
	*ret_word = word;
	return 1;
}

static int set_bool(const struct recipe_flag *flag, const char *value, struct snapdrv_error *err)
{
	if (value && strcasecmp(value, "true") && strcasecmp(value, "false"))
		return refuse(err, "--%s is neither true nor false", flag->name);
	*flag->set = !value || !strcasecmp(value, "true");
	return 0;
}

static int set_flag(const struct recipe_flag *flag, const char *value, struct snapdrv_error *err)
{
	if (flag->refused)
		return refuse(err, "--%s: %s", flag->name, flag->refused);
	if (flag->set)
		return set_bool(flag, value, err);
	if (!value || !*value)
		return refuse(err, "--%s has no value", flag->name);
	if (flag->list)
		return strings_add(flag->list, value, err);
	*flag->text = text_dup(value, err);
	return *flag->text ? 0 : -ENOMEM;
}

static int find_flag(const char *word, const struct recipe_flag *flags, size_t n_flags,
		     unsigned *seen, struct snapdrv_error *err)
{
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < n_flags; i++) {
		if (strlen(flags[i].name) != length || strncmp(flags[i].name, word, length))
			continue;
		if (!flags[i].list && *seen & 1u << i)
			return refuse(err, "--%s is given twice", flags[i].name);
		*seen |= 1u << i;
		return set_flag(&flags[i], word[length] ? word + length + 1 : NULL, err);
	}
	return refuse(err, "the flag %s is not known", quote(word - 2).text);
}

int recipe_flags(const char **rest, const struct recipe_flag *flags, size_t n_flags,
		 struct snapdrv_error *err)
{
	unsigned seen = 0;
	char *word = NULL;
	int ret;

	while ((ret = next_flag(rest, &word, err)) == 1) {
		int is_end = !strcmp(word, "--");

		ret = is_end ? 0 : find_flag(word + 2, flags, n_flags, &seen, err);
		free(word);
		if (ret || is_end)
			break;
	}
	*rest += strspn(*rest, RECIPE_BLANKS);
	return ret;
}

/* The end of the word at @at. */
static const char *word_end(const char *at, char escape)
{
	char quote_char = 0;

	for (; *at && (quote_char || !isspace((unsigned char)*at)); at++) {
		if (*at == escape && at[1] && quote_char != '\'')
			at++;
		else if (quote_char && *at == quote_char)
			quote_char = 0;
		else if (!quote_char && (*at == '\'' || *at == '"'))
			quote_char = *at;
	}
	return at;
}

static int add_piece(struct strings *words, const char *from, const char *end,
		     struct snapdrv_error *err)
{
	cleanup_free char *word = text_format(err, "%.*s", (int)(end - from), from);

	return word ? strings_add(words, word, err) : -ENOMEM;
}

int recipe_words(const char *text, char escape, struct strings *words, struct snapdrv_error *err)
{
	const char *end;
	int ret = 0;

	for (text += strspn(text, RECIPE_BLANKS); *text && !ret;
	     text = end + strspn(end, RECIPE_BLANKS)) {
		end = word_end(text, escape);
		ret = add_piece(words, text, end, err);
	}
	return ret;
}

int recipe_blanks(const char *text, struct strings *words, struct snapdrv_error *err)
{
	const char *end;
	int ret = 0;

	for (text += strspn(text, RECIPE_BLANKS); *text && !ret;
	     text = end + strspn(end, RECIPE_BLANKS)) {
		end = text + strcspn(text, RECIPE_BLANKS);
		ret = add_piece(words, text, end, err);
	}
	return ret;
}

int recipe_json(const char *text, struct strings *words, struct snapdrv_error *err)
{
	cleanup_json json_t *array = NULL;
	json_t *item;
	size_t i;

	if (*text != '[' || json_parse(text, strlen(text), &array, NULL))
		return 0;
	json_array_foreach(array, i, item) {
		int ret;

		if (!json_is_string(item))
			return refuse(err, "a JSON array of something else than strings");
		ret = strings_add(words, json_string_value(item), err);
		if (ret)
			return ret;
	}
	return 1;
}

static int add_pair(struct recipe_step *step, const char *key, size_t key_length, const char *value,
		    struct snapdrv_error *err)
{
	struct recipe_pair *pairs, *pair;

	if (!key_length)
		return refuse(err, "%s has an empty name", recipe_op_name(step->op));
	pairs = reallocarray(step->pairs, step->n_pairs + 1, sizeof(*pairs));
	if (!pairs)
		return fail_memory(err);
	step->pairs = pairs;
	pair = &pairs[step->n_pairs++];
	pair->value = NULL;
	pair->key = text_format(err, "%.*s", (int)key_length, key);
	if (pair->key && value)
		pair->value = text_dup(value, err);
	return pair->key && (!value || pair->value) ? 0 : -ENOMEM;
}

int recipe_pairs(const char *text, char escape, int need_value, struct recipe_step *step,
		 struct snapdrv_error *err)
{
	cleanup_strings struct strings words = {0};
	int ret = recipe_words(text, escape, &words, err);

	if (ret)
		return ret;
	if (!words.count)
		return refuse(err, "%s needs an argument", recipe_op_name(step->op));
	/* The old form: NAME, blanks, and all the rest is the value. */
	if (need_value && !strchr(words.items[0], '=')) {
		size_t length = strcspn(text, RECIPE_BLANKS);

		if (!text[length])
			return refuse(err, "%s %s has no value", recipe_op_name(step->op),
				      quote(words.items[0]).text);
		return add_pair(step, text, length,
				text + length + strspn(text + length, RECIPE_BLANKS), err);
	}
	for (size_t i = 0; i < words.count && !ret; i++) {
		const char *word = words.items[i], *equals = strchr(word, '=');

		if (!equals && need_value)
			return refuse(err, "%s is not NAME=VALUE", quote(word).text);
		ret = add_pair(step, word, equals ? (size_t)(equals - word) : strlen(word),
			       equals ? equals + 1 : NULL, err);
	}
	return ret;
}

int recipe_number(const char *text, int base, int64_t max, int64_t *ret_number)
{
	int64_t number = 0;

	if (!*text)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text >= '0' + base)
			return 0;
		number = number * base + (*text - '0');
		if (number > max)
			return 0;
	}
	*ret_number = number;
	return 1;
}
