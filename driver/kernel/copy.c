/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying whole trees.
 *
 *   directory   names read at once; all but directories copied; then down into each directory
 *   file        FICLONE or data; owner, mode, xattrs (data and owner first: they take capabilities); mtime
 *   hard link   the first name is linked into a directory beside the copy, later names from there
 *   at its end  a directory's own attributes: nothing in it is made afterwards
 *
 * Two descriptors stand for the place in both trees, and move down by name and up by "..", so that a
 * deep tree takes no more of them than a flat one.
 */
#include "kernel/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/probe.h"
#include "kernel/xattr.h"

/* A directory that is being copied, on the way from the top to the present place. */
struct level {
	struct level *up;
	struct stat st;
	struct strings dirs; /* in it, to be copied */
	size_t next;
};

struct copy {
	int from_fd, to_fd; /* the present place */
	int links_fd;
	struct level *level;
};

static void free_levels(struct copy *copy)
{
	while (copy->level) {
		struct level *up = copy->level->up;

		strings_done(&copy->level->dirs);
		free(copy->level);
		copy->level = up;
	}
}

static void copy_done(struct copy *copy)
{
	free_levels(copy);
	cleanup_fd_at(&copy->from_fd);
	cleanup_fd_at(&copy->to_fd);
	cleanup_fd_at(&copy->links_fd);
}

static void set_fd(int *fd, int value)
{
	cleanup_fd_at(fd);
	*fd = value;
}

/* Of a name that cannot be opened. */
static int copy_xattrs_at(const struct copy *copy, const char *name, struct snapdrv_error *err)
{
	cleanup_free char *to = text_format(err, "/proc/self/fd/%d/%s", copy->to_fd, name);
	cleanup_fd int from = openat(copy->from_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (!to)
		return -ENOMEM;
	if (from < 0)
		return fail_errno(err, "open it");
	/* From a default ACL of a directory far above; symlinks have none. */
	lremovexattr(to, "system.posix_acl_access");
	return xattr_copy_name(from, copy->to_fd, name, err);
}

/* Of an open file or directory; data and entries are there already. */
static int copy_attributes(int from_fd, int to_fd, const struct stat *st, struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	int ret;

	if (fchown(to_fd, st->st_uid, st->st_gid) || fchmod(to_fd, st->st_mode & 07777))
		return fail_errno(err, "set owner and mode");
	ret = xattr_copy(from_fd, to_fd, err);
	if (ret)
		return ret;
	return futimens(to_fd, times) ? fail_errno(err, "set times") : 0;
}

static int copy_file(const struct copy *copy, const char *name, const struct stat *st,
		     struct snapdrv_error *err)
{
	cleanup_fd int in = openat(copy->from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC),
		       out = -1;
	int ret;

	if (in < 0)
		return fail_errno(err, "open");
	out = openat(copy->to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return fail_errno(err, "create");
	ret = st->st_size ? file_same_data(in, out, "data", err) : 0;
	return ret ? ret : copy_attributes(in, out, st, err);
}

static int copy_link_text(const struct copy *copy, const char *name, struct snapdrv_error *err)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(copy->from_fd, name, target, sizeof(target) - 1);

	if (length < 0)
		return fail_errno(err, "read a symlink");
	target[length] = '\0';
	return symlinkat(target, copy->to_fd, name) ? fail_errno(err, "make a symlink") : 0;
}

static int copy_special(const struct copy *copy, const char *name, const struct stat *st,
			struct snapdrv_error *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	int is_link = S_ISLNK(st->st_mode);
	int ret = is_link ? copy_link_text(copy, name, err) : 0;

	if (ret)
		return ret;
	if (!is_link && mknodat(copy->to_fd, name, st->st_mode & (S_IFMT | 0600), st->st_rdev))
		return fail_errno(err, "make a device, FIFO or socket");
	if (fchownat(copy->to_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) ||
	    (!is_link && fchmodat(copy->to_fd, name, st->st_mode & 07777, 0)))
		return fail_errno(err, "set owner and mode");
	ret = copy_xattrs_at(copy, name, err);
	if (ret)
		return ret;
	if (utimensat(copy->to_fd, name, times, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "set times");
	return 0;
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

/* 1: this was another name of a file that is there already. */
static int link_known(const struct copy *copy, const char *name, const struct stat *st,
		      struct snapdrv_error *err)
{
	struct link_name known = link_name(st);

	if (!linkat(copy->links_fd, known.text, copy->to_fd, name, 0))
		return 1;
	if (errno == ENOENT)
		return 0;
	/* As many names as the filesystem allows: the one beside the copy is one too many. */
	if (errno == EMLINK && !renameat(copy->links_fd, known.text, copy->to_fd, name))
		return 1;
	return fail_errno(err, "make a hard link");
}

static int copy_entry(struct copy *copy, const char *name, struct snapdrv_error *err)
{
	struct stat st;
	int ret = 0;

	if (fstatat(copy->from_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno(err, "stat");
	if (S_ISDIR(st.st_mode))
		return strings_add(&copy->level->dirs, name, err);
	if (st.st_nlink > 1)
		ret = link_known(copy, name, &st, err);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = S_ISREG(st.st_mode) ? copy_file(copy, name, &st, err)
				  : copy_special(copy, name, &st, err);
	if (!ret && st.st_nlink > 1 &&
	    linkat(copy->to_fd, name, copy->links_fd, link_name(&st).text, 0))
		ret = fail_errno(err, "make a hard link");
	return ret;
}

static int copy_entries(struct copy *copy, struct snapdrv_error *err)
{
	int list_fd = openat(copy->from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
	struct dirent *entry;
	int ret;

	if (!dir) {
		ret = fail_errno(err, "list a directory");
		cleanup_fd_at(&list_fd);
		return ret;
	}
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		ret = copy_entry(copy, entry->d_name, err);
		if (ret)
			return fail_within(err, ret, "copy %s", quote(entry->d_name).text);
	}
	return errno ? fail_errno(err, "list a directory") : 0;
}

/* The present place is a new directory: copy what is in it, note the directories. */
static int begin_dir(struct copy *copy, struct snapdrv_error *err)
{
	struct level *level = calloc(1, sizeof(*level));

	if (!level)
		return fail_memory(err);
	level->up = copy->level;
	copy->level = level;
	if (fstat(copy->from_fd, &level->st))
		return fail_errno(err, "stat a directory");
	return copy_entries(copy, err);
}

static int go_down(struct copy *copy, const char *name, struct snapdrv_error *err)
{
	int fd = file_open_dir(copy->from_fd, name, err);

	if (fd < 0)
		return fd;
	set_fd(&copy->from_fd, fd);
	if (mkdirat(copy->to_fd, name, 0700))
		return fail_errno(err, "make directory %s", quote(name).text);
	fd = file_open_dir(copy->to_fd, name, err);
	if (fd < 0)
		return fd;
	set_fd(&copy->to_fd, fd);
	return begin_dir(copy, err);
}

static int go_up(struct copy *copy, struct snapdrv_error *err)
{
	struct level *level = copy->level;
	struct stat st;
	int fd;

	copy->level = level->up;
	strings_done(&level->dirs);
	free(level);
	if (!copy->level)
		return 0;
	fd = file_open_dir(copy->from_fd, "..", err);
	if (fd < 0)
		return fd;
	set_fd(&copy->from_fd, fd);
	if (fstat(fd, &st) || st.st_ino != copy->level->st.st_ino ||
	    st.st_dev != copy->level->st.st_dev)
		return fail(err, SNAPDRV_FAILED, ESTALE, "a directory was moved during the copy");
	fd = file_open_dir(copy->to_fd, "..", err);
	if (fd < 0)
		return fd;
	set_fd(&copy->to_fd, fd);
	return 0;
}

static int copy_all(struct copy *copy, struct snapdrv_error *err)
{
	int ret = begin_dir(copy, err);

	while (!ret && copy->level) {
		struct level *level = copy->level;

		if (level->next < level->dirs.count) {
			ret = go_down(copy, level->dirs.items[level->next++], err);
			continue;
		}
		ret = copy_attributes(copy->from_fd, copy->to_fd, &level->st, err);
		if (!ret)
			ret = go_up(copy, err);
	}
	return ret;
}

static int open_new_dir(int dir_fd, const char *name, struct snapdrv_error *err)
{
	if (mkdirat(dir_fd, name, 0700))
		return fail_errno(err, "make directory %s", quote(name).text);
	return file_open_dir(dir_fd, name, err);
}

int copy_tree(int from_fd, int dir_fd, const char *name, struct snapdrv_error *err)
{
	__attribute__((cleanup(copy_done))) struct copy copy = {-1, -1, -1, NULL};
	cleanup_free char *links = text_format(err, "%s.links", name);
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
	ret = copy_all(&copy, err);
	return ret ? ret : file_remove_tree(dir_fd, links, err);
}

int copy_blank(int fd, struct snapdrv_error *err)
{
	static const struct timespec no_time[2];

	fremovexattr(fd, "system.posix_acl_access");
	fremovexattr(fd, "system.posix_acl_default");
	if (fchown(fd, 0, 0) || fchmod(fd, 0755) || futimens(fd, no_time))
		return fail_errno(err, "give a root its attributes");
	return 0;
}

static int try_kinds(int dir_fd, const char *fs, struct snapdrv_error *err)
{
	cleanup_fd int fd = openat(dir_fd, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return fail_errno(err, "make a file");
	if (fchown(fd, 1, 1) || fchmod(fd, 04755) || fstat(fd, &st) || st.st_uid != 1 ||
	    (st.st_mode & 07777) != 04755)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP, "%s keeps no owners and modes", fs);
	/* tmpfs has user.* since Linux 6.6 only; trusted.* is for root alone. */
	if (fsetxattr(fd, "trusted.snapdrv", "1", 1, 0) && fsetxattr(fd, "user.snapdrv", "1", 1, 0))
		return fail_errno(err, "%s keeps no xattrs", fs);
	if (linkat(dir_fd, "file", dir_fd, "link", 0))
		return fail_errno(err, "%s has no hard links", fs);
	if (symlinkat("file", dir_fd, "symlink"))
		return fail_errno(err, "%s has no symlinks", fs);
	if (mknodat(dir_fd, "device", S_IFCHR | 0600, makedev(1, 3)))
		return fail_errno(err, "%s has no devices", fs);
	return 0;
}

int copy_probe(int dir_fd, struct snapdrv_error *err)
{
	struct filesystem_name fs = probe_filesystem(dir_fd);
	cleanup_fd int scratch_fd = open_new_dir(dir_fd, "probe", err);
	int ret = scratch_fd < 0 ? scratch_fd : try_kinds(scratch_fd, fs.text, err), more;

	more = file_remove_tree(dir_fd, "probe", ret ? NULL : err);
	return ret ? ret : more;
}
