/* SPDX-License-Identifier: Apache-2.0 */
/* The lines on a terminal that say how far long work has come. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

#define INTERVAL_NS 100000000
#define LINE_ROOM 256
#define BAR_MIN 10
#define BAR_MAX 60

int progress_line_wanted(void)
{
	return isatty(STDERR_FILENO);
}

void progress_line_begin(const struct cli *cli, struct progress_line *progress,
			 void (**ret_show)(void *arg, const struct snapdrv_progress *now),
			 void **ret_arg)
{
	if (cli->quiet || cli->json || !progress_line_wanted())
		return;
	*ret_show = progress_line_show;
	*ret_arg = progress;
}

static int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return size.ws_col < LINE_ROOM ? size.ws_col : LINE_ROOM;
}

/* Twelve digits of a digest, or as much of another name as there is room for. */
static void put_what(char *to, const char *what)
{
	const char *colon = strchr(what, ':');
	size_t size = 0;

	if (colon && strlen(colon) == 1 + 64)
		what = show_id(what).text;
	for (; *what && size < PROGRESS_WHAT_MAX; what++)
		to[size++] = *what >= 0x20 && *what < 0x7f ? *what : '?';
	to[size] = '\0';
}

static void put_bar(char *to, int room, uint64_t done, uint64_t total)
{
	int width = (room > BAR_MAX ? BAR_MAX : room) - 3; /* two brackets and a space */
	int full = (int)((double)done / (double)total * width);

	*to++ = '[';
	for (int i = 0; i < width; i++)
		*to++ = i < full ? '=' : i == full ? '>' : ' ';
	strcpy(to, "] ");
}

static void draw_row(const struct progress_row *row, int width)
{
	uint64_t done = row->total && row->done > row->total ? row->total : row->done;
	char numbers[80], bar[BAR_MAX + 1] = "", line[LINE_ROOM];
	int room;

	if (row->total)
		snprintf(numbers, sizeof(numbers), "%3d%% %s/%s",
			 (int)((double)done / (double)row->total * 100), show_size(done).text,
			 show_size(row->total).text);
	else
		snprintf(numbers, sizeof(numbers), "%s", show_size(done).text);
	room = width - (int)strlen(row->what) - 1 - (int)strlen(numbers);
	if (row->total && room >= BAR_MIN)
		put_bar(bar, room, done, row->total);
	snprintf(line, sizeof(line), "%s %s%s", row->what, bar, numbers);
	fprintf(stderr, "\r%.*s\033[K", width, line);
}

/* To the first column of the first line. */
static void go_up(const struct progress_line *progress)
{
	if (progress->n_drawn > 1)
		fprintf(stderr, "\033[%dA", progress->n_drawn - 1);
	fputc('\r', stderr);
}

static void draw(struct progress_line *progress)
{
	int width = terminal_width() - 1; /* a full line would wrap */

	go_up(progress);
	for (int i = 0; i < progress->n_rows; i++) {
		if (i)
			fputc('\n', stderr);
		draw_row(&progress->rows[i], width);
	}
	progress->n_drawn = progress->n_rows;
}

static int is_through(const struct progress_row *row)
{
	return row->total && row->done >= row->total;
}

/* The row of a thing, or NULL when there are too many at once. */
static struct progress_row *find_row(struct progress_line *progress, const char *what,
				     int *ret_is_new)
{
	int free_row = 0;

	*ret_is_new = 0;
	for (int i = 0; i < progress->n_rows; i++) {
		if (!strcmp(progress->rows[i].what, what))
			return &progress->rows[i];
	}
	if (progress->n_rows == PROGRESS_ROWS) {
		while (free_row < PROGRESS_ROWS && !is_through(&progress->rows[free_row]))
			free_row++;
		if (free_row == PROGRESS_ROWS)
			return NULL;
		progress->n_rows--;
		memmove(&progress->rows[free_row], &progress->rows[free_row + 1],
			(size_t)(progress->n_rows - free_row) * sizeof(*progress->rows));
	}
	*ret_is_new = 1;
	strcpy(progress->rows[progress->n_rows].what, what);
	return &progress->rows[progress->n_rows++];
}

void progress_line_show(void *arg, const struct snapdrv_progress *now)
{
	struct progress_line *progress = arg;
	char what[PROGRESS_WHAT_MAX + 1];
	struct progress_row *row;
	struct timespec clock;
	int64_t clock_ns;
	int is_new;

	put_what(what, now->what ? now->what : "");
	row = find_row(progress, what, &is_new);
	if (row) {
		row->done = now->done;
		row->total = now->total;
	}
	clock_gettime(CLOCK_MONOTONIC, &clock);
	clock_ns = (int64_t)clock.tv_sec * 1000000000 + clock.tv_nsec;
	if (!is_new && progress->drawn_ns && clock_ns - progress->drawn_ns < INTERVAL_NS)
		return;
	progress->drawn_ns = clock_ns;
	draw(progress);
}

void progress_line_done(struct progress_line *progress)
{
	if (progress->n_drawn) {
		go_up(progress);
		fputs("\033[J", stderr);
	}
	*progress = (struct progress_line){0};
}
