/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of bench: minimum, median, maximum, and which pair is the best. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "cleanup.h"

const struct bench_about bench_about[BENCH_VALUES] = {
	[BENCH_LOAD] = {"load", BENCH_NS, 0},
	[BENCH_SYNC] = {"sync", BENCH_NS, 0},
	[BENCH_CREATE_COLD] = {"create_cold", BENCH_NS, 0},
	[BENCH_WRITE_COLD] = {"first_write_cold", BENCH_NS, 0},
	[BENCH_WALK_COLD] = {"walk_cold", BENCH_NS, 0},
	[BENCH_CREATE_WARM] = {"create_warm", BENCH_NS, 0},
	[BENCH_WRITE_WARM] = {"first_write_warm", BENCH_NS, 0},
	[BENCH_WALK_WARM] = {"walk_warm", BENCH_NS, 0},
	[BENCH_REMOVE] = {"remove", BENCH_NS, 0},
	[BENCH_REMOVE_IMAGE] = {"remove_image", BENCH_NS, 0},
	[BENCH_FILES_RATE] = {"files_per_second", BENCH_PER_SECOND, 1},
	[BENCH_BYTES_RATE] = {"bytes_per_second", BENCH_BYTES_PER_SECOND, 1},
	[BENCH_SPACE] = {"space", BENCH_BYTES, 0},
	[BENCH_CPU] = {"cpu", BENCH_NS, 0},
};

int series_add(struct series *series, double sample)
{
	double *samples = reallocarray(series->samples, series->count + 1, sizeof(*samples));

	if (!samples)
		return -1;
	series->samples = samples;
	samples[series->count++] = sample;
	return 0;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

int series_spread(const struct series *series, struct spread *ret_spread)
{
	cleanup_free double *sorted = NULL;
	size_t middle = series->count / 2;

	if (!series->count)
		return 0;
	sorted = reallocarray(NULL, series->count, sizeof(*sorted));
	if (!sorted)
		return 0;
	memcpy(sorted, series->samples, series->count * sizeof(*sorted));
	qsort(sorted, series->count, sizeof(*sorted), compare);
	*ret_spread = (struct spread){
		.min = sorted[0],
		.median = series->count % 2 ? sorted[middle]
					    : (sorted[middle - 1] + sorted[middle]) / 2,
		.max = sorted[series->count - 1],
	};
	return 1;
}

void series_done(struct series *series)
{
	free(series->samples);
	*series = (struct series){0};
}

int bench_spread(const struct bench_pair *pair, enum bench_value value, struct spread *ret_spread)
{
	return pair->status == BENCH_MEASURED && series_spread(&pair->values[value], ret_spread);
}

int bench_is_best(const struct bench *bench, const struct bench_pair *pair, enum bench_value value)
{
	struct spread mine, other;
	int beats_one = 0;

	if (!bench_spread(pair, value, &mine))
		return 0;
	for (size_t i = 0; i < bench->n_pairs; i++) {
		double ahead;

		if (!bench_spread(&bench->pairs[i], value, &other))
			continue;
		ahead = bench_about[value].more_is_better ? mine.median - other.median
							  : other.median - mine.median;
		if (ahead < 0)
			return 0;
		beats_one |= ahead > 0;
	}
	return beats_one;
}

static void pair_done(struct bench_pair *pair)
{
	for (size_t i = 0; i < BENCH_VALUES; i++)
		series_done(&pair->values[i]);
	for (size_t i = 0; i < BENCH_TIMES; i++)
		series_done(&pair->cpu[i]);
	for (size_t i = 0; i < pair->n_layers; i++) {
		free(pair->layers[i].diff_id);
		series_done(&pair->layers[i].unpack);
	}
	free(pair->layers);
	free(pair->mkfs_args);
}

void bench_done(struct bench *bench)
{
	for (size_t i = 0; i < bench->n_pairs; i++)
		pair_done(&bench->pairs[i]);
	free(bench->pairs);
	free(bench->words);
	free(bench->dir_filesystem);
	free(bench->image);
	free(bench->file);
	*bench = (struct bench){0};
}
