/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of a tree that is being written. */
#include "layer/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/resolve.h"

/* FNV-1a over the name, from the parent's address on. */
static uint32_t hash_name(const struct node *parent, const char *name, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325u ^ (uintptr_t)parent;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u;
	return (uint32_t)(hash ^ hash >> 32);
}

static int grow(struct node_table *table, struct snapdrv_error *err)
{
	size_t n_places = table->n_places ? table->n_places * 2 : 1024;
	struct node **places = calloc(n_places, sizeof(*places));

	if (!places)
		return fail_memory(err);
	for (struct node *node = table->root; node; node = node->next) {
		size_t at = node->hash & (n_places - 1);

		if (node->flags & NODE_GONE)
			continue;
		while (places[at])
			at = (at + 1) & (n_places - 1);
		places[at] = node;
	}
	free(table->places);
	table->places = places;
	table->n_places = n_places;
	return 0;
}

static struct node *new_node(struct node *parent, const char *name, size_t length,
			     struct snapdrv_error *err)
{
	struct node *node = calloc(1, sizeof(*node) + length + 1);

	if (!node) {
		fail_memory(err);
		return NULL;
	}
	node->parent = parent;
	node->slot = -1;
	node->hash = hash_name(parent, name, length);
	memcpy(node->name, name, length);
	return node;
}

int node_table_init(struct node_table *table, int root_fd, struct snapdrv_error *err)
{
	*table = (struct node_table){.root_fd = root_fd};
	table->root = table->last = new_node(NULL, "", 0, err);
	return table->root ? grow(table, err) : -ENOMEM;
}

void node_close_all(struct node_table *table)
{
	for (size_t i = 0; i < NODE_OPEN_MAX; i++) {
		if (!table->open[i].node)
			continue;
		close(table->open[i].fd);
		table->open[i].node->slot = -1;
		table->open[i].node = NULL;
	}
}

void node_table_done(struct node_table *table)
{
	struct node *next;

	node_close_all(table);
	for (struct node *node = table->root; node; node = next) {
		next = node->next;
		free(node->default_acl);
		free(node);
	}
	free(table->places);
	*table = (struct node_table){0};
}

struct node *node_find(const struct node_table *table, const struct node *parent, const char *name,
		       size_t length)
{
	uint32_t hash = hash_name(parent, name, length);
	size_t at = hash & (table->n_places - 1);

	for (; table->places[at]; at = (at + 1) & (table->n_places - 1)) {
		struct node *node = table->places[at];

		if (node->hash == hash && node->parent == parent && !(node->flags & NODE_GONE) &&
		    !strncmp(node->name, name, length) && !node->name[length])
			return node;
	}
	return NULL;
}

struct node *node_add(struct node_table *table, struct node *parent, const char *name,
		      size_t length, struct snapdrv_error *err)
{
	struct node *node = new_node(parent, name, length, err);
	size_t at;

	if (!node)
		return NULL;
	table->last = table->last->next = node;
	node->sibling = parent->child;
	parent->child = node;
	table->n_nodes++;
	/* Growing puts the new one in its place with the others. */
	if (2 * table->n_nodes >= table->n_places)
		return grow(table, err) ? NULL : node;
	at = node->hash & (table->n_places - 1);
	/* The place of a forgotten one is taken again, or a name that comes and goes would fill the table. */
	while (table->places[at] && !(table->places[at]->flags & NODE_GONE))
		at = (at + 1) & (table->n_places - 1);
	table->places[at] = node;
	return node;
}

void node_forget(struct node_table *table, struct node *node)
{
	for (struct node *child = node->child; child; child = child->sibling)
		node_forget(table, child);
	node->child = NULL;
	node->flags |= NODE_GONE;
	if (node->slot >= 0) {
		close(table->open[node->slot].fd);
		table->open[node->slot].node = NULL;
		node->slot = -1;
	}
}

static int open_node(struct node_table *table, struct node *node, struct snapdrv_error *err)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, fd;
	cleanup_free char *path = NULL;

	if (!node->parent) {
		fd = openat(table->root_fd, ".", flags);
		return fd < 0 ? fail_errno(err, "open the root of the tree") : fd;
	}
	if (node->parent->slot >= 0) {
		fd = openat(table->open[node->parent->slot].fd, node->name, flags);
		return fd < 0 ? fail_errno(err, "open directory %s", quote(node->name).text) : fd;
	}
	path = node_path(node, err);
	if (!path)
		return -ENOMEM;
	fd = resolve_open_beneath(table->root_fd, path, flags);
	return fd < 0 ? fail_ret(err, fd, "open directory %s", quote(path).text) : fd;
}

int node_fd(struct node_table *table, struct node *node, struct snapdrv_error *err)
{
	unsigned slot;
	int fd;

	if (node->slot >= 0)
		return table->open[node->slot].fd;
	fd = open_node(table, node, err);
	if (fd < 0)
		return fd;
	slot = table->hand++ % NODE_OPEN_MAX;
	if (table->open[slot].node) {
		close(table->open[slot].fd);
		table->open[slot].node->slot = -1;
	}
	table->open[slot].node = node;
	table->open[slot].fd = fd;
	node->slot = (int)slot;
	return fd;
}

char *node_path(const struct node *node, struct snapdrv_error *err)
{
	size_t length = 1;
	char *path, *at;

	for (const struct node *up = node; up->parent; up = up->parent)
		length += strlen(up->name) + 1;
	path = malloc(length + 1);
	if (!path) {
		fail_memory(err);
		return NULL;
	}
	if (!node->parent)
		return strcpy(path, ".");
	at = path + length - 1;
	*at = '\0';
	for (const struct node *up = node; up->parent; up = up->parent) {
		size_t size = strlen(up->name);

		at -= size;
		memcpy(at, up->name, size);
		*--at = '/';
	}
	memmove(path, at + 1, strlen(at + 1) + 1);
	return path;
}

int node_sees_lower(const struct node *node)
{
	for (; node; node = node->parent) {
		if (node->flags & (NODE_COVERED | NODE_OPAQUE))
			return 0;
	}
	return 1;
}
