/* SPDX-License-Identifier: Apache-2.0 */
/* Manual pages: names, synopses and options, in the macros of man(7). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "doc.h"

/* Text in which nothing is a request, an escape or a hyphen. */
static void put_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

/* Words in capitals are placeholders. */
static void put_arguments(const char *text)
{
	int inside = 0;

	for (; *text; text++) {
		int capital = isupper((unsigned char)*text) || (inside && *text == '/');
		char letter[2] = {*text, '\0'};

		if (capital != inside)
			fputs(capital ? "\\fI" : "\\fR", stdout);
		inside = capital;
		/* In the middle of a line a dot is only a dot. */
		if (*text == '.' || *text == '\'')
			putchar(*text);
		else
			put_text(letter);
	}
	if (inside)
		fputs("\\fR", stdout);
}

/* The day of the build, or the one that builds which can be repeated give. */
static void put_date(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = epoch && *epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
	struct tm parts;
	char day[32];

	if (gmtime_r(&now, &parts) && strftime(day, sizeof(day), "%Y-%m-%d", &parts))
		fputs(day, stdout);
}

static void put_title(const char *name, int section)
{
	printf(".\\\" Made by the build from the tables of the program; not to be edited.\n.TH ");
	for (const char *at = name; *at; at++) {
		char letter[2] = {(char)toupper((unsigned char)*at), '\0'};

		put_text(letter);
	}
	printf(" %d \"", section);
	put_date();
	printf("\" \"snapdrv " SNAPDRV_VERSION "\" \"snapdrv\"\n");
}

static void put_head(const struct command *command)
{
	char name[64];

	snprintf(name, sizeof(name), "snapdrv-%s", command->name);
	put_title(name, 1);
	printf(".SH NAME\n");
	put_text(name);
	printf(" \\- %c", tolower((unsigned char)*command->help));
	put_text(command->help + 1);
	printf("\n.SH SYNOPSIS\n.B snapdrv %s\n[\\fIOPTION\\fR]...", command->name);
	if (*command->arguments)
		putchar(' ');
	put_arguments(command->arguments);
	putchar('\n');
}

static void put_option(const struct option_row *row)
{
	printf(".TP\n");
	if (row->letter)
		printf("\\fB\\-%c\\fR, ", row->letter);
	printf("\\fB\\-\\-");
	put_text(row->name);
	printf("\\fR");
	if (row->value)
		fputs(row->type == OPTION_SWITCH ? "[=" : " ", stdout);
	if (row->value)
		put_arguments(row->value);
	printf("%s\n", row->type == OPTION_SWITCH ? "]" : "");
	put_text(row->help);
	printf(".\n");
}

static void put_options(const struct command *command, const struct option_row *rows)
{
	(void)command;
	printf(".SH OPTIONS\n");
	for (const struct option_row *row = rows; row; row = option_next(row))
		put_option(row);
	if (rows)
		printf(".SS Options of every command\n");
	for (const struct option_row *row = options_common; row; row = option_next(row)) {
		if (!option_find(rows, row->name))
			put_option(row);
	}
}

static void put_commands(void)
{
	const char *group = "";

	for (const struct command *command = commands; command->name; command++) {
		if (strcmp(group, command->group))
			printf(".SS %s\n", command->group);
		group = command->group;
		printf(".TP\n\\fBsnapdrv\\-%s\\fR(1)\n", command->name);
		put_text(command->help);
		printf(".\n");
	}
}

static void put_file(const char *path)
{
	FILE *file = path ? fopen(path, "re") : NULL;
	char line[4096];

	while (file && fgets(line, sizeof(line), file))
		fputs(line, stdout);
	if (file)
		fclose(file);
}

int doc_man(const char *name, const struct command *command, const char *exit_statuses)
{
	if (!strcmp(name, "TITLE"))
		put_title("snapdrv", 1);
	else if (!strcmp(name, "DAEMON_TITLE"))
		put_title("snapdrvd", 8);
	else if (!strcmp(name, "HEAD") && command)
		put_head(command);
	else if (!strcmp(name, "OPTIONS") && command)
		doc_visit(command, put_options);
	else if (!strcmp(name, "GLOBAL_OPTIONS")) {
		for (const struct option_row *row = options_global; row; row = option_next(row))
			put_option(row);
	} else if (!strcmp(name, "COMMANDS"))
		put_commands();
	else if (!strcmp(name, "EXIT_STATUS"))
		put_file(exit_statuses);
	else
		return 0;
	return 1;
}
