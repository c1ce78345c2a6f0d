/* SPDX-License-Identifier: Apache-2.0 */
/* Making and mounting containers. */
#include "image/container.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/bundle.h"
#include "image/images.h"
#include "snapshot/rootfs.h"
#include "store/target.h"

#define ANY_KERNEL_MOUNTS \
	60 /* layers; names of them fit a page of options whatever their numbers */
#define NAME_LENGTH_MAX 128

struct creation {
	struct graph *graph;
	const struct snapdrv_create_options *options;
	struct image image;
	char name[NAME_LENGTH_MAX + 1];
	struct snapshot top;
	enum tree_kind kind;
	struct id_shift shift; /* of size 0 for none */
	struct draft draft;
	struct doomed doomed; /* what gave its name */
	struct snapshot snapshot;
	char *rootfs;
	char *bundle; /* the text of config.json, or NULL */
};

static int check_name(const char *name, struct snapdrv_error *err)
{
	size_t length = strlen(name), fit = 0;

	while (isalnum((unsigned char)name[fit]) || (fit && name[fit] && strchr("_.-", name[fit])))
		fit++;
	if (!length || length > NAME_LENGTH_MAX || fit < length)
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "container %s: a name is 1 to %d of [A-Za-z0-9_.-], a letter or digit "
			    "first",
			    quote(name).text, NAME_LENGTH_MAX);
	return 0;
}

/* UID:GID:SIZE, which must not reach the last number, that of nobody. */
static int read_shift(const char *text, struct id_shift *ret_shift, struct snapdrv_error *err)
{
	unsigned long long uid, gid, size;
	int used = 0;

	if (sscanf(text, "%llu:%llu:%llu%n", &uid, &gid, &size, &used) != 3 || text[used] ||
	    strpbrk(text, "+- ") || !size || uid > UINT32_MAX || gid > UINT32_MAX ||
	    size > UINT32_MAX || uid + size > UINT32_MAX || gid + size > UINT32_MAX)
		return fail(err, SNAPDRV_USAGE, EINVAL, "user namespace %s: not UID:GID:SIZE",
			    quote(text).text);
	*ret_shift = (struct id_shift){(uint32_t)uid, (uint32_t)gid, (uint32_t)size};
	return 0;
}

static int choose_name(struct creation *creation, struct snapdrv_error *err)
{
	unsigned char random[6];

	if (creation->options->name) {
		int ret = check_name(creation->options->name, err);

		if (!ret)
			strcpy(creation->name, creation->options->name);
		return ret;
	}
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "get random bytes");
	for (size_t i = 0; i < sizeof(random); i++)
		sprintf(creation->name + 2 * i, "%02x", random[i]);
	return 0;
}

/* The bundle's config is made before anything else is: a hostile image then leaves nothing behind. */
static int make_bundle(struct creation *creation, struct snapdrv_error *err)
{
	const struct snapdrv_create_options *options = creation->options;
	cleanup_json json_t *config = NULL, *bundle = NULL;
	cleanup_free char *text = NULL;
	cleanup_fd int peek_fd = -1;
	struct bundle_spec spec = {
		.name = creation->name,
		.rootfs = creation->rootfs,
		.args = options->args,
		.n_args = options->n_args,
		.terminal = !!(options->flags & SNAPDRV_TERMINAL),
		.read_only = creation->kind == TREE_VIEW,
		.shift_uid = creation->shift.uid,
		.shift_gid = creation->shift.gid,
		.shift_size = creation->shift.size,
		.read_file = rootfs_read_file,
	};
	size_t size;
	int ret = image_config(creation->graph, creation->image.id, &text, &size, err);

	if (!ret)
		ret = json_parse(text, size, &config, err);
	if (ret)
		return ret;
	peek_fd = rootfs_peek(creation->graph, &creation->top, err);
	if (peek_fd < 0)
		return peek_fd;
	spec.config = config;
	spec.rootfs_fd = peek_fd;
	ret = bundle_make(&spec, &bundle, err);
	if (ret)
		return ret;
	creation->bundle = json_text(bundle, JSON_INDENT(2), err);
	return creation->bundle ? 0 : -ENOMEM;
}

static int write_bundle(const struct creation *creation, struct snapdrv_error *err)
{
	const char *dir = creation->options->bundle;
	int is_new = !mkdir(dir, 0755), ret = 0;
	cleanup_fd int dir_fd = -1;

	if (is_new || errno == EEXIST)
		dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		ret = fail_errno(err, "bundle %s", quote(dir).text);
	else
		ret = target_write_new(dir_fd, "config.json", creation->bundle, err);
	if (ret && dir_fd >= 0)
		fail_within(err, ret, "bundle %s", quote(dir).text);
	if (ret && is_new)
		rmdir(dir);
	return ret;
}

/* The stack can be deeper than this kernel mounts: better told now than by every later mount. */
static int check_depth(struct creation *creation, struct snapdrv_error *err)
{
	size_t limit;

	if (creation->top.depth <= ANY_KERNEL_MOUNTS)
		return 0;
	limit = creation->graph->backend.ops->limit(&creation->graph->backend);
	if (creation->top.depth <= limit)
		return 0;
	return fail(err, SNAPDRV_FAILED, E2BIG,
		    "image %s: %u layers: this kernel mounts at most %zu of them at once",
		    creation->image.name ? creation->image.name
					 : creation->image.config_digest.text,
		    creation->top.depth, limit);
}

/* A container of this name that is only marked as removed makes room. */
static int release_namesake(struct creation *creation, struct snapdrv_error *err)
{
	int64_t id;
	int found =
		db_get_int(creation->graph->store.db, &id, err,
			   "SELECT snapshot FROM container WHERE name = ?", "s", creation->name);

	return found == 1 ? snapshot_release(creation->graph, id, &creation->doomed, err) : found;
}

static int commit_in_change(struct creation *creation, struct snapdrv_error *err)
{
	struct graph *graph = creation->graph;
	struct tree_record record = {.root_given = 1};
	char snapshot_name[NAME_LENGTH_MAX + 16];
	int64_t one;
	int ret = db_get_int(graph->store.db, &one, err,
			     "SELECT 1 FROM live_container WHERE name = ?", "s", creation->name);

	if (ret)
		return ret < 0 ? ret
			       : fail(err, SNAPDRV_BUSY, EEXIST, "container %s: the name is taken",
				      creation->name);
	ret = db_get_int(graph->store.db, &one, err, "SELECT 1 FROM image WHERE id = ?", "i",
			 creation->image.id);
	if (ret <= 0)
		return ret < 0 ? ret
			       : fail(err, SNAPDRV_MISSING, ENOENT, "image %s: it has been removed",
				      creation->image.config_digest.text);
	ret = release_namesake(creation, err);
	if (!ret)
		ret = draft_publish(graph, &creation->draft, NULL, &record, err);
	snprintf(snapshot_name, sizeof(snapshot_name), "container/%s", creation->name);
	if (!ret)
		ret = snapshot_add(graph, snapshot_name, creation->kind, &creation->top, record.id,
				   &creation->snapshot, err);
	if (!ret)
		ret = db_run(graph->store.db, err,
			     "INSERT INTO container(name, image, image_name, snapshot, created_ns, "
			     "shift_uid,"
			     " shift_gid, shift_size) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
			     "sisiiiii", creation->name, creation->image.id,
			     creation->image.name ? creation->image.name
						  : creation->image.config_digest.text,
			     creation->snapshot.id, store_now_ns(), (int64_t)creation->shift.uid,
			     (int64_t)creation->shift.gid, (int64_t)creation->shift.size);
	if (ret < 0)
		return ret;
	ret = rootfs_make(graph, creation->name, err);
	/* One of the two directories may have been made. */
	if (ret)
		store_leave(&graph->store);
	return ret;
}

static int commit_container(struct creation *creation, struct snapdrv_error *err)
{
	struct store *store = &creation->graph->store;
	int ret = store_begin(store, err);

	if (ret)
		return ret;
	ret = store_end(store, commit_in_change(creation, err), err);
	if (ret)
		return ret;
	draft_forget(&creation->draft);
	graph_bury(creation->graph, &creation->doomed);
	return 0;
}

static int make_draft(struct creation *creation, struct snapdrv_error *err)
{
	cleanup_stack struct tree_stack stack = {0};
	int ret = snapshot_stack(creation->graph, &creation->top, &stack, err);

	return ret ? ret
		   : draft_make(creation->graph, creation->kind, &stack, &creation->draft, err);
}

/* What failed since the image was removed meanwhile failed for want of an image. */
static int blame_removal(struct creation *creation, int ret, struct snapdrv_error *err)
{
	int64_t one;

	if (db_get_int(creation->graph->store.db, &one, NULL, "SELECT 1 FROM image WHERE id = ?",
		       "i", creation->image.id))
		return ret;
	return fail(err, SNAPDRV_MISSING, ENOENT, "image %s: it has been removed",
		    creation->image.config_digest.text);
}

/* The image may be removed at any time until the container's row names it. */
static int make(struct creation *creation, struct snapdrv_error *err)
{
	int ret = snapshot_get(creation->graph, creation->image.top, &creation->top, err);

	if (!ret)
		ret = check_depth(creation, err);
	if (!ret) {
		creation->rootfs = rootfs_path(creation->graph, creation->name, err);
		ret = creation->rootfs ? 0 : -ENOMEM;
	}
	if (!ret && creation->options->bundle)
		ret = make_bundle(creation, err);
	if (!ret)
		ret = make_draft(creation, err);
	return ret ? ret : commit_container(creation, err);
}

static int create(struct creation *creation, struct snapdrv_error *err)
{
	int ret = make(creation, err);

	if (ret)
		return blame_removal(creation, ret, err);
	if (!(creation->options->flags & SNAPDRV_NO_MOUNT))
		ret = rootfs_mount(creation->graph, creation->name, &creation->snapshot,
				   creation->shift.size ? &creation->shift : NULL, err);
	if (!ret && creation->bundle)
		ret = write_bundle(creation, err);
	/* Somebody may have removed it, and made another one of that name. */
	if (ret)
		container_remove(creation->graph, creation->name, &creation->snapshot, NULL);
	return ret;
}

int container_create(struct graph *graph, const char *image,
		     const struct snapdrv_create_options *options, char **ret_rootfs,
		     struct snapdrv_error *err)
{
	static const struct snapdrv_create_options no_options;
	struct creation creation = {.graph = graph, .options = options ? options : &no_options};
	int ret;

	creation.kind = creation.options->flags & SNAPDRV_READ_ONLY ? TREE_VIEW : TREE_ACTIVE;
	ret = choose_name(&creation, err);
	if (!ret && creation.options->userns)
		ret = read_shift(creation.options->userns, &creation.shift, err);
	if (!ret)
		ret = image_find(graph, image, &creation.image, err);
	if (!ret) {
		ret = create(&creation, err);
		if (ret)
			fail_within(err, ret, "create %s", creation.name);
	}
	draft_drop(graph, &creation.draft);
	doomed_done(&creation.doomed);
	image_done(&creation.image);
	free(creation.bundle);
	if (ret) {
		free(creation.rootfs);
		return ret;
	}
	*ret_rootfs = creation.rootfs;
	return 0;
}

int container_adopt(struct graph *graph, const struct image *image, struct draft *draft,
		    char **ret_name, struct snapdrv_error *err)
{
	static const struct snapdrv_create_options no_options;
	struct creation creation = {.graph = graph,
				    .options = &no_options,
				    .image = *image,
				    .kind = TREE_ACTIVE,
				    .draft = *draft};
	cleanup_free char *name = NULL;
	int ret = choose_name(&creation, err);

	if (!ret)
		ret = snapshot_get(graph, image->top, &creation.top, err);
	if (!ret) {
		name = text_dup(creation.name, err);
		ret = name ? commit_container(&creation, err) : -ENOMEM;
	}
	doomed_done(&creation.doomed);
	if (ret)
		return ret;
	draft_forget(draft);
	*ret_name = steal_ptr(&name);
	return 0;
}

int container_snapshot(struct graph *graph, const char *name, struct snapshot *ret_snapshot,
		       struct snapdrv_error *err)
{
	int64_t id;
	int found = db_get_int(graph->store.db, &id, err,
			       "SELECT snapshot FROM live_container WHERE name = ?", "s", name);

	if (found == 1)
		return snapshot_get(graph, id, ret_snapshot, err);
	return found ? found
		     : fail(err, SNAPDRV_MISSING, ENOENT, "container %s: no such container",
			    quote(name).text);
}

static int find_shift(struct graph *graph, const char *name, struct id_shift *ret_shift,
		      struct snapdrv_error *err)
{
	cleanup_query struct query *query = db_query(
		graph->store.db, err,
		"SELECT shift_uid, shift_gid, shift_size FROM live_container WHERE name = ?", "s",
		name);
	int found = query ? query_next(query, err) : -EIO;

	if (found == 1)
		*ret_shift = (struct id_shift){(uint32_t)query_int(query, 0),
					       (uint32_t)query_int(query, 1),
					       (uint32_t)query_int(query, 2)};
	return found < 0 ? found : 0;
}

int container_mount(struct graph *graph, const char *name, char **ret_rootfs,
		    struct snapdrv_error *err)
{
	cleanup_free char *path = NULL;
	struct snapshot snapshot;
	struct id_shift shift = {0};
	int ret = container_snapshot(graph, name, &snapshot, err);

	if (!ret)
		ret = find_shift(graph, name, &shift, err);
	if (ret)
		return ret;
	path = rootfs_path(graph, name, err);
	if (!path)
		return -ENOMEM;
	ret = rootfs_mount(graph, name, &snapshot, shift.size ? &shift : NULL, err);
	if (ret)
		return fail_within(err, ret, "container %s", name);
	*ret_rootfs = steal_ptr(&path);
	return 0;
}
