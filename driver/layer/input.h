/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a layer come from. */
#ifndef LAYER_INPUT_H
#define LAYER_INPUT_H

#include <stddef.h>
#include <sys/types.h>

#include "snapdrv.h"

/**
 * struct layer_input - bytes to be read once, from start to end.
 * @read:    gives up to @size bytes; returns their number, 0 at the end, or a negative errno value.
 *           Called from one thread at a time, but not always from the same.
 * @lend:    likewise, but gives the bytes where they lie; they stay until the next call of either. NULL
 *           where they lie nowhere.
 * @cancel:  lets a call of the others that waits for bytes fail with ECANCELED, also one that comes later; from
 *           any thread. NULL where nobody waits, or nothing can be done about it.
 * @context: for all of them. Borrowed.
 */
struct layer_input {
	ssize_t (*read)(void *context, void *data, size_t size, struct snapdrv_error *err);
	ssize_t (*lend)(void *context, const unsigned char **ret_data, struct snapdrv_error *err);
	void (*cancel)(void *context);
	void *context;
};

/** struct input_range - a stretch of an open file, read by pread(2): many may share one descriptor. */
struct input_range {
	int fd;
	uint64_t offset; /* moves on */
	uint64_t end;
};

/** input_from_range() - read a stretch of a file. @range: borrowed by the input. */
struct layer_input input_from_range(struct input_range *range);

/** input_from_fd() - read a descriptor to its end. @fd: borrowed by the input. */
struct layer_input input_from_fd(int *fd);

/** input_fill() - read until @size bytes are there or the input ends. Return: bytes, or negative. */
ssize_t input_fill(const struct layer_input *input, void *data, size_t size,
		   struct snapdrv_error *err);

#endif
