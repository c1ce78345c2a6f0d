/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two trees.
 *
 *   walk     both trees side by side, directory by directory; what differs is noted down, and also files
 *            with several names, of which more is known at the end
 *   link     kernel/records.h
 *   report   kernel/report.h
 */
#include "kernel/changes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/dirs.h"
#include "kernel/records.h"
#include "kernel/report.h"
#include "kernel/same.h"
#include "kernel/xattr.h"

/* A directory that is being compared. */
struct level {
	struct level *up;
	size_t record;
	struct dir_list new, old;
	size_t at_new, at_old;
	int has_old;	 /* there was a directory here before */
	int lists_old;	 /* what is in `old`, and not in `new`, is gone */
	int is_whole;	 /* an overlay's upper directory that hides what is below */
	int is_filtered; /* names that kept an inode which did not change are as they were */
	int is_opaque;
};

struct walk {
	const struct change_trees *trees;
	struct dir_chain new, old;
	struct level *level;
	struct records records;
};

static void level_pop(struct walk *walk)
{
	struct level *level = walk->level;

	walk->level = level->up;
	dirs_list_done(&level->new);
	dirs_list_done(&level->old);
	free(level);
}

static void walk_done(struct walk *walk)
{
	while (walk->level)
		level_pop(walk);
	dirs_done(&walk->new);
	dirs_done(&walk->old);
	records_done(&walk->records);
}

/* ---- overlay's marks ---------------------------------------------------------------------- */

static int is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && !st->st_rdev;
}

/* Whiteouts are devices, or, in a directory that says so, empty files with an xattr (Linux 6.7). */
static int is_mark(int dir_fd, const char *name, const struct stat *st, int has_files,
		   struct snapdrv_error *err)
{
	if (is_whiteout(st))
		return 1;
	return has_files && S_ISREG(st->st_mode) && !st->st_size
		       ? xattr_has(dir_fd, name, "trusted.overlay.whiteout", NULL, err)
		       : 0;
}

static int find_marks(int dir_fd, struct dir_list *list, size_t *ret_count,
		      struct snapdrv_error *err)
{
	int has_files = xattr_has(dir_fd, ".", "trusted.overlay.opaque", "x", err);

	if (has_files < 0)
		return has_files;
	*ret_count = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct dir_entry *entry = &list->entries[i];
		struct stat st;
		int ret;

		if (entry->type != DT_CHR && entry->type != DT_UNKNOWN &&
		    !(has_files && entry->type == DT_REG))
			continue;
		if (fstatat(dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW)) {
			if (errno == ENOENT)
				continue;
			return fail_errno(err, "stat %s", quote(entry->name).text);
		}
		ret = is_mark(dir_fd, entry->name, &st, has_files, err);
		if (ret < 0)
			return ret;
		if (ret)
			entry->is_mark = 1;
		*ret_count += entry->is_mark != 0;
	}
	return 0;
}

static int find_entry(const void *key, const void *entry)
{
	return strcmp(key, ((const struct dir_entry *)entry)->name);
}

/* Whether none of the names that were in the directory is there any more. */
static int is_emptied(const struct level *level, const struct dir_list *old, int is_marked)
{
	for (size_t i = 0; i < old->count; i++) {
		const struct dir_entry *found =
			level->new.count
				? bsearch(old->entries[i].name, level->new.entries,
					  level->new.count, sizeof(struct dir_entry), find_entry)
				: NULL;

		if (is_marked ? !found || !found->is_mark : found && !found->is_mark)
			return 0;
	}
	return old->count > 0;
}

/* What was below is there too, in an overlay, unless it is marked as gone or replaced. */
static int look_below(struct level *level, int old_fd, size_t n_marks, struct snapdrv_error *err)
{
	struct dir_list old = {0};
	int ret = n_marks ? dirs_list(old_fd, &old, err) : 0;

	if (!ret)
		level->is_opaque = is_emptied(level, &old, 1);
	dirs_list_done(&old);
	return ret;
}

/* ---- the walk ----------------------------------------------------------------------------- */

static int list_level(struct walk *walk, struct level *level, struct snapdrv_error *err)
{
	int new_fd = dirs_fd(&walk->new, err), old_fd = -1, ret;
	size_t n_marks = 0;

	if (new_fd < 0)
		return new_fd;
	if (level->has_old) {
		old_fd = dirs_fd(&walk->old, err);
		if (old_fd < 0)
			return old_fd;
	}
	ret = dirs_list(new_fd, &level->new, err);
	if (!ret && walk->trees->is_upper)
		ret = find_marks(new_fd, &level->new, &n_marks, err);
	if (ret || !level->has_old)
		return ret;
	if (walk->trees->is_upper && !level->is_whole)
		return look_below(level, old_fd, n_marks, err);
	ret = dirs_list(old_fd, &level->old, err);
	level->lists_old = 1;
	if (!ret)
		level->is_opaque = is_emptied(level, &level->old, 0);
	return ret;
}

/* The present place of the chains is a directory to be compared. */
static int enter(struct walk *walk, size_t record, const struct level *how,
		 struct snapdrv_error *err)
{
	struct level *level = malloc(sizeof(*level));
	int ret;

	if (!level)
		return fail_memory(err);
	*level = *how;
	level->record = record;
	level->up = walk->level;
	walk->level = level;
	ret = list_level(walk, level, err);
	walk->records.items[record].is_opaque = (char)level->is_opaque;
	return ret;
}

static void leave(struct walk *walk)
{
	struct records *records = &walk->records;
	struct level *level = walk->level;
	const struct record *record = &records->items[level->record];

	if (level->record && level->record == records->count - 1 && !record->kind)
		records_pop(records);
	if (level->up) {
		dirs_pop(&walk->new);
		if (level->has_old)
			dirs_pop(&walk->old);
	}
	level_pop(walk);
}

/* A name in both trees, or in one; of the other one all is 0. */
struct pair {
	struct same_file new, old;
	int has_new, has_old;
	int keeps_inode;
};

static int descend(struct walk *walk, size_t record, const struct pair *pair,
		   struct snapdrv_error *err)
{
	const struct level *level = walk->level;
	int is_upper = walk->trees->is_upper;
	struct level how = {
		.has_old = pair->has_old && S_ISDIR(pair->old.st.st_mode),
		.is_filtered = level->is_filtered && pair->keeps_inode,
	};
	int ret = 0;

	how.is_whole = is_upper && (level->is_whole || !how.has_old);
	if (is_upper && !how.is_whole)
		ret = xattr_has(pair->new.dir_fd, pair->new.name, "trusted.overlay.opaque", "y",
				err);
	if (ret < 0)
		return ret;
	how.is_whole |= ret;
	ret = dirs_push(&walk->new, pair->new.name, err);
	if (dirs_is_gone(ret))
		return 0;
	if (!ret && how.has_old)
		ret = dirs_push(&walk->old, pair->old.name, err);
	return ret ? ret : enter(walk, record, &how, err);
}

/* Whether there is any difference between what was and what is. */
static int is_same(const struct walk *walk, const struct pair *pair, struct snapdrv_error *err)
{
	const struct timespec *copied = walk->trees->copied, *ctime = &pair->new.st.st_ctim;
	/* The clock of a file system stands still for some milliseconds. */
	int is_untouched =
		copied && (ctime->tv_sec < copied->tv_sec ||
			   (ctime->tv_sec == copied->tv_sec && ctime->tv_nsec < copied->tv_nsec));
	int same = same_attributes(&pair->new, &pair->old, is_untouched, err);

	if (same != 1 || is_untouched || !S_ISREG(pair->new.st.st_mode))
		return same;
	return same_content(&pair->new, &pair->old, err);
}

static int note(struct walk *walk, const struct pair *pair, char kind, struct snapdrv_error *err)
{
	const struct stat *new = &pair->new.st, *old = &pair->old.st;
	size_t index = records_add(&walk->records, walk->level->record,
				   pair->has_new ? pair->new.name : pair->old.name, kind, err);
	struct record *record;
	int is_dir = pair->has_new && S_ISDIR(new->st_mode);
	int has_links =
		(pair->has_new && new->st_nlink > 1) || (pair->has_old && old->st_nlink > 1);

	if (index == NO_RECORD)
		return -ENOMEM;
	record = &walk->records.items[index];
	record->is_covered = kind == 'D' && walk->level->is_opaque;
	record->is_dir = (char)is_dir;
	if (has_links && pair->has_new && !is_dir)
		record->id = (struct file_id){new->st_dev, new->st_ino, new->st_nlink};
	if (has_links && pair->has_old && !S_ISDIR(old->st_mode))
		record->old = (struct file_id){old->st_dev, old->st_ino, old->st_nlink};
	return is_dir ? descend(walk, index, pair, err) : 0;
}

static int compare(struct walk *walk, const struct pair *pair, struct snapdrv_error *err)
{
	const struct stat *new = &pair->new.st, *old = &pair->old.st;
	int same;

	if (!pair->has_new)
		return pair->has_old ? note(walk, pair, 'D', err) : 0;
	if (!pair->has_old)
		return note(walk, pair, 'A', err);
	if ((new->st_mode ^ old->st_mode) & S_IFMT)
		return note(walk, pair, 'C', err);
	same = is_same(walk, pair, err);
	if (same < 0 && !dirs_is_gone(same))
		return same;
	if (same == 1 && !S_ISDIR(new->st_mode) && new->st_nlink <= 1 && old->st_nlink <= 1)
		return 0;
	return note(walk, pair, same == 1 ? 0 : 'C', err);
}

static int look(struct same_file *file, int *ret_has, struct snapdrv_error *err)
{
	*ret_has = !fstatat(file->dir_fd, file->name, &file->st, AT_SYMLINK_NOFOLLOW);
	return *ret_has || errno == ENOENT ? 0 : fail_errno(err, "stat %s", quote(file->name).text);
}

static int compare_entry(struct walk *walk, const char *name, const struct dir_entry *new,
			 const struct dir_entry *old, struct snapdrv_error *err)
{
	struct level *level = walk->level;
	struct pair pair = {.new = {.name = name}, .old = {.name = name}};
	int ret = 0;

	pair.keeps_inode = old && new ? new->inode == old->inode &&new->type == old->type : 0;
	if (level->is_filtered && pair.keeps_inode &&
	    !inode_set_has(walk->trees->changed, new->inode))
		return 0;
	pair.new.dir_fd = dirs_fd(&walk->new, err);
	if (pair.new.dir_fd < 0)
		return pair.new.dir_fd;
	if (new && !new->is_mark)
		ret = look(&pair.new, &pair.has_new, err);
	if (ret || !level->has_old || (level->lists_old && !old))
		return ret ? ret : compare(walk, &pair, err);
	pair.old.dir_fd = dirs_fd(&walk->old, err);
	if (pair.old.dir_fd < 0)
		return pair.old.dir_fd;
	ret = look(&pair.old, &pair.has_old, err);
	/* A single layer is looked at as it lies there, with its marks. */
	if (walk->trees->is_upper && pair.has_old && is_whiteout(&pair.old.st))
		pair.has_old = 0;
	return ret ? ret : compare(walk, &pair, err);
}

static int next_entry(struct walk *walk, struct snapdrv_error *err)
{
	struct level *level = walk->level;
	const struct dir_entry *new =
		level->at_new < level->new.count ? &level->new.entries[level->at_new] : NULL;
	const struct dir_entry *old = level->lists_old && level->at_old < level->old.count
					      ? &level->old.entries[level->at_old]
					      : NULL;
	int order = old && new ? strcmp(new->name, old->name) : new ? -1 : 1;

	if (!new && !old) {
		leave(walk);
		return 0;
	}
	level->at_new += order <= 0;
	level->at_old += order >= 0;
	return compare_entry(walk, order <= 0 ? new->name : old->name, order <= 0 ? new : NULL,
			     order >= 0 ? old : NULL, err);
}

static int same_roots(const struct change_trees *trees, struct snapdrv_error *err)
{
	struct same_file new = {trees->new_root_fd, ".", {0}}, old = {trees->old_root_fd, ".", {0}};

	if (new.dir_fd < 0 && old.dir_fd < 0)
		return 1;
	if (old.dir_fd < 0)
		return same_as_blank(new.dir_fd, err);
	if (new.dir_fd < 0)
		return same_as_blank(old.dir_fd, err);
	if (fstat(new.dir_fd, &new.st) || fstat(old.dir_fd, &old.st))
		return fail_errno(err, "stat a root");
	return same_attributes(&new, &old, 0, err);
}

static int walk_trees(struct walk *walk, struct snapdrv_error *err)
{
	const struct change_trees *trees = walk->trees;
	struct level how = {
		.has_old = trees->old_fd >= 0,
		.is_whole = trees->is_upper && (trees->is_whole || trees->old_fd < 0),
		.is_filtered = trees->changed != NULL,
	};
	size_t root = records_add(&walk->records, NO_RECORD, "", 0, err);
	int same = root == NO_RECORD ? -ENOMEM : same_roots(trees, err), ret;

	if (same < 0)
		return same;
	if (!same || trees->reports_root)
		walk->records.items[root].kind = 'C';
	walk->records.items[root].is_dir = 1;
	ret = enter(walk, root, &how, err);
	while (!ret && walk->level)
		ret = next_entry(walk, err);
	return ret;
}

int changes_walk(const struct change_trees *trees, change_fn *report, void *arg,
		 struct snapdrv_error *err)
{
	__attribute__((cleanup(walk_done))) struct walk walk = {
		.trees = trees,
		.new = {.root_fd = trees->new_fd},
		.old = {.root_fd = trees->old_fd},
	};
	int ret = walk_trees(&walk, err);

	if (!ret)
		ret = records_link(&walk.records, trees->is_upper, err);
	if (ret)
		return ret;
	records_raise(&walk.records);
	return changes_report(&walk.records, &walk.new, report, arg, err);
}
