/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a runtime config that are the same for every container: docker's defaults. */
#ifndef IMAGE_BUNDLE_DEFAULTS_H
#define IMAGE_BUNDLE_DEFAULTS_H

#include <jansson.h>

/**
 * bundle_default_*() - `mounts`, `process.capabilities` and `linux` of the config, as in docker 28.
 * @is_root: whether the process runs as uid 0. Another one has the capabilities in its bounding set
 *           only, as after execve(2).
 *
 * Not docker's: the cgroup namespace is new with cgroups v1 too, and there is no seccomp profile.
 *
 * Return: owned by the caller (json_decref), or NULL when there is no memory.
 */
json_t *bundle_default_mounts(void);
json_t *bundle_default_capabilities(int is_root);
json_t *bundle_default_linux(void);

#endif
