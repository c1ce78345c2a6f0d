/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer made of a tree.
 *
 *   pack       what has changed, as a tar in this session, hashed on the way
 *   bring in   as a load does: the layer is unpacked, all is synced once and committed once
 */
#include "image/addition.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/bring.h"
#include "store/content.h"

#define cleanup_units __attribute__((cleanup(units_done)))

void addition_done(struct addition *addition)
{
	hasher_free(steal_ptr(&addition->hasher));
	if (addition->tar_fd < 0)
		return;
	close(steal_fd(&addition->tar_fd));
	/* As a blob it has another name. */
	unlinkat(addition->graph->store.session_fd, addition->tar.text, 0);
}

static int write_tar(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct addition *addition = context;

	hasher_update(addition->hasher, data, size);
	addition->size += size;
	return content_append(addition->tar_fd, data, size, err);
}

/* Between the source and the one who packs: how many there are. */
struct counting {
	struct addition *addition;
	const struct pack_source *source;
	change_fn *report;
	void *arg;
};

static int count_change(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct counting *counting = arg;

	/* A root that is as it was stands for what is below it. */
	counting->addition->n_changes += !change->is_parent || *change->path;
	return counting->report(counting->arg, change, err);
}

static int count_changes(void *context, change_fn *report, void *arg, struct snapdrv_error *err)
{
	struct counting *counting = context;

	counting->report = report;
	counting->arg = arg;
	return counting->source->changes(counting->source->context, count_change, counting, err);
}

int addition_pack(struct graph *graph, const struct pack_source *source, struct addition *addition,
		  struct snapdrv_error *err)
{
	const struct pack_output output = {write_tar, addition};
	struct counting counting = {.addition = addition, .source = source};
	const struct pack_source counted = {count_changes, &counting, source->clamp_ns};
	int ret;

	addition->graph = graph;
	addition->hasher = hasher_new(err);
	if (!addition->hasher)
		return -ENOMEM;
	ret = store_session(&graph->store, err);
	if (ret < 0)
		return ret;
	addition->tar_fd = content_create(&graph->store, &addition->tar, err);
	if (addition->tar_fd < 0)
		return addition->tar_fd;
	ret = pack_stream(PACK_LAYER, &counted, &output, err);
	if (!ret)
		addition->diff = hasher_final(addition->hasher);
	return ret;
}

json_t *addition_descriptor(const struct addition *addition, struct snapdrv_error *err)
{
	json_t *json = json_pack(
		"{s:s, s:s, s:I}", "mediaType", "application/vnd.oci.image.layer.v1.tar", "digest",
		digest_format(&addition->diff).text, "size", (json_int_t)addition->size);

	if (!json)
		fail_memory(err);
	return json;
}

/* ---- manifest ----------------------------------------------------------------------------- */

static int plan_layer(struct layer_plan *layer, json_t *descriptor, struct snapdrv_error *err)
{
	const char *digest, *type;
	int ret = json_need(json_member_string(descriptor, "digest", &digest, err), "digest", err);

	if (ret > 0)
		ret = json_need(json_member_size(descriptor, "size", &layer->size, err), "size",
				err);
	if (ret > 0)
		ret = json_member_string(descriptor, "mediaType", &type, err);
	if (ret < 0)
		return ret;
	if (ret && text_ends(type, "docker.image.rootfs.diff.tar.gzip"))
		json_object_set_new(descriptor, "mediaType",
				    json_string("application/vnd.oci.image.layer.v1.tar+gzip"));
	layer->is_base = layer->has_blob = 1;
	return digest_parse(digest, &layer->blob, err);
}

int addition_manifest(struct image_plan *image, json_t *descriptors, struct snapdrv_error *err)
{
	json_t *descriptor;
	size_t i;

	if (json_array_size(descriptors) != image->n_layers)
		return refuse(err, "%zu layers in the image's manifest, %zu in its config",
			      json_array_size(descriptors), image->n_layers);
	json_array_foreach(descriptors, i, descriptor) {
		int ret = plan_layer(&image->layers[i], descriptor, err);

		if (ret)
			return fail_within(err, ret, "the image's manifest");
	}
	return plan_set_manifest(image, descriptors, err);
}

/* ---- all of it ---------------------------------------------------------------------------- */

int addition_bring_in(struct graph *graph, const struct addition *addition, struct plans *plans,
		      unsigned flags, struct snapdrv_error *err)
{
	const struct snapdrv_load_options load = {.flags = flags};
	struct image_plan *image = &plans->images[0];
	cleanup_writeback struct writeback writeback = {0};
	cleanup_units struct units units = {0};
	struct intake intake;
	struct unit *top;
	int ret;

	intake_init(&intake, graph, &load);
	intake_write_back(&intake, &writeback);
	if (addition)
		image->layers[image->n_layers - 1].is_base = 0;
	ret = units_make(&intake, plans, &units, err);
	if (ret || !addition)
		return ret ? ret : bring_in_images(&units, NULL, err);
	top = units_find(&units, &image->layers[image->n_layers - 1]);
	top->place = (struct layer_place){
		.fd = addition->tar_fd, .is_whole_file = 1, .size = addition->size};
	return bring_in_images(&units, NULL, err);
}
