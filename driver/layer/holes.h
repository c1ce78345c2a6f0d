/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a file between its holes, whatever the filesystem made of them. */
#ifndef LAYER_HOLES_H
#define LAYER_HOLES_H

#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

/** struct data_run - bytes that are not all zero. */
struct data_run {
	uint64_t offset;
	uint64_t size;
};

/** struct data_map - the runs of a file, in their order; all zero is none. */
struct data_map {
	struct data_run *runs;
	size_t count;
};

/**
 * holes_find() - what there is to write of a file.
 * @fd: open for reading. @size: what to take for its size.
 *
 * A hole is where 16 KiB or more, in whole blocks of 4 KiB, are zero: a matter of the content alone, since
 * filesystems differ in what they keep. Where they know of holes, those are not read.
 */
int holes_find(int fd, uint64_t size, struct data_map *ret_map, struct snapdrv_error *err);

/** holes_done() - free the runs. */
void holes_done(struct data_map *map);

#endif
