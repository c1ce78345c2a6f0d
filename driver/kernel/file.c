/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories relative to descriptors. */
#include "kernel/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

int file_write(int fd, const void *data, size_t size, const char *what, struct snapdrv_error *err)
{
	const char *from = data;

	while (size) {
		ssize_t written = write(fd, from, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail_errno(err, "write %s", what);
		from += written;
		size -= (size_t)written;
	}
	return 0;
}

ssize_t file_read_some(int fd, void *data, size_t size, const char *what, struct snapdrv_error *err)
{
	ssize_t got;

	do {
		got = read(fd, data, size);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? fail_errno(err, "read %s", what) : got;
}

ssize_t file_read_at(int fd, void *data, size_t size, off_t offset, struct snapdrv_error *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(fd, (char *)data + done, size - done, offset + (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(err, "read");
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int file_slurp(int fd, size_t max, char **ret_data, size_t *ret_size, struct snapdrv_error *err)
{
	cleanup_free char *data = NULL;
	struct stat st;
	ssize_t size;

	if (fstat(fd, &st))
		return fail_errno(err, "stat");
	if (!S_ISREG(st.st_mode))
		return refuse(err, "not a regular file");
	if ((uint64_t)st.st_size > max)
		return refuse(err, "longer than %zu bytes", max);
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return fail_memory(err);
	size = file_read_at(fd, data, (size_t)st.st_size, 0, err);
	if (size < 0)
		return (int)size;
	data[size] = '\0';
	*ret_data = steal_ptr(&data);
	*ret_size = (size_t)size;
	return 0;
}

static int reopen(int path_fd, int flags)
{
	char link[64];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int file_open_regular(int path_fd)
{
	struct stat st;

	if (fstat(path_fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) ? reopen(path_fd, O_RDONLY) : -EINVAL;
}

int file_open_named(const char *path)
{
	cleanup_fd int path_fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (path_fd < 0 || fstat(path_fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode))
		return reopen(path_fd, O_RDONLY);
	/* Without O_NONBLOCK it would wait here for a writer, and nothing could end that. */
	return S_ISFIFO(st.st_mode) ? reopen(path_fd, O_RDONLY | O_NONBLOCK) : steal_fd(&path_fd);
}

static int wait_for_input(int fd, const int *cancel_fds, struct snapdrv_error *err)
{
	struct pollfd polled[] = {{.fd = fd, .events = POLLIN},
				  {.fd = cancel_fds[0], .events = POLLIN},
				  {.fd = cancel_fds[1], .events = POLLIN}};

	while (poll(polled, 3, -1) < 0) {
		if (errno != EINTR)
			return fail_errno(err, "wait for input");
	}
	return polled[1].revents || polled[2].revents
		       ? fail(err, SNAPDRV_FAILED, ECANCELED, "cancelled")
		       : 0;
}

/* A part of it. Return: 1, 0 at the end, or a negative errno value. */
static int slurp_part(int fd, size_t max, const int *cancel_fds, struct bytes *data,
		      struct snapdrv_error *err)
{
	char part[4096];
	int ret = wait_for_input(fd, cancel_fds, err);
	ssize_t got = ret ? 0 : read(fd, part, sizeof(part));

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : fail_errno(err, "read");
	if (ret || !got)
		return ret;
	if (data->size + (size_t)got > max)
		return refuse(err, "longer than %zu bytes", max);
	ret = bytes_add(data, part, (size_t)got, err);
	return ret ? ret : 1;
}

int file_slurp_named(int fd, size_t max, const int *cancel_fds, char **ret_data, size_t *ret_size,
		     struct snapdrv_error *err)
{
	cleanup_bytes struct bytes data = {0};
	struct stat st;
	int ret;

	if (fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		return file_slurp(fd, max, ret_data, ret_size, err);
	while ((ret = slurp_part(fd, max, cancel_fds, &data, err)) == 1)
		;
	if (!ret)
		ret = bytes_add(&data, "", 1, err);
	if (ret)
		return ret;
	*ret_size = data.size - 1;
	*ret_data = steal_ptr(&data.data);
	return 0;
}

int file_make_dirs(const char *path, struct snapdrv_error *err)
{
	cleanup_free char *copy = strdup(path);

	if (!copy)
		return fail_memory(err);
	for (char *slash = copy + 1;; *slash++ = '/') {
		slash = strchr(slash, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			return fail_errno(err, "make directory %s", quote(copy).text);
		if (!slash)
			return 0;
	}
}

DIR *file_list(int dir_fd, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	cleanup_fd int fd = openat(dir_fd, name, flags | O_NOATIME);
	DIR *dir;

	if (fd < 0 && errno == EPERM)
		fd = openat(dir_fd, name, flags);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir)
		(void)steal_fd(&fd);
	return dir;
}

struct dirent *file_next(DIR *dir)
{
	struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(dir);
	} while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
	return entry;
}

int file_open_dir(int dir_fd, const char *name, struct snapdrv_error *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open directory %s", quote(name).text) : fd;
}

int file_open_below(int top_fd, const char *path)
{
	cleanup_fd int fd = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && *path) {
		size_t length = strcspn(path, "/");
		char name[256];
		int next;

		if (length >= sizeof(name)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
		path += length + (path[length] == '/');
	}
	return steal_fd(&fd);
}

/* All of it: a disk that gets full takes a part first, and says why at the next write alone. */
static int write_at(int fd, const char *data, size_t size, off_t offset, const char *what,
		    struct snapdrv_error *err)
{
	while (size) {
		ssize_t written = pwrite(fd, data, size, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail_errno(err, "write %s", what);
		data += written;
		offset += written;
		size -= (size_t)written;
	}
	return 0;
}

/* Data runs of `in`, found by SEEK_DATA, are copied to the same place; what lies between stays a hole. */
static int copy_data(int in, int out, off_t size, const char *what, struct snapdrv_error *err)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(in, at, SEEK_DATA), end;

		if (data < 0 && errno == ENXIO)
			break;
		end = data < 0 ? -1 : lseek(in, data, SEEK_HOLE);
		if (end < 0)
			return fail_errno(err, "find holes of %s", what);
		for (at = data; at < end;) {
			char buffer[1 << 16];
			size_t want = (size_t)(end - at) < sizeof(buffer) ? (size_t)(end - at)
									  : sizeof(buffer);
			ssize_t got = file_read_at(in, buffer, want, at, err);
			int ret;

			if (got < 0)
				return fail_within(err, (int)got, "%s", what);
			if (!got)
				return fail(err, SNAPDRV_FAILED, ESTALE,
					    "read %s: it became shorter meanwhile", what);
			ret = write_at(out, buffer, (size_t)got, at, what, err);
			if (ret)
				return ret;
			at += got;
		}
	}
	return ftruncate(out, size) ? fail_errno(err, "set the size of %s", what) : 0;
}

int file_clone(int in, int out)
{
	return !ioctl(out, FICLONE, in);
}

int file_same_data(int in, int out, const char *what, struct snapdrv_error *err)
{
	struct stat st;

	if (file_clone(in, out))
		return 0;
	if (fstat(in, &st))
		return fail_errno(err, "stat %s", what);
	return copy_data(in, out, st.st_size, what, err);
}

int file_keep_blob(int fd, int dir_fd, const char *name, struct snapdrv_error *err)
{
	cleanup_fd int out = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char link[64];
	struct stat st;
	int is_ours;

	if (out < 0)
		return fail_errno(err, "create %s", name);
	if (fstat(fd, &st))
		return fail_errno(err, "stat what %s is of", name);
	/* Whoever else may write to it might do so between the copy and the look at what was copied. */
	is_ours = !st.st_uid && !(st.st_mode & 022);
	if (is_ours && file_clone(fd, out))
		return 1;
	if (unlinkat(dir_fd, name, 0))
		return fail_errno(err, "replace %s", name);
	if (!is_ours)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return !linkat(AT_FDCWD, link, dir_fd, name, AT_SYMLINK_FOLLOW);
}

int file_sync_all(int fd, struct snapdrv_error *err)
{
	return syncfs(fd) ? fail_errno(err, "sync the filesystem") : 0;
}

int file_sync_dir(int fd, struct snapdrv_error *err)
{
	return fsync(fd) ? fail_errno(err, "sync a directory") : 0;
}
