/* SPDX-License-Identifier: Apache-2.0 */
/* A layer_input over bytes in memory, which may come in small pieces. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "fuzz.h"
#include "layer/input.h"

/** struct memory_input - @step: at most so many bytes at once; 0: as many as there is room for. */
struct memory_input {
	struct fuzz_rest rest;
	size_t step;
};

static inline ssize_t memory_read(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct memory_input *input = context;

	(void)err;
	if (input->step && size > input->step)
		size = input->step;
	if (size > input->rest.size)
		size = input->rest.size;
	memcpy(data, input->rest.data, size);
	input->rest.data += size;
	input->rest.size -= size;
	return (ssize_t)size;
}

/** memory_layer() - @input: borrowed by the result. */
static inline struct layer_input memory_layer(struct memory_input *input)
{
	return (struct layer_input){.read = memory_read, .context = input};
}

#endif
