/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking a layer into what a runtime would mount.
 *
 *   open     the directory that is written, without a mount; what is known to be in it is forgotten
 *   unpack   as a load does, with the layers below in view
 *   sync     where it was asked for
 *   note     the DiffID, by which the snapshot becomes the layer's when it is committed
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/differ.h"
#include "image/stage.h"
#include "snapshot/mounted.h"
#include "snapshot/runtime.h"

DEFINE_CLEANUP(writer, struct tree_writer, tree_writer_free)
#define cleanup_writer __attribute__((cleanup(cleanup_writer_at)))

struct application {
	struct graph *graph;
	const struct differ_input *input;
	struct mounted_tree tree;
	struct unpack_result result;
	unsigned applied; /* enum applied_flags */
	int ret;
	struct snapdrv_error err;
};

static ssize_t read_input(void *context, void *data, size_t size, struct snapdrv_error *err)
{
	const struct differ_input *input = context;
	ssize_t got = input->read(input->arg, data, size);

	return got < 0 ? fail(err, SNAPDRV_FAILED, (int)-got, "read the layer: %s",
			      strerror((int)-got))
		       : got;
}

static int give_tree(void *arg, int *ret_fd, struct snapdrv_error *err)
{
	const struct application *application = arg;

	(void)err;
	*ret_fd = application->tree.fd;
	return 0;
}

/* What waits for the layers below: those that are in view, none, or those that come later. */
static int settle(struct application *application, struct tree_writer *writer,
		  struct snapdrv_error *err)
{
	const struct mounted_tree *tree = &application->tree;
	int is_lowest = 1;

	if (!tree_writer_needs_lower(writer) &&
	    !(tree->may_move && !tree_writer_root_given(writer)))
		return 0;
	if (tree->may_move)
		is_lowest =
			mounted_is_lowest(application->graph, tree, &application->result.diff, err);
	if (is_lowest < 0)
		return is_lowest;
	if (is_lowest)
		return tree_writer_bind(writer, tree->lower_fd, err);
	application->applied |= APPLIED_ON_NOTHING;
	return tree_writer_leave(writer, err);
}

static int unpack(struct application *application, struct snapdrv_error *err)
{
	cleanup_writer struct tree_writer *writer = NULL;
	struct unpack_request request = {
		.input = {.read = read_input, .context = (void *)application->input},
		.copy_fd = -1,
		.open_tree = give_tree,
		.open_tree_arg = application,
		.carries_out = application->tree.carries_out,
		.lower_fd = application->tree.lower_fd,
	};
	cleanup_writeback struct writeback writeback = {0};
	struct intake intake;
	int ret;

	intake_init(&intake, application->graph, NULL);
	request.limits = intake.limits;
	/* The commit that comes waits for the disk. */
	intake_write_back(&intake, &writeback);
	ret = layer_unpack(&request, &application->result, err);
	if (ret)
		return ret;
	file_prints_done(&application->result.prints);
	writer = steal_ptr(&application->result.writer);
	ret = settle(application, writer, err);
	if (ret)
		return ret;
	if (tree_writer_root_opaque(writer))
		application->applied |= APPLIED_ROOT_OPAQUE;
	return mounted_close(&application->tree, tree_writer_root_given(writer), err);
}

static void *run(void *arg)
{
	struct application *application = arg;

	application->ret = unpack(application, &application->err);
	return NULL;
}

static int apply(struct application *application, unsigned flags, struct snapdrv_error *err)
{
	int ret = run_threads(1, run, application, err);

	if (ret)
		return ret;
	if (application->ret)
		return fail(err, application->err.code, application->err.errnum, "%s",
			    application->err.message);
	if (flags & SNAPDRV_SYNC) {
		ret = mounted_sync(&application->tree, err);
		if (ret)
			return ret;
	}
	ret = runtime_applied(application->graph, application->tree.fd, &application->result.diff,
			      application->applied, err);
	return ret < 0 ? ret : 0;
}

/* Of an encrypted layer, say, or of something that is no image's. */
static int check_type(const char *type, struct snapdrv_error *err)
{
	static const char *const starts[] = {"application/vnd.oci.image.layer.",
					     "application/vnd.docker.image.rootfs."};
	static const char *const ends[] = {".tar", "+gzip", ".gzip", "+zstd", ".zstd"};

	for (size_t i = 0; type && *type && i < sizeof(starts) / sizeof(starts[0]); i++) {
		for (size_t j = 0; j < sizeof(ends) / sizeof(ends[0]); j++) {
			if (text_starts(type, starts[i]) && text_ends(type, ends[j]))
				return 0;
		}
	}
	return type && *type ? fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
				    "media type %s is not supported", quote(type).text)
			     : 0;
}

int differ_apply(struct graph *graph, const struct differ_mounts *mounts,
		 const struct differ_input *input, unsigned flags,
		 struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	struct application application = {.graph = graph, .input = input};
	cleanup_mounted struct mounted mounted = {0};
	int ret = check_type(input->media_type, err);

	if (!ret)
		ret = mounted_read(mounts->items, mounts->count, &mounted, err);
	if (!ret)
		ret = mounted_open(graph, &mounted, &application.tree, err);
	if (ret)
		return fail_within(err, ret, "apply a layer");
	ret = apply(&application, flags, err);
	mounted_tree_done(&application.tree);
	if (ret)
		return fail_within(err, ret, "apply a layer to %s", quote(mounted.dir).text);
	return differ_tell(&application.result.diff, application.result.size,
			   &application.result.blob, application.result.blob_size, ret_applied,
			   err);
}

int differ_tell(const struct digest *diff, uint64_t size, const struct digest *digest,
		uint64_t input_size, struct snapdrv_applied *ret_applied, struct snapdrv_error *err)
{
	struct snapdrv_applied applied = {.diff_id = text_dup(digest_format(diff).text, err),
					  .size = size,
					  .digest = text_dup(digest_format(digest).text, err),
					  .input_size = input_size};

	if (!applied.diff_id || !applied.digest) {
		differ_applied_done(&applied);
		return -ENOMEM;
	}
	*ret_applied = applied;
	return 0;
}

void differ_applied_done(struct snapdrv_applied *applied)
{
	free(applied->diff_id);
	free(applied->digest);
	*applied = (struct snapdrv_applied){0};
}
