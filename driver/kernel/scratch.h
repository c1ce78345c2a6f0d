/* SPDX-License-Identifier: Apache-2.0 */
/* A filesystem, or a directory, of one's own to measure in, of which nothing stays. */
#ifndef KERNEL_SCRATCH_H
#define KERNEL_SCRATCH_H

#include "kernel/loop.h"
#include "kernel/probe.h"
#include "snapdrv.h"

struct scratch_kind;

/** struct scratch - for scratch_drop(). */
struct scratch {
	const struct scratch_kind *kind; /* NULL: a directory of somebody's filesystem */
	struct loop_device loop;
	int file_fd;  /* of the device; it has no name */
	int above_fd; /* of a directory: the one that holds it */
	uint64_t size;
	char *path;
	struct filesystem_name filesystem;
};

/** scratch_filesystems() - the names of those that can be made; ends in NULL. */
const char *const *scratch_filesystems(void);

/** scratch_make() - as snapdrv_scratch_make(). */
int scratch_make(const struct snapdrv_scratch_options *options, struct scratch *ret_scratch,
		 struct snapdrv_error *err);

/** scratch_cool() - as snapdrv_scratch_cool(). */
int scratch_cool(struct scratch *scratch, int *ret_is_cold, struct snapdrv_error *err);

/** scratch_drop() - as snapdrv_scratch_drop(); @scratch is none afterwards, whatever it returns. */
int scratch_drop(struct scratch *scratch, struct snapdrv_error *err);

#endif
