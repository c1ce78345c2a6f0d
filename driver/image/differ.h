/* SPDX-License-Identifier: Apache-2.0 */
/* Layers into and out of what a runtime would mount: what containerd's diff service asks for. */
#ifndef IMAGE_DIFFER_H
#define IMAGE_DIFFER_H

#include "base/digest.h"
#include "snapshot/graph.h"

/** struct differ_mounts - @count mounts; borrowed. */
struct differ_mounts {
	const struct snapdrv_mount *items;
	size_t count;
};

/** struct differ_input - a layer that is read, as snapdrv_apply() has it; borrowed. */
struct differ_input {
	ssize_t (*read)(void *arg, void *data, size_t size);
	void *arg;
	const char *media_type; /* or NULL */
};

/** differ_apply() - snapdrv_apply(). */
int differ_apply(struct graph *graph, const struct differ_mounts *mounts,
		 const struct differ_input *input, unsigned flags,
		 struct snapdrv_applied *ret_applied, struct snapdrv_error *err);

/** struct differ_output - a layer that is written, as snapdrv_diff_mounts() has it; borrowed. */
struct differ_output {
	int (*write)(void *arg, const void *data, size_t size);
	void *arg;
	int compression;
};

/** differ_diff() - snapdrv_diff_mounts(). */
int differ_diff(struct graph *graph, const struct differ_mounts *left,
		const struct differ_mounts *right, const struct differ_output *output,
		struct snapdrv_applied *ret_applied, struct snapdrv_error *err);

/** differ_applied_done() - snapdrv_applied_done(). */
void differ_applied_done(struct snapdrv_applied *applied);

/** differ_tell() - the result of either; @digest of @input_size bytes that went in or came out. */
int differ_tell(const struct digest *diff, uint64_t size, const struct digest *digest,
		uint64_t input_size, struct snapdrv_applied *ret_applied,
		struct snapdrv_error *err);

#endif
