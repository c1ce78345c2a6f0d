/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a manual page or a completion of a template: doc TEMPLATE [EXIT-STATUSES].
 *
 * Lines of the template that are `@NAME@` give way to what the tables of commands and options say; the
 * others stay. The page's command is told by the template's name, snapdrv-COMMAND.1.in.
 */
#include <stdio.h>
#include <string.h>

#include "doc.h"

static void (*visitor)(const struct command *command, const struct option_row *rows);

static void explain(struct cli *cli, const struct option_row *rows)
{
	visitor(cli->command, rows);
}

void doc_visit(const struct command *command,
	       void (*visit)(const struct command *command, const struct option_row *rows))
{
	struct cli cli = {.command = command, .help = 1, .explain = explain};

	visitor = visit;
	command->run(&cli);
}

void doc_each_option(const struct option_row *rows, void (*each)(const struct option_row *row))
{
	for (const struct option_row *row = rows; row; row = option_next(row))
		each(row);
	for (const struct option_row *row = options_common; row; row = option_next(row)) {
		if (!option_find(rows, row->name))
			each(row);
	}
}

/* What the words in capitals stand for, in arguments and as values of options. */
static unsigned placeholder(const char *word, size_t length)
{
	static const struct {
		const char *word;
		unsigned kinds;
	} kinds[] = {{"FILE", DOC_FILE}, {"FILE.svg", DOC_FILE},  {"SOURCE", DOC_FILE},
		     {"TAR", DOC_FILE},	 {"DIR", DOC_DIRECTORY},  {"IMAGE", DOC_IMAGE},
		     {"REF", DOC_IMAGE}, {"NAME", DOC_CONTAINER}, {"COMMAND", DOC_COMMAND}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].word) == length && !memcmp(kinds[i].word, word, length))
			return kinds[i].kinds;
	}
	return 0;
}

int doc_word(const char **at, unsigned *ret_kinds, int *ret_repeats)
{
	const char *word = *at + strspn(*at, " []");
	const char *end = word + strcspn(word, " ");

	if (!*word || !strncmp(word, "--", 2))
		return 0;
	*ret_kinds = 0;
	*ret_repeats = !!memmem(word, (size_t)(end - word), "...", 3);
	for (const char *part = word; part < end; part += strcspn(part, "| ") + (part < end)) {
		size_t length = strcspn(part, "|.] ");

		*ret_kinds |= placeholder(part, length);
	}
	*at = end;
	return 1;
}

unsigned doc_value(const struct option_row *row)
{
	unsigned kinds = row->value ? placeholder(row->value, strlen(row->value)) : 0;

	/* A name or a reference that an option gives is a new one. */
	return kinds & (DOC_FILE | DOC_DIRECTORY);
}

static const struct command *command_of(const char *template)
{
	const char *name = strrchr(template, '/');
	char command[64];

	name = name ? name + 1 : template;
	if (sscanf(name, "snapdrv-%60[a-z].1.in", command) != 1)
		return NULL;
	return command_find(command);
}

static int fill(FILE *file, const struct command *command, const char *exit_statuses)
{
	char line[4096], name[64], end;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "@%60[A-Z_]@%c", name, &end) != 2 || end != '\n') {
			fputs(line, stdout);
			continue;
		}
		if (!doc_man(name, command, exit_statuses) && !doc_bash(name) && !doc_zsh(name) &&
		    !doc_fish(name)) {
			fprintf(stderr, "doc: @%s@: nothing is known by that name\n", name);
			return 1;
		}
	}
	return ferror(file) || fflush(stdout) || ferror(stdout);
}

int main(int argc, char **argv)
{
	FILE *file = argc > 1 ? fopen(argv[1], "re") : NULL;
	int ret;

	if (!file) {
		fprintf(stderr, "doc: no template\n");
		return 2;
	}
	ret = fill(file, command_of(argv[1]), argc > 2 ? argv[2] : NULL);
	fclose(file);
	return ret;
}
