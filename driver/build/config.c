/* SPDX-License-Identifier: Apache-2.0 */
/* What an image says of itself: how each instruction changes its config and history, as docker has it. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "build/state.h"

static json_t *words_of(const struct strings *words, struct snapdrv_error *err)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < words->count; i++) {
		json_t *json = config_string(words->items[i], err);

		if (!json)
			return NULL;
		json_array_append_new(array, json);
	}
	return steal_ptr(&array);
}

static int put_words(json_t *object, const char *key, const struct strings *words,
		     struct snapdrv_error *err)
{
	json_t *json = words_of(words, err);

	if (!json)
		return -EBADMSG;
	return json_object_set_new(object, key, json) ? fail_memory(err) : 0;
}

/* A line of history: a keyword and what it got. @rest: freed; NULL is a failure. */
static int note(struct stage *stage, const char *keyword, char *rest, struct snapdrv_error *err)
{
	cleanup_free char *text = rest ? text_format(err, "%s %s", keyword, rest) : NULL;

	free(rest);
	return text ? config_add_history(stage, text, err) : -ENOMEM;
}

/* ---- instructions ------------------------------------------------------------------------- */

static int expand_all(struct stage *stage, const struct strings *words, struct strings *ret_words,
		      struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < words->count && !ret; i++) {
		cleanup_free char *text = NULL;

		ret = scope_expand(stage, words->items[i], 0, &text, err);
		if (!ret)
			ret = strings_add(ret_words, text, err);
	}
	return ret;
}

static int expand_one(struct stage *stage, const struct recipe_step *step, char **ret_text,
		      struct snapdrv_error *err)
{
	return step->args.count ? scope_expand(stage, step->args.items[0], 0, ret_text, err)
				: refuse(err, "nothing behind it");
}

/* The variable of the same name gives way. */
static int set_env(json_t *env, const char *key, const char *pair, struct snapdrv_error *err)
{
	json_t *json = config_string(pair, err), *item;
	size_t length = strlen(key), i;

	if (!json)
		return -EBADMSG;
	json_array_foreach(env, i, item) {
		const char *text = json_string_value(item);

		if (text && !strncmp(text, key, length) && (text[length] == '=' || !text[length]))
			return json_array_set_new(env, i, json) ? fail_memory(err) : 0;
	}
	return json_array_append_new(env, json) ? fail_memory(err) : 0;
}

/* ENV and LABEL: all is expanded before anything is set. */
static int set_pairs(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	int is_env = step->op == RECIPE_ENV, ret = 0;
	cleanup_bytes struct bytes text = {0};
	cleanup_strings struct strings keys = {0}, values = {0};
	json_t *target =
		is_env ? config_member(config_of(stage), "Env", json_array, JSON_ARRAY)
		       : config_member(config_of(stage), "Labels", json_object, JSON_OBJECT);

	for (size_t i = 0; i < step->n_pairs && !ret; i++) {
		cleanup_free char *key = NULL, *value = NULL;

		ret = scope_expand(stage, step->pairs[i].key, 0, &key, err);
		if (!ret)
			ret = scope_expand(stage, step->pairs[i].value, 0, &value, err);
		if (!ret && !*key)
			ret = refuse(err, "a name is empty");
		if (!ret)
			ret = strings_add(&keys, key, err);
		if (!ret)
			ret = strings_add(&values, value, err);
	}
	for (size_t i = 0; i < keys.count && !ret; i++) {
		cleanup_free char *pair = text_format(err, "%s=%s", keys.items[i], values.items[i]);

		ret = !pair    ? -ENOMEM
		      : is_env ? set_env(target, keys.items[i], pair, err)
			       : config_put(target, keys.items[i], values.items[i], err);
		if (!ret && i)
			ret = bytes_add(&text, " ", 1, err);
		if (!ret)
			ret = bytes_add(&text, pair, strlen(pair), err);
	}
	if (!ret)
		ret = bytes_add(&text, "", 1, err);
	return ret ? ret : note(stage, is_env ? "ENV" : "LABEL", text_dup(text.data, err), err);
}

int config_shell(const struct stage *stage, struct strings *words, struct snapdrv_error *err)
{
	static const char *const usual[] = {"/bin/sh", "-c"};
	const json_t *shell = json_object_get(config_of(stage), "Shell");
	json_t *word;
	size_t i;
	int ret = 0;

	json_array_foreach(shell, i, word) {
		if (!ret && json_is_string(word))
			ret = strings_add(words, json_string_value(word), err);
	}
	for (i = 0; i < 2 && !json_array_size(shell) && !ret; i++)
		ret = strings_add(words, usual[i], err);
	return ret;
}

/* CMD, ENTRYPOINT, SHELL. */
static int set_command(struct stage *stage, const struct recipe_step *step, const char *key,
		       struct snapdrv_error *err)
{
	cleanup_strings struct strings words = {0};
	int ret = step->is_exec || step->op == RECIPE_SHELL ? 0 : config_shell(stage, &words, err);

	for (size_t i = 0; i < step->args.count && !ret; i++)
		ret = strings_add(&words, step->args.items[i], err);
	if (!ret)
		ret = put_words(config_of(stage), key, &words, err);
	if (!ret && step->op == RECIPE_CMD)
		stage->has_cmd = 1;
	/* A CMD of the base image was for its own entrypoint. */
	if (!ret && step->op == RECIPE_ENTRYPOINT && !stage->has_cmd)
		json_object_del(config_of(stage), "Cmd");
	return ret ? ret
		   : note(stage, recipe_op_name(step->op),
			  list_text(&words, step->op != RECIPE_SHELL, err), err);
}

static int add_port(json_t *ports, const char *port, const char *protocol,
		    struct snapdrv_error *err)
{
	cleanup_free char *name = text_format(err, "%s/%s", port, protocol);

	if (!name)
		return -ENOMEM;
	return json_object_set_new(ports, name, json_object()) ? fail_memory(err) : 0;
}

/* PORT[-PORT][/PROTOCOL] */
static int expose(json_t *ports, const char *word, struct snapdrv_error *err)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp"};
	char *end;
	unsigned long first = strtoul(word, &end, 10), last = first;
	const char *protocol = "tcp";
	int ret = 0;

	if (isdigit((unsigned char)*word) && *end == '-' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	if (*end == '/') {
		protocol = NULL;
		for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
			protocol = strcasecmp(end + 1, protocols[i]) ? protocol : protocols[i];
		end = "";
	}
	if (!isdigit((unsigned char)*word) || *end || !protocol || first > last || last > 65535)
		return refuse(err, "%s is no port", quote(word).text);
	for (unsigned long port = first; port <= last && !ret; port++) {
		char text[24];

		snprintf(text, sizeof(text), "%lu", port);
		ret = add_port(ports, text, protocol, err);
	}
	return ret;
}

static int set_ports(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	json_t *ports = config_member(config_of(stage), "ExposedPorts", json_object, JSON_OBJECT);
	cleanup_strings struct strings words = {0};
	int ret = 0;

	for (size_t i = 0; i < step->args.count && !ret; i++)
		ret = scope_expand_list(stage, step->args.items[i], &words, err);
	for (size_t i = 0; i < words.count && !ret; i++)
		ret = expose(ports, words.items[i], err);
	return ret ? ret : note(stage, "EXPOSE", list_text(&words, 0, err), err);
}

static int set_volumes(struct stage *stage, const struct recipe_step *step,
		       struct snapdrv_error *err)
{
	json_t *volumes = config_member(config_of(stage), "Volumes", json_object, JSON_OBJECT);
	cleanup_strings struct strings words = {0};
	int ret = expand_all(stage, &step->args, &words, err);

	for (size_t i = 0; i < words.count && !ret; i++) {
		if (!*words.items[i])
			ret = refuse(err, "a volume's name is empty");
		else if (json_object_set_new(volumes, words.items[i], json_object()))
			ret = refuse(err, "%s: not UTF-8", quote(words.items[i]).text);
	}
	return ret ? ret : note(stage, "VOLUME", list_text(&words, 0, err), err);
}

static int set_member(struct stage *stage, const struct recipe_step *step, const char *key,
		      struct snapdrv_error *err)
{
	json_t *object = step->op == RECIPE_MAINTAINER ? stage->document : config_of(stage);
	cleanup_free char *text = NULL;
	int ret = expand_one(stage, step, &text, err);

	if (!ret && !*text)
		ret = refuse(err, "it is empty");
	if (!ret)
		ret = config_put(object, key, text, err);
	return ret ? ret : note(stage, recipe_op_name(step->op), steal_ptr(&text), err);
}

static int set_health(struct stage *stage, const struct recipe_step *step,
		      struct snapdrv_error *err)
{
	static const char *const keys[] = {"Interval", "Timeout", "StartPeriod", "StartInterval"};
	json_t *health = json_object(), *test;
	cleanup_strings struct strings words = {0};
	int ret = json_object_set_new(config_of(stage), "Healthcheck", health)
			  ? fail_memory(err)
			  : strings_add(&words,
					!step->args.count ? "NONE"
					: step->is_exec	  ? "CMD"
							  : "CMD-SHELL",
					err);

	for (size_t i = 0; i < step->args.count && !ret; i++)
		ret = strings_add(&words, step->args.items[i], err);
	test = ret ? NULL : words_of(&words, err);
	if (!test || json_object_set_new(health, "Test", test))
		return ret ? ret : -EBADMSG;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (step->health_ns[i])
			json_object_set_new(health, keys[i], json_integer(step->health_ns[i]));
	}
	if (step->retries)
		json_object_set_new(health, "Retries", json_integer((json_int_t)step->retries));
	return config_add_history(stage, step->text, err);
}

static int add_trigger(struct stage *stage, const struct recipe_step *step,
		       struct snapdrv_error *err)
{
	json_t *triggers = config_member(config_of(stage), "OnBuild", json_array, JSON_ARRAY);
	json_t *text = config_string(step->trigger->text, err);

	if (!text)
		return -EBADMSG;
	if (json_array_append_new(triggers, text))
		return fail_memory(err);
	return note(stage, "ONBUILD", text_dup(step->trigger->text, err), err);
}

static int add_args(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	int ret = scope_arg(stage, step, err);

	return ret ? ret : config_add_history(stage, step->text, err);
}

int config_step(struct stage *stage, const struct recipe_step *step, struct snapdrv_error *err)
{
	switch (step->op) {
	case RECIPE_ARG:
		return add_args(stage, step, err);
	case RECIPE_CMD:
		return set_command(stage, step, "Cmd", err);
	case RECIPE_ENTRYPOINT:
		return set_command(stage, step, "Entrypoint", err);
	case RECIPE_SHELL:
		return set_command(stage, step, "Shell", err);
	case RECIPE_ENV:
	case RECIPE_LABEL:
		return set_pairs(stage, step, err);
	case RECIPE_EXPOSE:
		return set_ports(stage, step, err);
	case RECIPE_HEALTHCHECK:
		return set_health(stage, step, err);
	case RECIPE_MAINTAINER:
		return set_member(stage, step, "author", err);
	case RECIPE_ONBUILD:
		return add_trigger(stage, step, err);
	case RECIPE_STOPSIGNAL:
		return set_member(stage, step, "StopSignal", err);
	case RECIPE_USER:
		return set_member(stage, step, "User", err);
	case RECIPE_VOLUME:
		return set_volumes(stage, step, err);
	default:
		return fail(err, SNAPDRV_FAILED, ENOTSUP, "%s changes files",
			    recipe_op_name(step->op));
	}
}
