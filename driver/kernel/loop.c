/* SPDX-License-Identifier: Apache-2.0 */
/* Loop devices: LOOP_CTL_GET_FREE, open, LOOP_CONFIGURE. */
#include "kernel/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define TRIES_MAX 64 /* between finding a device and taking it, another process may take it */

static int take(int control_fd, int file_fd, struct loop_device *device)
{
	struct loop_config config = {.fd = (__u32)file_fd};
	int number = ioctl(control_fd, LOOP_CTL_GET_FREE);

	if (number < 0)
		return -1;
	snprintf(device->path, sizeof(device->path), "/dev/loop%d", number);
	device->fd = open(device->path, O_RDWR | O_CLOEXEC);
	if (device->fd < 0)
		return -1;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
	if (!ioctl(device->fd, LOOP_CONFIGURE, &config))
		return 0;
	/* Older kernels refuse direct I/O where newer ones do without it. */
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	if (errno == EINVAL && !ioctl(device->fd, LOOP_CONFIGURE, &config))
		return 0;
	cleanup_fd_at(&device->fd);
	return -1;
}

int loop_attach(int file_fd, struct loop_device *ret_device, struct snapdrv_error *err)
{
	cleanup_fd int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_device device = {.fd = -1};

	if (control_fd < 0)
		return fail_errno(err, "/dev/loop-control");
	for (int tries = 1; take(control_fd, file_fd, &device); tries++) {
		if (errno != EBUSY || tries == TRIES_MAX)
			return fail_errno(err, "take a loop device");
	}
	*ret_device = device;
	return 0;
}

int loop_forget_cache(const struct loop_device *device, struct snapdrv_error *err)
{
	return ioctl(device->fd, BLKFLSBUF) ? fail_errno(err, "%s: drop its cache", device->path)
					    : 0;
}
