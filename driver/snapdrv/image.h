/* SPDX-License-Identifier: Apache-2.0 */
/* Images: listed, described, saved, named and removed. */
#ifndef SNAPDRV_IMAGE_H
#define SNAPDRV_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct snapdrv_image - one image of the store.
 * @id:         image ID. @digest: manifest digest.
 * @references: @n_references full names, sorted; none for an image that lost its names.
 * @platform:   "linux/amd64", ...
 * @created_ns: when it was made, as its config says; 0 when it does not.
 * @size:       bytes of its unpacked layers.
 * @n_layers:   how many layers.
 * @in_use:     1 when a container was made from it.
 */
struct snapdrv_image {
	char *id;
	char *digest;
	char **references;
	size_t n_references;
	char *platform;
	int64_t created_ns;
	uint64_t size;
	size_t n_layers;
	int in_use;
};

/**
 * snapdrv_images() - list the images, the newest first.
 * @ret_images: array, for snapdrv_images_free(). @ret_count: its length.
 */
int snapdrv_images(struct snapdrv_store *store, struct snapdrv_image **ret_images,
		   size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_images_free() - free what snapdrv_images() gave. Takes NULL. */
void snapdrv_images_free(struct snapdrv_image *images, size_t count);

/**
 * snapdrv_inspect() - all that is known of an image or a container.
 * @name:     a container's name, or an image as in snapdrv_create(). The container wins. Borrowed.
 * @ret_json: a JSON object, for free(3).
 *
 * Return: 0, or a negative errno value: MISSING.
 */
int snapdrv_inspect(struct snapdrv_store *store, const char *name, char **ret_json,
		    struct snapdrv_error *err);

/**
 * struct snapdrv_history - a step in which an image was made.
 * @id:          ID of the image that it made, or NULL when that is not in the store.
 * @created_ns:  when, or 0 when that is not known.
 * @created_by:  the command or instruction; "" when that is not known. @comment, @author: likewise.
 * @size:        bytes of the files of the layer that it made; 0 when it made none.
 * @empty_layer: 1 when it made none.
 * @diff_id:     DiffID of that layer, or NULL.
 */
struct snapdrv_history {
	char *id;
	int64_t created_ns;
	char *created_by;
	char *comment;
	char *author;
	uint64_t size;
	int empty_layer;
	char *diff_id;
};

/**
 * snapdrv_history() - how an image was made, the newest step first.
 * @image:    as in snapdrv_create(). Borrowed.
 * @ret_rows: array, for snapdrv_history_free(); one row for each layer where the image does not say.
 * @ret_count: its length, at least 1.
 *
 * Return: 0, or a negative errno value: MISSING.
 */
int snapdrv_history(struct snapdrv_store *store, const char *image,
		    struct snapdrv_history **ret_rows, size_t *ret_count,
		    struct snapdrv_error *err);

/** snapdrv_history_free() - free what snapdrv_history() gave. Takes NULL. */
void snapdrv_history_free(struct snapdrv_history *rows, size_t count);

/** enum snapdrv_save_format - what snapdrv_save() makes. */
enum snapdrv_save_format {
	SNAPDRV_OCI_ARCHIVE = 0, /* the tar of an OCI layout */
	SNAPDRV_OCI_DIR = 1,	 /* an OCI layout, a directory */
	SNAPDRV_DOCKER_ARCHIVE =
		2 /* what `docker save` writes: manifest.json, configs, plain tars */
};

/**
 * struct snapdrv_save_options - how to save; all zero is a good start.
 * @format:       what to make.
 * @progress:     called while it works, or NULL. @progress_arg: its argument.
 */
struct snapdrv_save_options {
	enum snapdrv_save_format format;
	void (*progress)(void *arg, const struct snapdrv_progress *progress);
	void *progress_arg;
};

/**
 * struct snapdrv_saved - one image that was saved, by one name.
 * @reference: its full name, or NULL: it was asked for by its ID.
 * @id:        image ID. @digest: manifest digest. Of what was saved.
 * @rewritten: 1 when layers whose blobs are not kept were written again: the digest is a new one.
 */
struct snapdrv_saved {
	char *reference;
	char *id;
	char *digest;
	int rewritten;
};

/**
 * snapdrv_save() - write images to a file or directory that `load` of this and other programs takes.
 * @images:    @n_images of them, each as in snapdrv_create(). Each comes under the names that it is
 *             asked for by. Borrowed.
 * @path:      the file; one that is there is replaced. With SNAPDRV_OCI_DIR a directory that is not
 *             there yet or is empty. Borrowed.
 * @options:   or NULL. Borrowed.
 * @ret_saved: array, for snapdrv_saved_free(). @ret_count: its length.
 *
 * In an OCI layout the manifest, config and layers are the bytes that came in, so that all digests stay.
 * In a docker-archive layers are plain tars, and the image ID stays. The same images give the same
 * bytes. What is read from the store is verified, but for blobs that a directory shares with the store
 * by reflink or hard link. The file or directory is there whole, and on disk, or not at all. At most a
 * few MB of memory.
 *
 * Return: 0, or a negative errno value: MISSING (no such image, no such directory), BUSY (the directory
 * is not empty), USAGE, FAILED.
 */
int snapdrv_save(struct snapdrv_store *store, const char *const *images, size_t n_images,
		 const char *path, const struct snapdrv_save_options *options,
		 struct snapdrv_saved **ret_saved, size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_save_fd() - snapdrv_save() of an archive to a descriptor, in one pass. @fd: Borrowed. */
int snapdrv_save_fd(struct snapdrv_store *store, const char *const *images, size_t n_images, int fd,
		    const struct snapdrv_save_options *options, struct snapdrv_saved **ret_saved,
		    size_t *ret_count, struct snapdrv_error *err);

/** snapdrv_saved_free() - free what snapdrv_save() gave. Takes NULL. */
void snapdrv_saved_free(struct snapdrv_saved *saved, size_t count);

/**
 * snapdrv_tag() - give an image one more name; a name that another image had moves.
 * @image: as in snapdrv_create(). @ref: the new name; `latest` is added where it has no tag. Borrowed.
 *         With a digest in it, that has to be the image's.
 *
 * Return: 0, or a negative errno value: MISSING, USAGE (not a name, or another digest in it).
 */
int snapdrv_tag(struct snapdrv_store *store, const char *image, const char *ref,
		struct snapdrv_error *err);

/**
 * struct snapdrv_removed - what snapdrv_rmi() did.
 * @untagged: @n_untagged names that were taken away.
 * @deleted:  the ID of the image that is gone, or NULL when it is still there.
 */
struct snapdrv_removed {
	char **untagged;
	size_t n_untagged;
	char *deleted;
};

/** Flags of snapdrv_rmi(). */
enum snapdrv_rmi_flags {
	SNAPDRV_FORCE =
		1 << 0 /* take the name away from a used image too; all names, given an ID */
};

/**
 * snapdrv_rmi() - take a name from an image, and remove the image when that was its last one.
 * @image: as in snapdrv_create(). Borrowed. A repository and a digest stand for all names in that repository, where
 *         none is called just that.
 * @flags: enum snapdrv_rmi_flags.
 * @ret_removed: for snapdrv_removed_done().
 *
 * Layers that nothing needs any more go with it; those under a container never do. Their files go by
 * snapdrv_flush().
 *
 * Return: 0, or a negative errno value: MISSING, BUSY (a container uses it, or it was named by its ID
 * and has several names).
 */
int snapdrv_rmi(struct snapdrv_store *store, const char *image, unsigned flags,
		struct snapdrv_removed *ret_removed, struct snapdrv_error *err);

/** snapdrv_removed_done() - free what is in @removed. */
void snapdrv_removed_done(struct snapdrv_removed *removed);

#ifdef __cplusplus
}
#endif

#endif
