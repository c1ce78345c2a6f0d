/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating, filling and ending regular files in threads of their own.
 *
 *   create  openat(O_EXCL)
 *   fill    pwrite
 *   close   ftruncate, fchown, fchmod, futimens, close
 *
 * Jobs are handed to a lane in batches: a lock and a wake-up for each job would cost more than it.
 */
#include "layer/finish.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"

#define SPECIAL_BITS (S_ISUID | S_ISGID)
#define BATCH_JOBS 32
#define BATCHES 8
#define JOB_LOAD 16384 /* bytes that are written while a small file is made */
#define PENDING_MAX (FINISH_LANES * BATCHES * BATCH_JOBS) /* more jobs than that wait nowhere */

int file_own(int fd, const struct file_ending *ending, struct snapdrv_error *err)
{
	if (ending->written < ending->size && ftruncate(fd, (off_t)ending->size)) {
		if (errno == EFBIG)
			return refuse(err, "larger than any file of this filesystem");
		return fail_errno(err, "set the size of the file");
	}
	if ((ending->uid || ending->gid) && fchown(fd, ending->uid, ending->gid))
		return fail_errno(err, "set the owner");
	/* After the data: write(2) takes file capabilities away, and chown(2) setuid and setgid. */
	if (ending->mode & SPECIAL_BITS && fchmod(fd, ending->mode & 07777))
		return fail_errno(err, "set the mode");
	return 0;
}

int file_date(int fd, const struct file_ending *ending, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, ending->mtime};

	return futimens(fd, times) ? fail_errno(err, "set the times") : 0;
}

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
};

static void dir_release(struct finish_dir *dir)
{
	if (!dir || atomic_fetch_sub(&dir->users, 1) > 1)
		return;
	close(dir->fd);
	free(dir);
}

static int create_file(struct finish_file *file, struct snapdrv_error *err)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, ret = 0;

	file->fd = openat(file->dir->fd, file->name, flags, file->mode);
	if (file->fd < 0 && errno == EEXIST) {
		ret = file_remove_tree(file->dir->fd, file->name, err);
		if (!ret)
			file->fd = openat(file->dir->fd, file->name, flags, file->mode);
	}
	if (!ret && file->fd < 0)
		ret = fail_errno(err, "create the file");
	return ret;
}

static int fill_file(const struct job *job, struct snapdrv_error *err)
{
	const char *from = job->data;
	size_t left = job->size;
	off_t offset = (off_t)job->offset;

	while (left) {
		ssize_t written = pwrite(job->file->fd, from, left, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail_errno(err, "write the file");
		from += written;
		left -= (size_t)written;
		offset += written;
	}
	return 0;
}

static int end_file(const struct job *job, struct snapdrv_error *err)
{
	int ret = file_own(job->file->fd, &job->ending, err);

	return ret ? ret : file_date(job->file->fd, &job->ending, err);
}

static int do_job(const struct job *job, struct snapdrv_error *err)
{
	switch (job->kind) {
	case JOB_CREATE:
		return create_file(job->file, err);
	case JOB_FILL:
		return fill_file(job, err);
	case JOB_CLOSE:
		return end_file(job, err);
	case JOB_DROP:
	case JOB_PASS:
		break;
	}
	return 0;
}

static void note_failure(struct finisher *finisher, const char *path, int ret,
			 struct snapdrv_error *err)
{
	fail_within(err, ret, "entry %s", quote(path).text);
	pthread_mutex_lock(&finisher->failure_lock);
	if (!finisher->ret) {
		finisher->err = *err;
		finisher->ret = ret;
	}
	pthread_mutex_unlock(&finisher->failure_lock);
}

/* What holds others up or memory is done after a failure too. */
static void leave_job(struct lane *lane, struct job *job)
{
	free(steal_ptr(&job->copy));
	if (job->kind == JOB_PASS)
		ring_pass(lane->finisher->ring, lane->reader);
	if (job->kind == JOB_CREATE)
		dir_release(steal_ptr(&job->file->dir));
	if (job->kind != JOB_CLOSE && job->kind != JOB_DROP)
		return;
	if (job->file->fd >= 0)
		close(job->file->fd);
	free(steal_ptr(&job->file));
}

static unsigned long load_of(const struct job *job)
{
	return JOB_LOAD + (unsigned long)job->size;
}

static void do_batch(struct lane *lane, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct job *job = &batch->jobs[i];
		struct snapdrv_error err;
		int ret = lane->finisher->ret ? 0 : do_job(job, &err);

		if (ret)
			note_failure(lane->finisher, job->file->path, ret, &err);
		atomic_fetch_sub(&lane->load, load_of(job));
		leave_job(lane, job);
	}
	batch->count = 0;
}

static void *work(void *arg)
{
	struct lane *lane = arg;

	pthread_mutex_lock(&lane->lock);
	for (;;) {
		while (lane->done == lane->handed && !lane->is_over)
			pthread_cond_wait(&lane->changed, &lane->lock);
		if (lane->done == lane->handed)
			break;
		pthread_mutex_unlock(&lane->lock);
		do_batch(lane, &lane->batches[lane->done % BATCHES]);
		pthread_mutex_lock(&lane->lock);
		lane->done++;
		pthread_cond_broadcast(&lane->changed);
	}
	pthread_mutex_unlock(&lane->lock);
	return NULL;
}

static int start_lane(struct finisher *finisher, struct lane *lane, int reader,
		      struct snapdrv_error *err)
{
	int ret;

	lane->finisher = finisher;
	lane->reader = reader;
	pthread_mutex_init(&lane->lock, NULL);
	pthread_cond_init(&lane->changed, NULL);
	ret = pthread_create(&lane->thread, NULL, work, lane);
	if (ret)
		return fail(err, SNAPDRV_FAILED, ret, "start a thread: %s", strerror(ret));
	lane->is_started = 1;
	return 0;
}

int finisher_new(struct ring *ring, int reader, struct finisher **ret_finisher,
		 struct snapdrv_error *err)
{
	struct finisher *finisher = calloc(1, sizeof(*finisher));
	int ret = 0;

	if (!finisher)
		return fail_memory(err);
	finisher->ring = ring;
	finisher->lane = &finisher->lanes[0];
	pthread_mutex_init(&finisher->failure_lock, NULL);
	for (int i = 0; i < FINISH_LANES && !ret; i++)
		ret = start_lane(finisher, &finisher->lanes[i], reader + i, err);
	if (ret) {
		finisher_free(finisher);
		return ret;
	}
	*ret_finisher = finisher;
	return 0;
}

/* Hand over what has been collected, and wait until there is room to go on. */
static void hand_over(struct lane *lane)
{
	if (!lane->batches[lane->handed % BATCHES].count)
		return;
	pthread_mutex_lock(&lane->lock);
	lane->handed++;
	pthread_cond_broadcast(&lane->changed);
	while (lane->handed - lane->done >= BATCHES)
		pthread_cond_wait(&lane->changed, &lane->lock);
	pthread_mutex_unlock(&lane->lock);
}

static int add_job(struct lane *lane, const struct job *job, struct snapdrv_error *err)
{
	struct batch *batch = &lane->batches[lane->handed % BATCHES];
	int ret;

	batch->jobs[batch->count++] = *job;
	atomic_fetch_add(&lane->load, load_of(job));
	if (batch->count == BATCH_JOBS)
		hand_over(lane);
	ret = lane->finisher->ret;
	return ret ? fail(err, SNAPDRV_FAILED, -ret, "an earlier entry failed") : 0;
}

static struct finish_file *new_file(struct lane *lane, const char *path, const char *name,
				    struct snapdrv_error *err)
{
	size_t path_size = strlen(path) + 1, name_size = strlen(name) + 1;
	struct finish_file *file = malloc(sizeof(*file) + path_size + name_size);

	if (!file) {
		fail_memory(err);
		return NULL;
	}
	*file = (struct finish_file){.lane = lane, .fd = -1};
	memcpy(file->path, path, path_size);
	memcpy(file->path + path_size, name, name_size);
	file->name = file->path + path_size;
	return file;
}

/* Go on in the directory that was used last, or in another one. */
static int use_dir(struct finisher *finisher, const void *key, int dir_fd,
		   struct snapdrv_error *err)
{
	struct finish_dir *dir;

	if (finisher->dir && finisher->dir_key == key)
		return 0;
	dir = malloc(sizeof(*dir));
	if (!dir)
		return fail_memory(err);
	dir->users = 1;
	dir->fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	if (dir->fd < 0) {
		free(dir);
		return fail_errno(err, "keep a directory open");
	}
	dir_release(finisher->dir);
	finisher->dir = dir;
	finisher->dir_key = key;
	return 0;
}

static uint64_t name_hash(const void *dir, const char *name)
{
	uint64_t hash = (uintptr_t)dir;

	for (; *name; name++) {
		hash = (hash ^ (unsigned char)*name) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	return hash;
}

/* The same one until its batch is full, then the one that has less to do. */
static struct lane *choose_lane(struct finisher *finisher)
{
	struct lane *lane = finisher->lane;

	if (lane->batches[lane->handed % BATCHES].count)
		return lane;
	for (int i = 0; i < FINISH_LANES; i++) {
		if (finisher->lanes[i].load < lane->load)
			lane = &finisher->lanes[i];
	}
	return finisher->lane = lane;
}

int finisher_create(struct finisher *finisher, const void *dir, int dir_fd, const char *name,
		    mode_t mode, const char *path, struct finish_file **ret_file,
		    struct snapdrv_error *err)
{
	struct lane *lane = choose_lane(finisher);
	struct finish_file *file;
	int ret = use_dir(finisher, dir, dir_fd, err);

	file = ret ? NULL : new_file(lane, path, name, err);
	if (!file)
		return ret ? ret : -ENOMEM;
	file->mode = mode;
	file->dir = finisher->dir;
	atomic_fetch_add(&file->dir->users, 1);
	finisher->pending[finisher->n_pending++ % PENDING_MAX] = name_hash(dir, name);
	*ret_file = file;
	return add_job(lane, &(struct job){.kind = JOB_CREATE, .file = file}, err);
}

int finisher_adopt(struct finisher *finisher, int fd, const char *path,
		   struct finish_file **ret_file, struct snapdrv_error *err)
{
	struct finish_file *file = new_file(&finisher->lanes[0], path, "", err);

	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	file->fd = fd;
	*ret_file = file;
	return 0;
}

int finish_file_fd(const struct finish_file *file)
{
	return file->fd;
}

int finisher_is_pending(const struct finisher *finisher, const void *dir, const char *name)
{
	unsigned long count = finisher->n_pending < PENDING_MAX ? finisher->n_pending : PENDING_MAX;
	uint64_t hash = count ? name_hash(dir, name) : 0;

	for (unsigned long i = 0; i < count; i++) {
		if (finisher->pending[i] == hash)
			return 1;
	}
	return 0;
}

int finisher_fill(struct finisher *finisher, struct finish_file *file, const void *data,
		  size_t size, uint64_t offset, struct snapdrv_error *err)
{
	struct job job = {
		.kind = JOB_FILL, .file = file, .data = data, .size = size, .offset = offset};

	if (!ring_holds(finisher->ring, data)) {
		job.copy = malloc(size);
		if (!job.copy)
			return fail_memory(err);
		job.data = memcpy(job.copy, data, size);
	}
	return add_job(file->lane, &job, err);
}

int finisher_close(struct finisher *finisher, struct finish_file *file,
		   const struct file_ending *ending, struct snapdrv_error *err)
{
	const struct job job = {.kind = JOB_CLOSE, .file = file, .ending = *ending};

	(void)finisher;
	return add_job(file->lane, &job, err);
}

void finisher_drop(struct finisher *finisher, struct finish_file *file)
{
	(void)finisher;
	if (file)
		add_job(file->lane, &(struct job){.kind = JOB_DROP, .file = file}, NULL);
}

void finisher_pass(struct finisher *finisher)
{
	/* The thread that calls goes on to wait for the next buffer, which may wait for this one. */
	for (int i = 0; i < FINISH_LANES; i++) {
		add_job(&finisher->lanes[i], &(struct job){.kind = JOB_PASS}, NULL);
		hand_over(&finisher->lanes[i]);
	}
}

int finisher_wait(struct finisher *finisher, struct snapdrv_error *err)
{
	for (int i = 0; i < FINISH_LANES; i++)
		hand_over(&finisher->lanes[i]);
	for (int i = 0; i < FINISH_LANES; i++) {
		struct lane *lane = &finisher->lanes[i];

		pthread_mutex_lock(&lane->lock);
		while (lane->done != lane->handed)
			pthread_cond_wait(&lane->changed, &lane->lock);
		pthread_mutex_unlock(&lane->lock);
	}
	finisher->n_pending = 0;
	return finisher->ret ? fail(err, finisher->err.code, finisher->err.errnum, "%s",
				    finisher->err.message)
			     : 0;
}

void finisher_free(struct finisher *finisher)
{
	if (!finisher)
		return;
	for (int i = 0; i < FINISH_LANES; i++) {
		struct lane *lane = &finisher->lanes[i];

		if (!lane->is_started)
			continue;
		hand_over(lane);
		pthread_mutex_lock(&lane->lock);
		lane->is_over = 1;
		pthread_cond_broadcast(&lane->changed);
		pthread_mutex_unlock(&lane->lock);
		pthread_join(lane->thread, NULL);
		pthread_cond_destroy(&lane->changed);
		pthread_mutex_destroy(&lane->lock);
	}
	dir_release(finisher->dir);
	pthread_mutex_destroy(&finisher->failure_lock);
	free(finisher);
}
