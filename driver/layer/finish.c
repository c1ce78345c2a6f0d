/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing regular files to threads that create, fill and end them: layer/finish_lane.c.
 *
 * Jobs are handed to a lane in batches: a lock and a wake-up for each job would cost more than it.
 */
#include "layer/finish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/finish_lane.h"

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
	pthread_mutex_init(&finisher->prints_lock, NULL);
	for (int i = 0; i < FINISH_LANES && !ret; i++)
		ret = lane_start(finisher, &finisher->lanes[i], reader + i, err);
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
	atomic_fetch_add(&lane->load, job_load(job));
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
		    mode_t mode, uint64_t size, const char *path, struct finish_file **ret_file,
		    struct snapdrv_error *err)
{
	struct lane *lane = choose_lane(finisher);
	struct finish_file *file;
	int ret = use_dir(finisher, dir, dir_fd, err);

	file = ret ? NULL : new_file(lane, path, name, err);
	if (!file)
		return ret ? ret : -ENOMEM;
	file->mode = mode;
	file->size = size;
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

/* What there is no memory for, or cannot be looked at, is as if nothing was known. */
static void note_inode(struct finisher *finisher, struct inode_set *set, int dir_fd,
		       const char *name)
{
	struct stat st;
	int failed = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (failed && errno == ENOENT)
		return;
	pthread_mutex_lock(&finisher->prints_lock);
	if (failed || S_ISDIR(st.st_mode) || inode_set_add(set, st.st_ino, NULL) < 0)
		finisher->knows_nothing = 1;
	pthread_mutex_unlock(&finisher->prints_lock);
}

void finisher_replaced(struct finisher *finisher, int dir_fd, const char *name)
{
	note_inode(finisher, &finisher->stale, dir_fd, name);
}

void finisher_linked(struct finisher *finisher, int dir_fd, const char *name)
{
	note_inode(finisher, &finisher->linked, dir_fd, name);
}

void finisher_prints(struct finisher *finisher, struct file_prints *ret_prints)
{
	struct file_prints prints = {0};
	size_t count = 0;

	for (int i = 0; i < FINISH_LANES && !finisher->knows_nothing; i++)
		file_prints_take(&prints, &finisher->lanes[i].prints);
	for (size_t i = 0; i < prints.count; i++) {
		struct file_print *print = &prints.items[i];

		if (inode_set_has(&finisher->stale, print->inode))
			continue;
		print->is_linked = (uint32_t)inode_set_has(&finisher->linked, print->inode);
		prints.items[count++] = *print;
	}
	prints.count = count;
	*ret_prints = prints;
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
		summer_free(lane->summer);
		file_prints_done(&lane->prints);
		pthread_cond_destroy(&lane->changed);
		pthread_mutex_destroy(&lane->lock);
	}
	dir_release(finisher->dir);
	inode_set_done(&finisher->stale);
	inode_set_done(&finisher->linked);
	pthread_mutex_destroy(&finisher->prints_lock);
	pthread_mutex_destroy(&finisher->failure_lock);
	free(finisher);
}
