/* SPDX-License-Identifier: Apache-2.0 */
/* Listing and inspecting containers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/container.h"
#include "snapshot/rootfs.h"

#define COLUMNS                                                                 \
	"SELECT c.name, image_name, config_digest, c.created_ns, kind, depth, " \
	"snapshot"                                                              \
	" FROM live_container AS c JOIN image ON image.id = c.image"            \
	" JOIN snapshot ON snapshot.id = c.snapshot "

static int fill(struct graph *graph, struct query *query, struct snapdrv_container *container,
		struct snapdrv_error *err)
{
	const char *name = query_text(query, 0);
	int is_mounted = rootfs_is_mounted(graph, name, err);

	*container = (struct snapdrv_container){0};
	if (is_mounted < 0)
		return is_mounted;
	*container = (struct snapdrv_container){
		.name = text_dup(name, err),
		.image = text_dup(query_text(query, 1), err),
		.image_id = text_dup(query_text(query, 2), err),
		.rootfs = rootfs_path(graph, name, err),
		.created_ns = query_int(query, 3),
		.mounted = is_mounted,
		.read_only = query_text(query, 4)[0] == 'v',
	};
	return container->name && container->image && container->image_id && container->rootfs
		       ? 0
		       : -ENOMEM;
}

static void empty(struct snapdrv_container *container)
{
	free(container->name);
	free(container->image);
	free(container->image_id);
	free(container->rootfs);
}

int containers_list(struct graph *graph, struct snapdrv_container **ret_containers,
		    size_t *ret_count, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, COLUMNS "ORDER BY c.created_ns DESC, c.name", "");
	struct snapdrv_container *containers = NULL;
	size_t count = 0;
	int ret = query ? 0 : -EIO;

	while (!ret && (ret = query_next(query, err)) == 1) {
		struct snapdrv_container *grown =
			reallocarray(containers, count + 1, sizeof(*grown));

		if (!grown) {
			ret = fail_memory(err);
			break;
		}
		containers = grown;
		ret = fill(graph, query, &containers[count++], err);
	}
	if (ret) {
		containers_free(containers, count);
		return ret;
	}
	*ret_containers = containers;
	*ret_count = count;
	return 0;
}

int container_find(struct graph *graph, const char *name, struct snapdrv_container **ret_container,
		   struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, COLUMNS "WHERE c.name = ?", "s", name);
	int found = query ? query_next(query, err) : -EIO, ret;
	struct snapdrv_container *container;

	if (found <= 0)
		return found ? found
			     : fail(err, SNAPDRV_MISSING, ENOENT, "container %s: no such container",
				    quote(name).text);
	container = malloc(sizeof(*container));
	if (!container)
		return fail_memory(err);
	ret = fill(graph, query, container, err);
	if (ret)
		containers_free(container, 1);
	else
		*ret_container = container;
	return ret;
}

void containers_free(struct snapdrv_container *containers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		empty(&containers[i]);
	free(containers);
}

/* What only a look at the mount and at the image tells. */
static int add_more(struct graph *graph, const struct snapdrv_container *container, json_t *json,
		    struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err,
			 "SELECT image.digest, config,"
			 " shift_uid, shift_gid, shift_size FROM live_container AS c"
			 " JOIN image ON image.id = c.image WHERE c.name = ?",
			 "s", container->name);
	cleanup_free char *options = rootfs_mount_options(graph, container->name);
	cleanup_json json_t *config = NULL;
	int found = query ? query_next(query, err) : -EIO, ret;
	const void *text;
	size_t size;

	if (found != 1)
		return found;
	text = query_bytes(query, 1, &size);
	ret = json_parse(text, size, &config, err);
	if (ret)
		return ret;
	json_object_set_new(json, "ImageDigest", json_string(query_text(query, 0)));
	json_object_set(json, "ImageLayers",
			json_object_get(json_object_get(config, "rootfs"), "diff_ids"));
	if (options)
		json_object_set_new(json, "MountOptions", json_string(options));
	if (query_int(query, 4)) {
		cleanup_free char *shift =
			text_format(err, "%lld:%lld:%lld", (long long)query_int(query, 2),
				    (long long)query_int(query, 3), (long long)query_int(query, 4));

		json_object_set_new(json, "UserNS", json_string(shift));
	}
	return 0;
}

int container_inspect(struct graph *graph, const char *name, char **ret_json,
		      struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, COLUMNS "WHERE c.name = ?", "s", name);
	cleanup_json json_t *json = NULL;
	cleanup_free char *created = NULL;
	struct snapdrv_container container;
	struct snapshot snapshot;
	struct usage usage = {0};
	int found = query ? query_next(query, err) : -EIO, ret;

	if (found != 1)
		return found;
	ret = fill(graph, query, &container, err);
	if (!ret)
		ret = snapshot_get(graph, query_int(query, 6), &snapshot, err);
	if (!ret)
		ret = snapshot_usage(graph, &snapshot, &usage, err);
	created = ret ? NULL : text_time_format(container.created_ns, err);
	if (created)
		json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:I, s:I}", "Name",
				 container.name, "Image", container.image_id, "ImageName",
				 container.image, "Created", created, "RootFS", container.rootfs,
				 "Mounted", container.mounted, "ReadOnly", container.read_only,
				 "Driver", graph->backend.ops->name, "Layers",
				 (json_int_t)query_int(query, 5) - 1, "SizeRw",
				 (json_int_t)usage.bytes);
	if (json)
		ret = add_more(graph, &container, json, err);
	empty(&container);
	if (ret < 0)
		return ret;
	*ret_json = json ? json_text(json, JSON_COMPACT, err) : NULL;
	if (*ret_json)
		return 1;
	return ret ? ret : fail_memory(err);
}
