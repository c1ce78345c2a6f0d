/* SPDX-License-Identifier: Apache-2.0 */
/* What changes_walk() notes down before it reports. */
#ifndef KERNEL_RECORDS_H
#define KERNEL_RECORDS_H

#include <sys/stat.h>

#include "kernel/changes.h"

#define NO_RECORD SIZE_MAX

/** struct file_id - a file, whatever its name. */
struct file_id {
	dev_t device;
	ino_t inode;
	nlink_t n_links; /* 0: there is none */
};

/** struct record - a path; the records of what is in a directory come after its own. */
struct record {
	size_t parent; /* index of the directory's record, or NO_RECORD for the root */
	char *name;
	char kind;	/* of struct change, or 0: not known to be a change so far */
	char is_dir;	/* in the new tree */
	char is_parent; /* of struct change, like the next two */
	char is_opaque;
	char is_covered;
	struct file_id
		id; /* in the new tree; not of directories, nor where there are no other names */
	struct file_id old; /* in the old one */
	size_t link;	    /* the first record of the same file, or NO_RECORD */
};

struct records {
	struct record *items;
	size_t count;
	size_t room;
};

/** records_add() - Return: the index, or NO_RECORD with @err filled. The name is copied. */
size_t records_add(struct records *records, size_t parent, const char *name, char kind,
		   struct snapdrv_error *err);

/** records_pop() - take away the last one. */
void records_pop(struct records *records);

void records_done(struct records *records);

/**
 * records_link() - once all are there: find the names of one file, and make a change of those that are
 * another file than they were, or one file with others than they were.
 * @is_upper: names that have no record are as they were (see struct change_trees).
 *
 * A file of which a name is a change is one under all its names. Of names that were one file and are
 * several now, one file is the old one, and only the others are changes: what has no record; the one
 * with the old one's inode; the one with the first name.
 */
int records_link(struct records *records, int is_upper, struct snapdrv_error *err);

/** records_raise() - make all directories above a change one, in which something has changed. */
void records_raise(struct records *records);

#endif
