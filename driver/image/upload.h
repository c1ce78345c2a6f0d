/* SPDX-License-Identifier: Apache-2.0 */
/* The half of the distribution protocol that gives: blobs and manifests. */
#ifndef IMAGE_UPLOAD_H
#define IMAGE_UPLOAD_H

#include "base/text.h"
#include "image/registry.h"

/**
 * struct upload - a blob on its way out; everything is borrowed but @from.
 * @data: @size bytes, or NULL: they are read from @fd.
 * @from: repositories of the registry that may have it.
 * @sent: told how many bytes are sent, in the thread that uploads; or NULL.
 */
struct upload {
	struct digest digest;
	uint64_t size;
	const void *data;
	int fd;
	struct strings from;
	void (*sent)(void *arg, uint64_t done);
	int (*is_cancelled)(void *arg);
	void *arg;
};

/** registry_has_blob() - Return: 1, 0, or a negative errno value. */
int registry_has_blob(struct registry *registry, const char *repository,
		      const struct digest *digest, struct snapdrv_error *err);

/**
 * registry_mount_blob() - have the registry take a blob from another of its repositories.
 * Return: 1 done, 0 it does not: upload it; or a negative errno value.
 */
int registry_mount_blob(struct registry *registry, const char *repository,
			const struct upload *upload, struct snapdrv_error *err);

/**
 * registry_put_blob() - send a blob, from its start again when that fails for a passing reason.
 *
 * Return: 0, or a negative errno value: REFUSED also where a registry that is spoken to by https wants it by
 * http.
 */
int registry_put_blob(struct registry *registry, const char *repository,
		      const struct upload *upload, struct snapdrv_error *err);

/**
 * registry_put_manifest() - send a manifest, whose blobs the registry has.
 * @what: a tag, or its digest. @type: its media type. @data: @size bytes of digest @digest.
 */
int registry_put_manifest(struct registry *registry, const char *repository, const char *what,
			  const char *type, const void *data, size_t size,
			  const struct digest *digest, struct snapdrv_error *err);

#endif
