/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing images into the store: from a source, or from the tar of a root filesystem. */
#ifndef IMAGE_LOAD_H
#define IMAGE_LOAD_H

#include "snapshot/graph.h"

/** image_load() - snapdrv_load(); @path NULL: snapdrv_load_fd(). */
int image_load(struct graph *graph, const char *path, int fd,
	       const struct snapdrv_load_options *options, struct snapdrv_loaded **ret_loaded,
	       size_t *ret_count, struct snapdrv_error *err);

struct plans;

/** loaded_list() - what has been brought in by these plans, for image_loaded_free(). */
int loaded_list(const struct plans *plans, struct snapdrv_loaded **ret_loaded, size_t *ret_count,
		struct snapdrv_error *err);

void image_loaded_free(struct snapdrv_loaded *loaded, size_t count);

/** image_import() - snapdrv_import_fd(). */
int image_import(struct graph *graph, int fd, const char *ref, const char *const *changes,
		 size_t n_changes, const char *message, const struct snapdrv_load_options *options,
		 char **ret_id, struct snapdrv_error *err);

#endif
