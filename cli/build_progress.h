/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a build while it goes on: lines that stay, or a few that are drawn anew on a terminal. */
#ifndef CLI_BUILD_PROGRESS_H
#define CLI_BUILD_PROGRESS_H

#include <pthread.h>

#include "cli.h"

/** enum build_style - how it is told. */
enum build_style {
	BUILD_SILENT, /* not at all */
	BUILD_PLAIN,  /* every line of output, a number in front */
	BUILD_TTY     /* what goes on, at the bottom of the terminal */
};

/**
 * struct build_step - a step that was told of.
 * @title: `[stage 2/5] RUN make`. @status: "running", "cached", "done", "failed".
 * @tail: the end of its output, @n_tail bytes. @line_at: where its last line begins.
 */
struct build_step {
	char *stage, *text, *title;
	const char *status;
	size_t number, n_steps, line, duration_ns;
	int64_t start_ns;
	char *tail;
	size_t n_tail, line_at;
};

/** struct build_progress - for build_progress_done(). */
struct build_progress {
	enum build_style style;
	struct build_step *steps; /* by their ids, from 1 */
	size_t n_steps;
	int n_drawn; /* lines of the running ones */
	int is_ticking, is_over;
	pthread_t ticker;
	pthread_mutex_t lock;
	pthread_cond_t woken;
};

/** build_progress_begin() - before the build. */
void build_progress_begin(struct build_progress *progress, enum build_style style);

/** build_progress_event() - for snapdrv_build_options; @arg: the struct build_progress. */
void build_progress_event(void *arg, const struct snapdrv_build_event *event);

/** build_progress_end() - nothing more is drawn. */
void build_progress_end(struct build_progress *progress);

void build_progress_done(struct build_progress *progress);

#endif
