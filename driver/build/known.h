/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of files that were read already, within one build. */
#ifndef BUILD_KNOWN_H
#define BUILD_KNOWN_H

#include <sys/stat.h>

#include "base/digest.h"

/**
 * struct known - files by device, inode, ctime and size. Used by several threads at once.
 *
 * Every change of a file's bytes, attributes or xattrs gives it a new ctime. The clock of these has steps of
 * some milliseconds: a file that changed just now is not remembered, since it may change again within one.
 */
struct known;

/** known_new() - Return: for known_free(), or NULL with @err filled. */
struct known *known_new(struct snapdrv_error *err);

/** known_free() - takes NULL. */
void known_free(struct known *known);

/** known_find() - @known: NULL knows nothing. @st: as it is now. Return: 1 found, 0 not. */
int known_find(struct known *known, const struct stat *st, struct digest *ret_digest);

/** known_add() - @st: as it was before the file was read. No memory is no error: it is read again. */
void known_add(struct known *known, const struct stat *st, const struct digest *digest);

#endif
