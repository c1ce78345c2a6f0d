/* SPDX-License-Identifier: Apache-2.0 */
/* What the halves of fetching share: image/fetch.c has threads and files, image/fetch_download.c speaks to the registry. */
#ifndef IMAGE_FETCH_PARTS_H
#define IMAGE_FETCH_PARTS_H

#include <pthread.h>

#include "image/fetch.h"

#define FETCH_THREADS 3 /* blobs at once */

enum fetch_state { FETCH_WAITS, FETCH_RUNS, FETCH_DONE, FETCH_FAILED };

struct fetch {
	struct fetcher *fetcher;
	struct digest digest;
	uint64_t size;
	enum fetch_state state;
	int fd;
	int is_open;
	int is_kept;
	int is_loose;  /* without the layer's lock: the name of its file may be another's by now */
	uint64_t have; /* bytes in the file */
	uint64_t resumed; /* of which an earlier run left so many */
	uint64_t skip;	  /* bytes of this answer that are in the file already */
	uint64_t told;
	int has_begun; /* this answer's status and headers are checked */
	struct snapdrv_error err;
};

struct fetcher {
	struct intake *intake;
	struct registry *registry;
	const char *repository;
	char *scope;
	struct fetch **items;
	size_t count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[FETCH_THREADS];
	unsigned n_threads;
	int is_stopped;
};

/** fetch_download() - get what the file lacks, in a thread of the fetcher. Nothing is verified but the size. */
int fetch_download(struct fetch *fetch, struct snapdrv_error *err);

#endif
