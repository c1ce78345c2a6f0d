/* SPDX-License-Identifier: Apache-2.0 */
/* Telling of changes that were noted down: in the order of the walk, the directories opened once more. */
#include "kernel/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* The directories that are open in the chain, as records, and the path that they make. */
struct place {
	const struct records *records;
	struct dir_chain *chain;
	size_t *dirs;
	size_t count, room;
	struct bytes path;
};

static void place_done(struct place *place)
{
	free(place->dirs);
	bytes_done(&place->path);
}

static int join(struct bytes *path, const char *name, struct snapdrv_error *err)
{
	int ret = path->size ? bytes_add(path, "/", 1, err) : 0;

	return ret ? ret : bytes_add(path, name, strlen(name), err);
}

/* Go up as far as needed, and down into the directory that the next record is in. */
static int go_to(struct place *place, size_t dir, struct snapdrv_error *err)
{
	const struct record *items = place->records->items;
	int ret;

	while (place->count && place->dirs[place->count - 1] != dir &&
	       place->dirs[place->count - 1] != items[dir].parent) {
		size_t length = strlen(items[place->dirs[--place->count]].name);

		dirs_pop(place->chain);
		place->path.size -= length + (place->path.size > length);
	}
	if (dir == 0 || (place->count && place->dirs[place->count - 1] == dir))
		return 0;
	/* What is above it has vanished: another directory of its name may stand where we are. */
	if ((place->count ? place->dirs[place->count - 1] : 0) != items[dir].parent)
		return -ENOENT;
	if (place->count == place->room) {
		size_t room = place->room ? 2 * place->room : 16;
		size_t *dirs = reallocarray(place->dirs, room, sizeof(*dirs));

		if (!dirs)
			return fail_memory(err);
		place->dirs = dirs;
		place->room = room;
	}
	ret = dirs_push(place->chain, items[dir].name, err);
	if (ret)
		return ret;
	place->dirs[place->count++] = dir;
	return join(&place->path, items[dir].name, err);
}

/* The path of a record. For bytes_done(). */
static int path_of(const struct records *records, size_t record, struct bytes *ret_path,
		   struct snapdrv_error *err)
{
	cleanup_free size_t *way = NULL;
	size_t depth = 0;
	int ret = 0;

	for (size_t i = record; i; i = records->items[i].parent)
		depth++;
	way = calloc(depth + 1, sizeof(*way));
	if (!way)
		return fail_memory(err);
	for (size_t i = record, at = depth; i; i = records->items[i].parent)
		way[--at] = i;
	for (size_t i = 0; i < depth && !ret; i++)
		ret = join(ret_path, records->items[way[i]].name, err);
	return ret ? ret : bytes_add(ret_path, "", 1, err);
}

static int report_one(struct place *place, size_t index, change_fn *report, void *arg,
		      struct snapdrv_error *err)
{
	const struct records *records = place->records;
	const struct record *record = &records->items[index];
	cleanup_bytes struct bytes link = {0};
	struct change change = {
		.kind = record->kind,
		.name = index ? record->name : ".",
		.is_parent = record->is_parent,
		.is_opaque = record->is_opaque,
		.is_covered = record->is_covered,
		.dir_fd = dirs_fd(place->chain, err),
	};
	size_t length = place->path.size;
	int ret = change.dir_fd < 0 ? change.dir_fd : 0;

	if (!ret && record->link != NO_RECORD)
		ret = path_of(records, record->link, &link, err);
	if (!ret && index)
		ret = join(&place->path, record->name, err);
	if (!ret)
		ret = bytes_add(&place->path, "", 1, err);
	if (ret)
		return ret;
	change.path = place->path.data;
	change.link = link.data;
	ret = report(arg, &change, err);
	place->path.size = length;
	return ret;
}

int changes_report(const struct records *records, struct dir_chain *chain, change_fn *report,
		   void *arg, struct snapdrv_error *err)
{
	__attribute__((cleanup(place_done))) struct place place = {.records = records,
								   .chain = chain};
	size_t gone = NO_RECORD; /* a directory that cannot be opened any more */

	for (size_t i = 0; i < records->count; i++) {
		const struct record *record = &records->items[i];
		int ret;

		if (record->parent != NO_RECORD && record->parent == gone && record->is_dir)
			gone = i;
		if (!record->kind || (gone != NO_RECORD && record->parent == gone) || gone == i)
			continue;
		ret = go_to(&place, i ? record->parent : 0, err);
		if (dirs_is_gone(ret)) {
			gone = record->is_dir ? i : record->parent;
			continue;
		}
		if (!ret)
			ret = report_one(&place, i, report, arg, err);
		if (ret)
			return ret;
	}
	return 0;
}
