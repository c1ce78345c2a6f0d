/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images from Dockerfiles.
 *
 *   read     the context and the Dockerfile, all of it checked (recipe.c, words.c, context.c)
 *   choose   the stages that the target needs (stages.c)
 *   look up  stage by stage, as far as every step is known to the graph: no threads, no mounts
 *   work     the stages that are left, side by side (stages.c): each step that is not known is carried out
 *            in a tree of its own over its parent (work.c), which becomes a layer
 *   export   the config and manifest of the target, as any image comes in
 */
#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

#include "snapshot/graph.h"

/** image_build() - snapdrv_build(). */
int image_build(struct graph *graph, const char *context,
		const struct snapdrv_build_options *options, char **ret_id,
		struct snapdrv_error *err);

#endif
