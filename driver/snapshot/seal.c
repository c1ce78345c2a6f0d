/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing trees by fs-verity. */
#include "snapshot/seal.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/contents.h"
#include "kernel/verity.h"

int graph_can_seal(struct graph *graph, struct snapdrv_error *err)
{
	int session_fd = store_session(&graph->store, err);

	if (session_fd < 0)
		return session_fd;
	if (!graph->backend.ops->can_seal)
		return fail(err, SNAPDRV_FAILED, EOPNOTSUPP,
			    "not with the driver %s, whose containers write to files of "
			    "layers in place: use the driver overlay, which works on %s too",
			    graph->backend.ops->name, graph->backend.ops->name);
	return verity_probe(session_fd, err);
}

int graph_seal_tree(struct graph *graph, const struct tree_ref *tree, unsigned part, unsigned parts,
		    struct snapdrv_error *err)
{
	struct backend *backend = &graph->backend;
	cleanup_fd int fd = backend->ops->open(backend, backend->layers_fd, tree->path, err);

	return fd < 0 ? fd : verity_seal_tree(fd, part, parts, err);
}

static int look_at_first(void *arg, const struct change *change, struct snapdrv_error *err)
{
	int *is_sealed = arg;

	(void)err;
	*is_sealed = verity_is_on(change->dir_fd, change->name);
	return *is_sealed < 0 ? 0 : -ECANCELED;
}

int graph_tree_is_sealed(struct graph *graph, const struct tree_ref *tree)
{
	struct backend *backend = &graph->backend;
	cleanup_fd int fd = backend->ops->open(backend, backend->layers_fd, tree->path, NULL);
	int is_sealed = 0;

	if (fd >= 0)
		contents_walk(fd, look_at_first, NULL, &is_sealed, NULL);
	return is_sealed == 1;
}
