/* SPDX-License-Identifier: Apache-2.0 */
/* Cells in columns, names at the left and numbers at the right. */
#include "bench_grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define GAP 2

void grid_done(struct grid *grid)
{
	for (size_t i = 0; i < grid->n_cells; i++)
		free(grid->cells[i]);
	free(grid->cells);
}

void grid_put(struct grid *grid, const char *text)
{
	char **cells = reallocarray(grid->cells, grid->n_cells + 1, sizeof(*cells));

	if (cells) {
		grid->cells = cells;
		cells[grid->n_cells] = strdup(text);
	}
	if (cells && cells[grid->n_cells])
		grid->n_cells++;
	else
		grid->is_short_of_memory = 1;
}

static size_t column_width(const struct grid *grid, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < grid->n_cells; i += grid->n_columns) {
		size_t cell = strlen(grid->cells[i]);

		width = cell > width ? cell : width;
	}
	return width;
}

/* Blanks go in front of what follows them, so that none ends a line. */
int grid_print(const struct grid *grid)
{
	cleanup_free size_t *widths = calloc(grid->n_columns, sizeof(*widths));

	if (grid->is_short_of_memory || !widths)
		return -1;
	for (size_t i = 0; i < grid->n_columns; i++)
		widths[i] = column_width(grid, i);
	for (size_t line = 0; line < grid->n_cells; line += grid->n_columns) {
		size_t blanks = 0;

		for (size_t i = 0; i < grid->n_columns; i++) {
			const char *cell = grid->cells[line + i];
			size_t text = strlen(cell), rest = widths[i] - text;

			while (text && cell[text - 1] == ' ')
				text--;
			if (i >= grid->n_left)
				blanks += rest;
			if (text)
				printf("%*s%.*s", (int)blanks, "", (int)text, cell);
			blanks = (text ? 0 : blanks) + strlen(cell) - text + GAP +
				 (i < grid->n_left ? rest : 0);
		}
		putchar('\n');
	}
	return 0;
}
