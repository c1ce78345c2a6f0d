/* SPDX-License-Identifier: Apache-2.0 */
/* The one program that the library starts: mkfs, for a filesystem to measure on. */
#ifndef KERNEL_MKFS_H
#define KERNEL_MKFS_H

#include "snapdrv.h"

/**
 * mkfs_run() - run a program and wait for it.
 * @argv: its name, looked for in PATH, and its arguments; ends in NULL. Borrowed.
 *
 * It gets no descriptor of ours and no input, and does not outlive the calling thread.
 *
 * Return: 0, or a negative errno value: MISSING (-ENOENT: there is no such program), FAILED (the message
 * has what it printed).
 */
int mkfs_run(const char *const *argv, struct snapdrv_error *err);

#endif
