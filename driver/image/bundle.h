/* SPDX-License-Identifier: Apache-2.0 */
/* OCI runtime bundles: a config.json that gives a container what docker gives it by default. */
#ifndef IMAGE_BUNDLE_H
#define IMAGE_BUNDLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

/** struct bundle_spec - what the config.json is made from; everything is borrowed. */
struct bundle_spec {
	const json_t *config;	 /* the image config document (OCI image spec, config.md) */
	const char *name;	 /* the container's: becomes the hostname (cut at 63 bytes) */
	const char *rootfs;	 /* absolute path of the mounted tree */
	int rootfs_fd;		 /* the same, open; passwd and group are read through it */
	const char *const *args; /* words in place of Entrypoint+Cmd, or NULL */
	size_t n_args;
	int terminal;
	int read_only;
	uint32_t
		shift_uid; /* what root is outside of the user namespace that the process is to run in; */
	uint32_t
		shift_gid; /* its group; and how many ids follow. No such namespace where the size is 0 */
	uint32_t shift_size;
	/*
	 * Reads a file of the tree: `path` is resolved inside the tree whatever links are on the way;
	 * gives at most `max` bytes of a regular file in *ret_data (for free(3), NUL added), returns 1;
	 * 0 when there is none; a negative errno value, REFUSED, when it is no regular file or longer
	 * than `max`.
	 */
	int (*read_file)(int rootfs_fd, const char *path, size_t max, char **ret_data,
			 size_t *ret_size, struct snapdrv_error *err);
};

/**
 * bundle_make() - the runtime config (OCI runtime spec 1.0) of a container.
 * @spec: see above.
 * @ret_json: owned by the caller (json_decref).
 *
 * Process: Entrypoint and Cmd of the image, or @spec->args in place of both. Env, with defaults for
 * what it does not name: PATH, HOSTNAME, HOME from passwd, and TERM for a terminal; an entry without
 * `=` takes the default away, as in docker. WorkingDir, which has to be absolute, or "/". User as in
 * image_user_lookup(). Labels and what else the image says of itself become annotations, as in
 * annotations_make(). Mounts, capabilities, device rules, namespaces, masked and read-only paths
 * are docker's, as in bundle_default_*(). Volumes are not mounted.
 *
 * Return: 0, or a negative errno value: REFUSED when a member of the config has the wrong type or
 * makes no sense, or when the image's passwd or group cannot be used (a FIFO, a directory, more than
 * 1 MiB, an unknown name); USAGE when there is no command, or @spec->args are not UTF-8; FAILED.
 */
int bundle_make(const struct bundle_spec *spec, json_t **ret_json, struct snapdrv_error *err);

#endif
