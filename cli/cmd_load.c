/* SPDX-License-Identifier: Apache-2.0 */
/* Images that come in: load, import. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "intake.h"
#include "output.h"
#include "progress.h"

struct intake {
	struct snapdrv_load_options options;
	struct word_list changes;
	const char *message;
	struct progress_line progress;
};

#define AT(member) offsetof(struct intake, member)

static const struct option_row shared_options[] = {
	INTAKE_ROWS(struct intake),
	{0},
};

static const struct option_row load_options[] = {
	{.name = "ref",
	 .type = OPTION_TEXT,
	 .value = "REF",
	 .help = "name the image so, instead of its own name",
	 .offset = AT(options.ref)},
	{.more = shared_options},
};

static const struct option_row import_options[] = {
	{.name = "change",
	 .letter = 'c',
	 .type = OPTION_LIST,
	 .value = "INSTRUCTION",
	 .help = "Dockerfile instruction for the config; may be repeated",
	 .offset = AT(changes)},
	{.name = "message",
	 .letter = 'm',
	 .type = OPTION_TEXT,
	 .value = "TEXT",
	 .help = "comment for the image's history",
	 .offset = AT(message)},
	{.more = shared_options},
};

static const struct field loaded_fields[] = {
	{.key = "reference", .offset = offsetof(struct snapdrv_loaded, reference)},
	{.key = "id", .offset = offsetof(struct snapdrv_loaded, id)},
	{.key = "digest", .offset = offsetof(struct snapdrv_loaded, digest)},
	{0},
};

static void intake_done(struct intake *intake)
{
	free(intake->changes.items);
}

/* What is left to do once the line is read: 0 to go on, 1 when the source makes no sense. */
static int intake_begin(struct cli *cli, struct intake *intake)
{
	if (!strcmp(cli->words[0], "-") && isatty(STDIN_FILENO)) {
		cli_usage(cli, "standard input is a terminal, not an archive");
		return 1;
	}
	progress_line_begin(cli, &intake->progress, &intake->options.progress,
			    &intake->options.progress_arg);
	return cli_open(cli);
}

static void print_loaded(struct cli *cli, const struct snapdrv_loaded *loaded, size_t count)
{
	struct rows rows = {loaded_fields, loaded, sizeof(*loaded), count};

	for (size_t i = 0; i < count && !cli->json; i++)
		printf("%s %s\n", loaded[i].reference ? loaded[i].reference : "<none>",
		       loaded[i].id);
	if (cli->json && output_json_rows("loaded", &rows))
		cli_memory(cli);
	cli_note(cli, "'%s': images loaded: %zu", cli->words[0], count);
}

void cmd_load(struct cli *cli)
{
	struct intake intake = {0};
	struct snapdrv_loaded *loaded;
	struct snapdrv_error err;
	size_t count;
	int ret;

	if (cli_parse(cli, load_options, &intake, WORDS_JOINED, 1, 1) || intake_begin(cli, &intake))
		return;
	if (!strcmp(cli->words[0], "-"))
		ret = snapdrv_load_fd(cli->store, STDIN_FILENO, &intake.options, &loaded, &count,
				      &err);
	else
		ret = snapdrv_load(cli->store, cli->words[0], &intake.options, &loaded, &count,
				   &err);
	progress_line_done(&intake.progress);
	if (ret) {
		cli_report(cli, &err);
		return;
	}
	print_loaded(cli, loaded, count);
	snapdrv_loaded_free(loaded, count);
}

/* Return: a descriptor, or -1 when it failed and is reported. */
static int open_archive(struct cli *cli, const char *path)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

	if (fd < 0)
		cli_fail(cli,
			 errno == ENOENT || errno == ENOTDIR ? SNAPDRV_MISSING : SNAPDRV_FAILED,
			 "'%s': %s", path, strerror(errno));
	return fd;
}

void cmd_import(struct cli *cli)
{
	__attribute__((cleanup(intake_done))) struct intake intake = {0};
	cleanup_fd int fd = -1;
	cleanup_free char *id = NULL;
	struct snapdrv_error err;
	int ret;

	if (cli_parse(cli, import_options, &intake, WORDS_JOINED, 2, 2) ||
	    intake_begin(cli, &intake))
		return;
	fd = open_archive(cli, cli->words[0]);
	if (fd < 0)
		return;
	ret = snapdrv_import_fd(cli->store, fd, cli->words[1], intake.changes.items,
				intake.changes.count, intake.message, &intake.options, &id, &err);
	progress_line_done(&intake.progress);
	if (ret) {
		cli_report(cli, &err);
		return;
	}
	if (output_id(cli->json, "imported", id))
		cli_memory(cli);
}
