/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idmapped mounts. The mapping is that of a user namespace, which a child lives in for as long as it takes
 * to write its maps and open it.
 */
#include "kernel/idmap.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

static const char access_acl[] = "system.posix_acl_access";

static int write_map(pid_t child, const char *file, uint32_t first, uint32_t size)
{
	char path[64], line[64];
	cleanup_fd int fd = -1;
	int length = snprintf(line, sizeof(line), "0 %u %u\n", first, size);

	snprintf(path, sizeof(path), "/proc/%d/%s", child, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, line, (size_t)length) != length ? -1 : 0;
}

/* A user namespace that maps as the shift says. A descriptor, or a negative errno value. */
static int open_namespace(const struct id_shift *shift, struct snapdrv_error *err)
{
	pid_t parent = getpid(), child;
	char path[64];
	int fd = -1;

	child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!child) {
		/* Nothing but what is safe in a child of many threads, until it is killed, as its parent may be. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	if (child < 0)
		return fail_errno(err, "shift owners: make a user namespace");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	if (!write_map(child, "uid_map", shift->uid, shift->size) &&
	    !write_map(child, "gid_map", shift->gid, shift->size))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = fail_errno(err, "shift owners: map a user namespace");
	kill(child, SIGKILL);
	TEMP_FAILURE_RETRY(waitpid(child, NULL, 0));
	return fd;
}

int idmap_apply(int mount_fd, const struct id_shift *shift, struct snapdrv_error *err)
{
	cleanup_fd int ns_fd = open_namespace(shift, err);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};

	if (ns_fd < 0)
		return ns_fd;
	attr.userns_fd = (uint64_t)ns_fd;
	if (!mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
		return 0;
	if (errno == EINVAL || errno == ENOSYS)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "shift owners: this kernel has no idmapped mounts of this filesystem "
			    "(Linux 5.12 for ext4 and xfs, 5.15 for btrfs, 6.3 for tmpfs)");
	return fail_errno(err, "shift owners");
}

int idmap_become(const struct id_shift *shift, struct snapdrv_error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	setfsuid(shift->uid);
	setfsgid(shift->gid);
	/* setfsuid(2) drops those that concern files; they are still permitted. */
	if (syscall(SYS_capget, &header, data))
		return fail_errno(err, "shift owners: capget");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = data[i].permitted;
	return syscall(SYS_capset, &header, data) ? fail_errno(err, "shift owners: capset") : 0;
}

struct acl {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[IDMAP_USERS_MAX + 4];
};

static void set_entry(struct posix_acl_xattr_entry *entry, uint16_t tag, uint16_t permissions,
		      uint32_t id)
{
	*entry = (struct posix_acl_xattr_entry){htole16(tag), htole16(permissions), htole32(id)};
}

int idmap_may_search(int fd, uint32_t uid)
{
	struct acl acl;
	ssize_t size = fgetxattr(fd, access_acl, &acl, sizeof(acl));
	size_t n = size < (ssize_t)sizeof(acl.header)
			   ? 0
			   : ((size_t)size - sizeof(acl.header)) / sizeof(acl.entries[0]);

	for (size_t i = 0; i < n; i++) {
		if (le16toh(acl.entries[i].e_tag) == ACL_USER &&
		    le32toh(acl.entries[i].e_id) == uid)
			return 1;
	}
	return 0;
}

int idmap_let_search(int fd, const uint32_t *uids, size_t n, struct snapdrv_error *err)
{
	struct acl acl = {.header = {.a_version = htole32(POSIX_ACL_XATTR_VERSION)}};
	size_t at = 0;

	if (n > IDMAP_USERS_MAX)
		return fail(err, SNAPDRV_FAILED, ENOSPC,
			    "containers of more than %d users cannot come to their files",
			    IDMAP_USERS_MAX);
	set_entry(&acl.entries[at++], ACL_USER_OBJ, ACL_READ | ACL_WRITE | ACL_EXECUTE,
		  ACL_UNDEFINED_ID);
	for (size_t i = 0; i < n; i++)
		set_entry(&acl.entries[at++], ACL_USER, ACL_EXECUTE, uids[i]);
	set_entry(&acl.entries[at++], ACL_GROUP_OBJ, 0, ACL_UNDEFINED_ID);
	set_entry(&acl.entries[at++], ACL_MASK, ACL_EXECUTE, ACL_UNDEFINED_ID);
	set_entry(&acl.entries[at++], ACL_OTHER, 0, ACL_UNDEFINED_ID);
	if (fsetxattr(fd, access_acl, &acl, sizeof(acl.header) + at * sizeof(acl.entries[0]), 0))
		return fail_errno(err, "let users through a directory of the store");
	return 0;
}
