/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service containerd.services.diff.v1.Diff. What it is not for it declines (UNIMPLEMENTED), and containerd
 * asks the next differ in its list.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "snapdrvd_blob.h"
#include "snapdrvd_service.h"
#include "wire/pb/diff.pb-c.h"

#define LAYER "application/vnd.oci.image.layer.v1.tar"
#define LABEL_UNCOMPRESSED \
	"containerd.io/uncompressed" /* a blob's DiffID; containerd looks for it */

typedef Containerd__Services__Diff__V1__ApplyRequest ApplyRequest;
typedef Containerd__Services__Diff__V1__ApplyResponse ApplyResponse;
typedef Containerd__Services__Diff__V1__DiffRequest DiffRequest;
typedef Containerd__Services__Diff__V1__DiffResponse DiffResponse;
typedef Containerd__Types__Descriptor Descriptor;

/* The failure of the content comes before that of who read it. */
static int blame(const struct blob *blob, int ret, struct snapdrv_error *err)
{
	const struct snapdrv_error *why = blob ? blob_error(blob) : NULL;

	if (!ret || !why || !err)
		return ret;
	*err = *why;
	return ret;
}

static int check_digest(const Descriptor *layer, const struct snapdrv_applied *applied,
			struct snapdrv_error *err)
{
	if (!strcmp(layer->digest, applied->digest))
		return 0;
	return daemon_fail(err, SNAPDRV_REFUSED, EBADMSG, "layer %s: its digest is %s",
			   layer->digest, applied->digest);
}

static int apply(struct turn *turn, const ApplyRequest *request,
		 struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	struct blob *blob = NULL;
	struct snapdrv_mounts mounts;
	int ret = mounts_read(request->mounts, request->n_mounts, &mounts, err);

	if (ret)
		return ret;
	ret = blob_open(turn, request->diff->digest, &blob, err);
	if (!ret)
		ret = snapdrv_apply(turn->store, mounts.mounts, mounts.count, blob_read, blob,
				    *request->diff->media_type ? request->diff->media_type : NULL,
				    request->sync_fs ? SNAPDRV_SYNC : 0, ret_applied, err);
	ret = blame(blob, ret, err);
	blob_close(blob);
	free(mounts.mounts);
	malloc_trim(0); /* a layer takes some MiB, and the next one may come much later */
	return ret;
}

static int serve_apply(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const ApplyRequest *request = message;
	ApplyResponse response = CONTAINERD__SERVICES__DIFF__V1__APPLY_RESPONSE__INIT;
	Descriptor descriptor = CONTAINERD__TYPES__DESCRIPTOR__INIT;
	struct snapdrv_applied applied = {0};
	int ret;

	if (!request->diff)
		return daemon_fail(err, SNAPDRV_USAGE, EINVAL, "no layer is named");
	ret = apply(turn, request, &applied, err);
	if (ret)
		return ret;
	ret = check_digest(request->diff, &applied, err);
	if (!ret) {
		metrics_count_layer(turn->daemon->metrics, applied.input_size, applied.size);
		descriptor.media_type = LAYER;
		descriptor.digest = applied.diff_id;
		descriptor.size = (int64_t)applied.size;
		response.applied = &descriptor;
		ret = turn_reply(turn, &response.base, err);
	}
	snapdrv_applied_done(&applied);
	return ret;
}

/* ---- Diff ---------------------------------------------------------------------------------- */

static const struct layer_type {
	const char *media_type;
	int compression;
} layer_types[] = {
	{LAYER "+gzip", SNAPDRV_GZIP},
	{LAYER, SNAPDRV_PLAIN},
	{LAYER "+zstd", SNAPDRV_ZSTD},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip", SNAPDRV_GZIP},
	{"application/vnd.docker.image.rootfs.diff.tar", SNAPDRV_PLAIN},
};

static const struct layer_type *find_type(const char *media_type, struct snapdrv_error *err)
{
	if (!*media_type)
		return &layer_types[0];
	for (size_t i = 0; i < sizeof(layer_types) / sizeof(layer_types[0]); i++) {
		if (!strcmp(layer_types[i].media_type, media_type))
			return &layer_types[i];
	}
	daemon_fail(err, SNAPDRV_FAILED, EOPNOTSUPP, "media type '%.100s': not one of a layer",
		    media_type);
	return NULL;
}

static int write_layer(struct turn *turn, const DiffRequest *request, int compression,
		       struct blob *blob, struct snapdrv_applied *ret_applied,
		       struct snapdrv_error *err)
{
	struct snapdrv_mounts left, right = {0};
	int ret = mounts_read(request->left, request->n_left, &left, err);

	if (ret)
		return ret;
	ret = mounts_read(request->right, request->n_right, &right, err);
	if (!ret)
		ret = snapdrv_diff_mounts(turn->store, left.mounts, left.count, right.mounts,
					  right.count, compression, blob_write, blob, ret_applied,
					  err);
	free(left.mounts);
	free(right.mounts);
	return blame(blob, ret, err);
}

static int commit_layer(struct blob *blob, const DiffRequest *request,
			const struct snapdrv_applied *applied, struct snapdrv_error *err)
{
	struct snapdrv_label *labels = calloc(request->n_labels + 1, sizeof(*labels));
	size_t count = 0;
	int ret;

	if (!labels)
		return daemon_no_memory(err);
	for (size_t i = 0; i < request->n_labels; i++) {
		if (strcmp(request->labels[i]->key, LABEL_UNCOMPRESSED))
			labels[count++] = (struct snapdrv_label){request->labels[i]->key,
								 request->labels[i]->value};
	}
	labels[count++] = (struct snapdrv_label){LABEL_UNCOMPRESSED, applied->diff_id};
	ret = blob_commit(blob, applied->digest, applied->input_size, labels, count, err);
	free(labels);
	return ret;
}

static int reply_layer(struct turn *turn, const struct layer_type *type,
		       struct snapdrv_applied *applied, struct snapdrv_error *err)
{
	DiffResponse response = CONTAINERD__SERVICES__DIFF__V1__DIFF_RESPONSE__INIT;
	Descriptor descriptor = CONTAINERD__TYPES__DESCRIPTOR__INIT;

	descriptor.media_type = (char *)type->media_type;
	descriptor.digest = applied->digest;
	descriptor.size = (int64_t)applied->input_size;
	response.diff = &descriptor;
	return turn_reply(turn, &response.base, err);
}

static int serve_diff(struct turn *turn, const void *message, struct snapdrv_error *err)
{
	const DiffRequest *request = message;
	const struct layer_type *type = find_type(request->media_type, err);
	struct snapdrv_applied applied = {0};
	struct blob *blob = NULL;
	int ret;

	if (!type)
		return -EOPNOTSUPP;
	if (request->source_date_epoch)
		return daemon_fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
				   "source_date_epoch: times are kept as they are");
	ret = blob_create(turn, request->ref, &blob, err);
	if (ret)
		return ret;
	ret = write_layer(turn, request, type->compression, blob, &applied, err);
	if (!ret) {
		ret = commit_layer(blob, request, &applied, err);
		if (!ret)
			ret = reply_layer(turn, type, &applied, err);
		snapdrv_applied_done(&applied);
	}
	blob_close(blob);
	return ret;
}

const struct service_method diff_methods[] = {
	{"Diff", "Apply", &containerd__services__diff__v1__apply_request__descriptor, serve_apply,
	 1},
	{"Diff", "Diff", &containerd__services__diff__v1__diff_request__descriptor, serve_diff, 1},
	{0},
};
