/* SPDX-License-Identifier: Apache-2.0 */
/* Going down and up in a tree by descriptors, however deep it is, and listing directories in order. */
#ifndef KERNEL_DIRS_H
#define KERNEL_DIRS_H

#include <stddef.h>
#include <stdint.h>

#include "snapdrv.h"

/** struct dir_chain - a directory and those above it, up to a root. */
struct dir_chain {
	int root_fd; /* borrowed */
	struct dir_link *links;
	size_t count; /* below the root */
	size_t room;
};

/**
 * dirs_push() - go down into a directory; a symlink is not followed.
 * Return: 0, or a negative errno value; see dirs_is_gone().
 */
int dirs_push(struct dir_chain *chain, const char *name, struct snapdrv_error *err);

/** dirs_pop() - go up. */
void dirs_pop(struct dir_chain *chain);

/** dirs_fd() - the directory, open for reading. Return: a descriptor, borrowed, or a negative errno value. */
int dirs_fd(struct dir_chain *chain, struct snapdrv_error *err);

/** dirs_done() - close all; the root stays open. */
void dirs_done(struct dir_chain *chain);

/** dirs_is_gone() - whether a failure means that there is no such directory any more. */
int dirs_is_gone(int ret);

/** struct dir_entry - a name in a directory. */
struct dir_entry {
	char *name;
	uint64_t inode;
	unsigned char type; /* DT_DIR, ... as readdir(3) has it */
	char is_mark;	    /* for whoever looks for overlay's whiteouts */
};

/** struct dir_list - names in the order of their bytes; all zero is none. */
struct dir_list {
	struct dir_entry *entries;
	size_t count;
};

/** dirs_list() - all names but "." and "..". @ret_list: for dirs_list_done(). */
int dirs_list(int dir_fd, struct dir_list *ret_list, struct snapdrv_error *err);

void dirs_list_done(struct dir_list *list);

/** struct dir_level - a directory that is being walked through. */
struct dir_level {
	struct dir_level *up;
	struct dir_list list;
	size_t next;	  /* entry */
	size_t path_size; /* for whoever keeps a path */
};

/** struct dir_walk - the directories on the way, each with its names; a root_fd and zeros to begin with. */
struct dir_walk {
	struct dir_chain chain;
	struct dir_level *level; /* the present one, or NULL */
};

/**
 * dirs_enter() - go down and list what is there.
 * @name: in the present directory, or NULL for the root.
 *
 * Return: 0, or a negative errno value: then the present directory is what it was.
 */
int dirs_enter(struct dir_walk *walk, const char *name, struct snapdrv_error *err);

/** dirs_leave() - go up; from the root, the walk has no level any more. */
void dirs_leave(struct dir_walk *walk);

/** dirs_walk_done() - leave all; the root stays open. */
void dirs_walk_done(struct dir_walk *walk);

#endif
