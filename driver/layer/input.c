/* SPDX-License-Identifier: Apache-2.0 */
/* Reading descriptors and stretches of files as layer inputs. */
#include "layer/input.h"

#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "kernel/file.h"

static ssize_t read_range(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	struct input_range *range = context;
	ssize_t got;

	if (size > range->end - range->offset)
		size = (size_t)(range->end - range->offset);
	if (!size)
		return 0;
	do {
		got = pread(range->fd, data, size, (off_t)range->offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return fail_errno(err, "read");
	range->offset += (uint64_t)got;
	return got;
}

struct layer_input input_from_range(struct input_range *range)
{
	return (struct layer_input){.read = read_range, .context = range};
}

static ssize_t read_fd(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	return file_read_some(*(int *)context, data, size, "the input", err);
}

struct layer_input input_from_fd(int *fd)
{
	return (struct layer_input){.read = read_fd, .context = fd};
}

ssize_t input_fill(const struct layer_input *input, void *data, size_t size,
		   struct snapdrv_error *err)
{
	size_t filled = 0;

	while (filled < size) {
		ssize_t got =
			input->read(input->context, (char *)data + filled, size - filled, err);

		if (got < 0)
			return got;
		if (!got)
			break;
		filled += (size_t)got;
	}
	return (ssize_t)filled;
}
