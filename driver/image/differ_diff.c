/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the layer that leads from one runtime's tree to another: changes -> tar -> hash -> compress -> hash. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/differ.h"
#include "image/pack.h"
#include "layer/deflate.h"
#include "snapshot/mounted.h"

DEFINE_CLEANUP(hasher, struct hasher, hasher_free)
DEFINE_CLEANUP(deflater, struct deflater, deflater_free)
#define cleanup_hasher __attribute__((cleanup(cleanup_hasher_at)))
#define cleanup_deflater __attribute__((cleanup(cleanup_deflater_at)))

struct difference {
	struct graph *graph;
	const struct mounted *left; /* or NULL */
	const struct mounted *right;
	const struct differ_output *output;
	struct deflater *deflater;
	struct hasher *plain_hasher; /* of the tar */
	struct hasher *hasher;	     /* of what is written */
	uint64_t plain_size, size;
};

static int changes(void *context, change_fn *report, void *arg, struct snapdrv_error *err)
{
	const struct difference *difference = context;

	return mounted_changes(difference->graph, difference->left, difference->right, report, arg,
			       err);
}

static int take_tar(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct difference *difference = context;

	hasher_update(difference->plain_hasher, data, size);
	difference->plain_size += size;
	return deflater_write(difference->deflater, data, size, err);
}

static int give(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct difference *difference = context;
	int ret;

	hasher_update(difference->hasher, data, size);
	difference->size += size;
	ret = difference->output->write(difference->output->arg, data, size);
	return ret < 0 ? fail_ret(err, ret, "write the layer") : 0;
}

static int write_layer(struct difference *difference, struct snapdrv_applied *ret_applied,
		       struct snapdrv_error *err)
{
	const struct pack_source source = {.changes = changes, .context = difference};
	const struct pack_output tar = {take_tar, difference}, compressed = {give, difference};
	cleanup_hasher struct hasher *plain_hasher = hasher_new(err), *hasher = hasher_new(err);
	cleanup_deflater struct deflater *deflater = NULL;
	struct digest diff, digest;
	int ret = plain_hasher && hasher
			  ? deflater_new((enum snapdrv_compression)difference->output->compression,
					 &compressed, &deflater, err)
			  : -ENOMEM;

	if (ret)
		return ret;
	difference->plain_hasher = plain_hasher;
	difference->hasher = hasher;
	difference->deflater = deflater;
	ret = pack_stream(PACK_LAYER, &source, &tar, err);
	if (!ret)
		ret = deflater_end(deflater, err);
	if (ret)
		return ret;
	diff = hasher_final(plain_hasher);
	digest = hasher_final(hasher);
	return differ_tell(&diff, difference->plain_size, &digest, difference->size, ret_applied,
			   err);
}

int differ_diff(struct graph *graph, const struct differ_mounts *left,
		const struct differ_mounts *right, const struct differ_output *output,
		struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	cleanup_mounted struct mounted left_mounted = {0}, right_mounted = {0};
	struct difference difference = {.graph = graph,
					.left = left->count ? &left_mounted : NULL,
					.right = &right_mounted,
					.output = output};
	int ret = mounted_read(right->items, right->count, &right_mounted, err);

	if (!ret && left->count)
		ret = mounted_read(left->items, left->count, &left_mounted, err);
	if (!ret)
		ret = write_layer(&difference, ret_applied, err);
	return ret ? fail_within(err, ret, "diff of two trees") : 0;
}
