/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of a tree that is being written: names, what is known of them, open descriptors. */
#ifndef LAYER_NODE_H
#define LAYER_NODE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "snapdrv.h"

enum node_flags {
	NODE_GIVEN = 1 << 0, /* the layer has an entry for it */
	NODE_COVERED =
		1 << 1, /* what lower layers have under this name is hidden (whiteout, replaced) */
	NODE_OPAQUE = 1 << 2,	 /* what lower layers have in it is hidden; marked on disk */
	NODE_WHITEOUTS = 1 << 3, /* holds whiteouts */
	NODE_WANTED = 1 << 4,	 /* holds more than whiteouts: an entry, or a directory that does */
	NODE_GONE = 1 << 5	 /* replaced by something that is no directory, or removed */
};

/** struct node - one directory. Lives until the table is freed. */
struct node {
	struct node *parent;  /* NULL for the root */
	struct node *next;    /* in the order of making: parents come before their children */
	struct node *child;   /* the youngest directory in it */
	struct node *sibling; /* the next older directory of the same parent */
	uint32_t hash;
	unsigned flags;
	int slot; /* index of its descriptor in the table, or -1 */
	mode_t mode; /* of a given one; setuid and setgid are set last: new entries would inherit them */
	struct timespec mtime;
	char *default_acl; /* system.posix_acl_default, set last: new entries would inherit it */
	size_t default_acl_size;
	char name[];
};

#define NODE_OPEN_MAX 128 /* descriptors held at once */

struct node_table {
	int root_fd;
	struct node *root;
	struct node *last;
	struct node **places; /* open addressing; a power of two of them, at most half full */
	size_t n_places;
	size_t n_nodes;
	struct {
		struct node *node;
		int fd;
	} open[NODE_OPEN_MAX];
	unsigned hand; /* the next descriptor to be given up, round and round */
};

/** node_table_init() - a table with the root alone. @root_fd: borrowed. */
int node_table_init(struct node_table *table, int root_fd, struct snapdrv_error *err);

/** node_table_done() - close what is open and free all nodes. */
void node_table_done(struct node_table *table);

/** node_find() - a directory by its name in @parent, or NULL. @name: @length bytes. */
struct node *node_find(const struct node_table *table, const struct node *parent, const char *name,
		       size_t length);

/** node_add() - a directory that is not there yet. Return: the node, or NULL with @err filled. */
struct node *node_add(struct node_table *table, struct node *parent, const char *name,
		      size_t length, struct snapdrv_error *err);

/**
 * node_forget() - the directory, and with it all below it, is no more; its name may be added again.
 */
void node_forget(struct node_table *table, struct node *node);

/**
 * node_fd() - a descriptor of the directory, kept by the table; valid until the next call.
 * Return: the descriptor, or a negative errno value.
 */
int node_fd(struct node_table *table, struct node *node, struct snapdrv_error *err);

/** node_close_all() - close all kept descriptors; they are opened again when needed. */
void node_close_all(struct node_table *table);

/** node_path() - path from the root, "." for the root itself; for free(3), or NULL with @err filled. */
char *node_path(const struct node *node, struct snapdrv_error *err);

/** node_sees_lower() - whether entries of lower layers in this directory can be seen. */
int node_sees_lower(const struct node *node);

#endif
