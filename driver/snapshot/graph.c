/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the graph: the store, its backend, and what dead processes left behind. */
#include "snapshot/graph.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/mount.h"
#include "kernel/sandbox.h"
#include "snapshot/runtime.h"
#include "store/reserve.h"

/* The backend's name in the database: 1 found, 0 this is a new store, or negative. */
static int recorded_driver(struct graph *graph, char driver[32], struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(graph->store.db, err, "SELECT value FROM meta WHERE key = 'driver'", "");
	int found = query ? query_next(query, err) : -EIO;

	if (found == 1)
		snprintf(driver, 32, "%s", query_text(query, 0));
	return found;
}

static int check_driver(const char *recorded, const char *wanted, struct snapdrv_error *err)
{
	if (strcmp(wanted, "auto") && strcmp(wanted, recorded))
		return fail(err, SNAPDRV_USAGE, EINVAL,
			    "driver %s: the store was made with driver %s and keeps it",
			    quote(wanted).text, recorded);
	return 0;
}

static const struct backend_ops *try_driver(struct graph *graph, const char *wanted,
					    struct snapdrv_error *err)
{
	const struct backend_ops *ops = NULL;
	struct store_name name = store_name(&graph->store);
	int session_fd = store_session(&graph->store, err), ret;
	cleanup_fd int scratch_fd = -1;

	if (session_fd < 0)
		return NULL;
	if (mkdirat(session_fd, name.text, 0700)) {
		fail_errno(err, "make a directory");
		return NULL;
	}
	scratch_fd = file_open_dir(session_fd, name.text, err);
	if (scratch_fd >= 0 && !strcmp(wanted, "auto")) {
		ops = backend_choose(scratch_fd, err);
	} else if (scratch_fd >= 0) {
		ops = backend_find(wanted);
		ret = ops->probe(scratch_fd, err);
		if (ret) {
			fail_within(err, ret, "driver %s", wanted);
			ops = NULL;
		}
	}
	file_remove_tree(session_fd, name.text, NULL);
	return ops;
}

static int choose_driver(struct graph *graph, const char *wanted, struct snapdrv_error *err)
{
	const struct backend_ops *ops;
	char recorded[32];
	int found = recorded_driver(graph, recorded, err), ret;

	if (found < 0)
		return found;
	if (found) {
		ret = check_driver(recorded, wanted, err);
		if (ret)
			return ret;
		graph->backend.ops = backend_find(recorded);
		return graph->backend.ops ? 0
					  : fail(err, SNAPDRV_USAGE, EINVAL,
						 "driver %s: not known to this version", recorded);
	}
	ops = try_driver(graph, wanted, err);
	if (!ops)
		return -EOPNOTSUPP;
	/* Two processes may have made the store at once: the first one's word counts. */
	ret = db_run(graph->store.db, err,
		     "INSERT OR IGNORE INTO meta(key, value) VALUES('driver', ?)", "s", ops->name);
	found = ret < 0 ? ret : recorded_driver(graph, recorded, err);
	if (found < 0)
		return found;
	graph->backend.ops = backend_find(recorded);
	return check_driver(recorded, wanted, err);
}

int graph_open(const char *root, const char *driver, struct graph *ret_graph,
	       struct snapdrv_error *err)
{
	struct graph graph = {0};
	int ret;

	if (strcmp(driver, "auto") && !backend_find(driver))
		return fail(err, SNAPDRV_USAGE, EINVAL, "driver %s: there is no such driver",
			    quote(driver).text);
	ret = store_open(root, &graph.store, err);
	if (ret)
		return ret;
	graph.backend.layers_fd = graph.store.layers_fd;
	ret = choose_driver(&graph, driver, err);
	if (!ret)
		ret = graph_sweep(&graph, NULL, err);
	if (ret) {
		fail_within(err, ret, "store %s", quote(root).text);
		store_close(&graph.store);
		return ret;
	}
	*ret_graph = graph;
	return 0;
}

/*
 * A container's tree whose row is on disk, but whose move to its place is not.
 * Return: 1 it is in its place again, 0 it is none, or a negative errno value.
 */
static int restore_draft(struct graph *graph, int session_fd, const char *session, const char *name,
			 struct snapdrv_error *err)
{
	cleanup_free char *draft = text_format(err, "%s/%s", session, name);
	char place[24];
	int64_t id;
	int found = draft ? db_get_int(graph->store.db, &id, err,
				       "SELECT id FROM tree WHERE draft = ?", "s", draft)
			  : -ENOMEM;

	if (found <= 0)
		return found;
	snprintf(place, sizeof(place), "%lld", (long long)id);
	if (renameat2(session_fd, name, graph->store.active_fd, place, RENAME_NOREPLACE))
		return errno == EEXIST ? 0 : fail_errno(err, "put back active/%s", place);
	found = file_sync_dir(graph->store.active_fd, err);
	return found ? found : 1;
}

static int restore_drafts(struct graph *graph, int session_fd, const char *session,
			  struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(session_fd, ".");
	struct dirent *entry;
	int ret;

	if (!dir)
		return fail_errno(err, "list staging/%s", session);
	while ((entry = file_next(dir))) {
		ret = restore_draft(graph, session_fd, session, entry->d_name, err);
		if (ret < 0)
			return ret;
	}
	return errno ? fail_errno(err, "list staging/%s", session) : 0;
}

/*
 * Remove all that is in a session's directory: files, and trees, which only the backend can remove. What cannot
 * be removed keeps none of the others. Return: 0, or the first error.
 */
static int empty_session(struct graph *graph, int session_fd, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(session_fd, ".");
	struct dirent *entry;
	int first = 0;

	if (!dir)
		return fail_errno(err, "list a directory of staging");
	while ((entry = file_next(dir))) {
		if (unlinkat(session_fd, entry->d_name, 0)) {
			int ret = graph->backend.ops->drop(&graph->backend, session_fd,
							   entry->d_name, first ? NULL : err);

			first = first ? first : ret;
		}
	}
	return first ? first : errno ? fail_errno(err, "list a directory of staging") : 0;
}

int graph_empty_session(struct graph *graph, struct snapdrv_error *err)
{
	return graph->store.session_fd < 0 ? 0 : empty_session(graph, graph->store.session_fd, err);
}

void graph_close(struct graph *graph)
{
	graph_flush(graph, NULL);
	graph_empty_session(graph, NULL);
	store_close(&graph->store);
}

/* What a directory of the store holds, and how to tell what belongs there. */
struct stray_search {
	int dir_fd;
	int may_be_damaged; /* what a repair put away stays while it may be mounted */
	const char *where;  /* below it, ending in a slash; or "" */
	const char *sql;    /* a row for the name, or */
	const char *prefix; /* of the name in the database */
	int (*is_known)(int dir_fd, const char *path, const char *name);
};

static int is_content_dir(int dir_fd, const char *path, const char *name)
{
	(void)dir_fd, (void)path;
	return !strcmp(name, "sha256") || !strcmp(name, "partial");
}

/* A short name of a tree (backend/overlay.c) goes with it. One that cannot be looked at stays. */
static int is_whole_link(int dir_fd, const char *path, const char *name)
{
	(void)name;
	return !faccessat(dir_fd, path, F_OK, 0) || errno != ENOENT;
}

static int is_dir(int dir_fd, const char *path, const char *name)
{
	struct stat st;

	(void)name;
	return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) || S_ISDIR(st.st_mode);
}

/* Return: 1 it belongs there, 0 it is a stray, or a negative errno value. */
static int is_known(struct graph *graph, const struct stray_search *search, const char *path,
		    const char *name, struct snapdrv_error *err)
{
	cleanup_free char *row_name = NULL;
	int64_t one;

	if (search->is_known)
		return search->is_known(search->dir_fd, path, name);
	row_name = text_format(err, "%s%s", search->prefix, name);
	if (!row_name)
		return -ENOMEM;
	return db_get_int(graph->store.db, &one, err, search->sql, "s", row_name);
}

/* Where it is: btrfs moves nothing when it is full, and removes all the same. */
static int remove_stray(struct graph *graph, int dir_fd, const char *name,
			struct snapdrv_error *err)
{
	if (!unlinkat(dir_fd, name, 0))
		return 0;
	return graph->backend.ops->drop(&graph->backend, dir_fd, name, err);
}

/* A stray that goes away: what is mounted below it would keep it. */
static int move_stray(struct graph *graph, int dir_fd, const char *name, int session_fd,
		      struct strays *strays, struct snapdrv_error *err)
{
	struct store_name moved = store_name(&graph->store);

	if (dir_fd == graph->store.containers_fd) {
		cleanup_free char *path =
			text_format(err, "%s/containers/%s", graph->store.root, name);

		if (path)
			mount_detach_below(path, NULL);
	}
	/* Who removed its row may be removing it too. */
	if (renameat(dir_fd, name, session_fd, moved.text)) {
		if (errno == ENOSPC || errno == EDQUOT)
			return remove_stray(graph, dir_fd, name, err);
		return errno == ENOENT ? 0 : fail_errno(err, "move away %s", quote(name).text);
	}
	return strays_add(strays, session_fd, moved.text, err);
}

/* @session_fd: -1 to leave the strays where they are. */
static int find_in(struct graph *graph, const struct stray_search *search, int session_fd,
		   struct strays *strays, struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(search->dir_fd, *search->where ? search->where : ".");
	struct dirent *entry;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return fail_errno(err, "list a directory of the store");
	while ((entry = file_next(dir))) {
		cleanup_free char *path = text_format(err, "%s%s", search->where, entry->d_name);
		int ret;

		if (!path)
			return -ENOMEM;
		ret = search->may_be_damaged && text_ends(entry->d_name, TREE_DAMAGED)
			      ? graph_is_in_use(graph, err)
			      : is_known(graph, search, path, entry->d_name, err);
		if (!ret && session_fd < 0)
			ret = strays_add(strays, search->dir_fd, path, err);
		else if (!ret)
			ret = move_stray(graph, search->dir_fd, path, session_fd, strays, err);
		if (ret < 0)
			return ret;
	}
	return errno ? fail_errno(err, "list a directory of the store") : 0;
}

int graph_release_removed(struct graph *graph, struct doomed *doomed, struct snapdrv_error *err)
{
	int64_t id = 0;
	int found;

	/* One after the other: in a damaged database a row may stay. */
	while ((found = db_get_int(graph->store.db, &id, err,
				   "SELECT id FROM snapshot WHERE removed AND id > ?"
				   " ORDER BY id LIMIT 1",
				   "i", id)) == 1) {
		int ret = snapshot_release(graph, id, doomed, err);

		if (ret)
			return ret;
	}
	return found;
}

/* Whose files those are does not matter here: they become strays. */
static int release_removed(struct graph *graph, struct snapdrv_error *err)
{
	cleanup_doomed struct doomed doomed = {0};

	return graph_release_removed(graph, &doomed, err);
}

static int find_strays(struct graph *graph, unsigned flags, int session_fd, struct strays *strays,
		       struct snapdrv_error *err)
{
	const struct store *store = &graph->store;
	const struct stray_search searches[] = {
		{store->layers_fd, 1, "", "SELECT 1 FROM tree WHERE id = ? AND NOT in_active", "",
		 NULL},
		{store->active_fd, 0, "", "SELECT 1 FROM tree WHERE id = ? AND in_active", "",
		 NULL},
		{store->content_fd, 0, "", "SELECT 1 FROM blob WHERE digest = ?", "sha256:", NULL},
		{store->containers_fd, 0, "", "SELECT 1 FROM live_container WHERE name = ?", "",
		 NULL},
		{store->layers_fd, 0, SHORT_NAMES_FROM_LAYERS "/", NULL, NULL, is_whole_link},
		{store->content_fd, 0, "../", NULL, NULL, is_content_dir},
		{store->staging_fd, 0, "", NULL, NULL, is_dir},
	};
	size_t count = sizeof(searches) / sizeof(searches[0]) - (flags & STRAYS_ALL ? 0 : 2);
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++)
		ret = find_in(graph, &searches[i], session_fd, strays, err);
	return ret;
}

static int find_under_lock(struct graph *graph, unsigned flags, int session_fd,
			   struct strays *strays, struct snapdrv_error *err)
{
	int ret = 0;

	/* What was removed from the database is not moved away before that is on disk: it would be back after a power cut. */
	if (session_fd >= 0) {
		ret = store_flush(&graph->store, err);
		if (!ret)
			ret = release_removed(graph, err);
	}
	return ret ? ret : find_strays(graph, flags, session_fd, strays, err);
}

int graph_find_strays(struct graph *graph, unsigned flags, struct strays *ret_strays,
		      struct snapdrv_error *err)
{
	cleanup_strays struct strays strays = {0};
	int is_dry = !!(flags & STRAYS_DRY);
	int session_fd = is_dry ? -1 : reserve_session(&graph->store, err);
	int ret = session_fd < 0 && !is_dry ? session_fd : store_begin(&graph->store, err);
	if (ret)
		return ret;
	ret = find_under_lock(graph, flags, session_fd, &strays, err);
	if (ret || is_dry)
		store_rollback(&graph->store);
	else /* Other removals may not be on disk yet; this waits for all of them. */
		ret = store_commit(&graph->store, err);
	if (ret)
		return ret;
	*ret_strays = strays;
	strays = (struct strays){0};
	return 0;
}

static int sweep_strays(struct graph *graph, struct snapdrv_error *err)
{
	cleanup_strays struct strays strays = {0};
	int ret = graph_find_strays(graph, 0, &strays, err);

	/* What is garbage and cannot be removed keeps nobody from the store; gc tells of it. */
	if (!ret)
		graph_empty_session(graph, NULL);
	return ret;
}

/* Of the containers of a build, which the kernel killed with it. */
static void drop_cgroups(const char *session)
{
	char prefix[48];

	snprintf(prefix, sizeof(prefix), SANDBOX_CGROUP "%s-", session);
	sandbox_drop_cgroups(prefix);
}

/*
 * Remove the session of a process that has ended without it. Return: 1 something in it could not be removed, with
 * the reason in @left; 0, or a negative errno value.
 */
static int sweep_session(struct graph *graph, int session_fd, const char *name,
			 struct snapdrv_error *left, struct snapdrv_error *err)
{
	int ret = graph->backend.ops->active_safety == SAFE_MADE
			  ? restore_drafts(graph, session_fd, name, err)
			  : 0;

	if (ret)
		return ret;
	ret = empty_session(graph, session_fd, left);
	drop_cgroups(name);
	if (!ret && unlinkat(graph->store.staging_fd, name, AT_REMOVEDIR) && errno != ENOENT)
		ret = fail_errno(left, "remove staging/%s", name);
	return !!ret;
}

/* Sessions that stay: as long as we hold their locks, they are not found again. */
struct held {
	int *fds;
	size_t count;
};

static void held_done(struct held *held)
{
	for (size_t i = 0; i < held->count; i++)
		close(held->fds[i]);
	free(held->fds);
}

static int hold(struct held *held, int fd, struct snapdrv_error *err)
{
	int *fds = reallocarray(held->fds, held->count + 1, sizeof(*fds));

	if (!fds) {
		close(fd);
		return fail_memory(err);
	}
	held->fds = fds;
	fds[held->count++] = fd;
	return 0;
}

/* Return: how many there were, or a negative errno value. */
static int sweep_sessions(struct graph *graph, struct snapdrv_error *left,
			  struct snapdrv_error *err)
{
	__attribute__((cleanup(held_done))) struct held held = {0};
	int found, n_dead = 0, fd;
	char name[24];

	while ((found = store_take_dead_session(&graph->store, name, &fd, err)) == 1) {
		found = sweep_session(graph, fd, name, held.count ? NULL : left, err);
		if (found == 1)
			found = hold(&held, fd, err);
		else
			close(fd);
		if (found)
			return found;
		n_dead++;
	}
	return found < 0 ? found : n_dead;
}

int graph_sweep(struct graph *graph, struct snapdrv_error *left, struct snapdrv_error *err)
{
	int is_new_boot, ret;

	if (graph->store.is_read_only)
		return 0;
	ret = sweep_sessions(graph, left, err);
	if (ret < 0)
		return ret;
	is_new_boot = store_is_new_boot(&graph->store);
	if (!ret && !is_new_boot)
		return 0;
	ret = sweep_strays(graph, err);
	if (!ret)
		ret = runtime_freeze_committed(graph, err);
	if (!ret && is_new_boot)
		store_mark_boot(&graph->store);
	return ret;
}
