/* SPDX-License-Identifier: Apache-2.0 */
/* Checking: whether a store is sound, and its repair. */
#ifndef SNAPDRV_CHECK_H
#define SNAPDRV_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of struct snapdrv_check_options. */
enum snapdrv_check_flags {
	SNAPDRV_CHECK_DEEP = 1 << 0,  /* read every layer and blob, from the disk */
	SNAPDRV_CHECK_REPAIR = 1 << 1 /* make good what can be made good */
};

/**
 * struct snapdrv_check_options - how to check; all zero is a good start.
 * @flags:    enum snapdrv_check_flags.
 * @registry: how to reach the registries that damaged images came from, or NULL. Its flags are not looked at:
 *            it is spoken to as at the pull. With a name or certificates in it, all of them have to be from one
 *            registry: no other one is to see what is meant for it. Borrowed.
 * @progress: told how much has been read, in bytes; from any thread, never from two at once. Or NULL.
 * @progress_arg: its argument.
 */
struct snapdrv_check_options {
	unsigned flags;
	const struct snapdrv_registry_options *registry;
	void (*progress)(void *arg, const struct snapdrv_progress *progress);
	void *progress_arg;
};

/**
 * struct snapdrv_finding - something that is not as it should be.
 * @kind:        "layer", "blob", "image", "container" or "database".
 * @name:        its digest, key or name.
 * @problem:     what is wrong with it, in words.
 * @is_repaired: nonzero: it was, and is no more.
 * @remedy:      what was done, or why nothing could be; NULL without SNAPDRV_CHECK_REPAIR.
 * @images, @containers: names of those that need it, @n_images and @n_containers of them.
 */
struct snapdrv_finding {
	char *kind;
	char *name;
	char *problem;
	int is_repaired;
	char *remedy;
	char **images;
	size_t n_images;
	char **containers;
	size_t n_containers;
};

/**
 * struct snapdrv_check - what a check found.
 * @layers, @blobs, @images, @containers: how many were looked at.
 * @unrecorded: layers of which there is no inventory, so that their files cannot be compared: committed by a container
 *              runtime, or unpacked by an older version. SNAPDRV_CHECK_REPAIR writes one.
 * @bytes:      that were read (SNAPDRV_CHECK_DEEP).
 * @strays:     files and directories of the store that nothing knows, of @stray_bytes; snapdrv_gc() removes them. No damage.
 * @findings:   @n_findings of them; @n_damaged are not repaired.
 */
struct snapdrv_check {
	size_t layers, blobs, images, containers;
	size_t unrecorded;
	uint64_t bytes;
	size_t strays;
	uint64_t stray_bytes;
	struct snapdrv_finding *findings;
	size_t n_findings;
	size_t n_damaged;
};

/**
 * snapdrv_check() - compare the database with the files and the mounts.
 * @options:   or NULL. Borrowed.
 * @ret_check: for snapdrv_check_done(); filled also when there is damage.
 *
 * Without flags a matter of milliseconds: everything that has a row is there, sizes are right, documents have their
 * digests, ChainIDs fit, layers are read-only, what is mounted is what should be. SNAPDRV_CHECK_DEEP reads all layers
 * and blobs: each file is compared with what was written down when it was unpacked (names, attributes, a
 * checksum of the content), each blob with its digest.
 *
 * SNAPDRV_CHECK_REPAIR makes damaged or missing layers again from their blobs, and gets damaged or missing
 * blobs again: from the database (manifests and configs), from the layer (where it is kept as a plain tar that was
 * made of it), or from the registry that the image was pulled from. A blob that cannot be had is put away, so
 * that loading or pulling the image brings it again. A new layer takes the old one's place: containers over it
 * have it when they are mounted next, on btrfs at once. What a container has written is never touched.
 *
 * Others may use the store meanwhile. Killed at any point, it leaves each thing as it was, or repaired.
 *
 * Return: 0, also when there is damage, or a negative errno value: USAGE (credentials or
 * certificates, and damaged images of several registries: nothing is asked and nothing repaired), FAILED.
 */
int snapdrv_check(struct snapdrv_store *store, const struct snapdrv_check_options *options,
		  struct snapdrv_check *ret_check, struct snapdrv_error *err);

/** snapdrv_check_done() - free what is in @check. */
void snapdrv_check_done(struct snapdrv_check *check);

#ifdef __cplusplus
}
#endif

#endif
