/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a container's files: diff, export, commit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli.h"
#include "output.h"
#include "show.h"

struct change_row {
	char kind[2];
	const char *kind_text;
	const char *path;
};

static const struct field change_fields[] = {
	{.key = "kind", .offset = offsetof(struct change_row, kind_text)},
	{.key = "path", .offset = offsetof(struct change_row, path)},
	{0},
};

static int has_control(const char *text)
{
	for (; *text; text++) {
		if (show_control(text, 2))
			return 1;
	}
	return 0;
}

/* As git does: a path that would break the line stands in quotes, with escapes as in C. */
static void print_path(const char *path)
{
	static const char names[] = "abtnvfr"; /* of 7 to 13 */

	if (!has_control(path)) {
		puts(path);
		return;
	}
	putchar('"');
	while (*path) {
		size_t control = show_control(path, 2);
		unsigned char byte = (unsigned char)*path;

		if (byte >= 7 && byte <= 13)
			printf("\\%c", names[byte - 7]);
		else if (!control)
			printf(byte == '"' || byte == '\\' ? "\\%c" : "%c", byte);
		for (size_t i = 0; i < control && (byte < 7 || byte > 13); i++)
			printf("\\%03o", (unsigned char)path[i]);
		path += control ? control : 1;
	}
	puts("\"");
}

static void print_json(struct cli *cli, const struct snapdrv_change *changes, size_t count)
{
	cleanup_free struct change_row *rows = calloc(count + 1, sizeof(*rows));
	struct rows all = {change_fields, rows, sizeof(*rows), count};

	for (size_t i = 0; rows && i < count; i++) {
		rows[i].kind[0] = (char)changes[i].kind;
		rows[i].kind_text = rows[i].kind;
		rows[i].path = changes[i].path;
	}
	if (!rows || output_json_rows("diff", &all))
		cli_memory(cli);
}

void cmd_diff(struct cli *cli)
{
	struct snapdrv_change *changes;
	struct snapdrv_error err;
	size_t count;

	if (cli_begin(cli, NULL, NULL, 1, 1))
		return;
	if (snapdrv_diff(cli->store, cli->words[0], &changes, &count, &err)) {
		cli_report(cli, &err);
		return;
	}
	if (cli->json)
		print_json(cli, changes, count);
	for (size_t i = 0; i < count && !cli->json; i++) {
		printf("%c ", changes[i].kind);
		print_path(changes[i].path);
	}
	snapdrv_changes_free(changes, count);
}

struct export_values {
	const char *output;
};

static const struct option_row export_options[] = {
	{.name = "output",
	 .letter = 'o',
	 .type = OPTION_TEXT,
	 .value = "FILE",
	 .help = "write there (standard output)",
	 .offset = offsetof(struct export_values, output)},
	{0},
};

void cmd_export(struct cli *cli)
{
	struct export_values values = {0};
	struct snapdrv_error err;
	const char *name;
	int ret;

	if (cli_parse(cli, export_options, &values, WORDS_JOINED, 1, 1))
		return;
	if (values.output && !strcmp(values.output, "-"))
		values.output = NULL;
	if (!values.output && isatty(STDOUT_FILENO)) {
		cli_usage(cli, "standard output is a terminal; -o FILE writes to a file");
		return;
	}
	if (cli_open(cli))
		return;
	name = cli->words[0];
	ret = values.output ? snapdrv_export(cli->store, name, values.output, &err)
			    : snapdrv_export_fd(cli->store, name, STDOUT_FILENO, &err);
	if (ret)
		cli_report(cli, &err);
}

struct commit_values {
	struct snapdrv_commit_options options;
	struct word_list changes;
};

#define AT(member) offsetof(struct commit_values, member)

static const struct option_row commit_options[] = {
	{.name = "author",
	 .letter = 'a',
	 .type = OPTION_TEXT,
	 .value = "TEXT",
	 .help = "who made the image",
	 .offset = AT(options.author)},
	{.name = "message",
	 .letter = 'm',
	 .type = OPTION_TEXT,
	 .value = "TEXT",
	 .help = "comment for the image's history",
	 .offset = AT(options.message)},
	{.name = "change",
	 .letter = 'c',
	 .type = OPTION_LIST,
	 .value = "INSTRUCTION",
	 .help = "Dockerfile instruction for the config; may be repeated",
	 .offset = AT(changes)},
	{.name = "discard-blobs",
	 .type = OPTION_FLAG,
	 .help = "do not keep the layer as a tar",
	 .offset = AT(options.flags),
	 .bit = SNAPDRV_DISCARD_BLOBS},
	{.name = "no-sync",
	 .type = OPTION_FLAG,
	 .help = "do not wait for the disk; a power cut may lose the image",
	 .offset = AT(options.flags),
	 .bit = SNAPDRV_NO_SYNC},
	{0},
};

static void commit_values_done(struct commit_values *values)
{
	free(values->changes.items);
}

void cmd_commit(struct cli *cli)
{
	__attribute__((cleanup(commit_values_done))) struct commit_values values = {0};
	cleanup_free char *id = NULL;
	struct snapdrv_error err;

	if (cli_begin(cli, commit_options, &values, 2, 2))
		return;
	values.options.changes = values.changes.items;
	values.options.n_changes = values.changes.count;
	if (snapdrv_commit(cli->store, cli->words[0], cli->words[1], &values.options, &id, &err)) {
		cli_report(cli, &err);
		return;
	}
	if (output_id(cli->json, "committed", id))
		cli_memory(cli);
}
