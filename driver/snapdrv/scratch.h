/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring: filesystems that last as long as it does. */
#ifndef SNAPDRV_SCRATCH_H
#define SNAPDRV_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct snapdrv_scratch_options - where to measure; one of @filesystem and @dir is given.
 * @filesystem: one of snapdrv_scratch_filesystems(), to be made; or NULL.
 * @mkfs_args:  @n_mkfs_args more words for its mkfs.
 * @size:       of the filesystem; 0 for 8 GiB, or on tmpfs half of the memory. It takes what is in it.
 * @dir:        a directory in which one is to be made, on the filesystem that is there; or NULL.
 */
struct snapdrv_scratch_options {
	const char *filesystem;
	const char *const *mkfs_args;
	size_t n_mkfs_args;
	uint64_t size;
	const char *dir;
};

/** struct snapdrv_scratch - an empty filesystem or directory to measure in, of which nothing stays. */
struct snapdrv_scratch;

/** snapdrv_scratch_filesystems() - the names of those that can be made; ends in NULL. Borrowed. */
const char *const *snapdrv_scratch_filesystems(void);

/**
 * snapdrv_scratch_make() - make one; a thread has one filesystem at a time.
 * @options: Borrowed.
 * @ret_scratch: for snapdrv_scratch_drop().
 *
 * The calling thread, and those that it starts afterwards, go into a mount namespace of their own and stay
 * there: what they mount, containers too, is seen by nobody else and ends with them. The filesystem is
 * on a loop device over a sparse file without a name in $TMPDIR (or /var/tmp), by `mkfs` from PATH.
 * Killed at any point, the process leaves neither mount, loop device nor file; only with @dir may files
 * stay.
 *
 * Return: 0, or a negative errno value: USAGE (unknown filesystem), MISSING (its mkfs is not installed,
 * this kernel does not have it, or there is no such directory), FAILED (mkfs refused; no root rights).
 */
int snapdrv_scratch_make(const struct snapdrv_scratch_options *options,
			 struct snapdrv_scratch **ret_scratch, struct snapdrv_error *err);

/** snapdrv_scratch_path() - absolute path of the directory. Borrowed from @scratch. */
const char *snapdrv_scratch_path(const struct snapdrv_scratch *scratch);

/** snapdrv_scratch_filesystem() - "ext4", ...: what the directory is on. Borrowed from @scratch. */
const char *snapdrv_scratch_filesystem(const struct snapdrv_scratch *scratch);

/**
 * snapdrv_scratch_cool() - make the kernel forget what it has cached of it.
 * @scratch: nothing in it is open or mounted. Borrowed.
 * @ret_is_cold: 1, or 0 where that cannot be: a tmpfs, or no permission.
 *
 * The filesystem is unmounted and mounted again. With a directory of another filesystem, all caches of
 * the machine are dropped.
 *
 * Return: 0, or a negative errno value: FAILED (in use, ...).
 */
int snapdrv_scratch_cool(struct snapdrv_scratch *scratch, int *ret_is_cold,
			 struct snapdrv_error *err);

/**
 * snapdrv_scratch_drop() - remove it, with all that is in it and mounted in it. Takes NULL.
 *
 * Return: 0, or the first failure; @scratch is gone in any case.
 */
int snapdrv_scratch_drop(struct snapdrv_scratch *scratch, struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
