/* SPDX-License-Identifier: Apache-2.0 */
/* Each instruction of a Dockerfile: its flags, its words, and what is wrong with them. */
#include "build/recipe_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* struct parse - an instruction that is read. @rest: what has not been read of it. */
struct parse {
	struct recipe_step *step;
	const char *rest;
	char escape;
	struct snapdrv_error *err;
};

static int no_flags(struct parse *parse)
{
	return recipe_flags(&parse->rest, NULL, 0, parse->err);
}

static int need_argument(const struct parse *parse)
{
	if (parse->step->args.count && (parse->step->is_exec || *parse->step->args.items[0]))
		return 0;
	return refuse(parse->err, "%s needs an argument", recipe_op_name(parse->step->op));
}

/* A JSON array; or one string; bad JSON is a string too, as docker has it. */
static int read_command(struct parse *parse)
{
	int ret = recipe_json(parse->rest, &parse->step->args, parse->err);

	if (ret < 0)
		return ret;
	parse->step->is_exec = ret;
	return ret ? 0 : strings_add(&parse->step->args, parse->rest, parse->err);
}

/* A JSON array, or words. */
static int read_list(struct parse *parse)
{
	int ret = recipe_json(parse->rest, &parse->step->args, parse->err);

	if (ret < 0)
		return ret;
	parse->step->is_exec = ret;
	return ret ? 0 : recipe_blanks(parse->rest, &parse->step->args, parse->err);
}

/* CMD, ENTRYPOINT: an empty array takes away what the base has. */
static int parse_command(struct parse *parse)
{
	int ret = no_flags(parse);

	if (!ret)
		ret = read_command(parse);
	return ret || parse->step->is_exec ? ret : need_argument(parse);
}

static int parse_shell(struct parse *parse)
{
	int ret = no_flags(parse);

	if (!ret)
		ret = read_command(parse);
	if (ret)
		return ret;
	if (!parse->step->is_exec)
		return refuse(parse->err, "SHELL needs a JSON array");
	return need_argument(parse);
}

static int check_network(const struct parse *parse, const char *network)
{
	if (!network || !strcmp(network, "none") || !strcmp(network, "host") ||
	    !strcmp(network, "default"))
		return 0;
	return refuse(parse->err, "--network=%s is none of default, none, host",
		      quote(network).text);
}

static int check_security(const struct parse *parse, const char *security)
{
	if (!security || !strcmp(security, "sandbox"))
		return 0;
	if (!strcmp(security, "insecure"))
		return refuse(parse->err,
			      "--security=insecure: a step has no more rights than a container");
	return refuse(parse->err, "--security=%s is not known", quote(security).text);
}

static int parse_run(struct parse *parse)
{
	cleanup_strings struct strings mounts = {0};
	cleanup_free char *security = NULL;
	const struct recipe_flag flags[] = {
		{.name = "mount", .list = &mounts},
		{.name = "network", .text = &parse->step->network},
		{.name = "security", .text = &security},
	};
	int ret = recipe_flags(&parse->rest, flags, COUNT(flags), parse->err);

	for (size_t i = 0; i < mounts.count && !ret; i++)
		ret = recipe_mount(mounts.items[i], parse->step, parse->err);
	if (!ret)
		ret = check_network(parse, parse->step->network);
	if (!ret)
		ret = check_security(parse, security);
	if (!ret)
		ret = read_command(parse);
	return ret ? ret : need_argument(parse);
}

const char *recipe_remote(const char *source)
{
	static const char *const urls[] = {"http://", "https://", "ftp://"};
	static const char *const gits[] = {"git://", "ssh://", "git@"};

	for (size_t i = 0; i < COUNT(gits); i++) {
		if (!strncasecmp(source, gits[i], strlen(gits[i])))
			return "a git repository; builds fetch no sources";
	}
	for (size_t i = 0; i < COUNT(urls); i++) {
		if (!strncasecmp(source, urls[i], strlen(urls[i])))
			return "a URL; builds fetch no sources";
	}
	return NULL;
}

static int check_copy(const struct parse *parse)
{
	const struct strings *args = &parse->step->args;

	if (args->count < 2)
		return refuse(parse->err, "%s needs a source and a destination",
			      recipe_op_name(parse->step->op));
	for (size_t i = 0; i < args->count; i++) {
		const char *word = args->items[i], *why = recipe_remote(word);
		int is_last = i == args->count - 1;
		int is_heredoc = parse->step->is_exec
					 ? 0
					 : recipe_heredoc_word(word, NULL, NULL, NULL, parse->err);

		if (is_heredoc < 0)
			return is_heredoc;
		if (is_heredoc && is_last)
			return refuse(parse->err, "a here-document is no destination");
		if (is_heredoc && parse->step->from)
			return refuse(parse->err, "a here-document does not come --from elsewhere");
		if (why && !is_last)
			return refuse(parse->err, "%s is %s", quote(word).text, why);
	}
	return 0;
}

static int parse_copy(struct parse *parse)
{
	struct recipe_step *step = parse->step;
	int parents = 0;
	const struct recipe_flag flags[] = {
		{.name = "chown", .text = &step->chown},
		{.name = "chmod", .text = &step->chmod},
		{.name = "link", .set = &step->link},
		{.name = "exclude", .list = &step->excludes},
		{.name = "from", .text = &step->from},
		{.name = "parents", .set = &parents, .refused = "not of the stable syntax"},
	};
	int ret = recipe_flags(&parse->rest, flags, COUNT(flags), parse->err);

	if (!ret && step->from && strchr(step->from, '$'))
		ret = refuse(parse->err, "--from takes no variables: give the stage a name");
	if (!ret)
		ret = read_list(parse);
	return ret ? ret : check_copy(parse);
}

static int parse_add(struct parse *parse)
{
	static const char nothing_fetched[] = "ADD fetches nothing";
	struct recipe_step *step = parse->step;
	const struct recipe_flag flags[] = {
		{.name = "chown", .text = &step->chown},
		{.name = "chmod", .text = &step->chmod},
		{.name = "link", .set = &step->link},
		{.name = "exclude", .list = &step->excludes},
		{.name = "checksum", .refused = nothing_fetched},
		{.name = "keep-git-dir", .refused = nothing_fetched},
	};
	int ret = recipe_flags(&parse->rest, flags, COUNT(flags), parse->err);

	if (!ret)
		ret = read_list(parse);
	return ret ? ret : check_copy(parse);
}

static int parse_pairs(struct parse *parse)
{
	int ret = no_flags(parse);

	return ret ? ret
		   : recipe_pairs(parse->rest, parse->escape, parse->step->op != RECIPE_ARG,
				  parse->step, parse->err);
}

static int parse_expose(struct parse *parse)
{
	struct strings *args = &parse->step->args;
	int ret = no_flags(parse);

	if (!ret)
		ret = recipe_blanks(parse->rest, args, parse->err);
	if (!ret)
		ret = need_argument(parse);
	for (size_t i = 0; i < args->count && !ret; i++)
		ret = recipe_port(args->items[i], parse->err);
	return ret;
}

static int parse_volume(struct parse *parse)
{
	const struct strings *args = &parse->step->args;
	int ret = no_flags(parse);

	if (!ret)
		ret = read_list(parse);
	if (!ret)
		ret = need_argument(parse);
	for (size_t i = 0; i < args->count && !ret; i++) {
		if (!args->items[i][0])
			ret = refuse(parse->err, "VOLUME has an empty name");
	}
	return ret;
}

/* MAINTAINER, STOPSIGNAL, USER, WORKDIR: all of the line. */
static int parse_text(struct parse *parse)
{
	int ret = no_flags(parse);

	if (!ret)
		ret = strings_add(&parse->step->args, parse->rest, parse->err);
	return ret ? ret : need_argument(parse);
}

static int read_health(struct parse *parse, char *const *durations, const char *retries)
{
	int64_t number = 0;

	for (size_t i = 0; i < COUNT(parse->step->health_ns); i++) {
		int ret = durations[i] ? recipe_duration(durations[i], &parse->step->health_ns[i],
							 parse->err)
				       : 0;

		if (ret)
			return ret;
	}
	if (retries && !recipe_number(retries, 10, INT32_MAX, &number))
		return refuse(parse->err, "--retries=%s is no number that can be",
			      quote(retries).text);
	parse->step->retries = (unsigned)number;
	return 0;
}

static int read_health_command(struct parse *parse)
{
	size_t length = strcspn(parse->rest, RECIPE_BLANKS);
	const char *kind = parse->rest;

	parse->rest += length + strspn(kind + length, RECIPE_BLANKS);
	if (length == 4 && !strncasecmp(kind, "NONE", 4))
		return *parse->rest ? refuse(parse->err, "HEALTHCHECK NONE takes no arguments") : 0;
	if (length == 3 && !strncasecmp(kind, "CMD", 3)) {
		int ret = read_command(parse);

		if (!ret && (!parse->step->args.count || !parse->step->args.items[0][0]))
			return refuse(parse->err, "HEALTHCHECK CMD needs a command");
		return ret;
	}
	return refuse(parse->err, "HEALTHCHECK is neither CMD nor NONE");
}

static int parse_healthcheck(struct parse *parse)
{
	char *durations[4] = {NULL}, *retries = NULL;
	const struct recipe_flag flags[] = {
		{.name = "interval", .text = &durations[0]},
		{.name = "timeout", .text = &durations[1]},
		{.name = "start-period", .text = &durations[2]},
		{.name = "start-interval", .text = &durations[3]},
		{.name = "retries", .text = &retries},
	};
	int ret = recipe_flags(&parse->rest, flags, COUNT(flags), parse->err);

	if (!ret)
		ret = read_health(parse, durations, retries);
	for (size_t i = 0; i < COUNT(durations); i++)
		free(durations[i]);
	free(retries);
	return ret ? ret : read_health_command(parse);
}

static int parse_onbuild(struct parse *parse)
{
	struct recipe_step *step = parse->step;
	int ret = no_flags(parse);

	if (ret)
		return ret;
	if (!*parse->rest)
		return refuse(parse->err, "ONBUILD needs an instruction");
	step->trigger = calloc(1, sizeof(*step->trigger));
	if (!step->trigger)
		return fail_memory(parse->err);
	return recipe_parse_step(parse->rest, step->line, parse->escape, 1, step->trigger,
				 parse->err);
}

static const struct {
	const char *name;
	int (*parse)(struct parse *parse);
	int is_no_trigger;
} instructions[] = {
	[RECIPE_ADD] = {"ADD", parse_add, 0},
	[RECIPE_ARG] = {"ARG", parse_pairs, 0},
	[RECIPE_CMD] = {"CMD", parse_command, 0},
	[RECIPE_COPY] = {"COPY", parse_copy, 0},
	[RECIPE_ENTRYPOINT] = {"ENTRYPOINT", parse_command, 0},
	[RECIPE_ENV] = {"ENV", parse_pairs, 0},
	[RECIPE_EXPOSE] = {"EXPOSE", parse_expose, 0},
	[RECIPE_FROM] = {"FROM", NULL, 1},
	[RECIPE_HEALTHCHECK] = {"HEALTHCHECK", parse_healthcheck, 0},
	[RECIPE_LABEL] = {"LABEL", parse_pairs, 0},
	[RECIPE_MAINTAINER] = {"MAINTAINER", parse_text, 1},
	[RECIPE_ONBUILD] = {"ONBUILD", parse_onbuild, 1},
	[RECIPE_RUN] = {"RUN", parse_run, 0},
	[RECIPE_SHELL] = {"SHELL", parse_shell, 0},
	[RECIPE_STOPSIGNAL] = {"STOPSIGNAL", parse_text, 0},
	[RECIPE_USER] = {"USER", parse_text, 0},
	[RECIPE_VOLUME] = {"VOLUME", parse_volume, 0},
	[RECIPE_WORKDIR] = {"WORKDIR", parse_text, 0},
};

const char *recipe_op_name(enum recipe_op op)
{
	return instructions[op].name;
}

int recipe_op(const char *text, enum recipe_op *ret_op, const char **ret_rest)
{
	size_t length = strcspn(text, RECIPE_BLANKS);

	for (size_t i = 0; i < COUNT(instructions); i++) {
		if (strlen(instructions[i].name) != length ||
		    strncasecmp(instructions[i].name, text, length))
			continue;
		*ret_op = (enum recipe_op)i;
		*ret_rest = text + length + strspn(text + length, RECIPE_BLANKS);
		return 1;
	}
	return 0;
}

int recipe_takes_heredocs(const struct recipe_step *step)
{
	return (step->op == RECIPE_RUN || step->op == RECIPE_COPY || step->op == RECIPE_ADD) &&
	       !step->is_exec;
}

int recipe_parse_step(const char *text, unsigned line, char escape, int is_trigger,
		      struct recipe_step *ret_step, struct snapdrv_error *err)
{
	struct parse parse = {.step = ret_step, .escape = escape, .err = err};
	size_t length = strcspn(text, RECIPE_BLANKS);
	int ret;

	*ret_step = (struct recipe_step){.line = line};
	if (!recipe_op(text, &ret_step->op, &parse.rest)) {
		cleanup_free char *word = text_format(err, "%.*s", (int)length, text);

		return word ? refuse(err, "there is no instruction %s", quote(word).text) : -ENOMEM;
	}
	if (is_trigger && instructions[ret_step->op].is_no_trigger)
		return refuse(err, "ONBUILD takes no %s", recipe_op_name(ret_step->op));
	/* A trigger goes into the config as it is written. */
	ret_step->text = is_trigger ? text_dup(text, err)
				    : text_format(err, "%.*s%s%s", (int)length, text,
						  *parse.rest ? " " : "", parse.rest);
	if (!ret_step->text)
		return -ENOMEM;
	ret = instructions[ret_step->op].parse(&parse);
	return ret ? ret : recipe_check_words(ret_step, escape, err);
}
