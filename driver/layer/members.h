/* SPDX-License-Identifier: Apache-2.0 */
/* The members of an image archive (oci-archive, docker-archive): a tar of blobs and documents. */
#ifndef LAYER_MEMBERS_H
#define LAYER_MEMBERS_H

#include <stdint.h>

#include "layer/input.h"
#include "snapdrv.h"

struct members;

/** struct member - one of them; borrowed until the next one. */
struct member {
	const char *name; /* without a leading "./" */
	const char *link; /* what a symlink or hard link names, or NULL */
	uint64_t size;
	uint64_t offset; /* of its data in the file, when members_can_seek() */
	int is_file;
};

/**
 * members_open() - start to read an archive.
 * @fd: read from its position on. Borrowed. A plain tar in a regular file is only skipped through; all
 *      else, compressed in whatever way layer/inflate.h knows, is read in one pass.
 */
int members_open(int fd, struct members **ret_members, struct snapdrv_error *err);

/** members_can_seek() - whether members can be read later by their offset. */
int members_can_seek(const struct members *members);

/** members_next() - the next member. Return: 1, 0 at the end, or a negative errno value. */
int members_next(struct members *members, struct member *ret_member, struct snapdrv_error *err);

/** members_input() - the bytes of the current member, to be read at most once. */
struct layer_input members_input(struct members *members);

/** members_close() - takes NULL. */
void members_close(struct members *members);

#endif
