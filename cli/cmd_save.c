/* SPDX-License-Identifier: Apache-2.0 */
/* save: images to a file, a directory or standard output. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "output.h"
#include "progress.h"
#include "show.h"

struct save_values {
	const char *output;
	const char *format;
	struct snapdrv_save_options options;
	struct progress_line progress;
};

static const struct option_row save_options[] = {
	{.name = "output",
	 .letter = 'o',
	 .type = OPTION_TEXT,
	 .value = "FILE",
	 .help = "write there (-: standard output)",
	 .offset = offsetof(struct save_values, output)},
	{.name = "format",
	 .type = OPTION_TEXT,
	 .value = "FORMAT",
	 .help = "oci-archive (without it), oci-dir or docker-archive",
	 .choices = "oci-archive oci-dir docker-archive",
	 .offset = offsetof(struct save_values, format)},
	{0},
};

static const struct field saved_fields[] = {
	{.key = "reference", .offset = offsetof(struct snapdrv_saved, reference)},
	{.key = "id", .offset = offsetof(struct snapdrv_saved, id)},
	{.key = "digest", .offset = offsetof(struct snapdrv_saved, digest)},
	{.key = "rewritten",
	 .type = FIELD_BOOL,
	 .offset = offsetof(struct snapdrv_saved, rewritten)},
	{0},
};

static int read_format(struct cli *cli, struct save_values *values)
{
	static const struct {
		const char *name;
		enum snapdrv_save_format format;
	} formats[] = {{"oci-archive", SNAPDRV_OCI_ARCHIVE},
		       {"oci-dir", SNAPDRV_OCI_DIR},
		       {"docker-archive", SNAPDRV_DOCKER_ARCHIVE}};

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (!values->format || !strcmp(formats[i].name, values->format)) {
			values->options.format = formats[i].format;
			return 0;
		}
	}
	cli_usage(cli, "'%s': neither oci-archive, oci-dir nor docker-archive", values->format);
	return 1;
}

/* What makes sense together: 0 to go on. */
static int check_output(struct cli *cli, struct save_values *values)
{
	if (values->output && !strcmp(values->output, "-"))
		values->output = NULL;
	if (read_format(cli, values))
		return 1;
	if (values->output)
		return 0;
	if (values->options.format == SNAPDRV_OCI_DIR)
		cli_usage(cli, "oci-dir needs -o DIR");
	else if (cli->json)
		cli_usage(cli, "--json needs -o FILE: standard output has the archive");
	else if (isatty(STDOUT_FILENO))
		cli_usage(cli, "standard output is a terminal: use -o FILE");
	else
		return 0;
	return 1;
}

static void report_saved(struct cli *cli, const struct snapdrv_saved *saved, size_t count)
{
	struct rows rows = {saved_fields, saved, sizeof(*saved), count};

	for (size_t i = 0; i < count && !cli->json; i++) {
		const char *name =
			saved[i].reference ? show_reference(saved[i].reference) : saved[i].id;

		if (saved[i].rewritten)
			fprintf(stderr,
				"snapdrv: save: image %s: its layers were discarded and have been "
				"written again; the new digest is %s\n",
				name, saved[i].digest);
		else
			cli_note(cli, "image '%s' saved, digest %s", name, saved[i].digest);
	}
	if (cli->json && output_json_rows("saved", &rows))
		cli_memory(cli);
}

void cmd_save(struct cli *cli)
{
	struct save_values values = {0};
	struct snapdrv_saved *saved;
	struct snapdrv_error err;
	size_t count;
	int ret;

	if (cli_parse(cli, save_options, &values, WORDS_JOINED, 1, SIZE_MAX) ||
	    check_output(cli, &values) || cli_open(cli))
		return;
	progress_line_begin(cli, &values.progress, &values.options.progress,
			    &values.options.progress_arg);
	if (values.output)
		ret = snapdrv_save(cli->store, (const char *const *)cli->words, cli->n_words,
				   values.output, &values.options, &saved, &count, &err);
	else
		ret = snapdrv_save_fd(cli->store, (const char *const *)cli->words, cli->n_words,
				      STDOUT_FILENO, &values.options, &saved, &count, &err);
	progress_line_done(&values.progress);
	if (ret) {
		cli_report(cli, &err);
		return;
	}
	report_saved(cli, saved, count);
	snapdrv_saved_free(saved, count);
}
