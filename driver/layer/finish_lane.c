/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating, filling and ending regular files: what the lanes of the finisher do.
 *
 *   create  openat(O_EXCL)
 *   fill    pwrite; the checksum for the tree's inventory
 *   close   ftruncate, fchown, fchmod, futimens, close
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/fingerprint.h"
#include "layer/finish_lane.h"

#define SPECIAL_BITS (S_ISUID | S_ISGID)

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

void dir_release(struct finish_dir *dir)
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
		finisher_replaced(file->lane->finisher, file->dir->fd, file->name);
		ret = file_remove_tree(file->dir->fd, file->name, err);
		if (!ret)
			file->fd = openat(file->dir->fd, file->name, flags, file->mode);
	}
	if (!ret && file->fd < 0)
		ret = fail_errno(err, "create the file");
	file->is_summed = 1;
	summer_reset(file->lane->summer);
	return ret;
}

/* What has just been written is in the processor's cache still. */
static void sum_data(const struct job *job)
{
	struct finish_file *file = job->file;
	struct summer *summer = file->lane->summer;

	if (!file->is_summed)
		return;
	if (!job->offset && job->size == file->size && job->size <= CHECKSUM_PIECE) {
		file->sum = checksum_of(job->data, job->size);
		file->has_sum = 1;
	} else if (job->offset < summer_size(summer)) {
		file->is_summed = 0; /* out of order */
	} else {
		summer_skip(summer, job->offset - summer_size(summer));
		summer_add(summer, job->data, job->size);
	}
}

/* After its last attribute. */
static void keep_print(const struct finish_file *file)
{
	struct summer *summer = file->lane->summer;
	struct file_print print = {.has_content = file->size > 0, .content = file->sum};
	struct stat st;

	if (!file->is_summed || fstat(file->fd, &st))
		return;
	if (file->size && !file->has_sum) {
		summer_skip(summer, file->size - summer_size(summer));
		print.content = summer_end(summer);
	}
	print.inode = st.st_ino;
	fingerprint_plain(&st, print.attributes);
	file_prints_add(&file->lane->prints, &print);
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
	sum_data(job);
	return 0;
}

static int end_file(const struct job *job, struct snapdrv_error *err)
{
	int ret = file_own(job->file->fd, &job->ending, err);

	if (!ret)
		ret = file_date(job->file->fd, &job->ending, err);
	if (!ret)
		keep_print(job->file);
	return ret;
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

unsigned long job_load(const struct job *job)
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
		atomic_fetch_sub(&lane->load, job_load(job));
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

int lane_start(struct finisher *finisher, struct lane *lane, int reader, struct snapdrv_error *err)
{
	int ret;

	lane->summer = summer_new(err);
	if (!lane->summer)
		return -ENOMEM;
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
