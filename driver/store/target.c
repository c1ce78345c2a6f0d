/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories made outside the store. */
#include "store/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"

#define FILE_MODE \
	0600 /* it may hold what is not for everybody, /etc/shadow to begin with; as docker has it */

static int no_parent(struct snapdrv_error *err)
{
	int code = errno == ENOENT || errno == ENOTDIR ? SNAPDRV_MISSING : SNAPDRV_FAILED;

	return fail(err, code, errno, "open its directory: %s", strerror(errno));
}

/* Split a path, whose end may not be there yet, into a directory and a name in it. */
static int open_parent(const char *path, struct target *target, struct snapdrv_error *err)
{
	cleanup_free char *real = realpath(path, NULL), *copy = NULL;
	char *slash;

	copy = text_dup(real ? real : path, err);
	if (!copy)
		return -ENOMEM;
	while (strlen(copy) > 1 && text_ends(copy, "/"))
		copy[strlen(copy) - 1] = '\0';
	slash = strrchr(copy, '/');
	target->name = text_dup(slash ? slash + 1 : copy, err);
	if (!target->name)
		return -ENOMEM;
	if (!*target->name || !strcmp(target->name, ".") || !strcmp(target->name, ".."))
		return fail(err, SNAPDRV_USAGE, EINVAL, "not the name of a new file");
	if (slash)
		slash[slash == copy] = '\0';
	target->parent_fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return target->parent_fd < 0 ? no_parent(err) : 0;
}

static char *temporary_name(const struct target *target, struct snapdrv_error *err)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
		fail_errno(err, "get random bytes");
		return NULL;
	}
	/* Cut, so that a name of 255 bytes still has one. */
	return text_format(err, ".%.200s.%016llx", target->name, (unsigned long long)random);
}

static int open_special(const char *path, struct target *target, struct snapdrv_error *err)
{
	target->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return target->fd < 0 ? fail_errno(err, "open it") : 0;
}

static int open_regular(struct target *target, struct snapdrv_error *err)
{
	target->fd = openat(target->parent_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
	if (target->fd >= 0)
		return 0;
	target->temporary = temporary_name(target, err);
	if (!target->temporary)
		return -ENOMEM;
	target->fd = openat(target->parent_fd, target->temporary,
			    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (target->fd >= 0)
		return 0;
	free(steal_ptr(&target->temporary));
	return fail_errno(err, "create it");
}

int target_file(const char *path, struct target *ret_target, struct snapdrv_error *err)
{
	cleanup_target struct target target = {.fd = -1, .parent_fd = -1, .is_open = 1};
	struct stat st;
	int there = !stat(path, &st), ret;

	if (!there && errno != ENOENT && errno != ENOTDIR)
		return fail_errno(err, "look at what is there");
	if (there && S_ISDIR(st.st_mode))
		return fail(err, SNAPDRV_USAGE, EISDIR, "it is a directory");
	if (there && !S_ISREG(st.st_mode)) {
		ret = open_special(path, &target, err);
	} else {
		ret = open_parent(path, &target, err);
		if (!ret)
			ret = open_regular(&target, err);
	}
	if (ret)
		return ret;
	*ret_target = target;
	target = (struct target){0};
	return 0;
}

static int is_empty(const char *path, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = opendir(path);

	if (!dir)
		return errno == ENOENT	  ? 1
		       : errno == ENOTDIR ? fail(err, SNAPDRV_BUSY, EEXIST, "it exists")
					  : fail_errno(err, "open it");
	if (file_next(dir))
		return fail(err, SNAPDRV_BUSY, ENOTEMPTY, "the directory is not empty");
	return errno ? fail_errno(err, "list it") : 1;
}

int target_dir(const char *path, struct target *ret_target, struct snapdrv_error *err)
{
	cleanup_target struct target target = {
		.fd = -1, .parent_fd = -1, .is_open = 1, .is_dir = 1};
	int ret = is_empty(path, err);

	if (ret > 0)
		ret = open_parent(path, &target, err);
	if (ret)
		return ret;
	target.temporary = temporary_name(&target, err);
	if (!target.temporary)
		return -ENOMEM;
	if (mkdirat(target.parent_fd, target.temporary, 0777)) {
		free(steal_ptr(&target.temporary));
		return fail_errno(err, "make it");
	}
	target.fd = file_open_dir(target.parent_fd, target.temporary, err);
	if (target.fd < 0)
		return target.fd;
	*ret_target = target;
	target = (struct target){0};
	return 0;
}

/* A file without a name gets one; the temporary one where its own is taken, for linkat(2) replaces none. */
static int name_file(struct target *target, struct snapdrv_error *err)
{
	char from[40];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", target->fd);
	if (!linkat(AT_FDCWD, from, target->parent_fd, target->name, AT_SYMLINK_FOLLOW))
		return 0;
	if (errno != EEXIST)
		return fail_errno(err, "give it its name");
	target->temporary = temporary_name(target, err);
	if (!target->temporary)
		return -ENOMEM;
	if (!linkat(AT_FDCWD, from, target->parent_fd, target->temporary, AT_SYMLINK_FOLLOW))
		return 0;
	free(steal_ptr(&target->temporary));
	return fail_errno(err, "give it a name");
}

static int fail_new(const char *name, struct snapdrv_error *err)
{
	if (errno == EEXIST)
		return fail(err, SNAPDRV_BUSY, EEXIST, "it has a %s", name);
	return fail_errno(err, "make %s", name);
}

int target_write_new(int dir_fd, const char *name, const char *text, struct snapdrv_error *err)
{
	cleanup_fd int fd = openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	int has_name = fd < 0, ret;
	char from[40];

	if (has_name)
		fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0644);
	if (fd < 0)
		return fail_new(name, err);
	ret = file_write(fd, text, strlen(text), name, err);
	if (ret && has_name)
		unlinkat(dir_fd, name, 0);
	if (ret || has_name)
		return ret;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, from, dir_fd, name, AT_SYMLINK_FOLLOW) ? fail_new(name, err) : 0;
}

int target_commit(struct target *target, struct snapdrv_error *err)
{
	int ret = 0;

	if (!target->name)
		return 0;
	if (target->is_dir)
		ret = file_sync_all(target->fd, err);
	else if (fsync(target->fd))
		ret = fail_errno(err, "sync it");
	if (!ret && !target->temporary)
		ret = name_file(target, err);
	if (ret)
		return ret;
	if (target->temporary &&
	    renameat(target->parent_fd, target->temporary, target->parent_fd, target->name))
		return fail_errno(err, "give it its name");
	free(steal_ptr(&target->temporary));
	return file_sync_dir(target->parent_fd, err);
}

void target_done(struct target *target)
{
	if (!target->is_open)
		return;
	if (target->fd >= 0)
		close(target->fd);
	if (target->temporary && target->is_dir)
		file_remove_tree(target->parent_fd, target->temporary, NULL);
	else if (target->temporary)
		unlinkat(target->parent_fd, target->temporary, 0);
	if (target->parent_fd >= 0)
		close(target->parent_fd);
	free(target->name);
	free(target->temporary);
	*target = (struct target){0};
}
