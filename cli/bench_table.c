/* SPDX-License-Identifier: Apache-2.0 */
/* What bench measured, as tables: medians, the best of a column marked, and below them the ranges. */
#include <stdio.h>

#include "bench.h"
#include "bench_grid.h"
#include "show.h"

#define LAYERS_MAX 10 /* the others are in the JSON */

struct bench_text bench_milliseconds(double ns)
{
	double ms = ns / 1e6;
	struct bench_text out;

	snprintf(out.text, sizeof(out.text), "%.*f",
		 ms >= 99.95	? 0
		 : ms >= 9.995	? 1
		 : ms >= 0.9995 ? 2
				: 3,
		 ms);
	return out;
}

static struct bench_text as_text(enum bench_unit unit, double value)
{
	struct bench_text out;

	if (unit == BENCH_NS)
		return bench_milliseconds(value);
	if (unit == BENCH_PER_SECOND)
		snprintf(out.text, sizeof(out.text), "%.0f", value);
	else
		snprintf(out.text, sizeof(out.text), "%s",
			 show_size(value > 0 ? (uint64_t)value : 0).text);
	return out;
}

struct column {
	const char *heading;
	enum bench_value value;
};

struct table {
	const char *title;
	struct column columns[8];
	size_t n_columns;
};

static const struct table tables[] = {
	{"Loading the image",
	 {{"LOAD ms", BENCH_LOAD},
	  {"SYNC ms", BENCH_SYNC},
	  {"CPU ms", BENCH_CPU},
	  {"FILES/s", BENCH_FILES_RATE},
	  {"BYTES/s", BENCH_BYTES_RATE},
	  {"SPACE", BENCH_SPACE}},
	 6},
	{"A container, cold caches",
	 {{"CREATE ms", BENCH_CREATE_COLD},
	  {"FIRST WRITE ms", BENCH_WRITE_COLD},
	  {"WALK ms", BENCH_WALK_COLD}},
	 3},
	{"A container, warm caches",
	 {{"CREATE ms", BENCH_CREATE_WARM},
	  {"FIRST WRITE ms", BENCH_WRITE_WARM},
	  {"WALK ms", BENCH_WALK_WARM},
	  {"REMOVE ms", BENCH_REMOVE},
	  {"REMOVE IMAGE ms", BENCH_REMOVE_IMAGE}},
	 5},
};

/* A blank stands where others have the mark, so that the digits are below each other. */
static void put_median(struct grid *grid, const struct bench *bench, const struct bench_pair *pair,
		       enum bench_value value)
{
	struct spread spread;
	char cell[48];

	if (!bench_spread(pair, value, &spread)) {
		grid_put(grid, "- ");
		return;
	}
	snprintf(cell, sizeof(cell), "%s%c", as_text(bench_about[value].unit, spread.median).text,
		 bench_is_best(bench, pair, value) ? '*' : ' ');
	grid_put(grid, cell);
}

static void put_range(struct grid *grid, const struct bench_pair *pair, enum bench_value value)
{
	enum bench_unit unit = bench_about[value].unit;
	struct spread spread;
	char cell[80];

	if (!bench_spread(pair, value, &spread)) {
		grid_put(grid, "");
		return;
	}
	snprintf(cell, sizeof(cell), "%s-%s ", as_text(unit, spread.min).text,
		 as_text(unit, spread.max).text);
	grid_put(grid, cell);
}

static int has_any(const struct bench_pair *pair, const struct table *table)
{
	struct spread spread;

	for (size_t i = 0; i < table->n_columns; i++) {
		if (bench_spread(pair, table->columns[i].value, &spread))
			return 1;
	}
	return 0;
}

static int print_table(const struct bench *bench, const struct table *table)
{
	cleanup_grid struct grid grid = {.n_columns = table->n_columns + 2, .n_left = 2};

	grid_put(&grid, "FILESYSTEM");
	grid_put(&grid, "DRIVER");
	for (size_t i = 0; i < table->n_columns; i++) {
		char heading[32];

		snprintf(heading, sizeof(heading), "%s ", table->columns[i].heading);
		grid_put(&grid, heading);
	}
	for (size_t i = 0; i < bench->n_pairs; i++) {
		const struct bench_pair *pair = &bench->pairs[i];

		if (pair->status != BENCH_MEASURED)
			continue;
		grid_put(&grid, pair->filesystem);
		grid_put(&grid, pair->backend);
		for (size_t j = 0; j < table->n_columns; j++)
			put_median(&grid, bench, pair, table->columns[j].value);
		if (bench->runs == 1 || !has_any(pair, table))
			continue;
		grid_put(&grid, "");
		grid_put(&grid, "");
		for (size_t j = 0; j < table->n_columns; j++)
			put_range(&grid, pair, table->columns[j].value);
	}
	printf("\n%s\n", table->title);
	return grid_print(&grid);
}

static const struct bench_pair *first_measured(const struct bench *bench)
{
	for (size_t i = 0; i < bench->n_pairs; i++) {
		if (bench->pairs[i].status == BENCH_MEASURED)
			return &bench->pairs[i];
	}
	return NULL;
}

/* The layer's time on each pair, and the best marked. */
static void put_layer(struct grid *grid, const struct bench *bench, size_t layer)
{
	struct spread spread = {0};
	double best = -1;

	for (size_t i = 0; i < bench->n_pairs; i++) {
		const struct bench_pair *pair = &bench->pairs[i];

		if (pair->status == BENCH_MEASURED && layer < pair->n_layers &&
		    series_spread(&pair->layers[layer].unpack, &spread) &&
		    (best < 0 || spread.median < best))
			best = spread.median;
	}
	for (size_t i = 0; i < bench->n_pairs; i++) {
		const struct bench_pair *pair = &bench->pairs[i];
		char cell[48];

		if (pair->status != BENCH_MEASURED)
			continue;
		if (layer >= pair->n_layers ||
		    !series_spread(&pair->layers[layer].unpack, &spread)) {
			grid_put(grid, "- ");
			continue;
		}
		snprintf(cell, sizeof(cell), "%s%c", bench_milliseconds(spread.median).text,
			 spread.median <= best ? '*' : ' ');
		grid_put(grid, cell);
	}
}

/* Whether so few layers hold more bytes that this one is shown. */
static int is_shown(const struct bench_pair *pair, size_t layer)
{
	size_t bigger = 0;

	for (size_t i = 0; i < pair->n_layers; i++) {
		uint64_t mine = pair->layers[layer].bytes, other = pair->layers[i].bytes;

		bigger += other > mine || (i < layer && other == mine);
	}
	return bigger < LAYERS_MAX;
}

static int print_layers(const struct bench *bench, const struct bench_pair *first)
{
	cleanup_grid struct grid grid = {.n_columns = 3, .n_left = 1};

	grid_put(&grid, "LAYER");
	grid_put(&grid, "ENTRIES");
	grid_put(&grid, "BYTES");
	for (size_t i = 0; i < bench->n_pairs; i++) {
		char heading[64];

		if (bench->pairs[i].status != BENCH_MEASURED)
			continue;
		snprintf(heading, sizeof(heading), "%s %s ", bench->pairs[i].filesystem,
			 bench->pairs[i].backend);
		grid_put(&grid, heading);
		grid.n_columns++;
	}
	for (size_t i = 0; i < first->n_layers; i++) {
		char entries[32];

		if (!is_shown(first, i))
			continue;
		snprintf(entries, sizeof(entries), "%llu",
			 (unsigned long long)first->layers[i].entries);
		grid_put(&grid, show_id(first->layers[i].diff_id).text);
		grid_put(&grid, entries);
		grid_put(&grid, show_size(first->layers[i].bytes).text);
		put_layer(&grid, bench, i);
	}
	puts("\nUnpacking by layer, ms");
	if (grid_print(&grid))
		return -1;
	if (first->n_layers > LAYERS_MAX)
		printf("and %zu smaller layers\n", first->n_layers - LAYERS_MAX);
	return 0;
}

int bench_table(const struct bench *bench)
{
	const struct bench_pair *first = first_measured(bench);

	if (!first)
		return 0;
	show_text(stdout, show_reference(bench->image));
	printf(": %zu layer%s, %llu entries\n", first->n_layers, first->n_layers == 1 ? "" : "s",
	       (unsigned long long)first->entries);
	if (*bench->file) {
		printf("The first write is one byte, to a file of %s: ",
		       show_size(bench->file_size).text);
		show_text(stdout, bench->file);
		putchar('\n');
	}
	if (bench->runs > 1)
		printf("Medians of %llu runs, and minimum-maximum below; ",
		       (unsigned long long)bench->runs);
	puts(bench->runs > 1 ? "* the best of its column" : "One run; * the best of its column");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (print_table(bench, &tables[i]))
			return -1;
	}
	return print_layers(bench, first);
}
