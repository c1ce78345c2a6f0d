/* SPDX-License-Identifier: Apache-2.0 */
/* Applying a layer: whatever it holds, nothing outside of its root is touched. Byte 0: how it is applied. */
#include "input.h"
#include "layer/unpack.h"
#include "place.h"

enum { CARRIES_OUT = 1, LOWER_IN_VIEW = 2, NO_LOWER = 4 };

static int give_root(void *arg, int *ret_fd, struct snapdrv_error *err)
{
	(void)err;
	*ret_fd = *(int *)arg;
	return 0;
}

/* Whether what was unpacked has to be unpacked again with what is below it in view. */
static int bind(struct tree_writer *writer, int lower_fd)
{
	struct snapdrv_error err = {0};
	int ret = 0;

	if (tree_writer_needs_lower(writer))
		ret = tree_writer_bind(writer, lower_fd, &err);
	fuzz_check(ret, &err);
	return ret == 1;
}

static int unpack(const uint8_t *data, size_t size, int how)
{
	struct memory_input memory = {{data, size}, 0}, again = {{data, size}, 0};
	int lower_fd = how & NO_LOWER ? -1 : openat(place_fd, "lower", O_RDONLY | O_CLOEXEC);
	int root_fd, ret, is_again = 0;
	struct unpack_request request = {
		.input = memory_layer(&memory),
		.copy_fd = -1,
		.open_tree = give_root,
		.open_tree_arg = &root_fd,
		.carries_out = how & CARRIES_OUT,
		.lower_fd = how & LOWER_IN_VIEW && !(how & CARRIES_OUT) ? lower_fd : -1,
		.limits = {.entries = 4096, .bytes = 16 << 20, .ratio = 1000},
	};
	struct unpack_result result, digests;
	struct snapdrv_error err = {0};

	if (how & CARRIES_OUT && !(how & NO_LOWER))
		place_lower("root");
	else
		place_dir("root");
	root_fd = openat(place_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	HOLDS(root_fd >= 0);
	ret = layer_unpack(&request, &result, &err);
	fuzz_check(ret, &err);
	if (!ret) {
		is_again = !(how & CARRIES_OUT) && bind(result.writer, lower_fd);
		unpack_result_done(&result);
		request.input = memory_layer(&again);
		HOLDS(!layer_digest(&request, &digests, NULL));
		HOLDS(digest_equal(&digests.blob, &result.blob) &&
		      digest_equal(&digests.diff, &result.diff));
		HOLDS(digests.size == result.size && digests.blob_size == size);
	}
	close(root_fd);
	if (lower_fd >= 0)
		close(lower_fd);
	place_unchanged();
	place_clear();
	return is_again;
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	if (place_fd < 0)
		place_make();
	if (!size)
		return;
	if (unpack(data + 1, size - 1, *data))
		HOLDS(!unpack(data + 1, size - 1, LOWER_IN_VIEW));
}
