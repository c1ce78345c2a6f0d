/* SPDX-License-Identifier: Apache-2.0 */
/* Trees: drafts in this session, published ones in layers/. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/file.h"
#include "kernel/mount.h"
#include "snapshot/graph.h"
#include "snapshot/rootfs.h"
#include "store/lock.h"

void stack_done(struct tree_stack *stack)
{
	free(stack->trees);
	*stack = (struct tree_stack){0};
}

int stack_push(struct tree_stack *stack, const struct tree_ref *tree, struct snapdrv_error *err)
{
	struct tree_ref *trees = reallocarray(stack->trees, stack->count + 1, sizeof(*trees));

	if (!trees)
		return fail_memory(err);
	memmove(trees + 1, trees, stack->count * sizeof(*trees));
	trees[0] = *tree;
	stack->trees = trees;
	stack->count++;
	return 0;
}

int draft_make(struct graph *graph, enum tree_kind kind, const struct tree_stack *parents,
	       struct draft *ret_draft, struct snapdrv_error *err)
{
	struct draft draft = {.name = store_name(&graph->store), .is_made = 1};
	int session_fd = store_session(&graph->store, err), ret;

	if (session_fd < 0)
		return session_fd;
	snprintf(draft.ref.path, sizeof(draft.ref.path), "../staging/%s/%s", graph->store.session,
		 draft.name.text);
	ret = graph->backend.ops->make(&graph->backend, session_fd, draft.name.text, kind, parents,
				       err);
	if (ret)
		return ret;
	if (kind == TREE_ACTIVE && graph->backend.ops->active_safety == SAFE_SYNCED)
		ret = store_sync(&graph->store, err);
	if (ret)
		draft_drop(graph, &draft);
	else
		*ret_draft = draft;
	return ret;
}

int draft_open(struct graph *graph, const struct draft *draft, struct snapdrv_error *err)
{
	return graph->backend.ops->open(&graph->backend, graph->store.session_fd, draft->name.text,
					err);
}

int draft_mount(struct graph *graph, const struct draft *draft, enum tree_kind kind,
		const struct tree_stack *parents, int target_fd, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;

	if (parents->count || !graph->backend.ops->is_layered)
		return graph->backend.ops->mount(&graph->backend, &draft->ref, kind, parents, NULL,
						 target_fd, err);
	/* An overlay stands on something. */
	fd = draft_open(graph, draft, err);
	return fd < 0 ? fd : mount_bind(fd, target_fd, kind == TREE_VIEW, NULL, err);
}

int draft_changes(struct graph *graph, const struct draft *draft, const struct tree_stack *parents,
		  change_fn *report, void *arg, struct snapdrv_error *err)
{
	return graph->backend.ops->changes(&graph->backend, &draft->ref, TREE_ACTIVE, parents,
					   report, arg, err);
}

int draft_freeze(struct graph *graph, const struct draft *draft, struct snapdrv_error *err)
{
	return graph->backend.ops->freeze(&graph->backend, graph->store.session_fd,
					  draft->name.text, err);
}

void draft_drop(struct graph *graph, struct draft *draft)
{
	if (draft->is_made)
		graph->backend.ops->drop(&graph->backend, graph->store.session_fd, draft->name.text,
					 NULL);
	draft->is_made = 0;
}

struct tree_ref tree_ref_of(const struct tree_record *record)
{
	struct tree_ref ref = {.root_given = record->root_given,
			       .root_opaque = record->root_opaque};

	snprintf(ref.path, sizeof(ref.path), "%s%lld", record->is_active ? "../active/" : "",
		 (long long)record->id);
	return ref;
}

int draft_publish(struct graph *graph, struct draft *draft, const char *key,
		  struct tree_record *record, struct snapdrv_error *err)
{
	struct store *store = &graph->store;
	char name[24];
	int ret = db_run(
		store->db, err,
		"INSERT INTO tree(key, draft, root_given, root_opaque, needs_look, bytes, entries,"
		" in_active) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		"ssiiiiii", key,
		graph->backend.ops->active_safety == SAFE_MADE && !key
			? draft->ref.path + strlen("../staging/")
			: NULL,
		(int64_t)record->root_given, (int64_t)record->root_opaque,
		(int64_t)record->needs_look, (int64_t)record->bytes, (int64_t)record->entries,
		(int64_t)!key);

	if (ret < 0)
		return ret;
	record->id = db_last_id(store->db);
	record->is_active = !key;
	draft->is_published = 1;
	snprintf(name, sizeof(name), "%lld", (long long)record->id);
	/* The database's fdatasync(2) of a WAL that does not grow takes no directory along. */
	return store_move(store, draft->name.text, key ? store->layers_fd : store->active_fd, name,
			  !key && graph->backend.ops->active_safety != SAFE_SYNCED, err);
}

/* The name of the tree is never without a tree; one that was missing has none to exchange. */
static int exchange(struct graph *graph, const char *name, struct draft *draft,
		    struct snapdrv_error *err)
{
	struct store *store = &graph->store;

	if (!renameat2(store->session_fd, draft->name.text, store->layers_fd, name,
		       RENAME_EXCHANGE))
		return 0;
	if (errno == ENOENT && !renameat2(store->session_fd, draft->name.text, store->layers_fd,
					  name, RENAME_NOREPLACE)) {
		draft_forget(draft);
		return 0;
	}
	return fail_errno(err, "put a tree in the place of tree %s", name);
}

static int find_mounted(struct graph *graph, struct snapdrv_error *err)
{
	cleanup_query struct query *query = NULL;
	int64_t one;
	int found =
		db_get_int(graph->store.db, &one, err, "SELECT 1 FROM runtime_name LIMIT 1", "");

	if (found)
		return found;
	query = db_query(graph->store.db, err, "SELECT name FROM live_container", "");
	if (!query)
		return -EIO;
	while ((found = query_next(query, err)) == 1) {
		int is_mounted = rootfs_is_mounted(graph, query_text(query, 0), err);

		if (is_mounted)
			return is_mounted;
	}
	return found;
}

int graph_is_in_use(struct graph *graph, struct snapdrv_error *err)
{
	int is_quiet = lock_builds_stop(&graph->store, err);

	if (is_quiet <= 0)
		return is_quiet < 0 ? is_quiet : 1;
	lock_builds_leave(&graph->store);
	return find_mounted(graph, err);
}

/* Nobody mounts a container, and no row goes, while the writer's lock is held; no build begins without its own. */
static int replace_locked(struct graph *graph, const struct tree_record *record,
			  struct draft *draft, int is_building, int *ret_is_in_use,
			  struct snapdrv_error *err)
{
	struct store *store = &graph->store;
	char damaged[40];
	int64_t one;
	int found = db_get_int(store->db, &one, err, "SELECT 1 FROM tree WHERE id = ?", "i",
			       record->id);
	int is_in_use, ret;

	if (found <= 0)
		return found;
	is_in_use = is_building ? 1 : find_mounted(graph, err);
	if (is_in_use < 0)
		return is_in_use;
	ret = exchange(graph, tree_ref_of(record).path, draft, err);
	if (ret)
		return ret;
	*ret_is_in_use = is_in_use && !graph->backend.ops->shares_parents;
	if (draft->is_made && *ret_is_in_use) {
		snprintf(damaged, sizeof(damaged), "%lld" TREE_DAMAGED, (long long)record->id);
		/* One that is there already is in use for longer: this one goes with the session. */
		if (!renameat2(store->session_fd, draft->name.text, store->layers_fd, damaged,
			       RENAME_NOREPLACE))
			draft_forget(draft);
	}
	return 1;
}

int tree_replace(struct graph *graph, const struct tree_record *record, struct draft *draft,
		 int *ret_is_in_use, struct snapdrv_error *err)
{
	struct store *store = &graph->store;
	int is_quiet = lock_builds_stop(store, err), ret, done;

	if (is_quiet < 0)
		return is_quiet;
	done = lock_writer(store, err);
	if (!done) {
		done = replace_locked(graph, record, draft, !is_quiet, ret_is_in_use, err);
		unlock_writer(store);
	}
	if (is_quiet)
		lock_builds_leave(store);
	ret = done > 0 ? file_sync_dir(store->layers_fd, err) : 0;
	return ret ? ret : done;
}

static int read_record(struct query *query, struct tree_record *ret_record,
		       struct snapdrv_error *err)
{
	int found = query ? query_next(query, err) : -EIO;

	if (found != 1)
		return found;
	*ret_record = (struct tree_record){
		.id = query_int(query, 0),
		.root_given = (int)query_int(query, 1),
		.root_opaque = (int)query_int(query, 2),
		.bytes = (uint64_t)query_int(query, 3),
		.entries = (uint64_t)query_int(query, 4),
		.is_active = (int)query_int(query, 5),
		.needs_look = (int)query_int(query, 6),
	};
	return 1;
}

#define COLUMNS \
	"SELECT id, root_given, root_opaque, bytes, entries, in_active, needs_look FROM tree "

int tree_find(struct graph *graph, const char *key, struct tree_record *ret_record,
	      struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, COLUMNS "WHERE key = ?", "s", key);

	return read_record(query, ret_record, err);
}

int tree_look(struct graph *graph, int64_t id, struct tree_record *ret_record,
	      struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, COLUMNS "WHERE id = ?", "i", id);

	return read_record(query, ret_record, err);
}

int tree_get(struct graph *graph, int64_t id, struct tree_record *ret_record,
	     struct snapdrv_error *err)
{
	int found = tree_look(graph, id, ret_record, err);

	if (found)
		return found < 0 ? found : 0;
	return fail(err, SNAPDRV_FAILED, EUCLEAN, "database: no tree %lld", (long long)id);
}

int tree_of_dir(struct graph *graph, int dir_fd, int *ret_is_active, int64_t *ret_id)
{
	size_t length = strlen(graph->store.root);
	char link[32], path[PATH_MAX];
	const char *inside = path + length;
	long long id;
	ssize_t size;
	int used = 0, is_active;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	size = readlink(link, path, sizeof(path) - 1);
	if (size < 0)
		return 0;
	path[size] = '\0';
	if (strncmp(path, graph->store.root, length) != 0)
		return 0;
	is_active = text_starts(inside, "/active/");
	inside += strlen("/active/"); /* as long as "/layers/" */
	if ((!is_active && strncmp(path + length, "/layers/", strlen("/layers/")) != 0) ||
	    sscanf(inside, "%lld/fs%n", &id, &used) != 1 || !used || inside[used])
		return 0;
	*ret_is_active = is_active;
	*ret_id = id;
	return 1;
}
