/* SPDX-License-Identifier: Apache-2.0 */
/* history: how an image was made, as docker shows it. */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "output.h"
#include "show.h"

#define CREATED_BY_MAX 45 /* characters of it that docker shows */

enum history_flags { HISTORY_FULL = 1 << 0, HISTORY_HUMAN = 1 << 1, HISTORY_QUIET = 1 << 2 };

static const struct option_row history_options[] = {
	{.name = "human",
	 .letter = 'H',
	 .type = OPTION_SWITCH,
	 .value = "BOOL",
	 .help = "sizes and times for people (true)",
	 .choices = "true false",
	 .bit = HISTORY_HUMAN},
	{.name = "no-trunc",
	 .type = OPTION_FLAG,
	 .help = "show whole IDs and commands",
	 .bit = HISTORY_FULL},
	{.name = "quiet",
	 .letter = 'q',
	 .type = OPTION_FLAG,
	 .help = "print image IDs only",
	 .bit = HISTORY_QUIET},
	{0},
};

/* A line: the row, and its words as they are shown. */
struct line {
	struct snapdrv_history row;
	char *created_by; /* owned */
	const char *id;
	struct shown short_id, created, size;
	const char *shown_created, *shown_size;
};

#define LINE(member) offsetof(struct line, member)

static const struct field history_fields[] = {
	{.column = "IMAGE", .offset = LINE(id)},
	{.key = "id", .offset = LINE(row.id)},
	{.key = "created", .type = FIELD_TIME, .offset = LINE(row.created_ns)},
	{.column = "CREATED", .offset = LINE(shown_created)},
	{.column = "CREATED BY", .offset = LINE(created_by)},
	{.key = "created_by", .offset = LINE(row.created_by)},
	{.column = "SIZE", .offset = LINE(shown_size)},
	{.key = "size", .type = FIELD_SIZE, .offset = LINE(row.size)},
	{.column = "COMMENT", .key = "comment", .offset = LINE(row.comment)},
	{.key = "author", .offset = LINE(row.author)},
	{.key = "empty_layer", .type = FIELD_BOOL, .offset = LINE(row.empty_layer)},
	{.key = "diff_id", .offset = LINE(row.diff_id)},
	{0},
};

/* On one line, and cut to what docker shows; for free(3). */
static char *shorten(const char *text, int is_full)
{
	char *out = malloc(strlen(text) + sizeof("\xe2\x80\xa6"));
	size_t width = 0, at = 0, cut = 0;

	if (!out)
		return NULL;
	for (; text[at] && width < CREATED_BY_MAX + 1; width++) {
		size_t step = show_character(text + at);

		/* Where the last of them begins is where the dots go, if there is more. */
		if (width == CREATED_BY_MAX - 1)
			cut = at;
		at += step ? step : 1;
	}
	strcpy(out, text);
	if (!is_full && width > CREATED_BY_MAX)
		strcpy(out + cut, "\xe2\x80\xa6");
	for (char *space = out; (space = strpbrk(space, "\t\n"));)
		*space = ' ';
	return out;
}

static int line_fill(struct line *line, const struct snapdrv_history *row, unsigned flags)
{
	*line = (struct line){.row = *row, .id = row->id ? row->id : "<missing>"};
	line->short_id = show_id(line->id);
	if (!(flags & HISTORY_FULL))
		line->id = line->short_id.text;
	line->created_by = shorten(row->created_by, !!(flags & HISTORY_FULL));
	line->size = show_size(row->size);
	line->created = flags & HISTORY_HUMAN ? show_age(show_now_ns(), row->created_ns)
					      : show_time(row->created_ns);
	if (!(flags & HISTORY_HUMAN))
		snprintf(line->size.text, sizeof(line->size.text), "%llu",
			 (unsigned long long)row->size);
	line->shown_created = row->created_ns ? line->created.text : "N/A";
	line->shown_size = line->size.text;
	return line->created_by ? 0 : -1;
}

static int print_history(struct cli *cli, const struct snapdrv_history *history, size_t count,
			 unsigned flags)
{
	cleanup_free struct line *lines = calloc(count, sizeof(*lines));
	struct rows rows = {history_fields, lines, sizeof(*lines), count};
	int ret = lines ? 0 : -1;

	for (size_t i = 0; i < count && !ret; i++)
		ret = line_fill(&lines[i], &history[i], flags);
	if (!ret && cli->json)
		ret = output_json_rows("history", &rows);
	else if (!ret && (cli->quiet || flags & HISTORY_QUIET))
		for (size_t i = 0; i < count; i++)
			puts(lines[i].id);
	else if (!ret)
		ret = output_table(&rows, 0);
	for (size_t i = 0; lines && i < count; i++)
		free(lines[i].created_by);
	return ret;
}

void cmd_history(struct cli *cli)
{
	unsigned flags = HISTORY_HUMAN;
	struct snapdrv_history *history;
	struct snapdrv_error err;
	size_t count;

	if (cli_begin(cli, history_options, &flags, 1, 1))
		return;
	if (snapdrv_history(cli->store, cli->words[0], &history, &count, &err)) {
		cli_report(cli, &err);
		return;
	}
	if (print_history(cli, history, count, flags))
		cli_memory(cli);
	snapdrv_history_free(history, count);
}
