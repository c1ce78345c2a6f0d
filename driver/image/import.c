/* SPDX-License-Identifier: Apache-2.0 */
/* Importing: the tar of a root filesystem becomes an image of one layer. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "image/bring.h"
#include "image/changes.h"
#include "image/load.h"
#include "image/reference.h"
#include "image/times.h"
#include "layer/inflate.h"

#define cleanup_plans __attribute__((cleanup(plans_done)))
#define cleanup_units __attribute__((cleanup(units_done)))

struct import {
	struct intake *intake;
	int fd;
	struct staged staged;
	struct snapdrv_error err;
	int ret;
};

static ssize_t read_inflated(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	return inflater_read(context, data, size, err);
}

/* The blob is the plain tar: an image of the same tree has the same digest however it was compressed. */
static int unpack_tar(struct import *import, struct snapdrv_error *err)
{
	static const struct parents_source no_parents;
	const struct layer_input packed = input_from_fd(&import->fd);
	struct layer_input plain = {.read = read_inflated};
	struct inflater *inflater;
	int ret = inflater_new(&packed, &inflater, err);

	if (ret)
		return ret;
	plain.context = inflater;
	ret = stage_unpack(import->intake, &plain, "import", 0, no_parents, -1,
			   intake_keeps_blobs(import->intake), &import->staged, err);
	inflater_free(inflater);
	if (!ret && import->staged.needs_lower)
		ret = stage_bind(&import->staged, -1, err);
	return ret;
}

static void *run_import(void *arg)
{
	struct import *import = arg;

	import->ret = unpack_tar(import, &import->err);
	return NULL;
}

static int make_config(struct image_plan *image, const struct platform *platform,
		       const struct digest *diff, json_t *config, const char *message,
		       struct snapdrv_error *err)
{
	cleanup_free char *created = text_time_format(times_creation_ns(), err);
	cleanup_json json_t *json = NULL;
	char *text;

	if (!created)
		return -ENOMEM;
	json = json_pack("{s:s, s:s, s:s, s:O, s:{s:s, s:[s]}, s:[{s:s, s:s}]}", "created", created,
			 "architecture", platform->architecture, "os", platform->os, "config",
			 config, "rootfs", "type", "layers", "diff_ids", digest_format(diff).text,
			 "history", "created", created, "comment",
			 message ? message : "Imported from a tar");
	if (json && *platform->variant)
		json_object_set_new(json, "variant", json_string(platform->variant));
	text = json ? json_text(json, JSON_COMPACT, err) : NULL;
	if (!text)
		return json ? -ENOMEM : fail(err, SNAPDRV_USAGE, EINVAL, "message: not UTF-8");
	return plan_config(image, text, strlen(text), err);
}

static int plan_import(struct plans *plans, const struct import *import, const char *reference,
		       json_t *config, const char *message, const struct platform *platform,
		       struct snapdrv_error *err)
{
	struct image_plan *image = plans_add(plans, err);
	const struct unpack_result *result = &import->staged.result;
	int ret;

	if (!image)
		return -ENOMEM;
	ret = make_config(image, platform, &result->diff, config, message, err);
	if (!ret)
		ret = strings_add(&image->references, reference, err);
	if (ret)
		return ret;
	image->layers[0].has_blob = 1;
	image->layers[0].blob = result->blob;
	image->layers[0].size = result->blob_size;
	return 0;
}

static int bring_in_import(struct import *import, struct plans *plans, struct snapdrv_error *err)
{
	cleanup_units struct units units = {0};
	int ret = units_make(import->intake, plans, &units, err);

	if (ret)
		return ret;
	units.items[0]->staged = import->staged;
	import->staged = (struct staged){0};
	return bring_in_images(&units, NULL, err);
}

int image_import(struct graph *graph, int fd, const char *ref, const char *const *changes,
		 size_t n_changes, const char *message, const struct snapdrv_load_options *options,
		 char **ret_id, struct snapdrv_error *err)
{
	cleanup_plans struct plans plans = {0};
	cleanup_json json_t *config = json_object();
	cleanup_free char *reference = NULL;
	cleanup_writeback struct writeback writeback = {0};
	struct platform platform;
	struct intake intake;
	struct import import = {.intake = &intake, .fd = fd};
	int ret = reference_normalize(ref, &reference, err);

	intake_init(&intake, graph, options);
	for (size_t i = 0; i < n_changes && !ret; i++)
		ret = config_change(config, changes[i], err);
	platform_host(&platform);
	if (!ret && intake.options->platform)
		ret = platform_parse(intake.options->platform, &platform, err);
	if (ret)
		return ret;
	ret = intake_begin(&intake, &writeback, err);
	if (ret)
		return ret;
	ret = run_threads(1, run_import, &import, err);
	if (!ret && import.ret)
		ret = fail(err, import.err.code, import.err.errnum, "image %s: %s", reference,
			   import.err.message);
	if (!ret)
		ret = plan_import(&plans, &import, reference, config, message, &platform, err);
	if (!ret)
		ret = bring_in_import(&import, &plans, err);
	staged_drop(&intake, &import.staged);
	if (ret)
		return ret;
	*ret_id = text_dup(digest_format(&plans.images[0].config_digest).text, err);
	return *ret_id ? 0 : -ENOMEM;
}
