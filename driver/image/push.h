/* SPDX-License-Identifier: Apache-2.0 */
/* Images to a registry. */
#ifndef IMAGE_PUSH_H
#define IMAGE_PUSH_H

#include "snapshot/graph.h"

/** image_push() - snapdrv_push(). */
int image_push(struct graph *graph, const char *image, const char *ref,
	       const struct snapdrv_registry_options *registry_options,
	       const struct snapdrv_push_options *options, struct snapdrv_loaded **ret_pushed,
	       struct snapdrv_error *err);

#endif
