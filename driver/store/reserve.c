/* SPDX-License-Identifier: Apache-2.0 */
/* Room that is kept back for the time when the disk is full. */
#include "store/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NAME "reserve" /* in locks/ */
#define SIZE (1u << 20)

int reserve_give_up(struct store *store)
{
	if (store->locks_fd < 0 || unlinkat(store->locks_fd, NAME, 0))
		return 0;
	/* btrfs gives room back with its next transaction. */
	syncfs(store->locks_fd);
	return 1;
}

int reserve_helps(struct store *store, int errnum)
{
	return (errnum == ENOSPC || errnum == EDQUOT) && reserve_give_up(store);
}

int reserve_session(struct store *store, struct snapdrv_error *err)
{
	struct statvfs fs;
	int fd;

	if (!fstatvfs(store->locks_fd, &fs) && fs.f_bavail < SIZE / fs.f_frsize)
		reserve_give_up(store);
	fd = store_session(store, err);
	return fd < 0 && reserve_helps(store, -fd) ? store_session(store, err) : fd;
}

void reserve_keep(struct store *store)
{
	cleanup_fd int fd = -1;

	if (store->locks_fd < 0 || store->is_read_only ||
	    !faccessat(store->locks_fd, NAME, F_OK, AT_SYMLINK_NOFOLLOW))
		return;
	fd = openat(store->locks_fd, NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && fallocate(fd, 0, 0, SIZE) && errno != EOPNOTSUPP)
		unlinkat(store->locks_fd, NAME, 0);
}
