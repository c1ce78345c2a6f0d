/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding what a COPY or ADD names.
 *
 *   plain name   `..` taken out by the text, as docker does; then symlinks followed inside the context
 *   pattern      what is in front of it likewise; below that a component at a time, through directories alone
 *   found        a symlink, whether named or fitted, stands for what it leads to
 */
#include "build/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/copy.h"
#include "kernel/dirs.h"
#include "kernel/resolve.h"

struct search {
	const struct copy *copy;
	const char *text; /* the source as it is written */
	struct sources *sources;
	size_t n_fitting; /* of this pattern */
};

void sources_done(struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		free(sources->items[i].path);
		free(sources->items[i].name);
	}
	free(sources->items);
	*sources = (struct sources){0};
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static char *join(const char *dir, const char *name, struct snapdrv_error *err)
{
	return text_format(err, "%s%s%s", dir, *dir ? "/" : "", name);
}

/* Without slashes around, `.`, and `..`, which stays at the root. */
static char *clean(const char *text, struct snapdrv_error *err)
{
	char *path = text_dup(text, err);
	size_t length = 0;

	if (!path)
		return NULL;
	for (const char *at = text; *at;) {
		size_t n = strcspn(at, "/");

		if (n == 2 && at[0] == '.' && at[1] == '.') {
			while (length && path[--length] != '/')
				;
		} else if (n && !(n == 1 && *at == '.')) {
			if (length)
				path[length++] = '/';
			memmove(path + length, at, n);
			length += n;
		}
		at += n + (at[n] == '/');
	}
	path[length] = '\0';
	return path;
}

/* Of a directory that is left out, something may be in by an exception. */
static int is_left_out(const struct ignore *ignore, const char *path, int is_dir)
{
	return ignore && ignore->n_rules && *path && ignore_has(ignore, path) &&
	       !(is_dir && ignore_enters(ignore, path));
}

static int add(struct search *search, const char *path, const char *name, const struct stat *st,
	       struct snapdrv_error *err)
{
	struct sources *sources = search->sources;
	struct source *items = reallocarray(sources->items, sources->count + 1, sizeof(*items));
	struct source source = {
		.path = text_dup(path, err), .name = text_dup(name, err), .st = *st};

	if (items)
		sources->items = items;
	if (!items || !source.path || !source.name) {
		free(source.path);
		free(source.name);
		return items ? -ENOMEM : fail_memory(err);
	}
	sources->items[sources->count++] = source;
	return 0;
}

static int fail_to_find(const char *path, int ret, struct snapdrv_error *err)
{
	if (ret == -ENOENT || ret == -ENOTDIR)
		return fail(err, SNAPDRV_REFUSED, -ret, "source %s: there is no such file",
			    quote(path).text);
	return fail(err, resolve_is_absent(ret) ? SNAPDRV_REFUSED : SNAPDRV_FAILED, -ret,
		    "source %s: %s", quote(path).text, strerror(-ret));
}

/* Of a pattern, what is left out does not fit; by its own name it is an error. */
static int add_found(struct search *search, const char *path, int is_pattern,
		     struct snapdrv_error *err)
{
	const struct copy *copy = search->copy;
	const struct ignore *ignore = &copy->from->ignore;
	struct resolved real;
	struct stat st;
	cleanup_fd int fd = resolve_real(copy->from->fd, path, O_PATH, &real);
	int is_dir;

	if (fd < 0)
		return fail_to_find(path, fd, err);
	if (fstat(fd, &st))
		return fail_errno(err, "source %s: stat", quote(path).text);
	if (S_ISLNK(st.st_mode))
		return fail(err, SNAPDRV_FAILED, ESTALE, "source %s: it was changed meanwhile",
			    quote(path).text);
	is_dir = S_ISDIR(st.st_mode);
	if (is_left_out(ignore, path, is_dir) || is_left_out(ignore, real.path, is_dir))
		return is_pattern ? 0
				  : refuse(err, "source %s: the ignore file leaves it out",
					   quote(path).text);
	if (S_ISSOCK(st.st_mode))
		return is_pattern ? 0
				  : refuse(err, "source %s: a layer cannot hold a socket",
					   quote(path).text);
	if ((is_pattern || !is_dir) && is_left_out(copy->excludes, base_name(path), is_dir))
		return 0;
	search->n_fitting++;
	return add(search, real.path, base_name(path), &st, err);
}

static int fit_below(struct search *search, const char *dir, const char *pattern,
		     struct snapdrv_error *err);

/* @name in @dir fits the first component; @rest is what comes after it, or NULL. */
static int fit_name(struct search *search, const char *dir, const char *name, const char *rest,
		    struct snapdrv_error *err)
{
	cleanup_free char *path = join(dir, name, err);

	if (!path)
		return -ENOMEM;
	if (!rest)
		return add_found(search, path, 1, err);
	return is_left_out(&search->copy->from->ignore, path, 1)
		       ? 0
		       : fit_below(search, path, rest, err);
}

static int fit_list(struct search *search, const char *dir, int fd, const char *component,
		    const char *rest, struct snapdrv_error *err)
{
	struct dir_list list;
	int ret = dirs_list(fd, &list, err);

	if (ret)
		return ret;
	for (size_t i = 0; i < list.count && !ret; i++) {
		ret = pattern_matches(component, list.entries[i].name);
		if (ret < 0)
			ret = refuse(err, "source %s: a pattern that cannot be read",
				     quote(search->text).text);
		else if (ret)
			ret = fit_name(search, dir, list.entries[i].name, rest, err);
	}
	dirs_list_done(&list);
	return ret;
}

/* What in @dir fits; its name has no symlink in it, and none is followed on the way down. */
static int fit_below(struct search *search, const char *dir, const char *pattern,
		     struct snapdrv_error *err)
{
	size_t length = strcspn(pattern, "/");
	cleanup_free char *component = strndup(pattern, length);
	const char *rest = pattern[length] ? pattern + length + 1 : NULL;
	cleanup_fd int fd =
		resolve_open_beneath(search->copy->from->fd, dir, O_RDONLY | O_DIRECTORY);
	struct stat st;

	if (!component)
		return fail_memory(err);
	if (fd < 0)
		/* Its end is no directory, or a symlink. */
		return resolve_is_absent(fd) ? 0 : fail_to_find(dir, fd, err);
	if (!pattern_is_plain(component))
		return fit_list(search, dir, fd, component, rest, err);
	if (fstatat(fd, component, &st, AT_SYMLINK_NOFOLLOW))
		return resolve_is_absent(-errno) ? 0 : fail_to_find(dir, -errno, err);
	return fit_name(search, dir, component, rest, err);
}

/* How much of a clean path comes in front of the first component that is a pattern; -1: there is none. */
static ssize_t plain_length(const char *path)
{
	for (size_t at = 0; path[at];) {
		size_t n = strcspn(path + at, "/");
		cleanup_free char *component = strndup(path + at, n);

		/* Without memory it is looked at as a pattern, which fails. */
		if (!component || !pattern_is_plain(component))
			return (ssize_t)at;
		at += n + (path[at + n] == '/');
	}
	return -1;
}

static int find_pattern(struct search *search, char *path, size_t plain, struct snapdrv_error *err)
{
	const char *pattern = path + plain;
	cleanup_fd int fd = -1;
	struct resolved real;

	if (plain)
		path[plain - 1] = '\0';
	fd = resolve_real(search->copy->from->fd, plain ? path : "", O_PATH | O_DIRECTORY, &real);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return fail_to_find(search->text, fd, err);
	return fit_below(search, real.path, pattern, err);
}

static int find_one(struct search *search, struct snapdrv_error *err)
{
	cleanup_free char *path = clean(search->text, err);
	ssize_t plain;

	if (!path)
		return -ENOMEM;
	plain = search->copy->is_literal ? -1 : plain_length(path);
	return plain < 0 ? add_found(search, path, 0, err)
			 : find_pattern(search, path, (size_t)plain, err);
}

int copy_wants_directory(const struct copy *copy)
{
	const char *name = base_name(copy->target);

	return !*name || !strcmp(name, ".") || !strcmp(name, "..");
}

int sources_find(const struct copy *copy, struct sources *ret_sources, struct snapdrv_error *err)
{
	cleanup_sources struct sources sources = {.is_several =
							  copy->n_sources + copy->n_inlines > 1};
	const char *unfit = NULL;

	if (sources.is_several && !copy_wants_directory(copy))
		return refuse(err,
			      "target %s: several sources want a directory: a slash at its end",
			      quote(copy->target).text);
	if (copy->n_sources && copy->from->fd < 0)
		return refuse(err, "source %s: there is no context", quote(copy->sources[0]).text);
	for (size_t i = 0; i < copy->n_sources; i++) {
		struct search search = {copy, copy->sources[i], &sources, 0};
		int ret = find_one(&search, err);

		if (ret)
			return ret;
		if (!search.n_fitting && !unfit)
			unfit = search.text;
		sources.is_several |= search.n_fitting > 1;
	}
	/* `COPY package.json yarn.lock* ./` is a habit: a pattern may fit nothing where another source is. */
	if (unfit && !sources.count && !copy->n_inlines)
		return refuse(err, "source %s: nothing fits it, or all of it is left out",
			      quote(unfit).text);
	*ret_sources = sources;
	sources = (struct sources){0};
	return 0;
}

int sources_open(const struct copy *copy, const struct source *source, int flags,
		 struct snapdrv_error *err)
{
	int fd = resolve_open_beneath(copy->from->fd, source->path, flags | O_NOFOLLOW);

	if (fd < 0)
		return fail_ret(err, fd, "source %s: it was changed meanwhile",
				quote(source->path).text);
	return fd;
}

int sources_open_parent(const struct copy *copy, const struct source *source, const char **ret_name,
			struct snapdrv_error *err)
{
	const char *name = base_name(source->path);
	struct source parent = {.path = strndup(source->path, (size_t)(name - source->path))};
	int fd = parent.path ? sources_open(copy, &parent, O_PATH | O_DIRECTORY, err)
			     : fail_memory(err);

	free(parent.path);
	*ret_name = name;
	return fd;
}

static int check_kind(const struct context *from, const char *name, const struct stat *st,
		      struct snapdrv_error *err)
{
	int is_device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

	if (text_starts(name, ".wh."))
		return refuse(err, "a layer cannot hold a name that starts with .wh.");
	if (is_device && !from->is_image)
		return refuse(err, "a device of the context");
	if (S_ISCHR(st->st_mode) && !st->st_rdev)
		return refuse(err, "a layer cannot hold a 0:0 device");
	return 0;
}

static int choose_by(const struct ignore *ignore, const char *path, const struct stat *st)
{
	if (!ignore || !ignore->n_rules || !*path || !ignore_has(ignore, path))
		return COPY_IT;
	return S_ISDIR(st->st_mode) && ignore_enters(ignore, path) ? COPY_WHAT_IS_IN : COPY_NOT;
}

static int whole_path(struct chooser *chooser, const char *path, struct snapdrv_error *err)
{
	const char *top = chooser->source->path;
	int ret = 0;

	chooser->path.size = 0;
	if (*top)
		ret = bytes_add(&chooser->path, top, strlen(top), err);
	if (!ret && *top && *path)
		ret = bytes_add(&chooser->path, "/", 1, err);
	return ret ? ret : bytes_add(&chooser->path, path, strlen(path) + 1, err);
}

int chooser_choose(void *arg, const char *path, const struct stat *st, struct snapdrv_error *err)
{
	struct chooser *chooser = arg;
	const struct context *from = chooser->copy->from;
	int choice = whole_path(chooser, path, err), also, ret;

	if (choice)
		return choice;
	if (S_ISDIR(st->st_mode) && from->store_ino && st->st_ino == from->store_ino &&
	    st->st_dev == from->store_dev)
		return COPY_NOT;
	choice = choose_by(&from->ignore, chooser->path.data, st);
	also = choice == COPY_NOT ? COPY_NOT : choose_by(chooser->copy->excludes, path, st);
	if (choice == COPY_NOT || also == COPY_NOT || S_ISSOCK(st->st_mode))
		return COPY_NOT;
	ret = check_kind(from, *path ? base_name(path) : chooser->source->name, st, err);
	return ret ? ret : also == COPY_IT ? choice : also;
}

void chooser_done(struct chooser *chooser)
{
	bytes_done(&chooser->path);
}
