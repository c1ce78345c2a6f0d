/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount=type=cache. */
#ifndef BUILD_RUN_CACHE_H
#define BUILD_RUN_CACHE_H

#include "build/run_mounts.h"

/**
 * run_caches_take() - take the caches of a RUN, filled with what they are to begin with; waits for whoever has them.
 *
 * Mounts with one id have one cache, with the strictest sharing of them (shared, private, locked), filled as the
 * first of them says. Ended by run_mounts_end(), also after a failure.
 */
int run_caches_take(struct run_mounts *mounts, struct snapdrv_error *err);

/** run_cache_path() - the directory of a mount whose cache was taken. Borrowed. */
const char *run_cache_path(const struct run_mount *mount);

#endif
