/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be brought in: images with their documents and layers, as the source describes them. */
#ifndef IMAGE_PLAN_H
#define IMAGE_PLAN_H

#include <stdint.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/text.h"
#include "image/platform.h"
#include "image/source.h"
#include "layer/inflate.h"

#define IMAGES_MAX 10000 /* of one source */

/** struct layer_plan - one layer of an image. */
struct layer_plan {
	char *member; /* its name in the source, or NULL when the layer is staged already */
	int is_base;  /* of an image that is in the store already: there is nothing to read */
	int has_blob; /* the manifest says blob and size; otherwise they are found on the way */
	struct digest blob;
	uint64_t size;
	int is_found; /* blob and size were found on the way, and so was the next */
	enum compression compression;
	struct digest diff; /* the config says */
	struct digest chain;
};

/**
 * struct step_plan - what a step of a build came to: layers and no image.
 * @keys: @n_keys names that it is found by, see build/cache.h.
 * The topmost layer is the step's.
 */
struct step_plan {
	const char *const *keys;
	size_t n_keys;
	int64_t created_ns;
};

/** enum name_origin - who gave an image its names: what becomes of one that is pinned to another digest. */
enum name_origin {
	NAMES_OF_USER, /* USAGE */
	NAMES_OF_SOURCE, /* dropped: save writes the names that a pull gave, an index's digest among them */
	NAMES_OF_REGISTRY, /* kept: the registry was asked for that digest */
};

/** struct image_plan - one image. */
struct image_plan {
	const struct step_plan *step; /* it is none, but this; or NULL. Borrowed */
	char *manifest; /* NULL: to be made once the blobs are known (docker-archive, import) */
	size_t manifest_size;
	struct digest digest;
	char *config;
	size_t config_size;
	struct digest config_digest;
	char *platform;
	int64_t created_ns;
	struct layer_plan *layers; /* the lowest first */
	size_t n_layers;
	struct strings references; /* full names */
	enum name_origin names_from;
	char *origin;  /* as image.origin in store/schema.c, or NULL */
	int has_files; /* manifest and config are in the session, to become blobs */
	struct store_name manifest_file;
	struct store_name config_file;
};

struct plans {
	struct image_plan *images;
	size_t count;
};

/**
 * plan_source() - read what a source holds: its index or manifest.json, manifests and configs.
 * @platform: what to choose from an index. @ref: the name to give instead of the source's own, or NULL.
 * @ret_plans: for plans_done().
 *
 * Manifests and configs are verified against their digests and sizes. Layers are not read.
 *
 * Return: 0, or a negative errno value: REFUSED, MISSING (nothing for the platform), USAGE (@ref, and
 * several images).
 */
int plan_source(struct source *source, const struct platform *platform, const char *ref,
		struct plans *ret_plans, struct snapdrv_error *err);

/** plan_label() - what to call an image in an error. Borrowed from @image or static. */
struct plan_label {
	char text[160];
};
struct plan_label plan_label(const struct image_plan *image);

void plans_done(struct plans *plans);

/** plans_add() - one more image, all zero. Return: it, or NULL with @err filled. */
struct image_plan *plans_add(struct plans *plans, struct snapdrv_error *err);

/**
 * plan_config() - take an image config (OCI image spec, config.md) into a plan: digest, platform, time,
 * DiffIDs and ChainIDs. @image->layers is made when it has none, and has to fit otherwise.
 * @config: @size bytes, taken over by the plan also on failure.
 */
int plan_config(struct image_plan *image, char *config, size_t size, struct snapdrv_error *err);

/** plan_make_layers() - room for @count layers; none, or too many, are REFUSED. */
int plan_make_layers(struct image_plan *image, size_t count, struct snapdrv_error *err);

/**
 * plan_set_manifest() - the OCI manifest of an image whose config is known.
 * @layers: an array of descriptors, as it stands in the manifest. Borrowed.
 */
int plan_set_manifest(struct image_plan *image, json_t *layers, struct snapdrv_error *err);

/** plan_make_manifest() - write the OCI manifest of an image whose blobs are known by now. */
int plan_make_manifest(struct image_plan *image, struct snapdrv_error *err);

/**
 * plan_check_names() - of an image whose digest is known: only names that it may have.
 * Return: 0, or -EINVAL with USAGE: see enum name_origin.
 */
int plan_check_names(struct image_plan *image, struct snapdrv_error *err);

/** plan_docker() - plan_source() for manifest.json of a docker-archive, @size bytes at @text. */
int plan_docker(struct source *source, const char *text, size_t size, struct plans *plans,
		struct snapdrv_error *err);

#endif
