/* SPDX-License-Identifier: Apache-2.0 */
/* All that the database knows of one image: its documents and its layers. */
#ifndef IMAGE_DETAIL_H
#define IMAGE_DETAIL_H

#include "base/json.h"
#include "image/images.h"

/** struct image_layer - a layer of an image. */
struct image_layer {
	struct digest diff;
	struct digest chain;
	int64_t tree;
	uint64_t bytes; /* of its files, unpacked */
	uint64_t entries;
	struct digest blob;
	uint64_t blob_size;
	const char *media_type; /* borrowed from the manifest; "" when it does not say */
	int has_blob;		/* the store keeps the blob */
};

/** struct image_detail - an image. All zero is none. */
struct image_detail {
	char *manifest_text, *config_text; /* byte for byte, a NUL added */
	size_t manifest_size, config_size;
	json_t *manifest, *config;
	struct image_layer *layers; /* the lowest first */
	size_t n_layers;
};

/**
 * detail_read() - read an image's rows. @ret_detail: for detail_done().
 *
 * Return: 0, or a negative errno value: MISSING when it has been removed since it was found, FAILED
 * (EUCLEAN) when the rows do not fit together.
 */
int detail_read(struct graph *graph, const struct image *image, struct image_detail *ret_detail,
		struct snapdrv_error *err);

/** detail_done() - free what is in it. */
void detail_done(struct image_detail *detail);

#define cleanup_detail __attribute__((cleanup(detail_done)))

/**
 * LAYERS_OF_IMAGES - SQL: the layers of all images, one row for each place of a layer in an image, as the
 * table `place(image, snapshot, tree, parent)`. Its cost is that of the images; containers add nothing.
 */
#define LAYERS_OF_IMAGES                                                      \
	"WITH RECURSIVE place(image, snapshot, tree, parent) AS ("            \
	" SELECT image.id, s.id, s.tree, s.parent FROM image JOIN snapshot s" \
	" ON s.id = image.top"                                                \
	" UNION ALL SELECT place.image, s.id, s.tree, s.parent FROM place"    \
	" JOIN snapshot s ON s.id = place.parent) "

#endif
