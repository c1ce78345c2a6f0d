/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for zsh: the tables as specifications of _arguments. */
#include <stdio.h>
#include <string.h>

#include "doc.h"

/* Within single quotes; @special has a backslash before it. */
static void put_quoted(const char *text, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", stdout);
		else if (*text == '\\' || strchr(special, *text))
			putchar('\\');
		putchar(*text);
	}
}

static void put_action(unsigned kinds)
{
	switch (kinds) {
	case DOC_FILE:
		fputs("_files", stdout);
		break;
	case DOC_DIRECTORY:
		fputs("_files -/", stdout);
		break;
	case DOC_COMMAND:
		fputs("_snapdrv_commands", stdout);
		break;
	case DOC_IMAGE:
		fputs("_snapdrv_images", stdout);
		break;
	case DOC_CONTAINER:
		fputs("_snapdrv_containers", stdout);
		break;
	case DOC_IMAGE | DOC_CONTAINER:
		fputs("_alternative \"images\\:image\\:_snapdrv_images\" "
		      "\"containers\\:container\\:_snapdrv_containers\"",
		      stdout);
		break;
	default:
		putchar(' ');
	}
}

static void put_rest(const struct option_row *row)
{
	putchar('[');
	put_quoted(row->help, "[]");
	putchar(']');
	if (row->value && row->type != OPTION_SWITCH) {
		putchar(':');
		put_quoted(row->value, ":");
		putchar(':');
		if (row->choices)
			printf("(%s)", row->choices);
		else
			put_action(doc_value(row));
	}
	printf("' \\\n");
}

/* The short form and the long one shut each other out, unless the option may be repeated. */
static void put_option(const struct option_row *row)
{
	int repeats = row->type == OPTION_LIST;
	const char *joined = row->value && row->type != OPTION_SWITCH ? "=" : "";

	if (row->letter) {
		if (repeats)
			printf("\t\t'*");
		else
			printf("\t\t'(-%c --%s)", row->letter, row->name);
		printf("-%c%s", row->letter, *joined ? "+" : "");
		put_rest(row);
		if (repeats)
			printf("\t\t'*");
		else
			printf("\t\t'(-%c --%s)", row->letter, row->name);
	} else {
		printf("\t\t'%s", repeats ? "*" : "");
	}
	printf("--%s%s", row->name, joined);
	put_rest(row);
}

static void put_command(const struct command *command, const struct option_row *rows)
{
	const char *arguments = command->arguments;
	unsigned kinds;
	int repeats;

	printf("\t%s)\n\t\t_arguments -s \\\n", command->name);
	doc_each_option(rows, put_option);
	for (int i = 1; doc_word(&arguments, &kinds, &repeats); i++) {
		if (repeats)
			printf("\t\t'*: :");
		else
			printf("\t\t'%d: :", i);
		put_action(kinds);
		printf("' \\\n");
	}
	printf("\t\t&& ret=0\n\t\t;;\n");
}

int doc_zsh(const char *name)
{
	if (!strcmp(name, "ZSH_COMMANDS")) {
		for (const struct command *command = commands; command->name; command++) {
			printf("\t\t'%s:", command->name);
			put_quoted(command->help, "");
			printf("'\n");
		}
	} else if (!strcmp(name, "ZSH_GLOBAL")) {
		for (const struct option_row *row = options_global; row; row = option_next(row))
			put_option(row);
	} else if (!strcmp(name, "ZSH_CASES")) {
		for (const struct command *command = commands; command->name; command++)
			doc_visit(command, put_command);
	} else {
		return 0;
	}
	return 1;
}
