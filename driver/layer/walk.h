/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of trees from within: its state, and how the names of an archive are resolved. */
#ifndef LAYER_WALK_H
#define LAYER_WALK_H

#include <limits.h>

#include "layer/node.h"
#include "layer/tree.h"

/** struct pending_link - a hard link whose target only lower layers can have; bound at the end. */
struct pending_link {
	struct node *dir; /* where it stands: an empty file as a place holder, */
	char *name;	  /* unless something else has taken the name since */
	ino_t inode;
	char *target;	/* path from the root, as far as this layer can resolve it */
	int is_special; /* bound to a symlink, device or FIFO: later names are linked to this one */
};

struct tree_writer {
	struct tree_sink sink;
	struct node_table nodes;
	int carries_out; /* the tree starts as the lower layers' own: layer/carry.h */
	uint64_t *given; /* then: hashes of the names that this layer gave, in open addressing */
	size_t n_given_places;
	size_t n_given;
	uint64_t given_seed;
	int lower_fd;	     /* the merged lower layers, or -1 when they are not in view */
	struct node *recent; /* the directory of the last entry, and its name in the archive */
	char recent_path[PATH_MAX];
	size_t recent_length;
	int file_fd;			    /* of the regular file that is being written, or -1 */
	const struct sink_attributes *file; /* its attributes; borrowed until its end */
	uint64_t file_written;		    /* the end of what was written so far */
	struct pending_link *links;
	size_t n_links;
	int is_tied; /* binding made the tree depend on these lower layers */
};

/** enum walk_purpose - what a name is resolved for. */
enum walk_purpose {
	WALK_LOOK, /* only to find it */
	WALK_MAKE, /* an entry: what is missing on the way is made */
	WALK_MARK /* a mark of deletion: likewise, but such a directory goes again if it hides nothing */
};

/**
 * walk_parent() - the directory that an entry or mark stands in, made as far as it is missing.
 * @path: as the archive has it.
 * @ret_name: the last component, NAME_MAX + 1 bytes; empty for the root itself.
 *
 * Return: 0; 1 for a mark below something that is not a directory in this layer or, as far as they are
 * in view, in the lower ones: it hides nothing (umoci writes such marks when a directory becomes a file);
 * or a negative errno value; REFUSED when the name climbs out of the root, is too long, or an entry goes
 * through something that is not a directory.
 */
int walk_parent(struct tree_writer *writer, const char *path, enum walk_purpose purpose,
		struct node **ret_dir, char ret_name[NAME_MAX + 1], struct snapdrv_error *err);

/**
 * walk_target() - where the target of a hard link is.
 * @ret_dir, @ret_name: set when it is in this layer.
 * @ret_lower: otherwise, the path at which the lower layers may have it, for free(3).
 *
 * Return: 1 in this layer, 0 perhaps below, or a negative errno value; REFUSED when it is nowhere.
 */
int walk_target(struct tree_writer *writer, const char *path, struct node **ret_dir,
		char ret_name[NAME_MAX + 1], char **ret_lower, struct snapdrv_error *err);

/** tree_clear_name() - take away what stands under a name in @dir, whose descriptor is @fd. */
int tree_clear_name(struct tree_writer *writer, struct node *dir, int fd, const char *name,
		    struct snapdrv_error *err);

/**
 * tree_place() - make an entry by one call, which fails with EEXIST; once more after clearing the name.
 * @make: as mknodat(2): -1 and errno. @what: for @make.
 *
 * Return: the directory's descriptor, borrowed, or a negative errno value.
 */
int tree_place(struct tree_writer *writer, const char *path, struct node **ret_dir,
	       char name[NAME_MAX + 1], int (*make)(int fd, const char *name, const void *what),
	       const void *what, struct snapdrv_error *err);

/** tree_make_node() - for tree_place(): an empty file, device or FIFO. @what: its attributes. */
int tree_make_node(int fd, const char *name, const void *what);

/** tree_write_link() - the sink's link(). */
int tree_write_link(struct tree_sink *sink, const char *path, const char *target,
		    struct snapdrv_error *err);

/**
 * walk_hide_lower() - what lower layers have in a directory is not to be seen; marked on disk once.
 * @flag: NODE_COVERED when the directory as such is hidden below, NODE_OPAQUE when only its entries are.
 */
int walk_hide_lower(struct tree_writer *writer, struct node *node, unsigned flag,
		    struct snapdrv_error *err);

#endif
