/* SPDX-License-Identifier: Apache-2.0 */
/* The finisher from within: its lanes, and the jobs that they are handed. */
#ifndef LAYER_FINISH_LANE_H
#define LAYER_FINISH_LANE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/checksum.h"
#include "layer/finish.h"

#define BATCH_JOBS 32
#define BATCHES 8
#define JOB_LOAD 16384 /* bytes that are written while a small file is made */
#define PENDING_MAX (FINISH_LANES * BATCHES * BATCH_JOBS) /* more jobs than that wait nowhere */

/* A directory whose descriptor is kept as long as a job needs it. */
struct finish_dir {
	int fd;
	atomic_int users;
};

struct finish_file {
	struct lane *lane;
	struct finish_dir *dir; /* until it is created; or NULL */
	int fd;			/* -1 until then */
	mode_t mode;
	int is_summed; /* all of its data so far are in its checksum: */
	int has_sum;   /* in `sum`, of `sum_size` bytes; otherwise in the lane's summer */
	uint64_t size; /* that it is to have */
	struct checksum sum;
	const char *name; /* behind the path */
	char path[];
};

enum job_kind { JOB_CREATE, JOB_FILL, JOB_CLOSE, JOB_DROP, JOB_PASS };

struct job {
	enum job_kind kind;
	struct finish_file *file;
	const void *data;
	void *copy; /* owned, of data that does not lie in the ring */
	size_t size;
	uint64_t offset;
	struct file_ending ending;
};

struct batch {
	struct job jobs[BATCH_JOBS];
	size_t count;
};

struct lane {
	struct finisher *finisher;
	int reader;
	int is_started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch batches[BATCHES];
	unsigned long handed; /* batches so far; the next one is being filled */
	unsigned long done;
	atomic_ulong load; /* bytes that are still to be written, and JOB_LOAD for each job */
	int is_over;
	struct summer *summer;	   /* of the file that is being written; one at a time */
	struct file_prints prints; /* of the files that it wrote */
};

struct finisher {
	struct ring *ring;
	struct lane lanes[FINISH_LANES];
	struct lane *lane;   /* that the next file goes to */
	const void *dir_key; /* of the directory that was used last */
	struct finish_dir *dir;
	uint64_t pending[PENDING_MAX]; /* names that were handed over last */
	unsigned long n_pending;       /* since finisher_wait() */
	pthread_mutex_t failure_lock;
	atomic_int ret; /* the first failure */
	struct snapdrv_error err;
	pthread_mutex_t prints_lock;
	int knows_nothing;	 /* a directory went again, with whatever was in it */
	struct inode_set stale;	 /* removed: the number may be another file's by now */
	struct inode_set linked; /* of files with more than one name */
};

/** dir_release() - one user less; the last one closes it. Takes NULL. */
void dir_release(struct finish_dir *dir);

/** lane_start() - start its thread, which works until is_over. */
int lane_start(struct finisher *finisher, struct lane *lane, int reader, struct snapdrv_error *err);

/** job_load() - what it counts in lane.load. */
unsigned long job_load(const struct job *job);

#endif
