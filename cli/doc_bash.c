/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for bash: the tables as cases of a shell function. */
#include <stdio.h>
#include <string.h>

#include "doc.h"

static void put_kinds(unsigned kinds)
{
	static const char *const names[] = {"files", "directories", "images", "containers",
					    "commands"};
	const char *between = "";

	if (!kinds)
		fputs("nothing", stdout);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (kinds & 1u << i) {
			printf("%s%s", between, names[i]);
			between = "+";
		}
	}
}

static void put_name(const struct option_row *row)
{
	printf(" --%s", row->name);
	if (row->letter)
		printf(" -%c", row->letter);
}

/* Options that take the next word, and what that is. */
static void put_value(const struct option_row *row)
{
	if (!row->value || row->type == OPTION_SWITCH)
		return;
	printf("\t\t--%s", row->name);
	if (row->letter)
		printf(" | -%c", row->letter);
	printf(") value=");
	if (row->choices)
		printf("'%s'", row->choices);
	else
		put_kinds(doc_value(row));
	printf(" ;;\n");
}

static void put_words(const char *arguments)
{
	unsigned kinds;
	int repeats;

	while (doc_word(&arguments, &kinds, &repeats)) {
		putchar(' ');
		put_kinds(kinds);
		fputs(repeats ? "..." : "", stdout);
	}
}

static void put_command(const struct command *command, const struct option_row *rows)
{
	printf("\t%s)\n\t\toptions=\"", command->name);
	doc_each_option(rows, put_name);
	printf("\"\n\t\targuments=\"");
	put_words(command->arguments);
	printf("\"\n\t\tcase $1 in\n");
	doc_each_option(rows, put_value);
	printf("\t\tesac\n\t\t;;\n");
}

int doc_bash(const char *name)
{
	if (!strcmp(name, "BASH_COMMANDS")) {
		printf("\tcommands=\"");
		for (const struct command *command = commands; command->name; command++)
			printf(" %s", command->name);
		printf("\"\n");
	} else if (!strcmp(name, "BASH_GLOBAL")) {
		printf("\t\toptions=\"");
		for (const struct option_row *row = options_global; row; row = option_next(row))
			put_name(row);
		printf("\"\n\t\tcase $1 in\n");
		for (const struct option_row *row = options_global; row; row = option_next(row))
			put_value(row);
		printf("\t\tesac\n");
	} else if (!strcmp(name, "BASH_CASES")) {
		for (const struct command *command = commands; command->name; command++)
			doc_visit(command, put_command);
	} else {
		return 0;
	}
	return 1;
}
