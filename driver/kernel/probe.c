/* SPDX-License-Identifier: Apache-2.0 */
/* Trying out what this kernel and a filesystem can do. */
#include "kernel/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/mount.h"

/* f_type values of statfs(2); those that linux/magic.h lacks are in their filesystem's own sources. */
static const struct {
	unsigned long magic;
	const char *name;
} filesystems[] = {
	{0xef53, "ext4"},	  {0x58465342, "xfs"},	   {0x9123683e, "btrfs"},
	{0x01021994, "tmpfs"},	  {0x794c7630, "overlay"}, {0xf2f52010, "f2fs"},
	{0x2fc12fc1, "zfs"},	  {0x6969, "nfs"},	   {0x65735546, "fuse"},
	{0xca451a4e, "bcachefs"}, {0x4d44, "vfat"},	   {0x73717368, "squashfs"},
	{0xe0f5e1e2, "erofs"},	  {0x858458f6, "ramfs"},   {0x01021997, "9p"},
};

struct filesystem_name probe_filesystem(int fd)
{
	struct filesystem_name name = {"unknown"};
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return name;
	snprintf(name.text, sizeof(name.text), "%#lx", (unsigned long)fs.f_type);
	for (size_t i = 0; i < sizeof(filesystems) / sizeof(filesystems[0]); i++) {
		if (filesystems[i].magic == (unsigned long)fs.f_type)
			snprintf(name.text, sizeof(name.text), "%s", filesystems[i].name);
	}
	return name;
}

/* Overlay tells whiteouts from files by d_type; a directory with one entry of a known kind shows it. */
static int has_d_type(int dir_fd, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(dir_fd, ".");
	struct dirent *entry = dir ? file_next(dir) : NULL;

	return entry ? entry->d_type != DT_UNKNOWN : fail_errno(err, "list a directory");
}

static int try_features(int dir_fd, const char *fs, struct snapdrv_error *err)
{
	static const char *const names[] = {"lower", "upper", "work", "merged"};
	cleanup_fd int upper_fd = -1;
	int ret;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (mkdirat(dir_fd, names[i], 0700))
			return fail_errno(err, "make a directory");
	}
	ret = has_d_type(dir_fd, err);
	if (ret <= 0)
		return ret ? ret
			   : fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
				  "%s tells no d_type (xfs: mkfs with ftype=1): put the store on "
				  "another filesystem or use the driver vfs",
				  fs);
	upper_fd = file_open_dir(dir_fd, "upper", err);
	if (upper_fd < 0)
		return upper_fd;
	if (fsetxattr(upper_fd, "trusted.overlay.opaque", "n", 1, 0))
		return fail(
			err, SNAPDRV_FAILED, errno,
			"%s takes no trusted.* xattrs (%s): put the store on ext4, xfs, btrfs or "
			"tmpfs, or use the driver vfs",
			fs, strerror(errno));
	if (mknodat(upper_fd, "whiteout", S_IFCHR, makedev(0, 0)))
		return fail_errno(err, "%s: make a whiteout device", fs);
	return 0;
}

/* A file made and one deleted through the mount: this is where an unfit upper filesystem shows. */
static int try_mount(int dir_fd, const char *fs, struct snapdrv_error *err)
{
	const char *lower[] = {"lower"};
	struct overlay_mount overlay = {
		.base_fd = dir_fd, .lower = lower, .n_lower = 1, .upper = "upper", .work = "work"};
	cleanup_fd int lower_fd = -1, merged_fd = -1;
	int ret;

	lower_fd = file_open_dir(dir_fd, "lower", err);
	if (lower_fd < 0)
		return lower_fd;
	if (mknodat(lower_fd, "victim", S_IFREG | 0600, 0))
		return fail_errno(err, "make a file");
	merged_fd = mount_overlay(&overlay, -1, err);
	if (merged_fd < 0)
		return fail_within(
			err, merged_fd,
			"%s cannot carry an overlay's upper layer: put the store on ext4, xfs, "
			"btrfs or tmpfs, or use the driver vfs",
			fs);
	ret = mknodat(merged_fd, "made", S_IFREG | 0600, 0) || unlinkat(merged_fd, "victim", 0);
	return ret ? fail_errno(err, "%s: write through an overlay", fs) : 0;
}

int probe_overlay(int dir_fd, struct snapdrv_error *err)
{
	struct filesystem_name fs = probe_filesystem(dir_fd);
	cleanup_fd int scratch_fd = -1;
	int ret;

	if (mkdirat(dir_fd, "probe", 0700))
		return fail_errno(err, "make a directory");
	scratch_fd = file_open_dir(dir_fd, "probe", err);
	ret = scratch_fd < 0 ? scratch_fd : try_features(scratch_fd, fs.text, err);
	if (!ret)
		ret = try_mount(scratch_fd, fs.text, err);
	file_remove_tree(dir_fd, "probe", NULL);
	return ret;
}
