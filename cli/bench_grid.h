/* SPDX-License-Identifier: Apache-2.0 */
/* Cells in columns, names at the left and numbers at the right. */
#ifndef CLI_BENCH_GRID_H
#define CLI_BENCH_GRID_H

#include <stddef.h>

/**
 * struct grid - lines of cells; @n_columns and @n_left are set by the user, the others are 0 then.
 * @n_left: so many first columns stand at the left.
 * @is_short_of_memory: a cell is missing.
 */
struct grid {
	size_t n_columns;
	size_t n_left;
	char **cells;
	size_t n_cells;
	int is_short_of_memory;
};

/** grid_put() - one more cell, of ASCII; lines fill up one after the other. @text: copied. */
void grid_put(struct grid *grid, const char *text);

/** grid_print() - to stdout. Return: 0, or -1 when memory is, or was, out. */
int grid_print(const struct grid *grid);

/** grid_done() - free the cells. */
void grid_done(struct grid *grid);

#define cleanup_grid __attribute__((cleanup(grid_done)))

#endif
