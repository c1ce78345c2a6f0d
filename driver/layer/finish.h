/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files get their contents and attributes in a thread beside the one that makes them.
 *
 * Making names and filling files take about as long; with both in one thread, reading and inflating wait
 * for it wherever a layer has many files. The jobs are done in their order.
 */
#ifndef LAYER_FINISH_H
#define LAYER_FINISH_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "layer/ring.h"
#include "snapdrv.h"

/** struct file_ending - what a file gets after its data. */
struct file_ending {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	uint64_t written; /* the end of its data; what follows is a hole */
	struct timespec mtime;
};

/** file_fill() - pwrite(2) all of it. */
int file_fill(int fd, const void *data, size_t size, uint64_t offset, struct snapdrv_error *err);

/** file_own() - size, owner and setuid bits: what has to come before xattrs. */
int file_own(int fd, const struct file_ending *ending, struct snapdrv_error *err);

/** file_date() - its time, last of all. */
int file_date(int fd, const struct file_ending *ending, struct snapdrv_error *err);

struct finisher;

/**
 * finisher_new() - start the thread.
 * @ring, @reader: where the data of the jobs lies: that reader is past a buffer when finisher_pass() and
 *        all jobs before it are done. Borrowed.
 */
int finisher_new(struct ring *ring, int reader, struct finisher **ret_finisher,
		 struct snapdrv_error *err);

/** finisher_holds() - whether data lies in the ring, so that it stays until it is passed. */
int finisher_holds(const struct finisher *finisher, const void *data);

/**
 * finisher_fill() - file_fill(), some time. @path: names the file in an error. Borrowed.
 * Return: 0, or a negative errno value when something failed before; finisher_end() tells what.
 */
int finisher_fill(struct finisher *finisher, int fd, const char *path, const void *data,
		  size_t size, uint64_t offset, struct snapdrv_error *err);

/** finisher_close() - the file's ending, and close(2), some time. @fd: taken over. */
int finisher_close(struct finisher *finisher, int fd, const char *path,
		   const struct file_ending *ending, struct snapdrv_error *err);

/** finisher_pass() - the buffer of the ring that was read last is used by no later job. */
void finisher_pass(struct finisher *finisher);

/** finisher_wait() - until all jobs are done. Return: 0, or the first failure, which names its entry. */
int finisher_wait(struct finisher *finisher, struct snapdrv_error *err);

/** finisher_free() - end the thread; jobs that are left are given up. Takes NULL. */
void finisher_free(struct finisher *finisher);

#endif
