/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of results, written as a table or as JSON. */
#include "output.h"

#include <assert.h>
#include <string.h>

#include "cleanup.h"
#include "show.h"
#include "snapdrv.h"

#define COLUMN_MIN 10 /* docker's table: at least this wide, with this gap */
#define COLUMN_GAP 3
#define COLUMNS_MAX 16

static const void *at(const void *row, size_t offset)
{
	return (const char *)row + offset;
}

static void put_text(FILE *to, const char *text)
{
	show_text(to, text ? text : "<none>");
}

static void put_value(FILE *to, const struct field *field, const void *row, unsigned flags)
{
	const void *value = at(row, field->offset);
	const char *text;

	switch (field->type) {
	case FIELD_TEXT:
		put_text(to, *(char *const *)value);
		break;
	case FIELD_IMAGE:
		text = *(char *const *)value;
		put_text(to, !text			   ? NULL
			     : strncmp(text, "sha256:", 7) ? show_reference(text)
							   : show_id(text).text);
		break;
	case FIELD_ID:
		put_text(to, flags & OUTPUT_FULL_IDS ? *(char *const *)value
						     : show_id(*(char *const *)value).text);
		break;
	case FIELD_TIME:
		put_text(to, *(const int64_t *)value
				     ? show_age(show_now_ns(), *(const int64_t *)value).text
				     : "N/A");
		break;
	case FIELD_SIZE:
		put_text(to, *(const uint64_t *)value == SNAPDRV_UNKNOWN
				     ? "-"
				     : show_size(*(const uint64_t *)value).text);
		break;
	case FIELD_COUNT:
		fprintf(to, "%zu", *(const size_t *)value);
		break;
	case FIELD_BOOL:
		put_text(to, *(const int *)value ? "yes" : "no");
		break;
	case FIELD_LIST:
	case FIELD_ROWS:
		break;
	}
}

/* A cell, for free(3). */
static char *cell_text(const struct field *field, const void *row, unsigned flags)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	put_value(to, field, row, flags);
	if (fclose(to)) {
		free(text);
		return NULL;
	}
	return text;
}

static size_t cell_width(const char *text)
{
	size_t width = 0;

	for (; *text; text += show_character(text))
		width++;
	return width;
}

struct table {
	const struct field *columns[COLUMNS_MAX];
	size_t n_columns;
	char **cells; /* the heading first, then the rows */
	size_t n_cells;
};

static void table_done(struct table *table)
{
	for (size_t i = 0; table->cells && i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
}

static int table_fill(struct table *table, const struct rows *rows, unsigned flags)
{
	for (const struct field *field = rows->fields; field->column || field->key; field++) {
		if (!field->column || (field->only_with & flags) != field->only_with)
			continue;
		assert(table->n_columns < COLUMNS_MAX);
		table->columns[table->n_columns++] = field;
	}
	table->n_cells = table->n_columns * (rows->count + 1);
	table->cells = calloc(table->n_cells, sizeof(*table->cells));
	if (!table->cells)
		return -1;
	for (size_t i = 0; i < table->n_cells; i++) {
		const struct field *field = table->columns[i % table->n_columns];
		size_t line = i / table->n_columns;

		table->cells[i] =
			line ? cell_text(field, at(rows->first, (line - 1) * rows->size), flags)
			     : strdup(field->column);
		if (!table->cells[i])
			return -1;
	}
	return 0;
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t width = COLUMN_MIN;

	for (size_t i = column; i < table->n_cells; i += table->n_columns) {
		size_t cell = cell_width(table->cells[i]) + COLUMN_GAP;

		if (cell > width)
			width = cell;
	}
	return width;
}

static void table_print(const struct table *table)
{
	size_t widths[COLUMNS_MAX];

	if (!table->n_columns)
		return;
	for (size_t i = 0; i < table->n_columns; i++)
		widths[i] = column_width(table, i);
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t column = i % table->n_columns;

		if (column + 1 == table->n_columns)
			puts(table->cells[i]);
		else
			printf("%s%*s", table->cells[i],
			       (int)(widths[column] - cell_width(table->cells[i])), "");
	}
}

int output_table(const struct rows *rows, unsigned flags)
{
	__attribute__((cleanup(table_done))) struct table table = {0};

	if (table_fill(&table, rows, flags))
		return -1;
	table_print(&table);
	return 0;
}

int output_pairs(const struct field *fields, const void *row)
{
	for (const struct field *field = fields; field->column || field->key; field++) {
		cleanup_free char *text = NULL;

		if (!field->column)
			continue;
		text = cell_text(field, row, 0);
		if (!text)
			return -1;
		printf("%s: %s\n", field->column, text);
	}
	return 0;
}

int output_id(int json, const char *key, const char *id)
{
	static const struct field fields[] = {{.key = "id"}, {0}};
	const struct rows rows = {fields, &id, sizeof(id), 1};

	if (json)
		return output_json_rows(key, &rows);
	puts(id);
	return 0;
}
