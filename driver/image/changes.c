/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfile instructions that change an image's config. */
#include "image/changes.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

static const char *skip_space(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/*
 * The next word of `*at`: quotes group, and a backslash takes what follows it as it is.
 * Return: 1 and the word for free(3), 0 nothing is left, or a negative errno value.
 */
static int next_word(const char **at, char **ret_word, struct snapdrv_error *err)
{
	const char *from = skip_space(*at);
	char quote_char = 0, *word, *to;

	if (!*from)
		return 0;
	word = to = malloc(strlen(from) + 1);
	if (!word)
		return fail_memory(err);
	for (; *from && (quote_char || !isspace((unsigned char)*from)); from++) {
		if (*from == '\\' && from[1] && quote_char != '\'')
			*to++ = *++from;
		else if (*from == quote_char)
			quote_char = 0;
		else if (!quote_char && (*from == '"' || *from == '\''))
			quote_char = *from;
		else
			*to++ = *from;
	}
	*to = '\0';
	if (quote_char) {
		free(word);
		return fail(err, SNAPDRV_USAGE, EINVAL, "a quote is not closed");
	}
	*at = from;
	*ret_word = word;
	return 1;
}

static int set_string(json_t *config, const char *key, const char *value, struct snapdrv_error *err)
{
	json_t *string = json_string(value);

	if (!string)
		return fail(err, SNAPDRV_USAGE, EINVAL, "not UTF-8");
	/* The key may be a label's name. */
	return json_object_set_new(config, key, string)
		       ? fail(err, SNAPDRV_USAGE, EINVAL, "%s: not UTF-8", quote(key).text)
		       : 0;
}

/* The JSON form, an array of strings; or the words for a shell. */
static int change_command(json_t *config, const char *key, const char *rest,
			  struct snapdrv_error *err)
{
	json_t *words = NULL, *word;
	size_t i;
	int is_array = *rest == '[' && !json_parse(rest, strlen(rest), &words, NULL);

	if (is_array) {
		json_array_foreach(words, i, word)
			is_array &= json_is_string(word);
	}
	if (!is_array) {
		json_decref(words);
		words = json_pack("[s, s, s]", "/bin/sh", "-c", rest);
	}
	if (!words)
		return fail(err, SNAPDRV_USAGE, EINVAL, "not UTF-8");
	return json_object_set_new(config, key, words) ? fail_memory(err) : 0;
}

/* A member that is changed bit by bit; one of another type, which an image may have, gives way. */
static json_t *take_member(json_t *config, const char *key, json_t *(*make)(void))
{
	json_t *found = json_object_get(config, key), *empty = make();

	if (empty && (!found || json_typeof(found) != json_typeof(empty)))
		return json_object_set_new(config, key, empty) ? NULL : empty;
	json_decref(empty);
	return found;
}

/* In Env, the variable of the same name gives way. */
static int set_variable(json_t *env, const char *pair, struct snapdrv_error *err)
{
	size_t length = (size_t)(strchr(pair, '=') - pair) + 1, i;
	json_t *string = json_string(pair), *item;

	if (!string)
		return fail(err, SNAPDRV_USAGE, EINVAL, "not UTF-8");
	json_array_foreach(env, i, item) {
		if (json_is_string(item) && !strncmp(json_string_value(item), pair, length))
			return json_array_set_new(env, i, string) ? fail_memory(err) : 0;
	}
	return json_array_append_new(env, string) ? fail_memory(err) : 0;
}

static int set_pair(json_t *config, const char *key, char *pair, struct snapdrv_error *err)
{
	int is_env = !strcmp(key, "Env");
	char *equals = strchr(pair, '=');
	json_t *target;

	if (!equals || equals == pair)
		return fail(err, SNAPDRV_USAGE, EINVAL, "%s: not NAME=VALUE", quote(pair).text);
	target = take_member(config, key, is_env ? json_array : json_object);
	if (!target)
		return fail_memory(err);
	if (is_env)
		return set_variable(target, pair, err);
	*equals = '\0';
	return set_string(target, pair, equals + 1, err);
}

/* NAME=VALUE ..., or the old form NAME VALUE, where the value is all of the rest. */
static int change_pairs(json_t *config, const char *key, const char *rest,
			struct snapdrv_error *err)
{
	size_t name_length = strcspn(rest, " \t=");
	const char *value = skip_space(rest + name_length);
	char *word;
	int found, ret = 0;

	if (rest[name_length] != '=' && *value) {
		word = text_format(err, "%.*s=%s", (int)name_length, rest, value);
		ret = word ? set_pair(config, key, word, err) : -ENOMEM;
		free(word);
		return ret;
	}
	while (!ret && (found = next_word(&rest, &word, err))) {
		if (found < 0)
			return found;
		ret = set_pair(config, key, word, err);
		free(word);
	}
	return ret;
}

static int set_member(json_t *config, const char *key, const char *name, struct snapdrv_error *err)
{
	json_t *set = take_member(config, key, json_object);

	if (!set)
		return fail_memory(err);
	return json_object_set_new(set, name, json_object())
		       ? fail(err, SNAPDRV_USAGE, EINVAL, "%s: not UTF-8", quote(name).text)
		       : 0;
}

/* VOLUME takes words or a JSON array, EXPOSE takes words, tcp where they do not say. */
static int change_set(json_t *config, const char *key, const char *rest, struct snapdrv_error *err)
{
	cleanup_json json_t *array = NULL;
	json_t *item;
	size_t i;
	char *word;
	int found, ret = 0;

	if (*rest == '[' && !json_parse(rest, strlen(rest), &array, NULL)) {
		json_array_foreach(array, i, item) {
			if (!json_is_string(item))
				return fail(err, SNAPDRV_USAGE, EINVAL, "not an array of strings");
			ret = set_member(config, key, json_string_value(item), err);
			if (ret)
				return ret;
		}
		return 0;
	}
	while (!ret && (found = next_word(&rest, &word, err))) {
		cleanup_free char *name = NULL;

		if (found < 0)
			return found;
		name = !strcmp(key, "ExposedPorts") && !strchr(word, '/')
			       ? text_format(err, "%s/tcp", word)
			       : text_dup(word, err);
		free(word);
		ret = name ? set_member(config, key, name, err) : -ENOMEM;
	}
	return ret;
}

static int change_directory(json_t *config, const char *key, const char *rest,
			    struct snapdrv_error *err)
{
	const char *above = json_string_value(json_object_get(config, key));
	cleanup_free char *joined = NULL;

	if (*rest == '/')
		return set_string(config, key, rest, err);
	joined = text_format(err, "%s/%s", above && strcmp(above, "/") ? above : "", rest);
	return joined ? set_string(config, key, joined, err) : -ENOMEM;
}

static const struct {
	const char *instruction;
	const char *key;
	int (*change)(json_t *config, const char *key, const char *rest, struct snapdrv_error *err);
} instructions[] = {
	{"CMD", "Cmd", change_command},
	{"ENTRYPOINT", "Entrypoint", change_command},
	{"ENV", "Env", change_pairs},
	{"EXPOSE", "ExposedPorts", change_set},
	{"LABEL", "Labels", change_pairs},
	{"STOPSIGNAL", "StopSignal", set_string},
	{"USER", "User", set_string},
	{"VOLUME", "Volumes", change_set},
	{"WORKDIR", "WorkingDir", change_directory},
};

int config_change(json_t *config, const char *line, struct snapdrv_error *err)
{
	const char *start = skip_space(line), *rest;
	size_t length = strcspn(start, " \t=[");

	rest = skip_space(start + length);
	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		const char *name = instructions[i].instruction;
		int ret;

		if (strlen(name) != length || strncasecmp(name, start, length))
			continue;
		if (!*rest || *rest == '=')
			return fail(err, SNAPDRV_USAGE, EINVAL, "change %s: nothing behind %s",
				    quote(line).text, name);
		ret = instructions[i].change(config, instructions[i].key, rest, err);
		return ret ? fail_within(err, ret, "change %s", quote(line).text) : 0;
	}
	return fail(err, SNAPDRV_USAGE, EINVAL, "change %s: no such instruction", quote(line).text);
}
