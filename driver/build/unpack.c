/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking tars that are no layers, by the reader and the writer of layers. */
#include "build/unpack.h"

#include <stdint.h>

#include "base/error.h"
#include "image/stage.h"

struct unpacking {
	const struct layer_input *input;
	int tree_fd;
	int64_t latest_ns;
	int ret;
	struct snapdrv_error err;
};

static int give_tree(void *arg, int *ret_fd, struct snapdrv_error *err)
{
	const struct unpacking *unpacking = arg;

	(void)err;
	*ret_fd = unpacking->tree_fd;
	return 0;
}

/* In a thread with a umask of its own. */
static void *run(void *arg)
{
	struct unpacking *unpacking = arg;
	const int64_t latest_ns = unpacking->latest_ns;
	const struct timespec latest = {latest_ns / 1000000000, latest_ns % 1000000000};
	struct unpack_request request = {
		.input = *unpacking->input,
		.copy_fd = -1,
		.open_tree = give_tree,
		.open_tree_arg = unpacking,
		.carries_out = 1,
		.lower_fd = -1,
		.is_no_layer = 1,
		.latest = latest_ns == INT64_MAX ? NULL : &latest,
	};
	struct unpack_result result;
	struct intake intake;

	intake_init(&intake, NULL, NULL);
	request.limits = intake.limits;
	unpacking->ret = layer_unpack(&request, &result, &unpacking->err);
	if (!unpacking->ret)
		unpack_result_done(&result);
	return NULL;
}

int unpack_archive(const struct layer_input *input, int tree_fd, int64_t latest_ns,
		   struct snapdrv_error *err)
{
	struct unpacking unpacking = {.input = input, .tree_fd = tree_fd, .latest_ns = latest_ns};
	int ret = run_threads(1, run, &unpacking, err);

	if (ret)
		return ret;
	return unpacking.ret ? fail(err, unpacking.err.code, unpacking.err.errnum, "%s",
				    unpacking.err.message)
			     : 0;
}
