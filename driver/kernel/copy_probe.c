/* SPDX-License-Identifier: Apache-2.0 */
/* What a filesystem has to keep for copies of trees, and the root that no layer describes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/copy.h"
#include "kernel/file.h"
#include "kernel/probe.h"

static int open_new_dir(int dir_fd, const char *name, struct snapdrv_error *err)
{
	if (mkdirat(dir_fd, name, 0700))
		return fail_errno(err, "make directory %s", quote(name).text);
	return file_open_dir(dir_fd, name, err);
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
