/* SPDX-License-Identifier: Apache-2.0 */
/* Giving images back: as an OCI layout or a docker-archive. */
#ifndef IMAGE_SAVE_H
#define IMAGE_SAVE_H

#include "base/text.h"
#include "image/detail.h"

/** image_save() - snapdrv_save(); @path NULL: snapdrv_save_fd(). */
int image_save(struct graph *graph, const char *const *images, size_t n_images, const char *path,
	       int fd, const struct snapdrv_save_options *options, struct snapdrv_saved **ret_saved,
	       size_t *ret_count, struct snapdrv_error *err);
void image_saved_free(struct snapdrv_saved *saved, size_t count);

/** struct save_image - one image to be saved, by some of its names. */
struct save_image {
	struct image image;
	struct image_detail detail;
	struct strings names;
	int is_rewritten;     /* the documents are not those of the store */
	struct digest digest; /* of the manifest that is saved */
	struct digest id;     /* of the config */
};

/** enum save_from - where the bytes of a file come from. */
enum save_from {
	SAVE_DIRECTORY, /* it is none */
	SAVE_TEXT,	/* .text */
	SAVE_BLOB,	/* the blob, as it is */
	SAVE_INFLATED,	/* the blob, decompressed */
	SAVE_REWRITTEN	/* rewrite_layer() */
};

/** struct save_file - a file to be written. */
struct save_file {
	char *name;
	enum save_from from;
	char *text;
	uint64_t size;
	struct digest digest;		 /* of what is written */
	const struct image_layer *layer; /* borrowed from its image */
	struct digest blob;		 /* the one to read */
	uint64_t blob_size;
};

/** struct save_plan - what is to be written: sorted by name, each name once. */
struct save_plan {
	struct save_image *images;
	size_t n_images;
	struct save_file *files;
	size_t n_files;
};

void save_plan_done(struct save_plan *plan);

/** save_plan_layout() - the files of an OCI layout. */
int save_plan_layout(struct save_plan *plan, struct snapdrv_error *err);

/** save_plan_docker() - the files of a docker-archive. Reads the compressed blobs, to know the sizes. */
int save_plan_docker(struct graph *graph, struct save_plan *plan, struct snapdrv_error *err);

/** save_plan_sort() - in the order of their names. */
void save_plan_sort(struct save_plan *plan);

/** save_put - takes in bytes of a file. Return: 0, or a negative errno value with @err filled. */
typedef int save_put(void *context, const void *data, size_t size, struct snapdrv_error *err);

/** save_read() - all bytes of a file, in pieces; what comes out of the store is verified. */
int save_read(struct graph *graph, const struct save_file *file, save_put *put, void *context,
	      struct snapdrv_error *err);

/** save_measure() - the size of a blob, decompressed, which has to have the layer's DiffID. */
int save_measure(struct graph *graph, struct save_file *file, struct snapdrv_error *err);

#endif
