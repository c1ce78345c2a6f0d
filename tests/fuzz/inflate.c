/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression: an input gives the same digests, or none, however it comes. Byte 0: the size of pieces. */
#include "input.h"
#include "layer/unpack.h"

static int digest(const uint8_t *data, size_t size, size_t step, struct unpack_result *ret_result)
{
	struct memory_input memory = {{data, size}, step};
	const struct unpack_request request = {
		.input = memory_layer(&memory),
		.copy_fd = -1,
		.limits = {.entries = 1, .bytes = 32 << 20, .ratio = 1000},
	};
	struct snapdrv_error err = {0};
	int ret = layer_digest(&request, ret_result, &err);

	fuzz_check(ret, &err);
	HOLDS(!ret || err.code == SNAPDRV_REFUSED);
	HOLDS(ret || ret_result->blob_size == size);
	return ret;
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct unpack_result whole, pieces;
	struct digest blob;
	int ret;

	if (!size)
		return;
	ret = digest(data + 1, size - 1, 0, &whole);
	HOLDS(ret == digest(data + 1, size - 1, *data + 1u, &pieces));
	if (ret)
		return;
	blob = digest_of(data + 1, size - 1);
	HOLDS(digest_equal(&whole.blob, &blob) && digest_equal(&pieces.blob, &blob));
	HOLDS(digest_equal(&whole.diff, &pieces.diff) && whole.size == pieces.size);
}
