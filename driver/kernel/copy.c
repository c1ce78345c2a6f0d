/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying whole trees.
 *
 *   directory   names read at once; all but directories copied; then down into each directory
 *   others      kernel/copy_leaf.c
 *   hard link   the first name is linked into a directory beside the copy, later names from there
 *   at its end  a directory's own attributes: nothing in it is made afterwards
 *
 * Two descriptors stand for the place in both trees, and move down by name and up by "..", so that a
 * deep tree takes no more of them than a flat one. Whoever moves a directory meanwhile is found out by
 * its number.
 */
#include "kernel/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/copy_leaf.h"
#include "kernel/file.h"
#include "kernel/resolve.h"

/* A directory that is being copied, on the way from the top to the present place. */
struct level {
	struct level *up;
	struct stat st;	     /* of the one that is copied */
	struct strings dirs; /* in it, to be copied */
	size_t next;
	size_t path_size; /* of the path to what is above it */
	int is_old;	  /* the copy was there already */
	int is_through_link;
	int is_by_content; /* COPY_WHAT_IS_IN */
};

struct copy {
	const struct copy_rules *rules;
	int from_fd, to_fd; /* the present place */
	int top_fd;	    /* of the copy, or -1; borrowed */
	int links_fd;
	char links[40]; /* its name in the top */
	struct level *level;
	struct bytes path; /* of the present place, with a slash at its end; then a NUL */
};

static const struct copy_rules as_it_is = {
	.uid = -1, .gid = -1, .mode = -1, .latest_ns = INT64_MAX, .root_fd = -1};

static void free_level(struct level *level)
{
	strings_done(&level->dirs);
	free(level);
}

static void copy_done(struct copy *copy)
{
	while (copy->level) {
		struct level *up = copy->level->up;

		free_level(copy->level);
		copy->level = up;
	}
	cleanup_fd_at(&copy->from_fd);
	cleanup_fd_at(&copy->to_fd);
	cleanup_fd_at(&copy->links_fd);
	bytes_done(&copy->path);
}

static void set_fd(int *fd, int value)
{
	cleanup_fd_at(fd);
	*fd = value;
}

static int open_new_dir(int dir_fd, const char *name, struct snapdrv_error *err)
{
	if (mkdirat(dir_fd, name, 0700))
		return fail_errno(err, "make directory %s", quote(name).text);
	return file_open_dir(dir_fd, name, err);
}

struct timespec copy_mtime(const struct copy_rules *rules, const struct timespec *mtime)
{
	const struct timespec latest = {rules->latest_ns / 1000000000,
					rules->latest_ns % 1000000000};

	/* No number of nanoseconds says when a time after 2262 is. */
	if (rules->latest_ns == INT64_MAX)
		return *mtime;
	return mtime->tv_sec > latest.tv_sec ||
			       (mtime->tv_sec == latest.tv_sec && mtime->tv_nsec > latest.tv_nsec)
		       ? latest
		       : *mtime;
}

int copy_clamp_dir(int fd, const struct copy_rules *rules, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;

	if (rules->latest_ns == INT64_MAX)
		return 0;
	if (fstat(fd, &st))
		return fail_errno(err, "stat a directory");
	times[1] = copy_mtime(rules, &st.st_mtim);
	return futimens(fd, times) ? fail_errno(err, "set times") : 0;
}

/* The path is that of @name in the present place until the next call or set_path(). */
static int path_of(struct copy *copy, const char *name, const char **ret_path,
		   struct snapdrv_error *err)
{
	const size_t size = copy->path.size;
	int ret = bytes_add(&copy->path, name, strlen(name) + 1, err);

	copy->path.size = size;
	*ret_path = copy->path.data;
	return ret;
}

struct link_name {
	char text[40];
};

static struct link_name link_name(const struct stat *st)
{
	struct link_name name;

	/* The device is not always the same: a subvolume within the tree has inodes of its own. */
	snprintf(name.text, sizeof(name.text), "%llx.%llx", (unsigned long long)st->st_dev,
		 (unsigned long long)st->st_ino);
	return name;
}

/* In a tree that is there already any name may be taken. */
static int open_links(struct copy *copy, struct snapdrv_error *err)
{
	for (unsigned i = 0; copy->links_fd < 0; i++) {
		snprintf(copy->links, sizeof(copy->links), ".snapdrv-links.%u", i);
		if (mkdirat(copy->top_fd, copy->links, 0700)) {
			copy->links[0] = '\0';
			if (errno == EEXIST)
				continue;
			return fail_errno(err, "make a directory for hard links");
		}
		copy->links_fd = file_open_dir(copy->top_fd, copy->links, err);
		if (copy->links_fd < 0)
			return copy->links_fd;
	}
	return 0;
}

/* 1: this was another name of a file that is there already. */
static int link_known(struct copy *copy, const char *name, const struct stat *st,
		      struct snapdrv_error *err)
{
	struct link_name known = link_name(st);
	int ret = open_links(copy, err);

	if (ret)
		return ret;
	if (!linkat(copy->links_fd, known.text, copy->to_fd, name, 0))
		return 1;
	if (errno == ENOENT)
		return 0;
	/* As many names as the filesystem allows: the one beside the copy is one too many. */
	if (errno == EMLINK && !renameat(copy->links_fd, known.text, copy->to_fd, name))
		return 1;
	return fail_errno(err, "make a hard link");
}

static int clear_name(int to_fd, const char *name, struct snapdrv_error *err)
{
	if (!unlinkat(to_fd, name, 0) || errno == ENOENT)
		return 0;
	if (errno == EISDIR)
		return fail(err, SNAPDRV_REFUSED, EISDIR, "a directory stands in the way");
	return fail_errno(err, "replace what is there");
}

static int copy_other(struct copy *copy, const char *name, const struct stat *st,
		      struct snapdrv_error *err)
{
	const struct leaf leaf = {copy->from_fd, name, copy->to_fd, name, copy->rules};
	int has_links = st->st_nlink > 1;
	int ret = copy->level->is_old ? clear_name(copy->to_fd, name, err) : 0;

	if (!ret && has_links)
		ret = link_known(copy, name, st, err);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = leaf_copy(&leaf, st, err);
	if (!ret && has_links && linkat(copy->to_fd, name, copy->links_fd, link_name(st).text, 0))
		ret = fail_errno(err, "make a hard link");
	return ret;
}

/* Of a directory it is asked once more when its turn comes, since it may be another one then. */
static int choose(struct copy *copy, const char *name, const struct stat *st,
		  struct snapdrv_error *err)
{
	const char *path;
	int ret;

	if (!copy->rules->choose)
		return COPY_IT;
	ret = path_of(copy, name, &path, err);
	return ret ? ret : copy->rules->choose(copy->rules->arg, path, st, err);
}

static int copy_entry(struct copy *copy, const char *name, struct snapdrv_error *err)
{
	struct stat st;
	int choice;

	if (fstatat(copy->from_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat");
	if (S_ISDIR(st.st_mode))
		return strings_add(&copy->level->dirs, name, err);
	choice = choose(copy, name, &st, err);
	return choice == COPY_IT ? copy_other(copy, name, &st, err) : choice < 0 ? choice : 0;
}

static int fail_at(struct copy *copy, const char *name, int ret, struct snapdrv_error *err)
{
	const char *path;

	return fail_within(err, ret, "copy %s",
			   quote(path_of(copy, name, &path, NULL) ? name : path).text);
}

static int copy_entries(struct copy *copy, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(copy->from_fd, ".");
	struct dirent *entry;
	int ret;

	if (!dir)
		return fail_errno(err, "list a directory");
	while ((entry = file_next(dir))) {
		ret = copy_entry(copy, entry->d_name, err);
		if (ret)
			return fail_at(copy, entry->d_name, ret, err);
	}
	return errno ? fail_errno(err, "list a directory") : 0;
}

/* The present place is a directory that is to be copied: copy what is in it, note the directories. */
static int begin_dir(struct copy *copy, const struct level *init, struct snapdrv_error *err)
{
	struct level *level = calloc(1, sizeof(*level));

	if (!level)
		return fail_memory(err);
	*level = *init;
	level->up = copy->level;
	copy->level = level;
	if (fstat(copy->from_fd, &level->st))
		return fail_errno(err, "stat a directory");
	return copy_entries(copy, err);
}

/* Something is there already. Return: a descriptor, or a negative errno value. */
static int open_old(struct copy *copy, const char *name, struct level *level,
		    struct snapdrv_error *err)
{
	int fd = openat(copy->to_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_free char *whole = NULL;
	const char *path;
	struct stat st;

	if (fd >= 0)
		return fd;
	if (fstatat(copy->to_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat what is there");
	if (!S_ISLNK(st.st_mode) || copy->rules->root_fd < 0)
		return fail(err, SNAPDRV_REFUSED, ENOTDIR, "what is there is no directory");
	if (path_of(copy, name, &path, err))
		return -ENOMEM;
	whole = text_format(err, "%s/%s", copy->rules->target, path);
	if (!whole)
		return -ENOMEM;
	fd = resolve_open(copy->rules->root_fd, whole, O_RDONLY | O_DIRECTORY);
	level->is_through_link = 1;
	return fd < 0 ? fail(err, SNAPDRV_REFUSED, -fd,
			     "what is there is a symlink that leads to no directory")
		      : fd;
}

static int enter(struct copy *copy, const char *name, struct snapdrv_error *err)
{
	struct level level = {.path_size = copy->path.size};
	struct stat st;
	int fd = file_open_dir(copy->from_fd, name, err), choice;

	if (fd < 0)
		return fd;
	choice = fstat(fd, &st) ? fail_errno(err, "stat") : choose(copy, name, &st, err);
	if (choice < 0 || choice == COPY_NOT) {
		close(fd);
		return choice < 0 ? choice : 0;
	}
	level.is_by_content = choice == COPY_WHAT_IS_IN;
	set_fd(&copy->from_fd, fd);
	if (mkdirat(copy->to_fd, name, 0700)) {
		if (errno != EEXIST)
			return fail_errno(err, "make the directory");
		level.is_old = 1;
		fd = open_old(copy, name, &level, err);
	} else {
		fd = file_open_dir(copy->to_fd, name, err);
	}
	if (fd < 0)
		return fd;
	set_fd(&copy->to_fd, fd);
	if (bytes_add(&copy->path, name, strlen(name), err) || bytes_add(&copy->path, "/", 1, err))
		return -ENOMEM;
	return begin_dir(copy, &level, err);
}

/* Where the copy goes on: "..", but for a directory that was entered through a symlink. */
static int open_above(struct copy *copy, const struct level *level, struct snapdrv_error *err)
{
	cleanup_free char *whole = NULL;
	int fd;

	if (!level->is_through_link)
		return file_open_dir(copy->to_fd, "..", err);
	whole = text_format(err, "%s/%.*s", copy->rules->target, (int)level->path_size,
			    copy->path.data);
	if (!whole)
		return -ENOMEM;
	fd = resolve_open(copy->rules->root_fd, whole, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? fail_ret(err, fd, "open directory %s", quote(whole).text) : fd;
}

static int go_up(struct copy *copy, struct snapdrv_error *err)
{
	struct level *level = copy->level;
	struct stat st;
	int fd;

	fd = file_open_dir(copy->from_fd, "..", err);
	if (fd < 0)
		return fd;
	set_fd(&copy->from_fd, fd);
	if (fstat(fd, &st))
		return fail_errno(err, "stat");
	if (st.st_ino != level->up->st.st_ino || st.st_dev != level->up->st.st_dev)
		return fail(err, SNAPDRV_FAILED, ESTALE, "a directory was moved during the copy");
	fd = open_above(copy, level, err);
	if (fd < 0)
		return fd;
	set_fd(&copy->to_fd, fd);
	copy->path.size = level->path_size;
	copy->level = level->up;
	if (level->is_by_content && !level->is_old)
		/* It stays if there is something in it. */
		unlinkat(copy->to_fd, copy->level->dirs.items[copy->level->next - 1], AT_REMOVEDIR);
	free_level(level);
	return 0;
}

/* All in the present directory is copied. */
static int end_dir(struct copy *copy, struct snapdrv_error *err)
{
	const struct level *level = copy->level;

	if (level->is_old && (!level->up || level->is_by_content))
		return copy_clamp_dir(copy->to_fd, copy->rules, err);
	return leaf_attributes(copy->from_fd, copy->to_fd, &level->st, copy->rules, level->is_old,
			       err);
}

static int remove_links(struct copy *copy, struct snapdrv_error *err)
{
	if (copy->links_fd < 0 || !*copy->links)
		return 0;
	return file_remove_tree(copy->top_fd, copy->links, err);
}

static int copy_all(struct copy *copy, const struct level *top, struct snapdrv_error *err)
{
	int ret = begin_dir(copy, top, err);

	while (!ret) {
		struct level *level = copy->level;

		if (level->next < level->dirs.count) {
			const char *name = level->dirs.items[level->next++];

			ret = enter(copy, name, err);
			/* It says itself what in it failed. */
			if (ret && copy->level == level)
				return fail_at(copy, name, ret, err);
			continue;
		}
		if (!level->up) {
			ret = remove_links(copy, err);
			return ret ? ret : end_dir(copy, err);
		}
		ret = end_dir(copy, err);
		if (!ret)
			ret = go_up(copy, err);
	}
	return ret;
}

int copy_tree(int from_fd, int dir_fd, const char *name, struct snapdrv_error *err)
{
	__attribute__((cleanup(copy_done))) struct copy copy = {
		.rules = &as_it_is, .from_fd = -1, .to_fd = -1, .top_fd = -1, .links_fd = -1};
	cleanup_free char *links = text_format(err, "%s.links", name);
	const struct level top = {0};
	int ret;

	if (!links)
		return -ENOMEM;
	copy.from_fd = file_open_dir(from_fd, ".", err);
	if (copy.from_fd < 0)
		return copy.from_fd;
	copy.to_fd = open_new_dir(dir_fd, name, err);
	if (copy.to_fd < 0)
		return copy.to_fd;
	copy.links_fd = open_new_dir(dir_fd, links, err);
	if (copy.links_fd < 0)
		return copy.links_fd;
	ret = copy_all(&copy, &top, err);
	return ret ? ret : file_remove_tree(dir_fd, links, err);
}

int copy_merge(int from_fd, int to_fd, const struct copy_rules *rules, struct snapdrv_error *err)
{
	__attribute__((cleanup(copy_done))) struct copy copy = {
		.rules = rules, .from_fd = -1, .to_fd = -1, .top_fd = to_fd, .links_fd = -1};
	const struct level top = {.is_old = 1};
	int ret;

	copy.from_fd = file_open_dir(from_fd, ".", err);
	if (copy.from_fd < 0)
		return copy.from_fd;
	copy.to_fd = file_open_dir(to_fd, ".", err);
	if (copy.to_fd < 0)
		return copy.to_fd;
	ret = copy_all(&copy, &top, err);
	if (ret)
		remove_links(&copy, NULL);
	return ret;
}

int copy_leaf(int dir_fd, const char *name, int to_fd, const char *as,
	      const struct copy_rules *rules, struct snapdrv_error *err)
{
	const struct leaf leaf = {dir_fd, name, to_fd, as, rules};
	struct stat st;
	int ret;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat");
	if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
		return fail(err, SNAPDRV_FAILED, ESTALE, "it became something else meanwhile");
	ret = clear_name(to_fd, as, err);
	return ret ? ret : leaf_copy(&leaf, &st, err);
}
