/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: files named by their digest. */
#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include "store/store.h"

/** content_has() - whether the store keeps a blob. Return: 1, 0, or a negative errno value. */
int content_has(struct store *store, const struct digest *digest, struct snapdrv_error *err);

/** content_open() - open a blob for reading. Return: a descriptor, or a negative errno value. */
int content_open(struct store *store, const struct digest *digest, struct snapdrv_error *err);

/**
 * content_size() - how long a blob's file is. Return: 1, 0 there is no file, or a negative errno value.
 */
int content_size(struct store *store, const struct digest *digest, uint64_t *ret_size,
		 struct snapdrv_error *err);

/**
 * content_verify() - read a blob, from the disk as far as the kernel goes along, and compare its digest.
 * Return: 1 it is right, 0 it is not, or a negative errno value: it cannot be read.
 */
int content_verify(struct store *store, const struct digest *digest, struct snapdrv_error *err);

/** content_verify_fd() - content_verify() of a blob that is open. */
int content_verify_fd(int fd, const struct digest *digest, struct snapdrv_error *err);

/**
 * content_put_away() - a blob is of no use: forget its row, and remove its file.
 * @fd: the file that was found to be so, from content_open(); what failed there where it could not be opened.
 *      Names may have come to mean another file: somebody may remove the image and load it meanwhile.
 *
 * Return: 1 done, 0 there is another file by now, or no blob at all; or a negative errno value.
 */
int content_put_away(struct store *store, const struct digest *digest, int fd,
		     struct snapdrv_error *err);

/**
 * content_replace() - put a file of this session in the place of a blob whose file is damaged or missing.
 * @name: complete, and verified. It is on disk when this returns.
 *
 * Return: 1 done, 0 the store keeps no such blob any more, or a negative errno value; what was there stays then.
 */
int content_replace(struct store *store, const char *name, const struct digest *digest,
		    struct snapdrv_error *err);

/**
 * content_publish() - within store_begin(): make a file of this session a blob.
 * @name: the file in the session's directory; complete and, unless the user said otherwise, on disk.
 *        It is moved; left alone when the blob is there already.
 */
int content_publish(struct store *store, const char *name, const struct digest *digest,
		    uint64_t size, struct snapdrv_error *err);

/**
 * content_keep_file() - take a file of the outside into the session without copying its data.
 * @fd: open for reading. @ret_name: its name in the session.
 *
 * By reflink or hard link, when the file is root's and nobody else may write to it.
 *
 * Return: 1 done, 0 it cannot be: copy it; or a negative errno value.
 */
int content_keep_file(struct store *store, int fd, struct store_name *ret_name,
		      struct snapdrv_error *err);

/**
 * content_share_out() - put a blob under a name outside the store without copying its data.
 * @dir_fd, @name: must not exist; readable for all, as the umask says.
 * @ret_fd: an empty file of that name, to be written to, where it cannot be shared.
 *
 * By reflink where the filesystem can; by a hard link when the blob came in as one, readable for all. A link is the
 * store's file: who changes it in place damages the store.
 *
 * Return: 1 done, 0 it cannot be, or a negative errno value.
 */
int content_share_out(struct store *store, const struct digest *digest, int dir_fd,
		      const char *name, int *ret_fd, struct snapdrv_error *err);

/** content_create() - a new file of the session. Return: a descriptor, or a negative errno value. */
int content_create(struct store *store, struct store_name *ret_name, struct snapdrv_error *err);

/** content_append() - write to a file that content_create() made. */
int content_append(int fd, const void *data, size_t size, struct snapdrv_error *err);

/** content_write() - put @size bytes into a new file of the session. @ret_name: where. */
int content_write(struct store *store, const void *data, size_t size, struct store_name *ret_name,
		  struct snapdrv_error *err);

/**
 * content_forget() - within store_begin(): take away a blob's row if no image, and no step of a build, names it
 * any more.
 * Return: 1 it is forgotten: content_unlink() it once the change is committed; 0 it stays or never was
 * here; or a negative errno value.
 */
int content_forget(struct store *store, const char *digest, struct snapdrv_error *err);

/**
 * content_unlink() - remove the file of a blob that has no row. What another process has brought back
 * in the meantime stays.
 *
 * Return: 0, or negative: it is still there, for store_leave().
 */
int content_unlink(struct store *store, const char *digest);

#endif
