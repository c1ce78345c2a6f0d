/* SPDX-License-Identifier: Apache-2.0 */
/* fs-verity: files whose content the kernel checks by a hash tree each time it reads from the disk. */
#ifndef KERNEL_VERITY_H
#define KERNEL_VERITY_H

#include "snapdrv.h"

/**
 * verity_probe() - turn fs-verity on for a file made in a directory and removed again.
 * @dir_fd: the directory, on the filesystem in question.
 *
 * Return: 0, or a negative errno value; the message names the filesystem and says what it or the kernel lacks,
 * and what would help.
 */
int verity_probe(int dir_fd, struct snapdrv_error *err);

/** verity_is_on() - whether a file is sealed. Return: 1, 0, or -1: it is no regular file with content. */
int verity_is_on(int dir_fd, const char *name);

/**
 * verity_seal_tree() - turn fs-verity on for the regular files of a tree that have content.
 * @root_fd: its root, open for reading. No file in it may be open for writing.
 * @part, @parts: only each @parts-th file, from @part (0 and on): that many threads share a tree.
 *
 * SHA-256, blocks of 4096 bytes. A sealed file can be read, linked, renamed and removed, but not written to
 * any more, and reading a block that is not what was sealed fails with EIO. Its times stay. Files that are
 * sealed already are left as they are, and so is what disappears meanwhile.
 * Cost: each file is read and written to the disk.
 */
int verity_seal_tree(int root_fd, unsigned part, unsigned parts, struct snapdrv_error *err);

#endif
