/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of trees from within: its state, and how the names of an archive are resolved. */
#ifndef LAYER_WALK_H
#define LAYER_WALK_H

#include <limits.h>

#include "base/map.h"
#include "layer/node.h"
#include "layer/tree.h"

/**
 * refuse_doubtfully() - refuse() an entry for what its names lead to, which lower layers may change: a
 * symlink of theirs is not seen while they are out of view.
 */
#define refuse_doubtfully(writer, err, ...) ((writer)->is_doubtful = 1, refuse(err, __VA_ARGS__))

/** struct pending_link - a hard link whose target only lower layers can have; bound at the end. */
struct pending_link {
	struct pending_link *next; /* in the order of the archive */
	struct pending_link
		*same;	  /* the one before it whose place holder has the same inode, or NULL */
	struct node *dir; /* where it stands: an empty file as a place holder, */
	char *name;	  /* unless the name is lost */
	ino_t inode;
	char *target; /* path from the root, as far as this layer can resolve it */
	int is_lost; /* something else has taken the name; the inode may be another file's by now */
	int is_special; /* bound to a symlink, device or FIFO: later names are linked to this one */
};

/** struct pending_links - all of them; all zero is none. */
struct pending_links {
	struct pending_link *first;
	struct pending_link *last;
	struct map by_name; /* the latest one that stands under a name of a directory */
	struct map
		by_inode; /* the latest one of an inode; while they are bound, a special one if there is any */
};

struct tree_writer {
	struct tree_sink sink;
	struct node_table nodes;
	uint64_t n_implied; /* directories that were made on the way of names */
	int carries_out;    /* the tree starts as the lower layers' own: layer/carry.h */
	uint64_t *given;    /* then: hashes of the names that this layer gave, in open addressing */
	size_t n_given_places;
	size_t n_given;
	uint64_t given_seed;
	int lower_fd;	     /* the merged lower layers, or -1 when they are not in view */
	struct node *recent; /* the directory of the last entry, and its name in the archive */
	char recent_path[PATH_MAX];
	size_t recent_length;
	struct finish_file *out;	    /* the regular file that is being written, or NULL */
	const struct sink_attributes *file; /* its attributes; borrowed until its end */
	struct finisher *finisher;
	uint64_t file_written; /* the end of what was written so far */
	struct pending_links links;
	int is_doubtful; /* the last refusal may be due to the lower layers being out of view */
	int needs_view;	 /* there was one: the layer has to be written with them in view */
	struct snapdrv_error doubt; /* the first one, which stands when there are no lower layers */
	int is_tied;		    /* binding made the tree depend on these lower layers */
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

/**
 * tree_settle() - before a name in @dir is looked at or made here: a file that the finisher is still to
 * create under it is there afterwards.
 */
int tree_settle(struct tree_writer *writer, const struct node *dir, const char *name,
		struct snapdrv_error *err);

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

/** link_lose() - a name in @dir is taken away: if a place holder stood there, it is one no more. */
void link_lose(struct tree_writer *writer, const struct node *dir, const char *name);

/** links_init(), links_done() - of a writer. */
void links_init(struct pending_links *links);
void links_done(struct pending_links *links);

/** bind_link() - give a pending link what it stands for. As tree_writer_bind(). */
int bind_link(struct tree_writer *writer, struct pending_link *link, int lower_fd,
	      struct snapdrv_error *err);

/** tree_write_whiteout(), tree_write_opaque() - the sink's. */
int tree_write_whiteout(struct tree_sink *sink, const char *path, struct snapdrv_error *err);
int tree_write_opaque(struct tree_sink *sink, const char *path, struct snapdrv_error *err);

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
