/* SPDX-License-Identifier: Apache-2.0 */
/* The start of every command (its line, the store) and the way it reports failures. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "output.h"
#include "show.h"

static void command_help(const struct command *command, const struct option_row *rows)
{
	printf("Usage: snapdrv %s [OPTION]...%s%s\n%s.\n", command->name,
	       *command->arguments ? " " : "", command->arguments, command->help);
	if (rows) {
		puts("\nOptions:");
		options_print(rows, NULL);
	}
	puts("\nOptions of every command:");
	options_print(options_common, rows);
}

int cli_parse(struct cli *cli, const struct option_row *rows, void *values, enum words_rule rule,
	      size_t min, size_t max)
{
	struct snapdrv_error err;
	int ret = cli->help ? 0 : options_after(cli, rows, values, rule, &err);

	if (cli->help) {
		if (cli->explain)
			cli->explain(cli, rows);
		else
			command_help(cli->command, rows);
		return 1;
	}
	if (ret) {
		cli_fail(cli, err.code, "%s: %s", cli->command->name, err.message);
		return 1;
	}
	if (cli->n_words < min) {
		cli_usage(cli, "missing argument; it takes %s", cli->command->arguments);
		return 1;
	}
	if (cli->n_words > max) {
		cli_usage(cli, "'%s': one argument too many", cli->words[max]);
		return 1;
	}
	return 0;
}

int cli_open(struct cli *cli)
{
	struct snapdrv_error err;

	if (!snapdrv_open(cli->root, cli->driver, &cli->store, &err))
		return 0;
	cli_report(cli, &err);
	return 1;
}

int cli_begin(struct cli *cli, const struct option_row *rows, void *values, size_t min, size_t max)
{
	return cli_parse(cli, rows, values, WORDS_JOINED, min, max) || cli_open(cli);
}

void cli_report(struct cli *cli, const struct snapdrv_error *err)
{
	if (!cli->status)
		cli->status = err->code;
	if (cli->json && !output_json_error(stderr, err->code, err->message))
		return;
	fputs("snapdrv: ", stderr);
	show_text(stderr, err->message);
	fputc('\n', stderr);
}

void cli_fail(struct cli *cli, int code, const char *format, ...)
{
	struct snapdrv_error err = {.code = code};
	va_list args;

	va_start(args, format);
	vsnprintf(err.message, sizeof(err.message), format, args);
	va_end(args);
	cli_report(cli, &err);
}

void cli_usage(struct cli *cli, const char *format, ...)
{
	char why[sizeof(((struct snapdrv_error *)NULL)->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	if (cli->command)
		cli_fail(cli, SNAPDRV_USAGE, "%s: %s", cli->command->name, why);
	else
		cli_fail(cli, SNAPDRV_USAGE, "%s", why);
}

void cli_memory(struct cli *cli)
{
	cli_fail(cli, SNAPDRV_FAILED, "out of memory");
}

void cli_note(const struct cli *cli, const char *format, ...)
{
	char line[sizeof(((struct snapdrv_error *)NULL)->message)];
	va_list args;

	if (!cli->verbose || cli->json)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fputs("snapdrv: ", stderr);
	show_text(stderr, line);
	fputc('\n', stderr);
}
