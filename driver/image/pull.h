/* SPDX-License-Identifier: Apache-2.0 */
/* Images from a registry and to one. */
#ifndef IMAGE_PULL_H
#define IMAGE_PULL_H

#include "snapshot/graph.h"

/** image_pull() - snapdrv_pull(). */
int image_pull(struct graph *graph, const char *ref,
	       const struct snapdrv_registry_options *registry_options,
	       const struct snapdrv_load_options *options, struct snapdrv_loaded **ret_loaded,
	       struct snapdrv_error *err);

#endif
