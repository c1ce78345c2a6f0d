/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, for container runtimes: by their keys. */
#ifndef SNAPDRV_SNAPSHOT_H
#define SNAPDRV_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

/** enum snapdrv_kind - what a snapshot is; as containerd numbers them. */
enum snapdrv_kind {
	SNAPDRV_VIEW = 1,     /* shows its parent, read-only */
	SNAPDRV_ACTIVE = 2,   /* is written to */
	SNAPDRV_COMMITTED = 3 /* read-only, and may be a parent */
};

/**
 * SNAPDRV_SYNC_LATER - or-ed to a kind: snapdrv_snapshot_prepare() does not wait for the disk where a new
 * snapshot holds nothing yet (overlay); snapdrv_flush() of the same handle does. A power cut before that
 * forgets the snapshot as a whole.
 */
#define SNAPDRV_SYNC_LATER 0x100

/**
 * struct snapdrv_label - a pair of words that a runtime keeps with a snapshot: 4,096 bytes together. One
 * whose value is empty is none: setting it takes it away.
 */
struct snapdrv_label {
	char *key;
	char *value;
};

/** SNAPDRV_LABEL_REF - the label that says which ChainID a snapshot is to become. */
#define SNAPDRV_LABEL_REF "containerd.io/snapshot.ref"

/**
 * struct snapdrv_mount - how a snapshot is mounted, in the words of mount(8).
 * @type: "overlay" or "bind". @source: "overlay", or a directory. @options: @n_options of them.
 */
struct snapdrv_mount {
	char *type;
	char *source;
	char **options;
	size_t n_options;
};

/** struct snapdrv_mounts - one after the other; for snapdrv_mounts_done(). */
struct snapdrv_mounts {
	struct snapdrv_mount *mounts;
	size_t count;
};

/** snapdrv_mounts_done() - free what is in @mounts. */
void snapdrv_mounts_done(struct snapdrv_mounts *mounts);

/**
 * struct snapdrv_snapshot - a snapshot as its runtime knows it.
 * @name: its key or name. @parent: that of its parent, or NULL. @kind: enum snapdrv_kind.
 * @created_ns: when it was prepared, or committed. @updated_ns: when its labels were set last.
 */
struct snapdrv_snapshot {
	char *name;
	char *parent;
	int kind;
	int64_t created_ns;
	int64_t updated_ns;
	struct snapdrv_label *labels;
	size_t n_labels;
};

/** snapdrv_snapshot_done() - free what is in @snapshot. */
void snapdrv_snapshot_done(struct snapdrv_snapshot *snapshot);

/**
 * snapdrv_snapshot_prepare() - make a snapshot: a writable tree, or a view, over a committed one.
 * @store:  an open store. Borrowed, like all else.
 * @key:    any text of 1 to 4,096 bytes; it never becomes a path.
 * @parent: the name of a committed snapshot, or NULL for none.
 * @kind:   SNAPDRV_ACTIVE or SNAPDRV_VIEW, maybe with SNAPDRV_SYNC_LATER.
 * @labels: @n_labels of them. With SNAPDRV_LABEL_REF, and the store has that ChainID over @parent (from a
 *          load, a pull, or another snapshot), a committed snapshot with this label is made for it
 *          instead, unless there is one, and the call fails with EEXIST: nothing needs to be unpacked.
 * @ret_mounts: as snapdrv_snapshot_mounts(). May be NULL.
 *
 * Nothing is mounted. On disk when the call returns, unless told otherwise. Nothing is copied on overlay
 * and btrfs.
 *
 * Return: 0, or a negative errno value: BUSY with EEXIST (the key is taken, or see @labels) or EBUSY
 * (the parent is not committed), MISSING (no such parent), USAGE (a name or label that is none), FAILED.
 */
int snapdrv_snapshot_prepare(struct snapdrv_store *store, const char *key, const char *parent,
			     int kind, const struct snapdrv_label *labels, size_t n_labels,
			     struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_mounts() - how an active snapshot or a view is to be mounted.
 * @ret_mounts: for snapdrv_mounts_done(). An overlay with upperdir, workdir and lowerdir, or a bind where
 *              one directory is enough; with the labels containerd.io/snapshot/uidmapping and gidmapping
 *              the options uidmap= and gidmap= as well.
 *
 * All lowerdirs of one mount are named from one directory with short names, up to 500 of them: without
 * that directory's path they fit a page of options, as containerd gives them to mount(2).
 *
 * Return: 0, or a negative errno value: MISSING, BUSY with EBUSY (it is committed), FAILED.
 */
int snapdrv_snapshot_mounts(struct snapdrv_store *store, const char *key,
			    struct snapdrv_mounts *ret_mounts, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_commit() - make an active snapshot a committed one, under a new name.
 * @name:   the new name; @key is free afterwards.
 * @parent: of one that was prepared without: what it stands on from now on (layered drivers); or NULL.
 * @labels: replace those that it had.
 *
 * All that was written to it is on disk before it is committed (one syncfs(2)).
 *
 * Return: 0, or a negative errno value: MISSING (no @key, no @parent), BUSY with EEXIST (@name is taken)
 * or EBUSY (@key is not active, or has a parent, or @parent is not committed), USAGE, FAILED with
 * EOPNOTSUPP (a driver whose trees are whole cannot change the parent).
 */
int snapdrv_snapshot_commit(struct snapdrv_store *store, const char *name, const char *key,
			    const char *parent, const struct snapdrv_label *labels, size_t n_labels,
			    struct snapdrv_error *err);

/**
 * snapdrv_snapshot_remove() - forget a snapshot, and remove its files if nothing else needs them. As with
 * snapdrv_remove(), space comes back at the next snapdrv_flush().
 *
 * Return: 0, or a negative errno value: MISSING, BUSY with EBUSY (others stand on it), FAILED.
 */
int snapdrv_snapshot_remove(struct snapdrv_store *store, const char *key,
			    struct snapdrv_error *err);

/** snapdrv_snapshot_stat() - one of them. @ret_snapshot: for snapdrv_snapshot_done(). Or MISSING. */
int snapdrv_snapshot_stat(struct snapdrv_store *store, const char *key,
			  struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_update() - set labels.
 * @replace: nonzero: @labels are all that it has afterwards; otherwise they are set beside the others.
 * @ret_snapshot: as it is afterwards, for snapdrv_snapshot_done().
 *
 * Return: 0, or a negative errno value: MISSING, USAGE (a label that is too long), FAILED.
 */
int snapdrv_snapshot_update(struct snapdrv_store *store, const char *key,
			    const struct snapdrv_label *labels, size_t n_labels, int replace,
			    struct snapdrv_snapshot *ret_snapshot, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_list() - all snapshots of runtimes, by name. Images and containers are none.
 * @each: called for each; another result than 0 ends the list, and is what the call returns.
 */
int snapdrv_snapshot_list(struct snapdrv_store *store,
			  int (*each)(void *arg, const struct snapdrv_snapshot *snapshot),
			  void *arg, struct snapdrv_error *err);

/**
 * snapdrv_snapshot_usage() - what it holds alone: of a committed one, as it was when it was committed.
 * @ret_bytes: on disk. @ret_inodes: files. A view holds nothing.
 */
int snapdrv_snapshot_usage(struct snapdrv_store *store, const char *key, uint64_t *ret_bytes,
			   uint64_t *ret_inodes, struct snapdrv_error *err);

/** snapdrv_cleanup() - snapdrv_flush(), and remove what dead processes left. */
int snapdrv_cleanup(struct snapdrv_store *store, struct snapdrv_error *err);

#ifdef __cplusplus
}
#endif

#endif
