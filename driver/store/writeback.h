/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the disk busy while files are made, so that the sync at the end finds little to do. */
#ifndef STORE_WRITEBACK_H
#define STORE_WRITEBACK_H

#include <pthread.h>

#include "store/store.h"

/** struct writeback - a thread that syncs the store's filesystem again and again. */
struct writeback {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int is_running;
	int has_begun;
	int is_over;
};

/**
 * writeback_start() - start it; without a thread the work is only slower. @ret_writeback: for
 * writeback_stop(); it must not move.
 */
void writeback_start(struct store *store, struct writeback *ret_writeback);

/**
 * writeback_begin() - there is something to write from now on. Until then nothing is synced: many loads that
 * wait for one would keep the disk from it. From any thread; NULL, or one that does not run, is left alone.
 */
void writeback_begin(struct writeback *writeback);

/** writeback_stop() - end it and wait for it. Nothing to do when it does not run; all zero does not. */
void writeback_stop(struct writeback *writeback);

#define cleanup_writeback __attribute__((cleanup(writeback_stop)))

#endif
