/* SPDX-License-Identifier: Apache-2.0 */
/* Places to mount on, in a tree of which nobody is to see that something was mounted. */
#include "build/stubs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/resolve.h"

struct stub {
	int above_fd;
	char *name;
	int is_file;
};

static int add(struct stubs *stubs, int *above_fd, const char *name, int is_file,
	       struct snapdrv_error *err)
{
	struct stub *items = reallocarray(stubs->items, stubs->count + 1, sizeof(*items));
	char *copy = items ? text_dup(name, err) : NULL;

	if (items)
		stubs->items = items;
	if (!copy)
		return items ? -ENOMEM : fail_memory(err);
	items[stubs->count++] = (struct stub){steal_fd(above_fd), copy, is_file};
	return 0;
}

static int keep_times(int fd, const struct stat *st, struct snapdrv_error *err)
{
	const struct timespec times[] = {st->st_atim, st->st_mtim};

	return futimens(fd, times) ? fail_errno(err, "set the time of a mount point's directory")
				   : 0;
}

static int make_one(struct stubs *stubs, int *above_fd, const char *name, int is_file,
		    struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int failed, ret;

	if (fstat(*above_fd, &st))
		return fail_errno(err, "stat");
	if (is_file) {
		fd = openat(*above_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0644);
		failed = fd < 0;
	} else {
		failed = mkdirat(*above_fd, name, 0755);
	}
	/* A name that is there but leads nowhere is a symlink. */
	if (failed && errno == EEXIST)
		return refuse(err, "mount point %s: a symlink that leads nowhere",
			      quote(name).text);
	if (failed)
		return fail_errno(err, "mount point %s", quote(name).text);
	ret = keep_times(*above_fd, &st, err);
	return ret ? ret : add(stubs, above_fd, name, is_file, err);
}

/* What the image itself has there is refused. */
static int fail_to_reach(const char *path, int ret, struct snapdrv_error *err)
{
	if (resolve_is_absent(ret))
		return refuse(err, "mount point %s cannot be reached (errno %d)", quote(path).text,
			      -ret);
	return fail_ret(err, ret, "mount point %s", quote(path).text);
}

/* @so_far: a path whose last part begins at @name, which is written to and put right again. */
static int have_part(struct stubs *stubs, int root_fd, char *so_far, char *name, int is_file,
		     struct snapdrv_error *err)
{
	cleanup_fd int above_fd = -1;
	cleanup_fd int fd = resolve_open(root_fd, so_far, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd >= 0) {
		if (fstat(fd, &st))
			return fail_errno(err, "stat");
		return S_ISDIR(st.st_mode) != is_file
			       ? 0
			       : refuse(err, "mount point %s: %s", quote(so_far).text,
					is_file ? "a directory" : "not a directory");
	}
	if (fd != -ENOENT)
		return fail_to_reach(so_far, fd, err);
	name[-1] = '\0';
	above_fd =
		resolve_open(root_fd, *so_far ? so_far : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	name[-1] = '/';
	return above_fd < 0 ? fail_to_reach(so_far, above_fd, err)
			    : make_one(stubs, &above_fd, name, is_file, err);
}

int stubs_make(struct stubs *stubs, int root_fd, const char *path, int is_file,
	       struct snapdrv_error *err)
{
	cleanup_free char *so_far = text_dup(path, err);
	int ret = 0;

	if (!so_far)
		return -ENOMEM;
	for (char *name = so_far + 1; !ret && *name;) {
		char *end = name + strcspn(name, "/"), rest = *end;

		*end = '\0';
		ret = have_part(stubs, root_fd, so_far, name, !rest && is_file, err);
		*end = rest;
		name = rest ? end + 1 : end;
	}
	return ret;
}

static int remove_one(const struct stub *stub, struct snapdrv_error *err)
{
	struct stat above, st;

	if (fstat(stub->above_fd, &above))
		return fail_errno(err, "stat");
	if (fstatat(stub->above_fd, stub->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0
				       : fail_errno(err, "mount point %s", quote(stub->name).text);
	if (stub->is_file ? !S_ISREG(st.st_mode) || st.st_size : !S_ISDIR(st.st_mode))
		return 0;
	if (unlinkat(stub->above_fd, stub->name, stub->is_file ? 0 : AT_REMOVEDIR))
		return errno == ENOTEMPTY
			       ? 0
			       : fail_errno(err, "remove mount point %s", quote(stub->name).text);
	return keep_times(stub->above_fd, &above, err);
}

int stubs_remove(struct stubs *stubs, struct snapdrv_error *err)
{
	int ret = 0;

	for (size_t i = stubs->count; i-- && !ret;)
		ret = remove_one(&stubs->items[i], err);
	return ret;
}

void stubs_done(struct stubs *stubs)
{
	while (stubs->count) {
		struct stub *stub = &stubs->items[--stubs->count];

		close(stub->above_fd);
		free(stub->name);
	}
	free(stubs->items);
	*stubs = (struct stubs){0};
}
