/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a build, as they are told on standard error. */
#include "build_progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

#define TICK_NS 200000000
#define TAIL_MAX 8192 /* of a step's output, for when it fails */
#define ROOM 512
#define ROWS_MAX 12

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct build_step *step_of(struct build_progress *progress, unsigned id)
{
	return id && id <= progress->n_steps ? &progress->steps[id - 1] : NULL;
}

/* Control characters would move the cursor. */
static void put_clean(const char *text, size_t size, size_t width)
{
	for (size_t i = 0, control; i < size && width; i += control ? control : 1, width--) {
		control = show_control(text + i, size - i);
		fputc(control ? ' ' : text[i], stderr);
	}
}

/* ---- on a terminal ------------------------------------------------------------------------ */

static size_t terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20)
		return 79;
	return (size.ws_col < ROOM ? size.ws_col : ROOM) - 1u;
}

static void clear_drawn(struct build_progress *progress)
{
	if (progress->n_drawn)
		fprintf(stderr, "\033[%dA\r\033[J", progress->n_drawn);
	progress->n_drawn = 0;
}

/* A title at the left, a time or a word at the right. */
static void put_row(const char *title, const char *right, size_t width)
{
	size_t room = width - strlen(right) - 4, length = strlen(title);

	fputs("=> ", stderr);
	put_clean(title, length, room);
	fprintf(stderr, "%*s %s\n", (int)(length < room ? room - length : 0), "", right);
}

static void seconds_text(char text[24], int64_t duration_ns)
{
	snprintf(text, 24, "%.1fs", (double)duration_ns / 1e9);
}

static void draw_running(struct build_progress *progress)
{
	size_t width = terminal_width();

	for (size_t i = 0; i < progress->n_steps && progress->n_drawn < ROWS_MAX; i++) {
		const struct build_step *step = &progress->steps[i];
		char time[24];

		if (strcmp(step->status, "running"))
			continue;
		seconds_text(time, now_ns() - step->start_ns);
		put_row(step->title, time, width);
		progress->n_drawn++;
		if (!step->n_tail)
			continue;
		fputs("=> # ", stderr);
		put_clean(step->tail + step->line_at, step->n_tail - step->line_at, width - 5);
		fputc('\n', stderr);
		progress->n_drawn++;
	}
	fflush(stderr);
}

static void *tick(void *arg)
{
	struct build_progress *progress = arg;

	pthread_mutex_lock(&progress->lock);
	while (!progress->is_over) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += TICK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&progress->woken, &progress->lock, &until);
		clear_drawn(progress);
		draw_running(progress);
	}
	clear_drawn(progress);
	fflush(stderr);
	pthread_mutex_unlock(&progress->lock);
	return NULL;
}

static void tell_tty(struct build_progress *progress, const struct build_step *step)
{
	char right[24] = "CACHED";

	clear_drawn(progress);
	if (!strcmp(step->status, "done") || !strcmp(step->status, "failed"))
		seconds_text(right, (int64_t)step->duration_ns);
	put_row(step->title, right, terminal_width());
	if (!strcmp(step->status, "failed") && step->n_tail) {
		for (size_t at = 0; at < step->n_tail;) {
			const char *end = memchr(step->tail + at, '\n', step->n_tail - at);
			size_t size = end ? (size_t)(end - step->tail) - at : step->n_tail - at;

			fputs("   | ", stderr);
			put_clean(step->tail + at, size, ROOM * 8);
			fputc('\n', stderr);
			at += size + 1;
		}
	}
	draw_running(progress);
}

/* ---- line by line ------------------------------------------------------------------------- */

static void put_line(unsigned id, const char *text, size_t size)
{
	fprintf(stderr, "#%u ", id);
	if (isatty(STDERR_FILENO))
		put_clean(text, size, size);
	else
		fwrite(text, 1, size, stderr);
	fputc('\n', stderr);
}

/* Whole lines at once: those of several steps may come side by side. */
static void tell_plain_output(unsigned id, struct build_step *step, int is_over)
{
	const char *end;

	while ((end = memchr(step->tail + step->line_at, '\n', step->n_tail - step->line_at))) {
		put_line(id, step->tail + step->line_at,
			 (size_t)(end - step->tail) - step->line_at);
		step->line_at = (size_t)(end - step->tail) + 1;
	}
	if (step->line_at < step->n_tail &&
	    (is_over || step->n_tail - step->line_at > TAIL_MAX / 2)) {
		put_line(id, step->tail + step->line_at, step->n_tail - step->line_at);
		step->line_at = step->n_tail;
	}
}

static void tell_plain(const struct snapdrv_build_event *event, struct build_step *step)
{
	switch (event->kind) {
	case SNAPDRV_BUILD_STARTED:
		fprintf(stderr, "#%u ", event->id);
		show_text(stderr, step->title);
		fputc('\n', stderr);
		break;
	case SNAPDRV_BUILD_CACHED:
		fprintf(stderr, "#%u ", event->id);
		show_text(stderr, step->title);
		fprintf(stderr, "\n#%u CACHED\n", event->id);
		break;
	case SNAPDRV_BUILD_DONE:
	case SNAPDRV_BUILD_STOPPED:
		if (step->n_tail)
			tell_plain_output(event->id, step, 1);
		fprintf(stderr, "#%u %s %.1fs\n", event->id,
			event->kind == SNAPDRV_BUILD_DONE ? "DONE" : "FAILED",
			(double)event->duration_ns / 1e9);
		break;
	default:
		break;
	}
	fflush(stderr);
}

/* ---- what is known ------------------------------------------------------------------------ */

/* The end of the output, of which the last line is shown; a bit more than is kept for a failure. */
static void keep_output(struct build_step *step, const char *data, size_t size)
{
	if (!step->tail)
		step->tail = malloc(2 * (size_t)TAIL_MAX);
	if (!step->tail)
		return;
	if (size > TAIL_MAX) {
		data += size - TAIL_MAX;
		size = TAIL_MAX;
	}
	if (step->n_tail + size > 2 * (size_t)TAIL_MAX) {
		size_t dropped = step->n_tail - TAIL_MAX;

		dropped = dropped < step->n_tail + size - 2 * (size_t)TAIL_MAX
				  ? step->n_tail + size - 2 * (size_t)TAIL_MAX
				  : dropped;
		memmove(step->tail, step->tail + dropped, step->n_tail - dropped);
		step->n_tail -= dropped;
		step->line_at -= dropped < step->line_at ? dropped : step->line_at;
	}
	memcpy(step->tail + step->n_tail, data, size);
	step->n_tail += size;
}

/* Where the last line that says something begins. */
static void find_last_line(struct build_step *step)
{
	size_t end = step->n_tail;

	while (end && step->tail[end - 1] == '\n')
		end--;
	step->line_at = end;
	while (step->line_at && step->tail[step->line_at - 1] != '\n')
		step->line_at--;
}

static void take_output(struct build_progress *progress, const struct snapdrv_build_event *event,
			struct build_step *step)
{
	const char *data = event->data;

	/* In pieces that fit: none of them is lost where all are told. */
	for (size_t left = event->size, size; left; data += size, left -= size) {
		size = left < TAIL_MAX / 2 ? left : TAIL_MAX / 2;
		keep_output(step, data, size);
		if (!step->tail)
			return;
		if (progress->style == BUILD_PLAIN)
			tell_plain_output(event->id, step, 0);
		else
			find_last_line(step);
	}
	fflush(stderr);
}

static struct build_step *add_step(struct build_progress *progress,
				   const struct snapdrv_build_event *event)
{
	struct build_step *steps, *step;

	if (event->id != progress->n_steps + 1)
		return step_of(progress, event->id);
	steps = reallocarray(progress->steps, event->id, sizeof(*steps));
	if (!steps)
		return NULL;
	progress->steps = steps;
	step = &steps[event->id - 1];
	*step = (struct build_step){.stage = strdup(event->stage),
				    .text = strdup(event->text),
				    .status = "running",
				    .number = event->step,
				    .n_steps = event->n_steps,
				    .line = event->line,
				    .start_ns = now_ns()};
	if (asprintf(&step->title, "[%s%s%u/%u] %s", event->stage, *event->stage ? " " : "",
		     event->step, event->n_steps, event->text) < 0)
		step->title = NULL;
	if (!step->stage || !step->text || !step->title) {
		free(step->stage);
		free(step->text);
		free(step->title);
		return NULL;
	}
	progress->n_steps++;
	return step;
}

static void take_event(struct build_progress *progress, const struct snapdrv_build_event *event)
{
	struct build_step *step = add_step(progress, event);

	if (event->kind == SNAPDRV_BUILD_WARNING && progress->style != BUILD_SILENT) {
		clear_drawn(progress);
		fprintf(stderr, "WARNING: %.*s\n", (int)event->size, event->data);
	}
	/* Without memory it goes on untold. */
	if (!step)
		return;
	if (event->kind == SNAPDRV_BUILD_OUTPUT) {
		if (progress->style != BUILD_SILENT)
			take_output(progress, event, step);
		return;
	}
	if (event->kind != SNAPDRV_BUILD_STARTED)
		step->status = event->kind == SNAPDRV_BUILD_CACHED ? "cached"
			       : event->kind == SNAPDRV_BUILD_DONE ? "done"
								   : "failed";
	step->duration_ns = (size_t)event->duration_ns;
	if (progress->style == BUILD_PLAIN)
		tell_plain(event, step);
	else if (progress->style == BUILD_TTY && event->kind != SNAPDRV_BUILD_STARTED)
		tell_tty(progress, step);
}

void build_progress_event(void *arg, const struct snapdrv_build_event *event)
{
	struct build_progress *progress = arg;

	pthread_mutex_lock(&progress->lock);
	take_event(progress, event);
	pthread_mutex_unlock(&progress->lock);
}

void build_progress_begin(struct build_progress *progress, enum build_style style)
{
	*progress = (struct build_progress){.style = style};
	pthread_mutex_init(&progress->lock, NULL);
	pthread_cond_init(&progress->woken, NULL);
	if (style == BUILD_TTY)
		progress->is_ticking = !pthread_create(&progress->ticker, NULL, tick, progress);
}

void build_progress_end(struct build_progress *progress)
{
	pthread_mutex_lock(&progress->lock);
	progress->is_over = 1;
	pthread_cond_signal(&progress->woken);
	pthread_mutex_unlock(&progress->lock);
	if (progress->is_ticking)
		pthread_join(progress->ticker, NULL);
	progress->is_ticking = 0;
}

void build_progress_done(struct build_progress *progress)
{
	for (size_t i = 0; i < progress->n_steps; i++) {
		free(progress->steps[i].stage);
		free(progress->steps[i].text);
		free(progress->steps[i].title);
		free(progress->steps[i].tail);
	}
	free(progress->steps);
	pthread_mutex_destroy(&progress->lock);
	pthread_cond_destroy(&progress->woken);
}
