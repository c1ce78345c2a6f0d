/* SPDX-License-Identifier: Apache-2.0 */
/* Loop devices: a file as a disk. */
#ifndef KERNEL_LOOP_H
#define KERNEL_LOOP_H

#include "snapdrv.h"

/** struct loop_device - one that frees itself when the last one who has it open closes it. */
struct loop_device {
	int fd;
	char path[32]; /* "/dev/loop3" */
};

/**
 * loop_attach() - a free loop device over a file (LOOP_CONFIGURE, Linux 5.8), with direct I/O where the
 * file's filesystem can, so that the file's pages are not cached a second time.
 * @file_fd: open for reading and writing. Borrowed; the device keeps the file.
 * @ret_device: its fd is to be closed. A mount keeps the device, too.
 */
int loop_attach(int file_fd, struct loop_device *ret_device, struct snapdrv_error *err);

/** loop_forget_cache() - write and drop what is cached of the device's blocks; nothing is mounted. */
int loop_forget_cache(const struct loop_device *device, struct snapdrv_error *err);

#endif
