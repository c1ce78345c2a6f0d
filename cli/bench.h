/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `bench` share: what is to be measured where, and what was. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli.h"
#include "snapdrv.h"

/** enum bench_value - what is measured; the first BENCH_TIMES are times in nanoseconds. */
enum bench_value {
	BENCH_LOAD,
	BENCH_SYNC,
	BENCH_CREATE_COLD,
	BENCH_WRITE_COLD,
	BENCH_WALK_COLD,
	BENCH_CREATE_WARM,
	BENCH_WRITE_WARM,
	BENCH_WALK_WARM,
	BENCH_REMOVE,
	BENCH_REMOVE_IMAGE,
	BENCH_TIMES,
	BENCH_FILES_RATE = BENCH_TIMES, /* entries a second of a load */
	BENCH_BYTES_RATE,		/* bytes of regular files a second of a load */
	BENCH_SPACE,			/* bytes that the image takes of the filesystem */
	BENCH_CPU,			/* nanoseconds of this process for a load */
	BENCH_VALUES
};

/** enum bench_unit - of what a series holds. */
enum bench_unit { BENCH_NS, BENCH_BYTES, BENCH_PER_SECOND, BENCH_BYTES_PER_SECOND };

/** struct bench_about - a row about each enum bench_value. @key: in JSON. */
struct bench_about {
	const char *key;
	enum bench_unit unit;
	int more_is_better;
};

extern const struct bench_about bench_about[BENCH_VALUES];

/* ---- bench_stats.c ------------------------------------------------------------------------ */

/** struct series - what the runs gave, in their order; all zero is an empty one. */
struct series {
	double *samples;
	size_t count;
};

/** struct spread - of a series; the median of an even number is the mean of the middle two. */
struct spread {
	double min;
	double median;
	double max;
};

/** series_add() - one more sample. Return: 0, or -1 when memory is out. */
int series_add(struct series *series, double sample);

/** series_spread() - Return: 1, or 0 for an empty series. */
int series_spread(const struct series *series, struct spread *ret_spread);

/** series_done() - free the samples; the series is empty afterwards. */
void series_done(struct series *series);

/* ---- what was measured -------------------------------------------------------------------- */

/** enum bench_status - of a pair of filesystem and driver. */
enum bench_status {
	BENCH_MEASURED,
	BENCH_SKIPPED, /* it cannot be made on this machine */
	BENCH_FAILED
};

/** struct bench_layer - a layer of the image. @unpack: how long it took, in nanoseconds. */
struct bench_layer {
	char *diff_id;
	uint64_t entries;
	uint64_t bytes;
	struct series unpack;
};

/**
 * struct bench_pair - a filesystem and a driver on it.
 * @filesystem, @backend: names. Borrowed.
 * @mkfs_args: @n_mkfs_args words; the array is owned, the words are not.
 * @size: of the filesystem that is made; 0 for the library's choice.
 * @why: of a status that is not BENCH_MEASURED; one line.
 * @cpu: nanoseconds of this process; none for BENCH_SYNC.
 * @entries: of the merged tree, its root among them.
 */
struct bench_pair {
	const char *filesystem;
	const char *backend;
	const char **mkfs_args;
	size_t n_mkfs_args;
	uint64_t size;
	enum bench_status status;
	char why[sizeof(((struct snapdrv_error *)NULL)->message)];
	struct series values[BENCH_VALUES];
	struct series cpu[BENCH_TIMES];
	struct bench_layer *layers;
	size_t n_layers;
	uint64_t entries;
};

/**
 * struct bench - one run of the command.
 * @source: the image. @dir: where to measure, or NULL: on filesystems of its own.
 * @runs: how often.
 * @image: reference or ID of the image. @file: path in it of what is written to first, "" for none;
 *         @file_size: its bytes. All three known once a run got so far.
 * @shows_progress: there is a terminal for it.
 */
struct bench {
	const char *source;
	const char *dir;
	char *dir_filesystem;
	char *words; /* what lists are cut into */
	uint64_t runs;
	struct bench_pair *pairs;
	size_t n_pairs;
	char *image;
	char *file;
	uint64_t file_size;
	int shows_progress;
};

/** struct bench_options - the options as they were given. */
struct bench_options {
	const char *filesystems;
	const char *backends;
	const char *dir;
	const char *plot;
	uint64_t runs;
	uint64_t size;
	struct word_list mkfs;
};

/** bench_spread() - of what was measured. Return: 1, or 0 when it was not. */
int bench_spread(const struct bench_pair *pair, enum bench_value value, struct spread *ret_spread);

/** bench_is_best() - whether no other pair has a better median, and another one has a worse. */
int bench_is_best(const struct bench *bench, const struct bench_pair *pair, enum bench_value value);

/** bench_done() - free what is in it. */
void bench_done(struct bench *bench);

/* ---- bench_plan.c ------------------------------------------------------------------------- */

/**
 * bench_plan() - which pairs there are to measure.
 * @bench: source and dir are set; the pairs are added.
 * Return: 0, or 1 when the options make no sense; that is reported.
 */
int bench_plan(struct cli *cli, const struct bench_options *options, struct bench *bench);

/* ---- bench_walk.c ------------------------------------------------------------------------- */

/** bench_walk() - look at each entry of a tree. @ret_entries: how many, its root among them. */
int bench_walk(const char *root, uint64_t *ret_entries, struct snapdrv_error *err);

/**
 * bench_pick() - the biggest regular file of a tree, the first by name of several.
 * @ret_file: its path below @root, for free(3); "" when there is none.
 */
int bench_pick(const char *root, char **ret_file, uint64_t *ret_size, struct snapdrv_error *err);

/** bench_write() - write one byte over the first one of a file. */
int bench_write(const char *root, const char *file, struct snapdrv_error *err);

/** bench_read() - read all files of a source once, so that no run waits for its disk. */
int bench_read(const char *source, uint64_t *ret_bytes, struct snapdrv_error *err);

/* ---- bench_run.c -------------------------------------------------------------------------- */

/**
 * bench_run() - measure one pair once.
 * @run: from 1 on, for the progress.
 * Return: 0, or a negative errno value; when the filesystem cannot be made on this machine, the pair's
 * status is BENCH_SKIPPED. What was made is removed in any case.
 */
int bench_run(struct bench *bench, struct bench_pair *pair, uint64_t run,
	      struct snapdrv_error *err);

/** bench_stopped() - whether the run is to end early: a signal came. In cmd_bench.c. */
int bench_stopped(void);

/* ---- the results -------------------------------------------------------------------------- */

/** bench_table() - print tables. Return: 0, or -1 when memory is out. */
int bench_table(const struct bench *bench);

/** bench_json() - print one document, {"bench":[...]}. Return: as above. */
int bench_json(const struct bench *bench);

/** bench_plot() - write an SVG. Errors are @to's own. */
void bench_plot(const struct bench *bench, FILE *to);

/** bench_milliseconds() - nanoseconds as milliseconds of three digits: 1060, 12.3, 0.085. */
struct bench_text {
	char text[32];
};
struct bench_text bench_milliseconds(double ns);

#endif
