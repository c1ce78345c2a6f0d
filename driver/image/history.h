/* SPDX-License-Identifier: Apache-2.0 */
/* How an image came to be, by its config's history. */
#ifndef IMAGE_HISTORY_H
#define IMAGE_HISTORY_H

#include "snapshot/graph.h"

/** image_history() - snapdrv_history(). */
int image_history(struct graph *graph, const char *image, struct snapdrv_history **ret_rows,
		  size_t *ret_count, struct snapdrv_error *err);
void image_history_free(struct snapdrv_history *rows, size_t count);

#endif
