/* SPDX-License-Identifier: Apache-2.0 */
/* Filling and ending regular files, at once or in a thread of their own. */
#include "layer/finish.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define SPECIAL_BITS (S_ISUID | S_ISGID)
#define BATCH_JOBS \
	32 /* handed over together: a lock and a wake-up for each job would cost more than it */
#define BATCHES 4 /* as many files are open at most as fit in these */

int file_fill(int fd, const void *data, size_t size, uint64_t offset, struct snapdrv_error *err)
{
	const char *from = data;

	while (size) {
		ssize_t written = pwrite(fd, from, size, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail_errno(err, "write the file");
		from += written;
		size -= (size_t)written;
		offset += (uint64_t)written;
	}
	return 0;
}

/* After the data: write(2) takes file capabilities away, and chown(2) setuid and setgid. */
int file_own(int fd, const struct file_ending *ending, struct snapdrv_error *err)
{
	if (ending->written < ending->size && ftruncate(fd, (off_t)ending->size)) {
		if (errno == EFBIG)
			return refuse(err, "larger than any file of this filesystem");
		return fail_errno(err, "set the size of the file");
	}
	if ((ending->uid || ending->gid) && fchown(fd, ending->uid, ending->gid))
		return fail_errno(err, "set the owner");
	if (ending->mode & SPECIAL_BITS && fchmod(fd, ending->mode & 07777))
		return fail_errno(err, "set the mode");
	return 0;
}

int file_date(int fd, const struct file_ending *ending, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, ending->mtime};

	return futimens(fd, times) ? fail_errno(err, "set the times") : 0;
}

enum job_kind { JOB_FILL, JOB_CLOSE, JOB_PASS };

struct job {
	enum job_kind kind;
	int fd;
	char *path; /* owned */
	const void *data;
	size_t size;
	uint64_t offset;
	struct file_ending ending;
};

struct batch {
	struct job jobs[BATCH_JOBS];
	size_t count;
};

struct finisher {
	struct ring *ring;
	int reader;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch batches[BATCHES];
	unsigned long handed; /* batches so far; the next one is being filled */
	unsigned long done;
	int is_over;
	int ret; /* the first failure */
	struct snapdrv_error err;
};

static int do_job(struct finisher *finisher, const struct job *job, struct snapdrv_error *err)
{
	int ret = 0;

	switch (job->kind) {
	case JOB_FILL:
		ret = file_fill(job->fd, job->data, job->size, job->offset, err);
		break;
	case JOB_CLOSE:
		ret = file_own(job->fd, &job->ending, err);
		if (!ret)
			ret = file_date(job->fd, &job->ending, err);
		break;
	case JOB_PASS:
		ring_pass(finisher->ring, finisher->reader);
		break;
	}
	return ret;
}

static void do_batch(struct finisher *finisher, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct job *job = &batch->jobs[i];
		struct snapdrv_error err;
		int ret = 0;

		/* After a failure only what holds others up is done. */
		if (!finisher->ret || job->kind == JOB_PASS)
			ret = do_job(finisher, job, &err);
		if (job->kind == JOB_CLOSE)
			close(job->fd);
		if (ret) {
			fail_within(&err, ret, "entry %s", quote(job->path).text);
			pthread_mutex_lock(&finisher->lock);
			finisher->err = err;
			finisher->ret = ret;
			pthread_mutex_unlock(&finisher->lock);
		}
		free(steal_ptr(&job->path));
	}
	batch->count = 0;
}

static void *work(void *arg)
{
	struct finisher *finisher = arg;

	pthread_mutex_lock(&finisher->lock);
	for (;;) {
		while (finisher->done == finisher->handed && !finisher->is_over)
			pthread_cond_wait(&finisher->changed, &finisher->lock);
		if (finisher->done == finisher->handed)
			break;
		pthread_mutex_unlock(&finisher->lock);
		do_batch(finisher, &finisher->batches[finisher->done % BATCHES]);
		pthread_mutex_lock(&finisher->lock);
		finisher->done++;
		pthread_cond_broadcast(&finisher->changed);
	}
	pthread_mutex_unlock(&finisher->lock);
	return NULL;
}

int finisher_new(struct ring *ring, int reader, struct finisher **ret_finisher,
		 struct snapdrv_error *err)
{
	struct finisher *finisher = calloc(1, sizeof(*finisher));
	int ret;

	if (!finisher)
		return fail_memory(err);
	finisher->ring = ring;
	finisher->reader = reader;
	pthread_mutex_init(&finisher->lock, NULL);
	pthread_cond_init(&finisher->changed, NULL);
	ret = pthread_create(&finisher->thread, NULL, work, finisher);
	if (ret) {
		free(finisher);
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	}
	*ret_finisher = finisher;
	return 0;
}

int finisher_holds(const struct finisher *finisher, const void *data)
{
	return ring_holds(finisher->ring, data);
}

/* Hand over what has been collected, and wait until there is room to go on. */
static void hand_over(struct finisher *finisher)
{
	if (!finisher->batches[finisher->handed % BATCHES].count)
		return;
	pthread_mutex_lock(&finisher->lock);
	finisher->handed++;
	pthread_cond_broadcast(&finisher->changed);
	while (finisher->handed - finisher->done >= BATCHES)
		pthread_cond_wait(&finisher->changed, &finisher->lock);
	pthread_mutex_unlock(&finisher->lock);
}

static int add_job(struct finisher *finisher, const struct job *job, struct snapdrv_error *err)
{
	struct batch *batch = &finisher->batches[finisher->handed % BATCHES];
	int ret;

	batch->jobs[batch->count++] = *job;
	if (batch->count == BATCH_JOBS)
		hand_over(finisher);
	pthread_mutex_lock(&finisher->lock);
	ret = finisher->ret;
	pthread_mutex_unlock(&finisher->lock);
	return ret ? fail(err, SNAPDRV_FAILED, -ret, "an earlier entry failed") : 0;
}

int finisher_fill(struct finisher *finisher, int fd, const char *path, const void *data,
		  size_t size, uint64_t offset, struct snapdrv_error *err)
{
	struct job job = {.kind = JOB_FILL,
			  .fd = fd,
			  .path = strdup(path),
			  .data = data,
			  .size = size,
			  .offset = offset};

	return job.path ? add_job(finisher, &job, err) : fail_memory(err);
}

int finisher_close(struct finisher *finisher, int fd, const char *path,
		   const struct file_ending *ending, struct snapdrv_error *err)
{
	struct job job = {.kind = JOB_CLOSE, .fd = fd, .path = strdup(path), .ending = *ending};

	if (job.path)
		return add_job(finisher, &job, err);
	close(fd);
	return fail_memory(err);
}

void finisher_pass(struct finisher *finisher)
{
	const struct job job = {.kind = JOB_PASS, .fd = -1};

	add_job(finisher, &job, NULL);
	/* The thread that calls goes on to wait for the next buffer, which may wait for this one. */
	hand_over(finisher);
}

int finisher_wait(struct finisher *finisher, struct snapdrv_error *err)
{
	int ret;

	hand_over(finisher);
	pthread_mutex_lock(&finisher->lock);
	while (finisher->done != finisher->handed)
		pthread_cond_wait(&finisher->changed, &finisher->lock);
	ret = finisher->ret;
	pthread_mutex_unlock(&finisher->lock);
	return ret ? fail(err, finisher->err.code, finisher->err.errnum, "%s",
			  finisher->err.message)
		   : 0;
}

void finisher_free(struct finisher *finisher)
{
	if (!finisher)
		return;
	hand_over(finisher);
	pthread_mutex_lock(&finisher->lock);
	finisher->is_over = 1;
	pthread_cond_broadcast(&finisher->changed);
	pthread_mutex_unlock(&finisher->lock);
	pthread_join(finisher->thread, NULL);
	pthread_cond_destroy(&finisher->changed);
	pthread_mutex_destroy(&finisher->lock);
	free(finisher);
}
