/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inventories: what is in a tree, name by name, with a checksum of each file's content, written when the
 * tree is finished, and compared with the tree later to find what has become of it.
 *
 * The file is "snapdrv inventory 1\n", entries in the order of changes_walk(), and a trailer:
 *   entry    kind ('A', 'C', 'D'), bytes that the path has in common with the one before, length of the rest (both
 *            LEB128), the rest; but for 'D' 8 bytes of the checksum of the attributes; and of a regular
 *            file that has content 16 bytes of its own, with the kind in lower case then
 *   trailer  'E', number of entries (8 bytes, little-endian), checksum of all that stands before
 * Some 40 bytes for a file.
 */
#ifndef KERNEL_INVENTORY_H
#define KERNEL_INVENTORY_H

#include "base/checksum.h"
#include "kernel/changes.h"

/**
 * struct file_prints - what regular files without xattrs were found to be when they were written, by inode; all
 * zero is none.
 */
struct file_prints {
	struct file_print {
		uint64_t inode;
		unsigned char attributes[8]; /* fingerprint_plain() */
		struct checksum content;
		uint32_t has_content;
		uint32_t is_linked; /* it may have several names */
	} * items;
	size_t count;
	size_t room;
	int is_sorted;
};

/**
 * file_prints_add() - one more. What is past some hundred thousand, or has no memory, is left out: such a
 * file is read again.
 */
void file_prints_add(struct file_prints *prints, const struct file_print *print);

/** file_prints_take() - add all of @from, which is empty afterwards. */
void file_prints_take(struct file_prints *prints, struct file_prints *from);

/** file_prints_find() - of an inode; sorts them when that is to be done. Return: it, or NULL. */
struct file_print *file_prints_find(struct file_prints *prints, uint64_t inode);

void file_prints_done(struct file_prints *prints);

struct inventory;

/**
 * inventory_new() - write one.
 * @fd:   an empty file. Borrowed.
 * @prints: what is known of the files; sorted. What it lacks is read. Borrowed, or NULL.
 */
int inventory_new(int fd, struct file_prints *prints, struct inventory **ret_inventory,
		  struct snapdrv_error *err);

/** inventory_add() - take in a change; a change_fn, whose argument is the inventory. */
int inventory_add(void *inventory, const struct change *change, struct snapdrv_error *err);

/** inventory_is_single() - for contents_walk(): what is known of a file says that it has one name. */
int inventory_is_single(void *inventory, uint64_t inode);

/** inventory_end() - write the trailer. */
int inventory_end(struct inventory *inventory, struct snapdrv_error *err);

/** inventory_free() - takes NULL. */
void inventory_free(struct inventory *inventory);

/**
 * audit_fn - is told of a path that is not as the inventory has it.
 * @what: "is missing", ... Borrowed.
 */
typedef void audit_fn(void *arg, const char *path, const char *what);

struct audit;

/** audit_new() - compare a tree with an inventory. @fd: the inventory, read from its start. Borrowed. */
int audit_new(int fd, audit_fn *report, void *arg, struct audit **ret_audit,
	      struct snapdrv_error *err);

/**
 * audit_add() - compare a change; a change_fn, whose argument is the audit. Contents are read from the disk, not from memory,
 * where the kernel can be told so. A file that cannot be read is reported, and that is no failure,
 * but for want of memory or descriptors.
 */
int audit_add(void *audit, const struct change *change, struct snapdrv_error *err);

/**
 * audit_end() - report what is missing at the end.
 *
 * Return: the number of entries, or a negative errno value: REFUSED when the inventory itself is
 * damaged; what was reported means nothing then.
 */
int64_t audit_end(struct audit *audit, struct snapdrv_error *err);

/** audit_free() - takes NULL. */
void audit_free(struct audit *audit);

#endif
