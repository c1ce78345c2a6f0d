/* SPDX-License-Identifier: Apache-2.0 */
/* Layers and whole trees as tars, and what has changed in a container. */
#include "image/pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "image/container.h"
#include "store/content.h"
#include "store/target.h"

#define PIECE_SIZE (512u << 10)

DEFINE_CLEANUP(pack, struct pack, pack_free)
#define cleanup_pack __attribute__((cleanup(cleanup_pack_at)))

/* A tar has many small pieces. */
struct gathering {
	struct bytes piece;
	struct pack_output output;
};

static int flush(struct gathering *gathering, struct snapdrv_error *err)
{
	size_t size = gathering->piece.size;

	gathering->piece.size = 0;
	return size ? gathering->output.write(gathering->output.context, gathering->piece.data,
					      size, err)
		    : 0;
}

static int gather(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	struct gathering *gathering = context;
	int ret = bytes_add(&gathering->piece, data, size, err);

	return ret || gathering->piece.size < PIECE_SIZE ? ret : flush(gathering, err);
}

int pack_stream(enum pack_kind kind, const struct pack_source *source,
		const struct pack_output *output, struct snapdrv_error *err)
{
	struct gathering gathering = {.output = *output};
	const struct pack_output gathered = {gather, &gathering};
	cleanup_pack struct pack *pack = pack_new(kind, &gathered, err);
	int ret = pack ? 0 : -ENOMEM;

	if (!ret && source->clamp_ns)
		pack_clamp(pack, *source->clamp_ns);
	if (!ret)
		ret = source->changes(source->context, pack_change, pack, err);
	if (!ret)
		ret = pack_end(pack, err);
	if (!ret)
		ret = flush(&gathering, err);
	bytes_done(&gathering.piece);
	return ret;
}

struct node {
	struct graph *graph;
	const struct snapshot *snapshot;
};

static int node_changes(void *context, change_fn *report, void *arg, struct snapdrv_error *err)
{
	const struct node *node = context;

	return snapshot_changes(node->graph, node->snapshot, report, arg, err);
}

static int node_contents(void *context, change_fn *report, void *arg, struct snapdrv_error *err)
{
	const struct node *node = context;

	return snapshot_contents(node->graph, node->snapshot, report, arg, err);
}

static int write_tar(struct graph *graph, const struct snapshot *snapshot, enum pack_kind kind,
		     const struct pack_output *output, struct snapdrv_error *err)
{
	struct node node = {graph, snapshot};
	const struct pack_source source = {
		.changes = kind == PACK_LAYER ? node_changes : node_contents, .context = &node};

	return pack_stream(kind, &source, output, err);
}

int snapshot_pack(struct graph *graph, const struct snapshot *snapshot,
		  int (*write)(void *context, const void *data, size_t size,
			       struct snapdrv_error *err),
		  void *context, struct snapdrv_error *err)
{
	const struct pack_output output = {write, context};

	return write_tar(graph, snapshot, PACK_LAYER, &output, err);
}

static int write_fd(void *context, const void *data, size_t size, struct snapdrv_error *err)
{
	return content_append(*(int *)context, data, size, err);
}

int container_export(struct graph *graph, const char *name, int fd, struct snapdrv_error *err)
{
	const struct pack_output output = {write_fd, &fd};
	struct snapshot snapshot;
	int ret = container_snapshot(graph, name, &snapshot, err);

	if (ret)
		return ret;
	ret = write_tar(graph, &snapshot, PACK_TREE, &output, err);
	return ret ? fail_within(err, ret, "export %s", name) : 0;
}

int container_export_file(struct graph *graph, const char *name, const char *path,
			  struct snapdrv_error *err)
{
	cleanup_target struct target target = {0};
	struct snapshot snapshot;
	int ret = container_snapshot(graph, name, &snapshot, err);

	/* No file is touched for a container that is not there. */
	if (ret)
		return ret;
	ret = target_file(path, &target, err);
	if (ret)
		return fail_within(err, ret, "%s", quote(path).text);
	ret = container_export(graph, name, target.fd, err);
	if (ret)
		return ret;
	ret = target_commit(&target, err);
	return ret ? fail_within(err, ret, "%s", quote(path).text) : 0;
}

/* ---- the list ----------------------------------------------------------------------------- */

struct change_list {
	struct snapdrv_change *items;
	size_t count, room;
};

void container_diff_free(struct snapdrv_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(changes[i].path);
	free(changes);
}

static int list_change(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct change_list *list = arg;
	char *path;

	if (!*change->path)
		return 0;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct snapdrv_change *items = reallocarray(list->items, room, sizeof(*items));

		if (!items)
			return fail_memory(err);
		list->items = items;
		list->room = room;
	}
	path = text_format(err, "/%s", change->path);
	if (!path)
		return -ENOMEM;
	list->items[list->count++] = (struct snapdrv_change){change->kind, path};
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	const struct snapdrv_change *one = a, *other = b;

	return strcmp(one->path, other->path);
}

int container_diff(struct graph *graph, const char *name, struct snapdrv_change **ret_changes,
		   size_t *ret_count, struct snapdrv_error *err)
{
	struct change_list list = {0};
	struct snapshot snapshot;
	int ret = container_snapshot(graph, name, &snapshot, err);

	if (ret)
		return ret;
	ret = snapshot_changes(graph, &snapshot, list_change, &list, err);
	if (ret) {
		container_diff_free(list.items, list.count);
		return fail_within(err, ret, "diff %s", name);
	}
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), compare_paths);
	*ret_changes = list.items;
	*ret_count = list.count;
	return 0;
}
