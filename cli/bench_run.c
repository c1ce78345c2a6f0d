/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of bench on one pair:
 *
 *   load, its layers and the sync in it
 *   cold caches: create a container, write to a file of it
 *   cold caches: walk its tree; then at once again, warm
 *   remove it; create another one, warm, and write to the same file of it
 *   remove the image
 *
 * Removing counts until the store is closed, since the files go then at the latest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_steps.h"
#include "cleanup.h"

static int record(struct run *run, enum bench_value value, struct moment start,
		  struct snapdrv_error *err)
{
	struct moment end = moment_now();
	int ret = run_add(&run->pair->values[value], (double)(end.wall - start.wall), err);

	return ret ? ret : run_add(&run->pair->cpu[value], (double)(end.cpu - start.cpu), err);
}

static void close_store(struct run *run)
{
	snapdrv_close(run->store);
	run->store = NULL;
}

/* Which file is written to: the same one in all runs, found in the first. */
static int pick(struct run *run, struct snapdrv_error *err)
{
	const struct snapdrv_create_options options = {.name = "look", .flags = SNAPDRV_READ_ONLY};
	cleanup_free char *rootfs = NULL;
	int ret;

	if (run->bench->file)
		return 0;
	ret = run_next(run, "look for a file", err);
	if (!ret)
		ret = snapdrv_create(run->store, run->image_id, &options, &rootfs, err);
	if (!ret)
		ret = bench_pick(rootfs, &run->bench->file, &run->bench->file_size, err);
	return ret ? ret : snapdrv_remove(run->store, options.name, err);
}

/* The store closed, the caches cold where that can be, and the store open again. */
static int cool(struct run *run, struct snapdrv_error *err)
{
	int ret = run_next(run, "cool down", err);

	close_store(run);
	if (!ret)
		ret = snapdrv_scratch_cool(run->scratch, &run->is_cold, err);
	return ret ? ret : run_open(run, err);
}

/* @is_counted: whether it is to be recorded. */
static int create(struct run *run, const char *name, enum bench_value created,
		  enum bench_value written, int is_counted, struct snapdrv_error *err)
{
	const struct snapdrv_create_options options = {.name = name};
	cleanup_free char *rootfs = NULL;
	int ret = run_next(run, "create, first write", err);
	struct moment start = moment_now();

	if (!ret)
		ret = snapdrv_create(run->store, run->image_id, &options, &rootfs, err);
	if (!ret && is_counted)
		ret = record(run, created, start, err);
	if (ret || !*run->bench->file)
		return ret;
	start = moment_now();
	ret = bench_write(rootfs, run->bench->file, err);
	return ret || !is_counted ? ret : record(run, written, start, err);
}

static int walk(struct run *run, const char *rootfs, enum bench_value value, int is_counted,
		struct snapdrv_error *err)
{
	int ret = run_next(run, "walk", err);
	struct moment start = moment_now();

	if (!ret)
		ret = bench_walk(rootfs, &run->pair->entries, err);
	return ret || !is_counted ? ret : record(run, value, start, err);
}

static int cold_steps(struct run *run, struct snapdrv_error *err)
{
	cleanup_free char *rootfs = NULL;
	int ret = cool(run, err);

	if (!ret)
		ret = create(run, "cold", BENCH_CREATE_COLD, BENCH_WRITE_COLD, run->is_cold, err);
	if (!ret)
		ret = snapdrv_umount(run->store, "cold", err);
	if (!ret)
		ret = cool(run, err);
	if (!ret)
		ret = snapdrv_mount(run->store, "cold", &rootfs, err);
	if (!ret)
		ret = walk(run, rootfs, BENCH_WALK_COLD, run->is_cold, err);
	return ret ? ret : walk(run, rootfs, BENCH_WALK_WARM, 1, err);
}

static int remove_container(struct run *run, const char *name, int is_counted,
			    struct snapdrv_error *err)
{
	int ret = run_next(run, "remove", err);
	struct moment start = moment_now();

	if (!ret)
		ret = snapdrv_remove(run->store, name, err);
	close_store(run);
	if (!ret && is_counted)
		ret = record(run, BENCH_REMOVE, start, err);
	return ret ? ret : run_open(run, err);
}

static int remove_image(struct run *run, struct snapdrv_error *err)
{
	struct snapdrv_removed removed = {0};
	int ret = run_next(run, "remove the image", err);
	struct moment start = moment_now();

	if (!ret)
		ret = snapdrv_rmi(run->store, run->image_id, SNAPDRV_FORCE, &removed, err);
	close_store(run);
	if (ret)
		return ret;
	snapdrv_removed_done(&removed);
	return record(run, BENCH_REMOVE_IMAGE, start, err);
}

static int all_steps(struct run *run, struct snapdrv_error *err)
{
	int ret = run_load(run, err);

	if (!ret)
		ret = pick(run, err);
	if (!ret)
		ret = cold_steps(run, err);
	if (!ret)
		ret = remove_container(run, "cold", 1, err);
	if (!ret)
		ret = create(run, "warm", BENCH_CREATE_WARM, BENCH_WRITE_WARM, 1, err);
	if (!ret)
		ret = remove_container(run, "warm", 0, err);
	return ret ? ret : remove_image(run, err);
}

int bench_run(struct bench *bench, struct bench_pair *pair, uint64_t number,
	      struct snapdrv_error *err)
{
	const struct snapdrv_scratch_options options = {
		.filesystem = bench->dir ? NULL : pair->filesystem,
		.mkfs_args = pair->mkfs_args,
		.n_mkfs_args = pair->n_mkfs_args,
		.size = pair->size,
		.dir = bench->dir,
	};
	struct run run = {.bench = bench, .pair = pair, .number = number};
	struct snapdrv_error later;
	int ret = run_next(&run, "make the filesystem", err), dropped;

	if (!ret)
		ret = snapdrv_scratch_make(&options, &run.scratch, err);
	if (ret && err->code == SNAPDRV_MISSING && !bench->dir)
		pair->status = BENCH_SKIPPED;
	if (ret)
		return ret;
	if (asprintf(&run.root, "%s/store", snapdrv_scratch_path(run.scratch)) < 0) {
		run.root = NULL;
		ret = run_no_memory(err);
	}
	if (!ret)
		ret = all_steps(&run, err);
	snapdrv_close(run.store);
	free(run.image_id);
	free(run.root);
	dropped = snapdrv_scratch_drop(run.scratch, &later);
	if (dropped && !ret) {
		*err = later;
		return dropped;
	}
	return ret;
}
