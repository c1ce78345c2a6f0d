/* SPDX-License-Identifier: Apache-2.0 */
/* The store: opened, flushed and closed; what it says of itself, and while it works. */
#ifndef SNAPDRV_STORE_H
#define SNAPDRV_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct snapdrv_store;

/**
 * snapdrv_open() - open a store, making it when there is none.
 * @root:      directory of the store; NULL: $SNAPDRV_ROOT, or else /var/lib/snapdrv. Borrowed.
 * @driver:    "auto", "overlay", ... ; NULL: $SNAPDRV_DRIVER, or else "auto". Borrowed.
 * @ret_store: the handle, for snapdrv_close().
 *
 * A store keeps the driver it was made with; asking for another one fails with USAGE. What killed
 * processes left behind is removed. A damaged layer never keeps a store from opening.
 *
 * Return: 0, or a negative errno value: USAGE (unknown or different driver, or a store made by a newer
 * version), FAILED (no root rights, or the filesystem cannot carry the driver).
 */
int snapdrv_open(const char *root, const char *driver, struct snapdrv_store **ret_store,
		 struct snapdrv_error *err);

/**
 * snapdrv_flush() - make removals last, and give their space back.
 * @store: an open store. Borrowed.
 *
 * snapdrv_remove() and snapdrv_rmi() return when what they removed is gone for everybody, and leave the
 * rest to this call, which snapdrv_close() makes too: wait for the disk, once for all of them, and
 * remove the files. A process that is killed before leaves that to whoever opens the store next; a
 * power cut before it may bring what was removed back, whole. Everything else that the library does is
 * on disk when its call returns, unless it was told not to wait.
 *
 * Return: 0, or a negative errno value: FAILED.
 */
int snapdrv_flush(struct snapdrv_store *store, struct snapdrv_error *err);

/**
 * snapdrv_close() - give a handle back, after snapdrv_flush(). Takes NULL. Mounted containers stay
 * mounted.
 * @store: the handle.
 */
void snapdrv_close(struct snapdrv_store *store);

/**
 * struct snapdrv_progress - what a progress function is told, some times a second.
 * @what:  the layer's digest, or another short name of what is worked on. Borrowed.
 * @done:  bytes of input taken in.
 * @total: bytes of input in all, or 0 when that is not known.
 */
struct snapdrv_progress {
	const char *what;
	uint64_t done;
	uint64_t total;
};

/**
 * struct snapdrv_driver_info - what a driver answers about this machine and store.
 * @name:   "overlay", ... @usable: 1 when it works here. @answer: in words, why or why not.
 */
struct snapdrv_driver_info {
	char *name;
	int usable;
	char *answer;
};

/**
 * struct snapdrv_info - the store and the machine.
 * @root: directory. @driver: the store's. @filesystem: "ext4", ... @kernel: release.
 * @max_layers: most layers that this kernel mounts at once.
 * @verity: 1 when SNAPDRV_VERITY works here. @verity_answer: in words, why or why not.
 */
struct snapdrv_info {
	char *root;
	char *driver;
	char *filesystem;
	char *kernel;
	size_t max_layers;
	size_t n_images;
	size_t n_containers;
	size_t n_layers;
	struct snapdrv_driver_info *drivers;
	size_t n_drivers;
	int verity;
	char *verity_answer;
};

/** snapdrv_info() - fill @ret_info, for snapdrv_info_done(). */
int snapdrv_info(struct snapdrv_store *store, struct snapdrv_info *ret_info,
		 struct snapdrv_error *err);

/** snapdrv_info_done() - free what is in @info. */
void snapdrv_info_done(struct snapdrv_info *info);

#ifdef __cplusplus
}
#endif

#endif
