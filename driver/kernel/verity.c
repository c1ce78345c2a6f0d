/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs-verity.
 *
 *   file  statx: sealed already?   open read-only   ioctl FS_IOC_ENABLE_VERITY (Linux 5.4; btrfs 5.15)
 *         futimens, where that has changed the mtime
 */
#include "kernel/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/contents.h"
#include "kernel/dirs.h"
#include "kernel/probe.h"

#define BLOCK_SIZE 4096
#define BUSY_TRIES 10000 /* each after a millisecond */

/* One of @parts threads. */
struct sealing {
	unsigned part;
	unsigned parts;
	uint64_t n_names; /* so far */
};

/* 0 done, 1 it was so already, or -1 and errno. */
static int enable(int fd)
{
	struct fsverity_enable_arg arg = {.version = 1,
					  .hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
					  .block_size = BLOCK_SIZE};
	const struct timespec pause = {.tv_nsec = 1000000};

	/*
	 * EBUSY: another process is sealing the file. ETXTBSY: a thread that is not ours has forked while the file
	 * was written, and the child has not come to its execve(2) yet.
	 */
	for (int tries = 0; ioctl(fd, FS_IOC_ENABLE_VERITY, &arg); tries++) {
		if (errno == EEXIST)
			return 1;
		if ((errno != EINTR && errno != EBUSY && errno != ETXTBSY) || tries == BUSY_TRIES)
			return -1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* The kernel answers EOPNOTSUPP also when it is the one that lacks it; the directories tell. */
static int kernel_has_it(const char *fs)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/fs/%s/features/verity", fs);
	return !access(path, F_OK);
}

static int explain(int errnum, const char *fs, struct snapdrv_error *err)
{
	int is_ext4 = !strcmp(fs, "ext4"), is_f2fs = !strcmp(fs, "f2fs");

	if (errnum == ENOTTY || (!is_ext4 && !is_f2fs && strcmp(fs, "btrfs") != 0))
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "%s has no fs-verity: put the store on ext4, f2fs or btrfs", fs);
	if (errnum == EOPNOTSUPP && !kernel_has_it(fs))
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "this kernel has no fs-verity for %s (CONFIG_FS_VERITY)", fs);
	if (errnum == EOPNOTSUPP && is_ext4)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "this ext4 was made without fs-verity: unmount it and `tune2fs -O "
			    "verity DEVICE`, or make it anew with `mkfs.ext4 -O verity`");
	if (errnum == EOPNOTSUPP && is_f2fs)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "this f2fs was made without fs-verity: make it anew with "
			    "`mkfs.f2fs -O verity`");
	if (errnum == EINVAL)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "fs-verity on this %s takes no blocks of %d bytes: it needs blocks and "
			    "memory pages of that size",
			    fs, BLOCK_SIZE);
	return fail(err, SNAPDRV_FAILED, errnum, "%s: turn fs-verity on: %s%s", fs,
		    strerror(errnum), errnum == ENOPKG ? " (the kernel has no SHA-256)" : "");
}

int verity_probe(int dir_fd, struct snapdrv_error *err)
{
	static const char name[] = "verity-probe";
	struct filesystem_name fs = probe_filesystem(dir_fd);
	cleanup_fd int fd = -1;
	int made =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int ret, errnum;

	if (made < 0)
		return fail_errno(err, "make a file");
	ret = write(made, name, sizeof(name)) == (ssize_t)sizeof(name) ? 0 : -1;
	close(made);
	fd = ret ? -1 : openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ret = fd < 0 ? -1 : enable(fd);
	errnum = errno;
	unlinkat(dir_fd, name, 0);
	errno = errnum;
	if (fd < 0)
		return fail_errno(err, "write a file");
	return ret < 0 ? explain(errnum, fs.text, err) : 0;
}

/* ext4 writes the hash tree as it writes data, and gives the file the time of that. */
static int keep_mtime(int fd, const struct statx *before)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  {before->stx_mtime.tv_sec, before->stx_mtime.tv_nsec}};
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	return st.st_mtim.tv_sec == times[1].tv_sec && st.st_mtim.tv_nsec == times[1].tv_nsec
		       ? 0
		       : futimens(fd, times);
}

static int seal_file(const struct change *file, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	struct statx st;
	int ret;

	if (statx(file->dir_fd, file->name, AT_SYMLINK_NOFOLLOW,
		  STATX_TYPE | STATX_SIZE | STATX_MTIME, &st))
		return errno == ENOENT ? 0 : fail_errno(err, "stat %s", quote(file->name).text);
	if (!S_ISREG(st.stx_mode) || !st.stx_size || st.stx_attributes & STATX_ATTR_VERITY)
		return 0;
	fd = openat(file->dir_fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open %s", quote(file->name).text);
	ret = enable(fd);
	/* Whoever sealed it by another name looks after its time; what was seen of it here may be in between. */
	if (!ret)
		ret = keep_mtime(fd, &st);
	return ret < 0 ? fail_errno(err, "turn fs-verity on for %s", quote(file->name).text) : 0;
}

int verity_is_on(int dir_fd, const char *name)
{
	struct statx st;

	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_SIZE, &st) ||
	    !S_ISREG(st.stx_mode) || !st.stx_size)
		return -1;
	return !!(st.stx_attributes & STATX_ATTR_VERITY);
}

/* Counted whatever others have sealed by now: all threads have to count alike. */
static int seal_if_mine(void *arg, const struct change *change, struct snapdrv_error *err)
{
	struct sealing *sealing = arg;

	return sealing->n_names++ % sealing->parts == sealing->part ? seal_file(change, err) : 0;
}

/* A second name needs no look: sealing twice is no error. */
static int is_single(void *arg, uint64_t inode)
{
	(void)arg, (void)inode;
	return 1;
}

int verity_seal_tree(int root_fd, unsigned part, unsigned parts, struct snapdrv_error *err)
{
	struct sealing sealing = {.part = part, .parts = parts};
	int ret = contents_walk(root_fd, seal_if_mine, is_single, &sealing, err);

	/* Who removes the layer meanwhile is not held up. */
	return dirs_is_gone(ret) ? 0 : ret;
}
