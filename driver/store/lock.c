/* SPDX-License-Identifier: Apache-2.0 */
/* Locks between processes, on byte ranges of locks/store. */
#include "store/lock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/error.h"

#define WRITER_BYTE 0
#define BUILDS_BYTE 1
#define LAYERS_START (1ll << 32) /* layers lie from here on, by the first 61 bits of their digest */

static int set_lock(struct store *store, int command, short type, off_t start, off_t length)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	int ret;

	/* A lock to write needs a file that can be written to; where nothing can be, this one stands for all. */
	do {
		ret = store->is_read_only
			      ? flock(store->lock_fd, type == F_UNLCK ? LOCK_UN : LOCK_EX)
			      : fcntl(store->lock_fd, command, &lock);
	} while (ret && errno == EINTR);
	return ret;
}

/* Two layers with one byte would only wait for each other; within a handle they do not even that. */
static off_t layer_byte(const struct digest *digest)
{
	uint64_t bits;

	memcpy(&bits, digest->bytes, sizeof(bits));
	return LAYERS_START + (off_t)(bits >> 3);
}

static int compare(const void *a, const void *b)
{
	off_t one = layer_byte(a), other = layer_byte(b);

	return one < other ? -1 : one > other;
}

int lock_layers(struct store *store, struct digest *digests, size_t n, struct snapdrv_error *err)
{
	assert(!store->is_writer);
	qsort(digests, n, sizeof(*digests), compare);
	for (size_t i = 0; i < n; i++) {
		if (set_lock(store, F_OFD_SETLKW, F_WRLCK, layer_byte(&digests[i]), 1))
			return fail_errno(err, "wait for a layer");
	}
	return 0;
}

int lock_layer_try(struct store *store, const struct digest *digest, struct snapdrv_error *err)
{
	if (!set_lock(store, F_OFD_SETLK, F_WRLCK, layer_byte(digest), 1))
		return 1;
	return errno == EAGAIN || errno == EACCES ? 0 : fail_errno(err, "lock a layer");
}

void unlock_layers(struct store *store)
{
	set_lock(store, F_OFD_SETLK, F_UNLCK, LAYERS_START, 0);
}

int lock_writer(struct store *store, struct snapdrv_error *err)
{
	/* The kernel would let it have the lock again, and the first unlock would be for both. */
	assert(!store->is_writer);
	if (set_lock(store, F_OFD_SETLKW, F_WRLCK, WRITER_BYTE, 1))
		return fail_errno(err, "wait for other writers");
	store->is_writer = 1;
	return 0;
}

void unlock_writer(struct store *store)
{
	store->is_writer = 0;
	set_lock(store, F_OFD_SETLK, F_UNLCK, WRITER_BYTE, 1);
}

int lock_builds_join(struct store *store, struct snapdrv_error *err)
{
	if (set_lock(store, F_OFD_SETLKW, F_RDLCK, BUILDS_BYTE, 1))
		return fail_errno(err, "wait for a collection of garbage");
	return 0;
}

int lock_builds_stop(struct store *store, struct snapdrv_error *err)
{
	if (!set_lock(store, F_OFD_SETLK, F_WRLCK, BUILDS_BYTE, 1))
		return 1;
	return errno == EAGAIN || errno == EACCES ? 0 : fail_errno(err, "look for builds");
}

void lock_builds_leave(struct store *store)
{
	set_lock(store, F_OFD_SETLK, F_UNLCK, BUILDS_BYTE, 1);
}
