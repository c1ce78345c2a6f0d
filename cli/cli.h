/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: the run of a command, its options, and how it fails. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>
#include <stdlib.h>

#include "snapdrv.h"

struct cli;
struct option_row;

/**
 * struct command - a row of the table of commands.
 * @name:      the word that calls it.
 * @run:       does it; a failure goes to cli_report() or cli_fail().
 * @arguments: for the usage line.
 * @help:      one line.
 * @group:     heading in the list of commands; rows of one group stand together.
 */
struct command {
	const char *name;
	void (*run)(struct cli *cli);
	const char *arguments;
	const char *help;
	const char *group;
};

/**
 * struct cli - one run of one command.
 * @command: the row that runs, or NULL before one is found.
 * @argc: length of @argv. @argv: the command's name and all that follows it.
 * @words: @n_words arguments that are no options, in their order.
 * @rest: @n_rest words behind `--`, for the commands that keep them apart; @words has them for
 *         others.
 * @store: open once cli_begin() returned 0.
 * @explain: what --help does instead of printing the help, for who reads the tables; or NULL.
 * @status: the exit status: 0, or the code of the first failure.
 */
struct cli {
	const struct command *command;
	int argc;
	char **argv;
	const char *root;
	const char *driver;
	unsigned json;
	unsigned quiet;
	unsigned verbose;
	unsigned help;
	unsigned version;
	char **words;
	size_t n_words;
	char **rest;
	size_t n_rest;
	struct snapdrv_store *store;
	void (*explain)(struct cli *cli, const struct option_row *rows);
	int status;
};

/** commands - the table; a row without a name ends it. */
extern const struct command commands[];

/** command_find() - the row of a command, or NULL. */
const struct command *command_find(const char *name);

/** commands_print() - the help of the program as a whole. */
void commands_print(void);

/**
 * struct word_list - the values of an option that may be repeated; the strings are borrowed, the
 * array is not.
 */
struct word_list {
	const char **items;
	size_t count;
};

/** enum option_type - what an option takes, and the type of what it is stored in. */
enum option_type {
	OPTION_FLAG,   /* nothing; sets .bit in an unsigned */
	OPTION_SWITCH, /* nothing, or =true or =false; sets .bit in an unsigned or clears it */
	OPTION_TEXT,   /* a word; const char * */
	OPTION_LIST,   /* a word, each time that it is given; struct word_list */
	OPTION_NUMBER, /* 1 or more; uint64_t */
	OPTION_SIZE    /* bytes, with k, M, G or T for powers of 1024; uint64_t */
};

/**
 * struct option_row - an option: the parser and the help text are both made from it.
 * @name: without the dashes; NULL ends a table. @letter: of the short form, or 0.
 * @value: name of what it takes, NULL for a flag. @help: one line.
 * @choices: the words that it takes, with spaces between, where there are few; for completion.
 * @offset: where the value goes, within the struct that the parser is given. @bit: for a flag.
 * @more: in the row that ends a table: another table with which it goes on, or NULL.
 */
struct option_row {
	const char *name;
	char letter;
	enum option_type type;
	const char *value;
	const char *help;
	const char *choices;
	size_t offset;
	unsigned bit;
	const struct option_row *more;
};

/** enum words_rule - what becomes of the words behind `--`. */
enum words_rule {
	WORDS_JOINED, /* words as the others */
	WORDS_APART   /* in cli->rest */
};

/** options_common - the options of every command, before and behind its name; of a struct cli. */
extern const struct option_row options_common[];

/** options_global - those, and what stands only before the command's name. */
extern const struct option_row options_global[];

/**
 * options_before() - read the options before the command's name.
 * Return: the index in @argv of that name (@argc when there is none), or -1 with @err filled.
 */
int options_before(struct cli *cli, int argc, char **argv, struct snapdrv_error *err);

/**
 * options_after() - read what follows the command's name.
 * @rows: the command's own options, or NULL. @values: what they go into.
 * Return: 0, or -1 with @err filled.
 */
int options_after(struct cli *cli, const struct option_row *rows, void *values,
		  enum words_rule rule, struct snapdrv_error *err);

/**
 * option_next() - the row after one, in the table in which that goes on too; NULL at the end.
 * option_find() - the row of that name, of this one and those after it; or NULL. @rows: may be NULL.
 */
const struct option_row *option_next(const struct option_row *row);
const struct option_row *option_find(const struct option_row *rows, const char *name);

/**
 * options_print() - the help lines of a table, without those whose names are in @hidden_by (or
 * NULL).
 */
void options_print(const struct option_row *rows, const struct option_row *hidden_by);

/**
 * cli_parse() - read a command's line, and answer --help.
 * @rows, @values, @rule: as in options_after(). @min, @max: how many words it takes.
 * Return: 0 to go on, 1 when the command is over: helped, or failed and reported.
 */
int cli_parse(struct cli *cli, const struct option_row *rows, void *values, enum words_rule rule,
	      size_t min, size_t max);

/** cli_open() - open the store. Return: 0 to go on, 1 when it failed and is reported. */
int cli_open(struct cli *cli);

/** cli_begin() - cli_parse() with joined words, then cli_open(). */
int cli_begin(struct cli *cli, const struct option_row *rows, void *values, size_t min, size_t max);

/** cli_report() - print a failure and keep its code as the exit status if it is the first one. */
void cli_report(struct cli *cli, const struct snapdrv_error *err);

/** cli_fail() - cli_report() of a failure that is found here. @format: `WHAT: WHY`. */
void cli_fail(struct cli *cli, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** cli_usage() - cli_fail() with USAGE; the command's name goes in front. */
void cli_usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** cli_memory() - cli_fail() for a failed allocation. */
void cli_memory(struct cli *cli);

/** cli_note() - with --verbose, a line on stderr about what was done. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

void cmd_load(struct cli *cli);
void cmd_import(struct cli *cli);
void cmd_build(struct cli *cli);
void cmd_pull(struct cli *cli);
void cmd_push(struct cli *cli);
void cmd_images(struct cli *cli);
void cmd_history(struct cli *cli);
void cmd_inspect(struct cli *cli);
void cmd_save(struct cli *cli);
void cmd_tag(struct cli *cli);
void cmd_rmi(struct cli *cli);
void cmd_create(struct cli *cli);
void cmd_mount(struct cli *cli);
void cmd_umount(struct cli *cli);
void cmd_ls(struct cli *cli);
void cmd_rm(struct cli *cli);
void cmd_diff(struct cli *cli);
void cmd_export(struct cli *cli);
void cmd_commit(struct cli *cli);
void cmd_df(struct cli *cli);
void cmd_gc(struct cli *cli);
void cmd_check(struct cli *cli);
void cmd_info(struct cli *cli);
void cmd_bench(struct cli *cli);
void cmd_help(struct cli *cli);

#endif
