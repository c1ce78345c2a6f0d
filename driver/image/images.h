/* SPDX-License-Identifier: Apache-2.0 */
/* The images of the store: finding one by what the user calls it, listing, naming, removing. */
#ifndef IMAGE_IMAGES_H
#define IMAGE_IMAGES_H

#include <stdint.h>

#include "base/digest.h"
#include "base/text.h"
#include "snapshot/graph.h"

/** struct image - a row. */
struct image {
	int64_t id;
	int64_t top; /* snapshot of its last layer */
	struct digest_text digest;
	struct digest_text config_digest; /* the image ID */
	int by_id;			  /* it was found by its ID, not by a name */
	int by_digest;			  /* by a repository that it has names in, and its digest */
	char *name;			  /* the full name it was found by, or NULL; owned */
};

void image_done(struct image *image);
#define cleanup_image __attribute__((cleanup(image_done)))

/**
 * image_find() - find an image by what the user calls it.
 * @text: a reference, an image ID, or a unique prefix of one. An ID of 64 digits comes before a name,
 *        a name before a prefix.
 *
 * Return: 0, or a negative errno value: MISSING, USAGE when a prefix means several images.
 */
int image_find(struct graph *graph, const char *text, struct image *ret_image,
	       struct snapdrv_error *err);

/** image_config() - the config document. @ret_text: for free(3), NUL added. */
int image_config(struct graph *graph, int64_t id, char **ret_text, size_t *ret_size,
		 struct snapdrv_error *err);

/** image_manifest() - the manifest, likewise. */
int image_manifest(struct graph *graph, int64_t id, char **ret_text, size_t *ret_size,
		   struct snapdrv_error *err);

/** images_list() - snapdrv_images(). */
int images_list(struct graph *graph, struct snapdrv_image **ret_images, size_t *ret_count,
		struct snapdrv_error *err);
void images_free(struct snapdrv_image *images, size_t count);

/** image_references() - add an image's full names to a list, sorted. */
int image_references(struct graph *graph, int64_t id, struct strings *names,
		     struct snapdrv_error *err);

/** image_inspect() - a JSON object of docker's members, and what else is known. @ret_json: for free(3). */
int image_inspect(struct graph *graph, const struct image *image, char **ret_json,
		  struct snapdrv_error *err);

/** image_tag() - snapdrv_tag(). */
int image_tag(struct graph *graph, const char *text, const char *ref, struct snapdrv_error *err);

/** image_remove() - snapdrv_rmi(). */
int image_remove(struct graph *graph, const char *text, unsigned flags,
		 struct snapdrv_removed *ret_removed, struct snapdrv_error *err);

#endif
