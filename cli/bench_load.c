/* SPDX-License-Identifier: Apache-2.0 */
/* The first step of a run of bench, the load, and what all steps are measured and told with. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>

#include "bench_steps.h"
#include "cleanup.h"

#define NS 1000000000LL

struct moment moment_now(void)
{
	struct timespec clock;
	struct rusage usage;

	clock_gettime(CLOCK_MONOTONIC, &clock);
	getrusage(RUSAGE_SELF, &usage);
	return (struct moment){
		.wall = clock.tv_sec * NS + clock.tv_nsec,
		.cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS +
		       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000,
	};
}

int run_no_memory(struct snapdrv_error *err)
{
	*err = (struct snapdrv_error){SNAPDRV_FAILED, ENOMEM, "out of memory"};
	return -ENOMEM;
}

int run_add(struct series *series, double sample, struct snapdrv_error *err)
{
	return series_add(series, sample) ? run_no_memory(err) : 0;
}

/* Say what comes, and stop where a signal asked for it. */
int run_next(struct run *run, const char *what, struct snapdrv_error *err)
{
	if (bench_stopped()) {
		*err = (struct snapdrv_error){SNAPDRV_FAILED, EINTR, "interrupted"};
		return -EINTR;
	}
	if (run->bench->shows_progress)
		fprintf(stderr, "\r%s %s, run %llu of %llu: %s\033[K", run->pair->filesystem,
			run->pair->backend, (unsigned long long)run->number,
			(unsigned long long)run->bench->runs, what);
	return 0;
}

int run_open(struct run *run, struct snapdrv_error *err)
{
	return snapdrv_open(run->root, run->pair->backend, &run->store, err);
}

/* Bytes in use, once all is written. */
static double space_used(const struct run *run)
{
	const char *path = snapdrv_scratch_path(run->scratch);
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statvfs fs;

	if (fd < 0 || syncfs(fd) || fstatvfs(fd, &fs))
		return 0;
	return (double)(fs.f_blocks - fs.f_bfree) * (double)fs.f_frsize;
}

static int copy_layers(struct bench_pair *pair, const struct snapdrv_load_times *times)
{
	pair->layers = calloc(times->n_layers + 1, sizeof(*pair->layers));
	for (size_t i = 0; pair->layers && i < times->n_layers; i++) {
		pair->layers[i].diff_id = strdup(times->layers[i].diff_id);
		pair->layers[i].entries = times->layers[i].entries;
		pair->layers[i].bytes = times->layers[i].bytes;
		pair->n_layers++;
		if (!pair->layers[i].diff_id)
			return -1;
	}
	return pair->layers ? 0 : -1;
}

static int record_load(struct run *run, const struct snapdrv_load_times *times, double load_ns,
		       struct snapdrv_error *err)
{
	struct bench_pair *pair = run->pair;
	double entries = 0, bytes = 0;
	int ret = 0;

	if (!pair->layers && copy_layers(pair, times))
		return run_no_memory(err);
	for (size_t i = 0; i < pair->n_layers && i < times->n_layers && !ret; i++) {
		const struct snapdrv_layer_time *layer = &times->layers[i];

		entries += (double)layer->entries;
		bytes += (double)layer->bytes;
		ret = run_add(&pair->layers[i].unpack, (double)(layer->end_ns - layer->start_ns),
			      err);
	}
	if (!ret)
		ret = run_add(&pair->values[BENCH_SYNC], (double)times->sync_ns, err);
	if (!ret)
		ret = run_add(&pair->values[BENCH_FILES_RATE], entries / load_ns * NS, err);
	return ret ? ret : run_add(&pair->values[BENCH_BYTES_RATE], bytes / load_ns * NS, err);
}

static int remember_image(struct run *run, const struct snapdrv_loaded *loaded, size_t count,
			  struct snapdrv_error *err)
{
	for (size_t i = 1; i < count; i++) {
		if (strcmp(loaded[i].id, loaded[0].id)) {
			*err = (struct snapdrv_error){.code = SNAPDRV_USAGE, .errnum = EINVAL};
			snprintf(err->message, sizeof(err->message),
				 "'%s': it holds several images", run->bench->source);
			return -EINVAL;
		}
	}
	run->image_id = strdup(loaded[0].id);
	if (!run->bench->image)
		run->bench->image =
			strdup(loaded[0].reference ? loaded[0].reference : loaded[0].id);
	return run->image_id && run->bench->image ? 0 : run_no_memory(err);
}

int run_load(struct run *run, struct snapdrv_error *err)
{
	struct snapdrv_load_times times = {0};
	const struct snapdrv_load_options options = {.times = &times};
	struct bench_pair *pair = run->pair;
	double before = space_used(run);
	struct snapdrv_loaded *loaded;
	struct moment start, end;
	size_t count;
	int ret = run_next(run, "load", err);

	if (!ret)
		ret = run_open(run, err);
	start = moment_now();
	if (!ret)
		ret = snapdrv_load(run->store, run->bench->source, &options, &loaded, &count, err);
	if (ret)
		return ret;
	end = moment_now();
	ret = record_load(run, &times, (double)(end.wall - start.wall), err);
	snapdrv_load_times_done(&times);
	if (!ret)
		ret = run_add(&pair->values[BENCH_LOAD], (double)(end.wall - start.wall), err);
	if (!ret)
		ret = run_add(&pair->cpu[BENCH_LOAD], (double)(end.cpu - start.cpu), err);
	if (!ret)
		ret = run_add(&pair->values[BENCH_CPU], (double)(end.cpu - start.cpu), err);
	if (!ret)
		ret = run_add(&pair->values[BENCH_SPACE], space_used(run) - before, err);
	if (!ret)
		ret = remember_image(run, loaded, count, err);
	snapdrv_loaded_free(loaded, count);
	return ret;
}
