/* SPDX-License-Identifier: Apache-2.0 */
/* The lines on a terminal that say how far long work has come: one for each thing that is worked on. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

#include "cli.h"

#define PROGRESS_ROWS 8
#define PROGRESS_WHAT_MAX 24

/** struct progress_row - how far one thing has come. */
struct progress_row {
	char what[PROGRESS_WHAT_MAX + 1];
	uint64_t done;
	uint64_t total;
};

/**
 * struct progress_line - lines that are redrawn in place; all zero is one that was not drawn yet.
 * @drawn_ns: when they were drawn last, on the monotonic clock; 0 for never.
 * @rows: @n_rows of them, the latest at the bottom; what is through makes room for what comes.
 * @n_drawn: lines on the terminal.
 */
struct progress_line {
	int64_t drawn_ns;
	struct progress_row rows[PROGRESS_ROWS];
	int n_rows;
	int n_drawn;
};

/** progress_line_wanted() - whether standard error is a terminal. */
int progress_line_wanted(void);

/**
 * progress_line_begin() - show how far work comes, where that is wanted: on a terminal, without --quiet and
 * --json. Otherwise nothing is set.
 * @progress: for progress_line_done(); it must not move.
 * @ret_show, @ret_arg: the two of snapdrv_load_options, or options like it.
 */
void progress_line_begin(const struct cli *cli, struct progress_line *progress,
			 void (**ret_show)(void *arg, const struct snapdrv_progress *now),
			 void **ret_arg);

/**
 * progress_line_show() - for snapdrv_load_options; @arg: a struct progress_line. Draws ten times a
 * second at most.
 */
void progress_line_show(void *arg, const struct snapdrv_progress *now);

/** progress_line_done() - clear the lines; to be called before anything else is printed. */
void progress_line_done(struct progress_line *progress);

#endif
