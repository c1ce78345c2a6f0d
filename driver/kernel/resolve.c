/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a path inside a root: openat2(2), or a walk of single components where there is none. */
#include "kernel/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LINKS_MAX 40 /* as the kernel's own limit, path_resolution(7) */

static atomic_int no_openat2;

static int try_openat2(int root_fd, const char *path, int flags, unsigned long long resolve)
{
	struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC, .resolve = resolve};
	int fd;

	if (atomic_load_explicit(&no_openat2, memory_order_relaxed)) {
		errno = ENOSYS;
		return -1;
	}
	do {
		fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
		atomic_store_explicit(&no_openat2, 1, memory_order_relaxed);
		errno = ENOSYS;
	}
	return fd;
}

/*
 * The walk: `real` is the path from the root to `fd`, made of directories only; `rest` is what is still
 * to be walked. A symlink is put in front of the rest; `..` drops the last component of `real` and
 * opens that path again, component by component. No step follows a link, so none leads out.
 */
struct walk {
	int root_fd;
	int fd;
	int links;
	int follow;			   /* symlinks on the way are followed */
	const struct resolve_maker *maker; /* for directories that are missing, or NULL */
	char real[PATH_MAX];
	char rest[2 * PATH_MAX];
};

static int reopen_real(struct walk *walk)
{
	cleanup_fd int fd = openat(walk->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char copy[PATH_MAX], *save = NULL;

	strcpy(copy, walk->real);
	for (char *name = strtok_r(copy, "/", &save); name && fd >= 0;
	     name = strtok_r(NULL, "/", &save)) {
		int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		close(fd);
		fd = next;
	}
	if (fd < 0)
		return -errno;
	close(walk->fd);
	walk->fd = steal_fd(&fd);
	return 0;
}

static int step_up(struct walk *walk)
{
	char *slash = strrchr(walk->real, '/');

	*(slash ? slash : walk->real) = '\0';
	return reopen_real(walk);
}

static int step_through_link(struct walk *walk, const char *name, const char *after)
{
	char target[PATH_MAX], rest[2 * PATH_MAX];
	ssize_t length = readlinkat(walk->fd, name, target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	if (!walk->follow || ++walk->links > LINKS_MAX)
		return -ELOOP;
	target[length] = '\0';
	/* With its slash, if there is one. */
	if (snprintf(rest, sizeof(rest), "%s%s", target, after) >= (int)sizeof(rest))
		return -ENAMETOOLONG;
	strcpy(walk->rest, rest);
	if (target[0] != '/')
		return 0;
	walk->real[0] = '\0';
	return reopen_real(walk);
}

static int extend_real(struct walk *walk, const char *name)
{
	size_t used = strlen(walk->real), room = sizeof(walk->real) - used;

	return (size_t)snprintf(walk->real + used, room, used ? "/%s" : "%s", name) < room
		       ? 0
		       : -ENAMETOOLONG;
}

static int make_dir(const struct walk *walk, const char *name)
{
	if (mkdirat(walk->fd, name, 0755))
		return errno == EEXIST ? 0 : -errno;
	return walk->maker->made(walk->maker->arg, walk->fd, name);
}

/* Return: a descriptor, or a negative errno value. */
static int open_next(const struct walk *walk, const char *name, int flags)
{
	int fd = openat(walk->fd, name, flags | O_NOFOLLOW | O_CLOEXEC), ret;

	if (fd >= 0 || errno != ENOENT || !walk->maker)
		return fd < 0 ? -errno : fd;
	ret = make_dir(walk, name);
	if (ret)
		return ret;
	fd = openat(walk->fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int step_into(struct walk *walk, const char *name)
{
	int fd = open_next(walk, name, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return fd;
	close(walk->fd);
	walk->fd = fd;
	return extend_real(walk, name);
}

/* Return: 1, 0, which what is not there is too, or a negative errno value. */
static int is_link(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	return S_ISLNK(st.st_mode);
}

static int step(struct walk *walk, const char *name, const char *after, int flags)
{
	int fd, ret, is, last = !after[strspn(after, "/")];

	if (!strcmp(name, ".."))
		return step_up(walk);
	is = is_link(walk->fd, name);
	if (is < 0)
		return is;
	if (is && !(last && !*after && flags & O_NOFOLLOW))
		return step_through_link(walk, name, after);
	if (!last)
		return step_into(walk, name);
	/* A slash behind it says that it is a directory. */
	fd = open_next(walk, name, *after ? flags | O_DIRECTORY : flags);
	if (fd < 0)
		return fd;
	ret = extend_real(walk, name);
	if (ret)
		close(fd);
	return ret ? ret : fd + 1; /* 0 is "go on" */
}

static int walk_open(struct walk *walk, const char *path, int flags)
{
	int ret;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(walk->rest, path);
	ret = reopen_real(walk);
	while (!ret) {
		char rest[2 * PATH_MAX], *name, *after;
		size_t length;

		strcpy(rest, walk->rest);
		name = rest + strspn(rest, "/");
		length = strcspn(name, "/");
		after = name + length;
		if (!length) {
			int fd = openat(walk->fd, ".", flags | O_CLOEXEC);

			ret = fd < 0 ? -errno : fd + 1;
			break;
		}
		strcpy(walk->rest, after);
		if (*after)
			*after++ = '\0';
		if (strcmp(name, "."))
			ret = step(walk, name, walk->rest, flags);
	}
	if (walk->fd >= 0)
		close(walk->fd);
	return ret > 0 ? ret - 1 : ret;
}

static const char *below_root(const char *path)
{
	path += strspn(path, "/");
	return *path ? path : ".";
}

static int walk_from(int root_fd, const char *path, int flags, int follow)
{
	struct walk walk = {.root_fd = root_fd, .fd = -1, .follow = follow};

	return walk_open(&walk, below_root(path), flags);
}

int resolve_open(int root_fd, const char *path, int flags)
{
	int fd = try_openat2(root_fd, below_root(path), flags,
			     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	if (fd >= 0 || errno != ENOSYS)
		return fd < 0 ? -errno : fd;
	return walk_from(root_fd, path, flags, 1);
}

int resolve_open_beneath(int root_fd, const char *path, int flags)
{
	int fd = try_openat2(root_fd, below_root(path), flags,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	if (fd >= 0 || errno != ENOSYS)
		return fd < 0 ? -errno : fd;
	return walk_from(root_fd, path, flags, 0);
}

int resolve_real(int root_fd, const char *path, int flags, struct resolved *ret_real)
{
	struct walk walk = {.root_fd = root_fd, .fd = -1, .follow = 1};
	int fd = walk_open(&walk, below_root(path), flags);

	if (fd >= 0)
		strcpy(ret_real->path, walk.real);
	return fd;
}

int resolve_make(int root_fd, const char *path, const struct resolve_maker *maker)
{
	struct walk walk = {.root_fd = root_fd, .fd = -1, .follow = 1, .maker = maker};

	return walk_open(&walk, below_root(path), O_RDONLY | O_DIRECTORY);
}

int resolve_is_absent(int ret)
{
	return ret == -ENOENT || ret == -ENOTDIR || ret == -ELOOP || ret == -ENAMETOOLONG;
}
