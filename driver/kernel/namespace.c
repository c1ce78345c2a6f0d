/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into mount namespaces without entering them.
 *
 *   statx(STATX_MNT_ID_UNIQUE), statmount(2)        the device of the filesystem (Linux 6.8)
 *   ioctl(NS_MNT_GET_NEXT), ioctl(NS_MNT_GET_PREV)  one namespace after another (Linux 6.12)
 *   listmount(2), statmount(2)                      the devices that are mounted in each
 *
 * The C library has none of it yet.
 */
#include "kernel/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif
#define UNIQUE_MOUNT_ID 0x4000u /* STATX_MNT_ID_UNIQUE */
#define SB_BASIC 1		/* STATMOUNT_SB_BASIC */
#define ROOT_MOUNT UINT64_MAX	/* LSMT_ROOT */
#define MOUNTS_AT_ONCE 128

struct mount_request {
	uint32_t size;
	uint32_t spare;
	uint64_t mount;
	uint64_t param;
	uint64_t namespace;
};

struct mount_answer {
	uint32_t size;
	uint32_t options;
	uint64_t mask;
	uint32_t device_major;
	uint32_t device_minor;
	uint64_t rest[61];
};

struct namespace_info {
	uint32_t size;
	uint32_t n_mounts;
	uint64_t id;
};

#define GET_NEXT _IOR(0xb7, 11, struct namespace_info)
#define GET_PREV _IOR(0xb7, 12, struct namespace_info)

struct device {
	uint32_t major;
	uint32_t minor;
};

/* 1 and the device of a mount; 0 it is gone, or cannot be seen; -1 this kernel cannot tell. */
static int device_of(uint64_t mount, uint64_t namespace, struct device *ret_device)
{
	struct mount_request request = {
		.size = sizeof(request), .mount = mount, .param = SB_BASIC, .namespace = namespace};
	struct mount_answer answer = {0};

	if (syscall(SYS_statmount, &request, &answer, sizeof(answer), 0))
		return errno == ENOENT ? 0 : -1;
	*ret_device = (struct device){answer.device_major, answer.device_minor};
	return answer.mask & SB_BASIC ? 1 : -1;
}

/* Whether a namespace has the device mounted; also when it cannot be told. */
static int has_device(uint64_t namespace, struct device wanted)
{
	struct mount_request request = {
		.size = sizeof(request), .mount = ROOT_MOUNT, .namespace = namespace};
	uint64_t mounts[MOUNTS_AT_ONCE];
	long n;

	do {
		n = syscall(SYS_listmount, &request, mounts, MOUNTS_AT_ONCE, 0);
		if (n < 0)
			return 1;
		for (long i = 0; i < n; i++) {
			struct device device;
			int found = device_of(mounts[i], namespace, &device);

			if (found < 0 ||
			    (found && device.major == wanted.major && device.minor == wanted.minor))
				return 1;
			request.param = mounts[i];
		}
	} while (n == MOUNTS_AT_ONCE);
	return 0;
}

/* Whether one of the namespaces on this side of `own_fd` has it. */
static int side_has_device(int own_fd, unsigned long direction, struct device device)
{
	cleanup_fd int fd = fcntl(own_fd, F_DUPFD_CLOEXEC, 0);

	while (fd >= 0) {
		struct namespace_info info = {.size = sizeof(info)};
		int next = ioctl(fd, direction, &info);

		if (next < 0)
			return errno != ENOENT;
		close(fd);
		fd = next;
		if (has_device(info.id, device))
			return 1;
	}
	return 1;
}

int namespace_may_share(const char *path)
{
	cleanup_fd int own_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	struct device device;
	struct statx stx;

	if (own_fd < 0 || statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, UNIQUE_MOUNT_ID, &stx) ||
	    !(stx.stx_mask & UNIQUE_MOUNT_ID) || device_of(stx.stx_mnt_id, 0, &device) != 1)
		return 1;
	return side_has_device(own_fd, GET_NEXT, device) ||
	       side_has_device(own_fd, GET_PREV, device);
}
