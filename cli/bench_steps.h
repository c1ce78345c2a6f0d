/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of one run of bench. */
#ifndef CLI_BENCH_STEPS_H
#define CLI_BENCH_STEPS_H

#include "bench.h"

/**
 * struct run - one run on one pair.
 * @store: NULL while it is closed. @root: its path. @image_id: once it is loaded.
 * @is_cold: whether the caches could be made cold.
 */
struct run {
	struct bench *bench;
	struct bench_pair *pair;
	uint64_t number;
	struct snapdrv_scratch *scratch;
	struct snapdrv_store *store;
	char *root;
	char *image_id;
	int is_cold;
};

/** struct moment - on the monotonic clock, and in this process's CPU time; nanoseconds. */
struct moment {
	int64_t wall;
	int64_t cpu;
};

struct moment moment_now(void);

/** run_no_memory() - fill @err. Return: -ENOMEM. */
int run_no_memory(struct snapdrv_error *err);

/** run_add() - series_add() that fills @err. */
int run_add(struct series *series, double sample, struct snapdrv_error *err);

/**
 * run_next() - say on the terminal what comes.
 * Return: 0, or -EINTR where a signal asked to stop.
 */
int run_next(struct run *run, const char *what, struct snapdrv_error *err);

/** run_open() - open the store. */
int run_open(struct run *run, struct snapdrv_error *err);

/** run_load() - open the store and load the image into it. */
int run_load(struct run *run, struct snapdrv_error *err);

#endif
