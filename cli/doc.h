/* SPDX-License-Identifier: Apache-2.0 */
/* What the makers of manual pages and completions share; a program of the build, not installed. */
#ifndef CLI_DOC_H
#define CLI_DOC_H

#include "cli.h"

/**
 * doc_visit() - call @visit with the tables of a command.
 * @visit: @rows: the command's own options, NULL for none. Those of every command are options_common,
 *         without the names that @rows has.
 */
void doc_visit(const struct command *command,
	       void (*visit)(const struct command *command, const struct option_row *rows));

/** doc_each_option() - call @each with the options of a command: its own, then the common ones. */
void doc_each_option(const struct option_row *rows, void (*each)(const struct option_row *row));

/** enum doc_words - what a word on a command's line is; bits, as it may be one of several things. */
enum doc_words {
	DOC_FILE = 1 << 0,
	DOC_DIRECTORY = 1 << 1,
	DOC_IMAGE = 1 << 2,
	DOC_CONTAINER = 1 << 3,
	DOC_COMMAND = 1 << 4,
};

/**
 * doc_word() - what the next word of a command's line is, by its placeholder.
 * @at: in the command's arguments; moves behind the placeholder.
 * @ret_repeats: 1 when it stands for any number of words.
 * Return: 1, or 0 at the end, and at `--`.
 */
int doc_word(const char **at, unsigned *ret_kinds, int *ret_repeats);

/** doc_value() - what an option takes, by its placeholder: enum doc_words, or 0. */
unsigned doc_value(const struct option_row *row);

/**
 * doc_man(), doc_bash(), doc_zsh(), doc_fish() - print what a template's placeholder stands for.
 * @name: of the placeholder. @command: the page's, or NULL.
 * Return: 1, or 0 when the maker knows no such placeholder.
 */
int doc_man(const char *name, const struct command *command, const char *exit_statuses);
int doc_bash(const char *name);
int doc_zsh(const char *name);
int doc_fish(const char *name);

#endif
