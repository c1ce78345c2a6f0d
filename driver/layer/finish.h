/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files are created, filled and given their attributes in two threads beside the one that reads
 * the archive: two *lanes*. The jobs of one file are done in their order, different files in any.
 *
 * Making files takes longer than reading about them; in one thread, inflating waits for it wherever a
 * layer has many small ones, and the second processor has nothing to do.
 */
#ifndef LAYER_FINISH_H
#define LAYER_FINISH_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "kernel/inventory.h"
#include "layer/ring.h"
#include "snapdrv.h"

#define FINISH_LANES 2

/** struct file_ending - what a file gets after its data. */
struct file_ending {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	uint64_t written; /* the end of its data; what follows is a hole */
	struct timespec mtime;
};

/** file_own() - size, owner and setuid bits: what has to come before xattrs. */
int file_own(int fd, const struct file_ending *ending, struct snapdrv_error *err);

/** file_date() - its time, last of all. */
int file_date(int fd, const struct file_ending *ending, struct snapdrv_error *err);

struct finisher;

/** struct finish_file - a file between its creation and its ending. */
struct finish_file;

/**
 * finisher_new() - start the threads; they share the caller's umask.
 * @ring, @reader: where the data of the jobs lies: the FINISH_LANES readers from @reader on are past a
 *        buffer when finisher_pass() and all jobs before it are done. Borrowed.
 */
int finisher_new(struct ring *ring, int reader, struct finisher **ret_finisher,
		 struct snapdrv_error *err);

/**
 * finisher_create() - create a file, some time.
 * @dir:    stands for the directory: the same for the same one. Not looked into.
 * @dir_fd: the directory; may be closed after the call.
 * @name:   what stands under it by then is removed. It must be no directory that the caller knows of,
 *          and not be pending.
 * @size:   that it is to have at its end.
 * @path:   names the file in an error. Borrowed, like @name, during the call.
 * @ret_file: for finisher_close() or finisher_drop().
 */
int finisher_create(struct finisher *finisher, const void *dir, int dir_fd, const char *name,
		    mode_t mode, uint64_t size, const char *path, struct finish_file **ret_file,
		    struct snapdrv_error *err);

/** finisher_adopt() - a file that is open already. @fd: taken over. */
int finisher_adopt(struct finisher *finisher, int fd, const char *path,
		   struct finish_file **ret_file, struct snapdrv_error *err);

/** finish_file_fd() - its descriptor, borrowed; after finisher_wait(), or of one that was adopted. */
int finish_file_fd(const struct finish_file *file);

/** finisher_is_pending() - whether a file of that name in that directory may still have to be created. */
int finisher_is_pending(const struct finisher *finisher, const void *dir, const char *name);

/**
 * finisher_fill() - write some of its data, some time.
 * @data: bytes that lie in the ring stay there until they are written; others are copied.
 * Return: 0, or a negative errno value when something failed before; finisher_wait() tells what.
 */
int finisher_fill(struct finisher *finisher, struct finish_file *file, const void *data,
		  size_t size, uint64_t offset, struct snapdrv_error *err);

/** finisher_close() - the file's ending, and close(2), some time. @file: taken over. */
int finisher_close(struct finisher *finisher, struct finish_file *file,
		   const struct file_ending *ending, struct snapdrv_error *err);

/** finisher_drop() - close(2) alone. @file: taken over; NULL is none. */
void finisher_drop(struct finisher *finisher, struct finish_file *file);

/** finisher_pass() - the buffer of the ring that was read last is used by no later job. */
void finisher_pass(struct finisher *finisher);

/** finisher_wait() - until all jobs are done. Return: 0, or the first failure, which names its entry. */
int finisher_wait(struct finisher *finisher, struct snapdrv_error *err);

/**
 * finisher_replaced() - what stands under a name is about to be removed: its inode's number may be another one's later,
 * and what is known of it is forgotten.
 */
void finisher_replaced(struct finisher *finisher, int dir_fd, const char *name);

/** finisher_linked() - a file has got one more name. */
void finisher_linked(struct finisher *finisher, int dir_fd, const char *name);

/** finisher_prints() - after finisher_wait(): what is known of the files, for file_prints_done(). */
void finisher_prints(struct finisher *finisher, struct file_prints *ret_prints);

/** finisher_free() - end the threads. Takes NULL. */
void finisher_free(struct finisher *finisher);

#endif
