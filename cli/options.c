/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of options: turned into getopt_long(3)'s form to parse, into lines for the help. */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define OPTIONS_MAX 40
#define LONG_FIRST 256 /* what getopt_long() answers for the first row; above every letter */
#define HELP_COLUMN 30

const struct option_row options_common[] = {
	{.name = "root",
	 .type = OPTION_TEXT,
	 .value = "DIR",
	 .help = "directory of the store ($SNAPDRV_ROOT, /var/lib/snapdrv)",
	 .offset = offsetof(struct cli, root)},
	{.name = "driver",
	 .type = OPTION_TEXT,
	 .value = "NAME",
	 .help = "auto, btrfs, overlay or vfs ($SNAPDRV_DRIVER, auto)",
	 .choices = "auto btrfs overlay vfs",
	 .offset = offsetof(struct cli, driver)},
	{.name = "json",
	 .type = OPTION_FLAG,
	 .help = "print one JSON document",
	 .offset = offsetof(struct cli, json),
	 .bit = 1},
	{.name = "quiet",
	 .letter = 'q',
	 .type = OPTION_FLAG,
	 .help = "show no progress",
	 .offset = offsetof(struct cli, quiet),
	 .bit = 1},
	{.name = "verbose",
	 .letter = 'v',
	 .type = OPTION_FLAG,
	 .help = "say what was done, on standard error",
	 .offset = offsetof(struct cli, verbose),
	 .bit = 1},
	{.name = "help",
	 .letter = 'h',
	 .type = OPTION_FLAG,
	 .help = "print this help",
	 .offset = offsetof(struct cli, help),
	 .bit = 1},
	{0},
};

const struct option_row options_global[] = {
	{.name = "version",
	 .type = OPTION_FLAG,
	 .help = "print the version",
	 .offset = offsetof(struct cli, version),
	 .bit = 1},
	{.more = options_common},
};

struct parser {
	const struct option_row *rows[OPTIONS_MAX];
	void *values[OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 3];
	size_t count;
};

const struct option_row *option_next(const struct option_row *row)
{
	for (row++; !row->name; row = row->more) {
		if (!row->more)
			return NULL;
	}
	return row;
}

const struct option_row *option_find(const struct option_row *rows, const char *name)
{
	for (; rows; rows = option_next(rows)) {
		if (!strcmp(rows->name, name))
			return rows;
	}
	return NULL;
}

static void parser_add(struct parser *parser, const struct option_row *rows, void *values,
		       const struct option_row *hidden_by)
{
	char *letter = parser->letters + strlen(parser->letters);

	for (; rows; rows = option_next(rows)) {
		size_t at = parser->count;

		if (option_find(hidden_by, rows->name))
			continue;
		assert(at < OPTIONS_MAX);
		parser->rows[at] = rows;
		parser->values[at] = values;
		parser->longs[at] = (struct option){
			.name = rows->name,
			.has_arg = rows->type == OPTION_SWITCH ? optional_argument : !!rows->value,
			.val = LONG_FIRST + (int)at};
		if (rows->letter)
			*letter++ = rows->letter;
		if (rows->letter && rows->value && rows->type != OPTION_SWITCH)
			*letter++ = ':';
		parser->count++;
	}
}

/* The row of what getopt_long() found, by either form. */
static int parser_find(const struct parser *parser, int found)
{
	if (found >= LONG_FIRST)
		return found - LONG_FIRST;
	for (size_t i = 0; i < parser->count; i++) {
		if (found && parser->rows[i]->letter == found)
			return (int)i;
	}
	return -1;
}

static int wrong(struct snapdrv_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct snapdrv_error *err, const char *format, ...)
{
	va_list args;

	err->code = SNAPDRV_USAGE;
	err->errnum = EINVAL;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return -1;
}

/* Zero is what stands for "not given" in the library's options, and so no value. */
static int parse_number(const char *text, const char *suffixes, uint64_t *ret_number)
{
	unsigned long long number;
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return -1;
	if (*end) {
		const char *suffix = strchr(suffixes, *end);

		if (!suffix || end[1])
			return -1;
		shift = 10 * (unsigned)((suffix - suffixes) / 2 + 1);
	}
	if (!number || number > UINT64_MAX >> shift)
		return -1;
	*ret_number = (uint64_t)number << shift;
	return 0;
}

static int no_memory(struct snapdrv_error *err)
{
	*err = (struct snapdrv_error){SNAPDRV_FAILED, ENOMEM, "out of memory"};
	return -1;
}

static int add_word(struct word_list *list, const char *word, struct snapdrv_error *err)
{
	const char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

	if (!items)
		return no_memory(err);
	items[list->count++] = word;
	list->items = items;
	return 0;
}

static int store_value(const struct option_row *row, void *values, const char *text,
		       struct snapdrv_error *err)
{
	void *at;

	assert(row);
	at = (char *)values + row->offset;
	switch (row->type) {
	case OPTION_FLAG:
		*(unsigned *)at |= row->bit;
		return 0;
	case OPTION_SWITCH:
		if (text && strcmp(text, "true") && strcmp(text, "false"))
			return wrong(err, "--%s: '%s' is neither true nor false", row->name, text);
		*(unsigned *)at &= ~row->bit;
		*(unsigned *)at |= text && !strcmp(text, "false") ? 0 : row->bit;
		return 0;
	case OPTION_TEXT:
		*(const char **)at = text;
		return 0;
	case OPTION_LIST:
		return add_word(at, text, err);
	case OPTION_NUMBER:
		if (parse_number(text, "", at))
			return wrong(err, "--%s: '%s' is not a number from 1 on", row->name, text);
		return 0;
	case OPTION_SIZE:
		if (parse_number(text, "kKmMgGtT", at))
			return wrong(err, "--%s: '%s' is not a size such as 512M or 2G", row->name,
				     text);
		return 0;
	}
	return 0;
}

/* What getopt_long() did not understand. @word: where it stands. */
static int parser_complain(const struct parser *parser, int answer, const char *word,
			   struct snapdrv_error *err)
{
	int at = parser_find(parser, optopt);

	if (at >= 0 && answer == ':')
		return wrong(err, "--%s: needs a value, %s", parser->rows[at]->name,
			     parser->rows[at]->value);
	if (at >= 0)
		return wrong(err, "--%s: takes no value", parser->rows[at]->name);
	if (optopt)
		return wrong(err, "'-%c': no such option", optopt);
	return wrong(err, "'%s': no such option", word);
}

/*
 * Read @argv from its second word on. The first mistake is kept while the rest is read, because a
 * --json behind it says how it is to be reported. @words: where words that are no options go, or NULL.
 */
static int parser_run(struct parser *parser, int argc, char **argv, char **words, size_t *n_words,
		      struct snapdrv_error *err)
{
	int answer, ret = 0;
	struct snapdrv_error ignored;

	opterr = 0;
	optind = 0;
	while ((answer = getopt_long(argc, argv, parser->letters, parser->longs, NULL)) != -1) {
		struct snapdrv_error *to = ret ? &ignored : err;
		int at;

		if (answer == 1) {
			if (words)
				words[(*n_words)++] = optarg;
			continue;
		}
		if (answer == '?' || answer == ':') {
			ret |= parser_complain(parser, answer, argv[optind - 1], to);
			continue;
		}
		at = parser_find(parser, answer);
		ret |= store_value(parser->rows[at], parser->values[at], optarg, to);
	}
	return ret;
}

int options_before(struct cli *cli, int argc, char **argv, struct snapdrv_error *err)
{
	struct parser parser = {.letters = "+:"};

	parser_add(&parser, options_global, cli, NULL);
	return parser_run(&parser, argc, argv, NULL, NULL, err) ? -1 : optind;
}

int options_after(struct cli *cli, const struct option_row *rows, void *values,
		  enum words_rule rule, struct snapdrv_error *err)
{
	/* `-`: words come as answers, in their order, whatever POSIXLY_CORRECT says. */
	struct parser parser = {.letters = "-:"};
	int ret;

	cli->words = calloc((size_t)cli->argc + 1, sizeof(*cli->words));
	if (!cli->words)
		return no_memory(err);
	parser_add(&parser, rows, values, NULL);
	parser_add(&parser, options_common, cli, rows);
	ret = parser_run(&parser, cli->argc, cli->argv, cli->words, &cli->n_words, err);
	cli->rest = cli->argv + optind;
	cli->n_rest = (size_t)(cli->argc - optind);
	if (rule == WORDS_JOINED) {
		for (size_t i = 0; i < cli->n_rest; i++)
			cli->words[cli->n_words++] = cli->rest[i];
		cli->n_rest = 0;
	}
	return ret;
}

void options_print(const struct option_row *rows, const struct option_row *hidden_by)
{
	for (; rows; rows = option_next(rows)) {
		char form[80];

		if (option_find(hidden_by, rows->name))
			continue;
		snprintf(form, sizeof(form), "  %c%c%c --%s%s%s", rows->letter ? '-' : ' ',
			 rows->letter ? rows->letter : ' ', rows->letter ? ',' : ' ', rows->name,
			 rows->value ? " " : "", rows->value ? rows->value : "");
		printf("%-*s %s\n", HELP_COLUMN, form, rows->help);
	}
}
