/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers in containerd's content store: read from its directory where that can be, and through its content
 * service where it cannot; written through the service.
 */
#ifndef CLI_SNAPDRVD_BLOB_H
#define CLI_SNAPDRVD_BLOB_H

#include <sys/types.h>

#include "snapdrvd_service.h"

struct blob;

/**
 * blob_open() - a blob, to be read once.
 * @digest: of it; it becomes a path only when it is "sha256:" and 64 hex digits.
 * Return: 0 and what is for blob_close(), or a negative errno value; MISSING.
 */
int blob_open(const struct turn *turn, const char *digest, struct blob **ret_blob,
	      struct snapdrv_error *err);

/**
 * blob_create() - a blob, to be written. @ref: what containerd calls it while it is, or "".
 * Return: 0, or a negative errno value; EOPNOTSUPP when the call does not name a namespace.
 */
int blob_create(const struct turn *turn, const char *ref, struct blob **ret_blob,
		struct snapdrv_error *err);

/** blob_read() - as snapdrv_apply() wants it. @blob: a struct blob. */
ssize_t blob_read(void *blob, void *data, size_t size);

/** blob_write() - as snapdrv_diff_mounts() wants it. */
int blob_write(void *blob, const void *data, size_t size);

/**
 * blob_commit() - what was written is a blob from now on.
 * @labels: @n_labels of them. A blob that is there already is as good.
 */
int blob_commit(struct blob *blob, const char *digest, uint64_t size,
		const struct snapdrv_label *labels, size_t n_labels, struct snapdrv_error *err);

/** blob_error() - why blob_read() or blob_write() failed; NULL when they did not. */
const struct snapdrv_error *blob_error(const struct blob *blob);

/** blob_close() - takes NULL. What was not committed stays with containerd as an ingest that it collects. */
void blob_close(struct blob *blob);

#endif
