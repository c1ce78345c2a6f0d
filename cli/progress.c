/* SPDX-License-Identifier: Apache-2.0 */
/* The line on a terminal that says how far long work has come. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

#define INTERVAL_NS 100000000
#define LINE_ROOM 256
#define WHAT_MAX 24
#define BAR_MIN 10
#define BAR_MAX 60

int progress_line_wanted(void)
{
	return isatty(STDERR_FILENO);
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
	for (; *what && size < WHAT_MAX; what++)
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

static void draw(const struct snapdrv_progress *now)
{
	char what[WHAT_MAX + 1], numbers[80], bar[BAR_MAX + 1] = "", line[LINE_ROOM];
	uint64_t done = now->total && now->done > now->total ? now->total : now->done;
	int width = terminal_width() - 1; /* a full line would wrap */
	int room;

	put_what(what, now->what ? now->what : "");
	if (now->total)
		snprintf(numbers, sizeof(numbers), "%3d%% %s/%s",
			 (int)((double)done / (double)now->total * 100), show_size(done).text,
			 show_size(now->total).text);
	else
		snprintf(numbers, sizeof(numbers), "%s", show_size(done).text);
	room = width - (int)strlen(what) - 1 - (int)strlen(numbers);
	if (now->total && room >= BAR_MIN)
		put_bar(bar, room, done, now->total);
	snprintf(line, sizeof(line), "%s %s%s", what, bar, numbers);
	fprintf(stderr, "\r%.*s\033[K", width, line);
}

void progress_line_show(void *arg, const struct snapdrv_progress *now)
{
	struct progress_line *progress = arg;
	struct timespec clock;
	int64_t clock_ns;

	clock_gettime(CLOCK_MONOTONIC, &clock);
	clock_ns = (int64_t)clock.tv_sec * 1000000000 + clock.tv_nsec;
	if (progress->drawn_ns && clock_ns - progress->drawn_ns < INTERVAL_NS)
		return;
	progress->drawn_ns = clock_ns;
	draw(now);
}

void progress_line_done(struct progress_line *progress)
{
	if (progress->drawn_ns)
		fputs("\r\033[K", stderr);
	progress->drawn_ns = 0;
}
