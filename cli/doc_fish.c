/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for fish: the tables as `complete` lines. */
#include <stdio.h>
#include <string.h>

#include "doc.h"

static const char *condition;

static void put_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void put_option(const struct option_row *row)
{
	int takes = row->value && row->type != OPTION_SWITCH;

	printf("complete -c snapdrv -n '%s' -l %s", condition, row->name);
	if (row->letter)
		printf(" -s %c", row->letter);
	if (takes && row->choices)
		printf(" -x -a '%s'", row->choices);
	else if (takes && doc_value(row) == DOC_FILE)
		printf(" -r -F");
	else if (takes && doc_value(row) == DOC_DIRECTORY)
		printf(" -x -a '(__fish_complete_directories)'");
	else if (takes)
		printf(" -x");
	printf(" -d ");
	put_quoted(row->help);
	putchar('\n');
}

static void put_word(const char *name, unsigned kinds, const char *more)
{
	if (kinds & DOC_FILE)
		printf("complete -c snapdrv -n '__snapdrv_word %s %s' -F\n", name, more);
	if (kinds & DOC_IMAGE)
		printf("complete -c snapdrv -n '__snapdrv_word %s %s' -a '(__snapdrv_images)'\n",
		       name, more);
	if (kinds & DOC_CONTAINER)
		printf("complete -c snapdrv -n '__snapdrv_word %s %s' -a "
		       "'(__snapdrv_containers)'\n",
		       name, more);
	if (kinds & DOC_COMMAND)
		printf("complete -c snapdrv -n '__snapdrv_word %s %s' -a '(__snapdrv_commands)'\n",
		       name, more);
}

static void put_command(const struct command *command, const struct option_row *rows)
{
	const char *arguments = command->arguments;
	char using[128];
	unsigned kinds;
	int repeats;

	snprintf(using, sizeof(using), "__snapdrv_using %s", command->name);
	condition = using;
	doc_each_option(rows, put_option);
	for (int i = 1; doc_word(&arguments, &kinds, &repeats); i++) {
		char which[32];

		snprintf(which, sizeof(which), "%d%s", i, repeats ? " more" : "");
		put_word(command->name, kinds, which);
	}
}

/* An option that takes the next word, in both forms. */
static void put_taking(const struct option_row *row)
{
	if (!row->value || row->type == OPTION_SWITCH)
		return;
	printf(" --%s", row->name);
	if (row->letter)
		printf(" -%c", row->letter);
}

static void put_case(const struct command *command, const struct option_row *rows)
{
	printf("\t\tcase '%s'\n\t\t\tprintf '%%s\\n'", command ? command->name : "");
	doc_each_option(rows, put_taking);
	putchar('\n');
}

int doc_fish(const char *name)
{
	if (!strcmp(name, "FISH_COMMANDS")) {
		for (const struct command *command = commands; command->name; command++) {
			printf("complete -c snapdrv -n __snapdrv_needs_command -a %s -d ",
			       command->name);
			put_quoted(command->help);
			putchar('\n');
		}
	} else if (!strcmp(name, "FISH_LIST")) {
		for (const struct command *command = commands; command->name; command++)
			printf("\techo %s\n", command->name);
	} else if (!strcmp(name, "FISH_TAKES")) {
		put_case(NULL, NULL);
		for (const struct command *command = commands; command->name; command++)
			doc_visit(command, put_case);
	} else if (!strcmp(name, "FISH_CASES")) {
		condition = "__snapdrv_needs_command";
		for (const struct option_row *row = options_global; row; row = option_next(row))
			put_option(row);
		for (const struct command *command = commands; command->name; command++)
			doc_visit(command, put_command);
	} else {
		return 0;
	}
	return 1;
}
