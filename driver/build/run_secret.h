/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount=type=secret. */
#ifndef BUILD_RUN_SECRET_H
#define BUILD_RUN_SECRET_H

#include "build/run_mounts.h"

/**
 * run_secret_add() - give a RUN a secret, as a file of the work's tmpfs, as a variable, or as both.
 * @array, @env, @stubs: as run_mounts_prepare() has them.
 *
 * One that nobody gave is left out, unless it is required. Its file is read when the first RUN asks for it.
 */
int run_secret_add(struct run_mounts *mounts, struct run_mount *mount, struct work *work,
		   json_t *array, json_t *env, struct stubs *stubs, struct snapdrv_error *err);

#endif
