/* SPDX-License-Identifier: Apache-2.0 */
/* All that is in a tree, in one walk. */
#include "kernel/contents.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/dirs.h"

/* The first name of an inode that has several. */
struct first_name {
	uint64_t inode; /* 0: a free place */
	char *path;
};

struct first_names {
	struct first_name *places;
	size_t n_places; /* a power of two */
	size_t count;
};

struct walk {
	change_fn *report;
	int (*is_single)(void *arg, uint64_t inode);
	void *arg;
	struct dir_walk dirs;
	struct bytes path; /* a NUL follows */
	struct first_names names;
};

static void walk_done(struct walk *walk)
{
	dirs_walk_done(&walk->dirs);
	bytes_done(&walk->path);
	for (size_t i = 0; i < walk->names.n_places; i++)
		free(walk->names.places[i].path);
	free(walk->names.places);
}

/* ---- names of one inode ------------------------------------------------------------------- */

static struct first_name *place_of(struct first_names *names, uint64_t inode)
{
	size_t at = (size_t)(inode * 0x9e3779b97f4a7c15u) & (names->n_places - 1);

	while (names->places[at].inode && names->places[at].inode != inode)
		at = (at + 1) & (names->n_places - 1);
	return &names->places[at];
}

static int make_room(struct first_names *names, struct snapdrv_error *err)
{
	struct first_names grown = {.n_places = names->n_places ? 2 * names->n_places : 64,
				    .count = names->count};

	if (names->count < names->n_places / 2)
		return 0;
	grown.places = calloc(grown.n_places, sizeof(*grown.places));
	if (!grown.places)
		return fail_memory(err);
	for (size_t i = 0; i < names->n_places; i++) {
		if (names->places[i].inode)
			*place_of(&grown, names->places[i].inode) = names->places[i];
	}
	free(names->places);
	*names = grown;
	return 0;
}

/* *@ret_first is NULL where this is the first name. */
static int find_first(struct walk *walk, uint64_t inode, const char **ret_first,
		      struct snapdrv_error *err)
{
	struct first_name *place;
	int ret = make_room(&walk->names, err);

	if (ret)
		return ret;
	place = place_of(&walk->names, inode);
	*ret_first = place->path;
	if (place->inode)
		return 0;
	place->path = text_dup(walk->path.data, err);
	if (!place->path)
		return -ENOMEM;
	place->inode = inode;
	walk->names.count++;
	return 0;
}

/* ---- the walk ----------------------------------------------------------------------------- */

static int set_path(struct walk *walk, const char *name, struct snapdrv_error *err)
{
	int ret;

	walk->path.size = walk->dirs.level->path_size;
	ret = walk->path.size ? bytes_add(&walk->path, "/", 1, err) : 0;
	if (!ret)
		ret = bytes_add(&walk->path, name, strlen(name) + 1, err);
	walk->path.size -= !ret;
	return ret;
}

/* What readdir(3) does not say. */
static int look(struct walk *walk, struct dir_entry *entry, struct change *change,
		struct snapdrv_error *err)
{
	struct stat st;

	if (entry->type == DT_DIR)
		return 0;
	if (entry->type == DT_REG && walk->is_single && walk->is_single(walk->arg, entry->inode))
		return 0;
	if (fstatat(change->dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat %s", quote(change->path).text);
	entry->type = (unsigned char)IFTODT(st.st_mode);
	return entry->type == DT_DIR || st.st_nlink < 2
		       ? 0
		       : find_first(walk, st.st_ino, &change->link, err);
}

static int next_entry(struct walk *walk, struct snapdrv_error *err)
{
	struct dir_level *level = walk->dirs.level;
	struct dir_entry *entry = &level->list.entries[level->next++];
	struct change change = {.kind = 'A', .name = entry->name, .inode = entry->inode};
	int ret = set_path(walk, entry->name, err);

	if (ret)
		return ret;
	change.path = walk->path.data;
	change.dir_fd = dirs_fd(&walk->dirs.chain, err);
	if (change.dir_fd < 0)
		return change.dir_fd;
	ret = look(walk, entry, &change, err);
	if (!ret)
		ret = walk->report(walk->arg, &change, err);
	if (ret || entry->type != DT_DIR)
		return ret;
	ret = dirs_enter(&walk->dirs, entry->name, err);
	if (!ret)
		walk->dirs.level->path_size = walk->path.size;
	return ret;
}

int contents_walk(int root_fd, change_fn *report, int (*is_single)(void *arg, uint64_t inode),
		  void *arg, struct snapdrv_error *err)
{
	__attribute__((cleanup(walk_done))) struct walk walk = {
		.report = report,
		.is_single = is_single,
		.arg = arg,
		.dirs.chain.root_fd = root_fd,
	};
	const struct change root = {.kind = 'C', .path = "", .name = ".", .dir_fd = root_fd};
	int ret = report(arg, &root, err);

	if (!ret)
		ret = dirs_enter(&walk.dirs, NULL, err);
	while (!ret && walk.dirs.level) {
		if (walk.dirs.level->next < walk.dirs.level->list.count)
			ret = next_entry(&walk, err);
		else
			dirs_leave(&walk.dirs);
	}
	return ret;
}
