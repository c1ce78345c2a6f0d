/* SPDX-License-Identifier: Apache-2.0 */
/* RUN --mount=type=cache. */
#ifndef BUILD_RUN_CACHE_H
#define BUILD_RUN_CACHE_H

#include "build/run_mounts.h"

/**
 * run_cache_take() - take the cache of a mount, filled with what it is to begin with; waits for whoever has it.
 * Ended by cache_done(), also after a failure.
 */
int run_cache_take(struct stage *stage, struct run_mount *mount, struct snapdrv_error *err);

#endif
