/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer is written to: a tree of files (layer/tree.h), or later an image of a filesystem. */
#ifndef LAYER_SINK_H
#define LAYER_SINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "snapdrv.h"

/** struct sink_xattr - one extended attribute. */
struct sink_xattr {
	const char *name;
	const void *value;
	size_t size;
};

/** struct sink_attributes - all that an entry says about itself; everything is borrowed. */
struct sink_attributes {
	mode_t mode; /* type and permissions */
	uid_t uid;
	gid_t gid;
	dev_t device;
	uint64_t size;
	struct timespec mtime;
	const struct sink_xattr *xattrs;
	size_t n_xattrs;
};

struct tree_sink;

/**
 * struct tree_sink_ops - entries of a layer, in the order of the archive.
 *
 * @path is as the archive has it, raw bytes. It is relative to the root of the tree whether or not it
 * starts with `/`. The last of two entries with one name wins. An entry that the sink cannot accept
 * (a name that climbs out, a parent that is not a directory) is REFUSED; the caller names the entry.
 */
struct tree_sink_ops {
	/* A directory; one that is there gets the attributes and keeps what this layer put in it. */
	int (*directory)(struct tree_sink *sink, const char *path,
			 const struct sink_attributes *attributes, struct snapdrv_error *err);
	/*
	 * A regular file: then file_data() for what is not a hole, in any order, then file_end(), until
	 * which @attributes stay as they are.
	 */
	int (*file)(struct tree_sink *sink, const char *path,
		    const struct sink_attributes *attributes, struct snapdrv_error *err);
	int (*file_data)(struct tree_sink *sink, const void *data, size_t size, uint64_t offset,
			 struct snapdrv_error *err);
	int (*file_end)(struct tree_sink *sink, struct snapdrv_error *err);
	int (*symlink)(struct tree_sink *sink, const char *path, const char *target,
		       const struct sink_attributes *attributes, struct snapdrv_error *err);
	/* One more name for @target, a path of the tree like @path. REFUSED when it is nowhere. */
	int (*link)(struct tree_sink *sink, const char *path, const char *target,
		    struct snapdrv_error *err);
	/* A device, FIFO or socket. */
	int (*node)(struct tree_sink *sink, const char *path,
		    const struct sink_attributes *attributes, struct snapdrv_error *err);
	/* The lower layers' entry of this path is deleted; @path is without the `.wh.`. */
	int (*whiteout)(struct tree_sink *sink, const char *path, struct snapdrv_error *err);
	/* All that the lower layers have in this directory is deleted. */
	int (*opaque)(struct tree_sink *sink, const char *path, struct snapdrv_error *err);
};

/**
 * struct tree_sink - to be embedded first in a sink's own struct.
 * @is_no_layer: a whiteout or opaque mark in the archive is REFUSED; an entry for the root itself says nothing.
 * @latest: later mtimes become this one; NULL for none. Borrowed.
 * @max_implied: most directories that are made only because the names of entries lead through them. One name of
 *          4095 bytes makes 2047 of them: without a limit of their own, that of entries would be none.
 */
struct tree_sink {
	const struct tree_sink_ops *ops;
	int is_no_layer;
	const struct timespec *latest;
	uint64_t max_implied;
};

#endif
