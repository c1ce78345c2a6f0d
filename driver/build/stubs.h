/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and files that are made to be mounted on, and are gone again when nothing was put there. */
#ifndef BUILD_STUBS_H
#define BUILD_STUBS_H

#include "snapdrv.h"

/** struct stubs - what was made; all zero is nothing. For stubs_done(). */
struct stubs {
	struct stub *items;
	size_t count;
};

/**
 * stubs_make() - make what is missing of a path in a tree, each part as one who is chrooted there finds it.
 * The times of the directories around stay as they were.
 * @is_file: an empty file; otherwise a directory.
 *
 * Return: 0, or a negative errno value; REFUSED where a symlink leads nowhere, or to something else.
 */
int stubs_make(struct stubs *stubs, int root_fd, const char *path, int is_file,
	       struct snapdrv_error *err);

/** stubs_remove() - remove what is still empty, without a trace in the times. Return: 0 or a negative errno value. */
int stubs_remove(struct stubs *stubs, struct snapdrv_error *err);

void stubs_done(struct stubs *stubs);

#define cleanup_stubs __attribute__((cleanup(stubs_done)))

#endif
