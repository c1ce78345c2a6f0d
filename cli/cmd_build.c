/* SPDX-License-Identifier: Apache-2.0 */
/* Building images: build. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build_progress.h"
#include "cleanup.h"
#include "cli.h"
#include "intake.h"
#include "output.h"
#include "progress.h"
#include "stopping.h"

struct build_values {
	struct snapdrv_build_options options;
	struct snapdrv_registry_options registry;
	struct word_list tags, args, labels, secrets;
	const char *network, *pull, *progress, *iidfile;
};

#define AT(member) offsetof(struct build_values, member)

static const struct option_row build_options[] = {
	{.name = "tag",
	 .letter = 't',
	 .type = OPTION_LIST,
	 .value = "REF",
	 .help = "name the image so; may be repeated",
	 .offset = AT(tags)},
	{.name = "file",
	 .letter = 'f',
	 .type = OPTION_TEXT,
	 .value = "FILE",
	 .help = "the Dockerfile; -: standard input (CONTEXT/Dockerfile)",
	 .offset = AT(options.dockerfile)},
	{.name = "build-arg",
	 .type = OPTION_LIST,
	 .value = "KEY[=VALUE]",
	 .help = "a value for ARG KEY (that of the environment); may be repeated",
	 .offset = AT(args)},
	{.name = "target",
	 .type = OPTION_TEXT,
	 .value = "STAGE",
	 .help = "build this stage, by name or number (the last one)",
	 .offset = AT(options.target)},
	{.name = "no-cache",
	 .type = OPTION_FLAG,
	 .help = "carry out every step",
	 .offset = AT(options.flags),
	 .bit = SNAPDRV_BUILD_NO_CACHE},
	{.name = "network",
	 .type = OPTION_TEXT,
	 .value = "MODE",
	 .help = "what RUN may reach: none, host (none)",
	 .choices = "none host",
	 .offset = AT(network)},
	{.name = "secret",
	 .type = OPTION_LIST,
	 .value = "id=ID[,src=FILE|,env=NAME]",
	 .help = "for RUN --mount=type=secret; may be repeated",
	 .offset = AT(secrets)},
	{.name = "label",
	 .type = OPTION_LIST,
	 .value = "KEY=VALUE",
	 .help = "a label for the image; may be repeated",
	 .offset = AT(labels)},
	{.name = "platform",
	 .type = OPTION_TEXT,
	 .value = "OS/ARCH[/VARIANT]",
	 .help = "build for it (this machine's)",
	 .offset = AT(options.platform)},
	{.name = "pull",
	 .type = OPTION_TEXT,
	 .value = "WHEN",
	 .help = "take images from their registries: missing, never (missing)",
	 .choices = "missing never",
	 .offset = AT(pull)},
	{.name = "keep",
	 .type = OPTION_FLAG,
	 .help = "leave the container of a RUN that fails, for a look",
	 .offset = AT(options.flags),
	 .bit = SNAPDRV_BUILD_KEEP},
	{.name = "iidfile",
	 .type = OPTION_TEXT,
	 .value = "FILE",
	 .help = "write the image ID to it",
	 .offset = AT(iidfile)},
	{.name = "progress",
	 .type = OPTION_TEXT,
	 .value = "STYLE",
	 .help = "auto, plain (line by line), tty (drawn anew) (auto)",
	 .choices = "auto plain tty",
	 .offset = AT(progress)},
	REGISTRY_ROWS(struct build_values),
	{0},
};

static void values_done(struct build_values *values)
{
	free(values->tags.items);
	free(values->args.items);
	free(values->labels.items);
	free(values->secrets.items);
}

/* Which of some words it is, the first for none. Return: -1 when it is none of them; that is reported. */
static int choose(struct cli *cli, const char *option, const char *word, const char *const *words)
{
	for (int i = 0; words[i]; i++) {
		if (!word || !strcmp(word, words[i]))
			return i;
	}
	cli_usage(cli, "--%s '%s': not one of its words", option, word);
	return -1;
}

static int read_choices(struct cli *cli, struct build_values *values, enum build_style *ret_style)
{
	static const char *const networks[] = {"none", "host", NULL};
	static const char *const pulls[] = {"missing", "never", NULL};
	static const char *const styles[] = {"auto", "plain", "tty", NULL};
	int network = choose(cli, "network", values->network, networks);
	int pull = network < 0 ? -1 : choose(cli, "pull", values->pull, pulls);
	int style = pull < 0 ? -1 : choose(cli, "progress", values->progress, styles);

	if (style < 0)
		return 1;
	values->options.flags |= network ? SNAPDRV_BUILD_HOST_NETWORK : 0;
	values->options.flags |= pull ? SNAPDRV_BUILD_NEVER_PULL : 0;
	if (cli->quiet || (cli->json && !values->progress))
		*ret_style = BUILD_SILENT;
	else if (style)
		*ret_style = style == 1 ? BUILD_PLAIN : BUILD_TTY;
	else
		*ret_style = progress_line_wanted() ? BUILD_TTY : BUILD_PLAIN;
	return 0;
}

static void fill_options(struct build_values *values)
{
	struct snapdrv_build_options *options = &values->options;

	options->input_fd = STDIN_FILENO;
	options->tags = values->tags.items;
	options->n_tags = values->tags.count;
	options->args = values->args.items;
	options->n_args = values->args.count;
	options->labels = values->labels.items;
	options->n_labels = values->labels.count;
	options->secrets = values->secrets.items;
	options->n_secrets = values->secrets.count;
	options->registry = &values->registry;
}

/* ---- the result --------------------------------------------------------------------------- */

#define STEP(member) offsetof(struct build_step, member)

static const struct field step_fields[] = {
	{.key = "stage", .offset = STEP(stage)},
	{.key = "step", .type = FIELD_COUNT, .offset = STEP(number)},
	{.key = "steps", .type = FIELD_COUNT, .offset = STEP(n_steps)},
	{.key = "line", .type = FIELD_COUNT, .offset = STEP(line)},
	{.key = "text", .offset = STEP(text)},
	{.key = "status", .offset = STEP(status)},
	{.key = "duration_ns", .type = FIELD_COUNT, .offset = STEP(duration_ns)},
	{0},
};

struct build_document {
	const char *id;
	const struct build_step *steps;
	size_t n_steps;
};

static const struct field document_fields[] = {
	{.key = "id", .offset = offsetof(struct build_document, id)},
	{.key = "steps",
	 .type = FIELD_ROWS,
	 .offset = offsetof(struct build_document, steps),
	 .count = offsetof(struct build_document, n_steps),
	 .fields = step_fields,
	 .size = sizeof(struct build_step)},
	{0},
};

static void write_id(struct cli *cli, const char *path, const char *id)
{
	FILE *file = fopen(path, "we");
	int failed = !file || fputs(id, file) < 0;

	if ((file && fclose(file)) || failed)
		cli_fail(cli, SNAPDRV_FAILED, "'%s': %s", path, strerror(errno));
}

static void print_result(struct cli *cli, const struct build_progress *progress, const char *id)
{
	const struct build_document document = {id, progress->steps, progress->n_steps};

	if (!cli->json)
		puts(id);
	else if (output_json_row("build", document_fields, &document))
		cli_memory(cli);
}

static void run_build(struct cli *cli, struct build_values *values, enum build_style style)
{
	struct build_progress progress;
	cleanup_free char *id = NULL;
	struct snapdrv_error err;
	int ret;

	build_progress_begin(&progress, style);
	values->options.event = build_progress_event;
	values->options.event_arg = &progress;
	ret = snapdrv_build(cli->store, cli->words[0], &values->options, &id, &err);
	build_progress_end(&progress);
	if (ret)
		cli_report(cli, &err);
	else
		print_result(cli, &progress, id);
	if (!ret && values->iidfile)
		write_id(cli, values->iidfile, id);
	build_progress_done(&progress);
}

void cmd_build(struct cli *cli)
{
	__attribute__((cleanup(values_done))) struct build_values values = {0};
	enum build_style style;

	if (cli_parse(cli, build_options, &values, WORDS_JOINED, 1, 1) ||
	    read_choices(cli, &values, &style))
		return;
	fill_options(&values);
	if (isatty(STDIN_FILENO) &&
	    (!strcmp(cli->words[0], "-") ||
	     (values.options.dockerfile && !strcmp(values.options.dockerfile, "-")))) {
		cli_usage(cli, "standard input is a terminal, neither a context nor a Dockerfile");
		return;
	}
	if (cli_open(cli))
		return;
	values.options.cancel_fd = stopping_begin();
	run_build(cli, &values, style);
	stopping_end(cli);
}
