/* SPDX-License-Identifier: Apache-2.0 */
/* Layers, for container runtimes: applied to their snapshots, and made of these. */
#ifndef SNAPDRV_LAYER_H
#define SNAPDRV_LAYER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h> /* ssize_t */

#include "snapshot.h"

#ifdef __cplusplus
extern "C" {
#endif

/** enum snapdrv_apply_flags - of snapdrv_apply(). */
enum snapdrv_apply_flags {
	SNAPDRV_SYNC = 1 << 0 /* wait until the tree is on disk: syncfs(2) of its filesystem */
};

/** enum snapdrv_compression - of the layers that snapdrv_diff_mounts() writes. */
enum snapdrv_compression { SNAPDRV_PLAIN = 0, SNAPDRV_GZIP = 1, SNAPDRV_ZSTD = 2 };

/**
 * struct snapdrv_applied - a layer that was unpacked or written.
 * @diff_id: its DiffID, "sha256:" and 64 hex digits. @size: bytes of the plain tar, all of it.
 * @digest:  of the bytes that were read or written, compressed or not. @input_size: how many.
 */
struct snapdrv_applied {
	char *diff_id;
	uint64_t size;
	char *digest;
	uint64_t input_size;
};

/** snapdrv_applied_done() - free what is in @applied. */
void snapdrv_applied_done(struct snapdrv_applied *applied);

/**
 * snapdrv_apply() - unpack a layer into what a runtime would mount: for containerd's diff service.
 * @store:    an open store. Borrowed, like all else.
 * @mounts:   @n_mounts of them: one overlay with an upper directory, or one bind that can be written to.
 * @read:     gives the layer, a tar that is plain or compressed with gzip or zstd: up to @size bytes at
 *            @data; returns their number, 0 at the end, or a negative errno value. Called from one thread
 *            at a time, not always the caller's, and never after this call has returned. @arg: its argument.
 * @media_type: of the layer, or NULL. The content decides how it is compressed; a type that is no layer's,
 *            or that of an encrypted one, is not supported.
 * @flags:    enum snapdrv_apply_flags.
 * @ret_applied: for snapdrv_applied_done(). The input was read to its end.
 *
 * Nothing is mounted that anybody sees: an overlay's upper directory is written as it lies there, with the
 * kernel's marks for what the layer deletes, which takes one that is empty. In a directory that is bound,
 * deletions are carried out, but for one of a layered driver of this store: there they are marked, since
 * the snapshot may get a parent when it is committed.
 *
 * A snapshot of this store into which nothing else was written becomes the layer's when
 * snapdrv_snapshot_commit() commits it over the ChainID below: snapdrv_load() and snapdrv_pull() find it.
 *
 * Return: 0, or a negative errno value: REFUSED (corrupt or hostile input, as in snapdrv_load()), FAILED
 * with EOPNOTSUPP (other mounts or media types: nothing was read or written, another differ may try), or
 * with what @read gave. The tree is half made when it fails later; the snapshot can be removed.
 */
int snapdrv_apply(struct snapdrv_store *store, const struct snapdrv_mount *mounts, size_t n_mounts,
		  ssize_t (*read)(void *arg, void *data, size_t size), void *arg,
		  const char *media_type, unsigned flags, struct snapdrv_applied *ret_applied,
		  struct snapdrv_error *err);

/**
 * snapdrv_diff_mounts() - write the layer that leads from one tree to another.
 * @left:   @n_left mounts, as a runtime would mount them: the tree below. None: an empty one.
 * @right:  @n_right mounts, likewise: the tree above.
 * @compression: enum snapdrv_compression.
 * @write:  takes the layer from start to end; 0 to go on, or a negative errno value. Called in the calling
 *          thread alone. @arg: its argument.
 * @ret_applied: what was written, for snapdrv_applied_done().
 *
 * The layer depends on the two trees alone, not on the driver, and the same compression gives the same
 * bytes; all times are kept. Where @right is an overlay over what @left shows, only its upper directory is
 * looked at. Nothing is mounted that anybody sees.
 *
 * Return: 0, or a negative errno value: REFUSED (a file that no layer can hold), USAGE (unknown
 * compression), FAILED with EOPNOTSUPP (several mounts, other types), or with what @write gave.
 */
int snapdrv_diff_mounts(struct snapdrv_store *store, const struct snapdrv_mount *left,
			size_t n_left, const struct snapdrv_mount *right, size_t n_right,
			int compression, int (*write)(void *arg, const void *data, size_t size),
			void *arg, struct snapdrv_applied *ret_applied, struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
