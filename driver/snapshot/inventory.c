/* SPDX-License-Identifier: Apache-2.0 */
/* The inventories of layers' trees. */
#include "snapshot/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/contents.h"
#include "kernel/file.h"

DEFINE_CLEANUP(inventory, struct inventory, inventory_free)
DEFINE_CLEANUP(audit, struct audit, audit_free)
#define cleanup_inventory __attribute__((cleanup(cleanup_inventory_at)))
#define cleanup_audit __attribute__((cleanup(cleanup_audit_at)))

/* What is a tree's own: all that is in it, or, where it shares with its parents, what is not theirs. */
static int walk_own(struct graph *graph, const struct tree_ref *tree,
		    const struct tree_stack *parents, change_fn *report,
		    int (*is_single)(void *arg, uint64_t inode), void *arg,
		    struct snapdrv_error *err)
{
	const struct backend *backend = &graph->backend;
	cleanup_fd int fd = -1;

	if (backend->ops->shares_parents && parents->count)
		return backend->ops->changes(backend, tree, TREE_LAYER, parents, report, arg, err);
	fd = backend->ops->open(backend, backend->layers_fd, tree->path, err);
	return fd < 0 ? fd : contents_walk(fd, report, is_single, arg, err);
}

struct place {
	char text[80];
};

static struct place place_of(const struct tree_ref *tree, const char *name)
{
	struct place place;

	snprintf(place.text, sizeof(place.text), "%s/%s", tree->path, name);
	return place;
}

static int write_list(struct graph *graph, const struct tree_ref *tree, const char *name,
		      const struct tree_stack *parents, struct file_prints *prints, int is_synced,
		      struct snapdrv_error *err)
{
	cleanup_inventory struct inventory *inventory = NULL;
	cleanup_fd int fd = openat(graph->store.layers_fd, place_of(tree, name).text,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int ret = fd < 0 ? fail_errno(err, "make an inventory") : 0;

	if (!ret)
		ret = inventory_new(fd, prints, &inventory, err);
	if (!ret)
		ret = walk_own(graph, tree, parents, inventory_add, inventory_is_single, inventory,
			       err);
	if (!ret)
		ret = inventory_end(inventory, err);
	if (!ret && is_synced && fsync(fd))
		ret = fail_errno(err, "sync the inventory");
	return ret ? fail_within(err, ret, "tree %s", tree->path) : 0;
}

int draft_list(struct graph *graph, const struct draft *draft, const struct tree_stack *parents,
	       struct file_prints *prints, struct snapdrv_error *err)
{
	return write_list(graph, &draft->ref, "inventory", parents, prints, 0, err);
}

int tree_list(struct graph *graph, const struct tree_ref *tree, const struct tree_stack *parents,
	      struct snapdrv_error *err)
{
	const struct place made = place_of(tree, "inventory.new"),
			   last = place_of(tree, "inventory");
	int layers_fd = graph->store.layers_fd;
	int ret = write_list(graph, tree, "inventory.new", parents, NULL, 1, err);

	if (!ret && renameat(layers_fd, made.text, layers_fd, last.text))
		ret = fail_errno(err, "rename the inventory of tree %s", tree->path);
	if (ret)
		unlinkat(layers_fd, made.text, 0);
	return ret;
}

int tree_audit(struct graph *graph, const struct tree_ref *tree, const struct tree_stack *parents,
	       audit_fn *report, void *arg, struct snapdrv_error *err)
{
	cleanup_audit struct audit *audit = NULL;
	cleanup_fd int fd = openat(graph->store.layers_fd, place_of(tree, "inventory").text,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int64_t count;
	int ret;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the inventory");
	ret = audit_new(fd, report, arg, &audit, err);
	if (!ret)
		ret = walk_own(graph, tree, parents, audit_add, NULL, audit, err);
	if (ret)
		return ret;
	count = audit_end(audit, err);
	return count < 0 ? (int)count : 1;
}
