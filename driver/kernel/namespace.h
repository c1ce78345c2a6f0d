/* SPDX-License-Identifier: Apache-2.0 */
/* Other mount namespaces of the machine. */
#ifndef KERNEL_NAMESPACE_H
#define KERNEL_NAMESPACE_H

/**
 * namespace_may_share() - whether the filesystem that is mounted on a path may be mounted in another
 * mount namespace too.
 * @path: a mount point. Borrowed.
 *
 * Some microseconds for each namespace and mount, where every process of the machine would have to be
 * looked at otherwise.
 *
 * Return: 0 it is not, 1 it is, or it cannot be told (before Linux 6.12, or without the rights).
 */
int namespace_may_share(const char *path);

#endif
