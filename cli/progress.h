/* SPDX-License-Identifier: Apache-2.0 */
/* The line on a terminal that says how far long work has come. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

#include "snapdrv.h"

/**
 * struct progress_line - a line that is redrawn in place; all zero is one that was not drawn yet.
 * @drawn_ns: when it was drawn last, on the monotonic clock; 0 for never.
 */
struct progress_line {
	int64_t drawn_ns;
};

/** progress_line_wanted() - whether standard error is a terminal. */
int progress_line_wanted(void);

/**
 * progress_line_show() - for snapdrv_load_options; @arg: a struct progress_line. Draws ten times a
 * second at most.
 */
void progress_line_show(void *arg, const struct snapdrv_progress *now);

/** progress_line_done() - clear the line; to be called before anything else is printed. */
void progress_line_done(struct progress_line *progress);

#endif
