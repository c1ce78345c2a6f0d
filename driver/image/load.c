/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: plan, look up, unpack, sync once, commit once.
 *
 * When a layer that was found in the store is removed by somebody else before the commit, it is looked
 * up again and then unpacked here.
 */
#include "image/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/bring.h"
#include "image/reference.h"
#include "image/times.h"
#include "store/content.h"

#define TRIES_MAX 10

DEFINE_CLEANUP(source, struct source, source_close)
#define cleanup_source __attribute__((cleanup(cleanup_source_at)))
#define cleanup_plans __attribute__((cleanup(plans_done)))
#define cleanup_units __attribute__((cleanup(units_done)))

/* What another image's place of the same layer brought is this one's too. */
static int make_manifest(const struct units *units, struct image_plan *image,
			 struct snapdrv_error *err)
{
	for (size_t i = 0; i < image->n_layers; i++) {
		struct layer_plan *layer = &image->layers[i];
		const struct layer_plan *read = units_find(units, layer)->layer;

		layer->is_found |= !layer->has_blob;
		layer->has_blob = 1;
		layer->blob = read->blob;
		layer->size = read->size;
		layer->compression = read->compression;
	}
	return plan_make_manifest(image, err);
}

/* Manifest and config are blobs like the layers. */
static int write_documents(struct units *units, struct snapdrv_error *err)
{
	struct intake *intake = units->intake;
	struct plans *plans = units->plans;
	struct store *store = &intake->graph->store;
	int ret = 0;

	for (size_t i = 0; i < plans->count && !ret; i++) {
		struct image_plan *image = &plans->images[i];

		if (image->step)
			continue;
		if (!image->manifest)
			ret = make_manifest(units, image, err);
		if (!ret)
			ret = plan_check_names(image, err);
		if (ret || image->has_files || !intake_keeps_blobs(intake))
			continue;
		ret = content_write(store, image->manifest, image->manifest_size,
				    &image->manifest_file, err);
		if (!ret)
			ret = content_write(store, image->config, image->config_size,
					    &image->config_file, err);
		image->has_files = !ret;
	}
	return ret;
}

/*
 * A layer that is unpacked over another one may have lost it on the way: then it failed, or lacks what was
 * gone when it was looked at. As long as the row is there the files are.
 */
static int unpack(struct units *units, struct snapdrv_error *err)
{
	int ret = units_unpack(units, err), lost;

	if (!ret)
		ret = units_seal(units, err);
	if (ret && err->code != SNAPDRV_FAILED)
		return ret;
	lost = units_lost(units, ret ? NULL : err);
	return lost > 0 || !ret ? lost : ret;
}

int bring_in_images(struct units *units, struct source *source, struct snapdrv_error *err)
{
	struct intake *intake = units->intake;
	int ret = 1;

	for (int tries = 0; ret == 1 && tries < TRIES_MAX; tries++) {
		ret = units_look_up(units, source, err);
		if (!ret)
			ret = unpack(units, err);
		if (ret == 1)
			continue;
		if (!ret)
			ret = write_documents(units, err);
		if (!ret && !(intake->options->flags & SNAPDRV_NO_SYNC)) {
			intake->sync_ns = -times_now_ns();
			if (intake->writeback)
				writeback_stop(intake->writeback);
			ret = store_sync(&intake->graph->store, err);
			intake->sync_ns += times_now_ns();
		}
		if (!ret)
			ret = units_commit(units, err);
	}
	return ret == 1 ? fail(err, SNAPDRV_FAILED, EAGAIN, "layers are removed faster than loaded")
			: ret;
}

static int add_loaded(const struct image_plan *image, const char *reference,
		      struct snapdrv_loaded **loaded, size_t *count, struct snapdrv_error *err)
{
	struct snapdrv_loaded *grown = reallocarray(*loaded, *count + 1, sizeof(*grown)), *item;

	if (!grown)
		return fail_memory(err);
	*loaded = grown;
	item = &grown[(*count)++];
	*item = (struct snapdrv_loaded){
		.reference = reference ? text_dup(reference, err) : NULL,
		.id = text_dup(digest_format(&image->config_digest).text, err),
		.digest = text_dup(digest_format(&image->digest).text, err),
	};
	return item->id && item->digest && (!reference || item->reference) ? 0 : -ENOMEM;
}

int loaded_list(const struct plans *plans, struct snapdrv_loaded **ret_loaded, size_t *ret_count,
		struct snapdrv_error *err)
{
	struct snapdrv_loaded *loaded = NULL;
	size_t count = 0;
	int ret = 0;

	for (size_t i = 0; i < plans->count && !ret; i++) {
		const struct image_plan *image = &plans->images[i];

		if (!image->references.count)
			ret = add_loaded(image, NULL, &loaded, &count, err);
		for (size_t j = 0; j < image->references.count && !ret; j++)
			ret = add_loaded(image, image->references.items[j], &loaded, &count, err);
	}
	if (ret) {
		image_loaded_free(loaded, count);
		return ret;
	}
	*ret_loaded = loaded;
	*ret_count = count;
	return 0;
}

void image_loaded_free(struct snapdrv_loaded *loaded, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(loaded[i].reference);
		free(loaded[i].id);
		free(loaded[i].digest);
	}
	free(loaded);
}

static int check_options(const struct snapdrv_load_options *options, struct platform *ret_platform,
			 struct snapdrv_error *err)
{
	cleanup_free char *full = NULL;

	if (options->ref && reference_normalize(options->ref, &full, err))
		return -EINVAL;
	if (options->platform)
		return platform_parse(options->platform, ret_platform, err);
	platform_host(ret_platform);
	return 0;
}

int image_load(struct graph *graph, const char *path, int fd,
	       const struct snapdrv_load_options *options, struct snapdrv_loaded **ret_loaded,
	       size_t *ret_count, struct snapdrv_error *err)
{
	cleanup_source struct source *source = NULL;
	cleanup_plans struct plans plans = {0};
	cleanup_units struct units units = {0};
	const char *label = path ? path : "standard input";
	cleanup_writeback struct writeback writeback = {0};
	struct platform platform;
	struct intake intake;
	int ret;

	intake_init(&intake, graph, options);
	ret = check_options(intake.options, &platform, err);
	if (ret)
		return ret;
	ret = intake_begin(&intake, &writeback, err);
	if (ret)
		return ret;
	ret = source_open(&intake, path, fd, &source, err);
	if (!ret)
		ret = plan_source(source, &platform, intake.options->ref, &plans, err);
	if (ret)
		return fail_within(err, ret, "%s", quote(label).text);
	ret = units_make(&intake, &plans, &units, err);
	if (!ret)
		ret = bring_in_images(&units, source, err);
	if (!ret && intake.options->times)
		ret = load_times_list(&units, intake.options->times, err);
	if (ret)
		return ret;
	ret = loaded_list(&plans, ret_loaded, ret_count, err);
	if (ret && intake.options->times)
		load_times_done(intake.options->times);
	return ret;
}
