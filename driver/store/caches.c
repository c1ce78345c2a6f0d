/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that steps of builds keep. */
#include "store/caches.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "kernel/usage.h"

#define ID_DIGITS 32
#define PRIVATE_MAX 1000

void cache_done(struct cache *cache)
{
	if (cache->fd >= 0)
		close(cache->fd);
	free(cache->path);
	*cache = (struct cache){.fd = -1};
}

static int open_caches(struct store *store, struct snapdrv_error *err)
{
	if (mkdirat(store->root_fd, "caches", 0700) && errno != EEXIST)
		return fail_errno(err, "make directory caches");
	return file_open_dir(store->root_fd, "caches", err);
}

/* Whether a directory that is locked still has its name: somebody may have removed it before the lock. */
static int is_current(int caches_fd, const char *name, int fd)
{
	struct stat by_fd, by_name;

	return !fstat(fd, &by_fd) && !fstatat(caches_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) &&
	       by_fd.st_ino == by_name.st_ino;
}

/* Whether it was filled once: a cache has its row from then on. */
static int has_row(struct store *store, const char *name, struct snapdrv_error *err)
{
	cleanup_query struct query *query =
		db_query(store->db, err, "SELECT 1 FROM build_cache WHERE name = ?", "s", name);

	return query ? query_next(query, err) : -EIO;
}

static int drop_dir(struct store *store, int caches_fd, const char *name, struct snapdrv_error *err)
{
	struct store_name moved = store_name(store);

	if (renameat(caches_fd, name, store->session_fd, moved.text))
		return fail_errno(err, "move away caches/%s", name);
	return file_remove_tree(store->session_fd, moved.text, err);
}

/* Lock a directory that is open. Return: 1 it is ours, 0 somebody has it or it is gone, or a negative errno value. */
static int lock_dir(int caches_fd, int fd, const char *name, int how, struct snapdrv_error *err)
{
	if (flock(fd, how | LOCK_NB))
		return errno == EWOULDBLOCK ? 0 : fail_errno(err, "lock caches/%s", name);
	return is_current(caches_fd, name, fd);
}

/*
 * It had no row when it was looked at, and is locked by us alone. One that was not made just now was left behind by
 * whoever was to fill it. Return: 1 it is to be filled, 0 try again, or a negative errno value.
 */
static int begin_new(struct store *store, int caches_fd, int fd, const char *name, int is_made,
		     struct snapdrv_error *err)
{
	int ret = is_made ? 0 : has_row(store, name, err);

	if (ret)
		return ret < 0 ? ret : 0;
	if (is_made)
		return fchmod(fd, 0755) ? fail_errno(err, "set the mode of caches/%s", name) : 1;
	ret = store_session(store, err);
	return ret < 0 ? ret : drop_dir(store, caches_fd, name, err);
}

/* Return: 1 it is ours, 0 somebody has it, or a negative errno value. */
static int try_name(struct store *store, int caches_fd, struct cache *cache,
		    struct snapdrv_error *err)
{
	const char *name = cache->name;
	int is_made = !mkdirat(caches_fd, name, 0755), is_filled, ret;
	cleanup_fd int fd = -1;

	if (!is_made && errno != EEXIST)
		return fail_errno(err, "make directory caches/%s", name);
	fd = openat(caches_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open directory caches/%s", name);
	is_filled = is_made ? 0 : has_row(store, name, err);
	if (is_filled < 0)
		return is_filled;
	ret = lock_dir(caches_fd, fd, name,
		       is_filled && cache->sharing == CACHE_SHARED ? LOCK_SH : LOCK_EX, err);
	if (ret == 1 && !is_filled)
		ret = begin_new(store, caches_fd, fd, name, is_made, err);
	if (ret == 1) {
		cache->is_new = !is_filled;
		cache->fd = steal_fd(&fd);
	}
	return ret;
}

int cache_take(struct store *store, const char *id, enum cache_sharing sharing,
	       struct cache *ret_cache, struct snapdrv_error *err)
{
	struct digest digest = digest_of(id, strlen(id));
	struct digest_text text = digest_format(&digest);
	cleanup_fd int caches_fd = open_caches(store, err);
	struct cache cache = {.fd = -1, .sharing = sharing};
	int ret = caches_fd < 0 ? caches_fd : 0;

	for (unsigned i = 0; !ret && i < (sharing == CACHE_PRIVATE ? PRIVATE_MAX : 1); i++) {
		snprintf(cache.name, sizeof(cache.name), i ? "%.*s.%u" : "%.*s", ID_DIGITS,
			 digest_hex(&text), i);
		ret = try_name(store, caches_fd, &cache, err);
	}
	if (ret <= 0)
		return ret;
	cache.path = text_format(err, "%s/caches/%s", store->root, cache.name);
	if (!cache.path) {
		cache_done(&cache);
		return -ENOMEM;
	}
	*ret_cache = cache;
	return 1;
}

int cache_filled(struct store *store, struct cache *cache, const char *id, int is_synced,
		 struct snapdrv_error *err)
{
	cleanup_fd int caches_fd = open_caches(store, err);
	int ret = caches_fd < 0 ? caches_fd : 0;

	if (!ret && is_synced)
		ret = store_sync(store, err);
	if (!ret)
		ret = cache_note(store, cache, id, err);
	if (ret)
		return ret;
	cache->is_new = 0;
	if (cache->sharing != CACHE_SHARED)
		return 1;
	/* flock(2): it is nobody's for a moment. */
	ret = lock_dir(caches_fd, cache->fd, cache->name, LOCK_SH, err);
	if (!ret)
		cache_done(cache);
	return ret;
}

int cache_note(struct store *store, const struct cache *cache, const char *id,
	       struct snapdrv_error *err)
{
	struct usage usage;
	int ret = usage_of_tree(cache->fd, &usage, err);

	if (!ret)
		ret = store_begin_lazy(store, err);
	if (ret)
		return ret;
	ret = db_run(store->db, err,
		     "INSERT INTO build_cache(name, id, bytes, used_ns) VALUES(?, ?, ?, ?)"
		     " ON CONFLICT(name) DO UPDATE SET bytes = excluded.bytes,"
		     " used_ns = excluded.used_ns",
		     "ssii", cache->name, id, (int64_t)usage.bytes, store_now_ns());
	return store_end(store, ret < 0 ? ret : 0, err);
}

/* The row goes first: a directory without one is taken for one that was not filled, whatever happens then. */
static int forget(struct store *store, const char *name, struct snapdrv_error *err)
{
	int ret = store_begin_lazy(store, err);

	if (ret)
		return ret;
	ret = db_run(store->db, err, "DELETE FROM build_cache WHERE name = ?", "s", name);
	return store_end(store, ret < 0 ? ret : 0, err);
}

static int sweep_one(struct store *store, int caches_fd, const char *name, int only_count,
		     size_t *count, uint64_t *bytes, struct snapdrv_error *err)
{
	cleanup_fd int fd =
		openat(caches_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct usage usage = {0};
	int ret;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || !is_current(caches_fd, name, fd))
		return 0;
	usage_of_tree(fd, &usage, NULL);
	++*count;
	*bytes += usage.bytes;
	if (only_count)
		return 0;
	ret = forget(store, name, err);
	return ret ? ret : drop_dir(store, caches_fd, name, err);
}

int caches_sweep(struct store *store, int only_count, size_t *ret_count, uint64_t *ret_bytes,
		 struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(store->root_fd, "caches");
	struct dirent *entry;
	int ret;

	if (!dir)
		return errno == ENOENT ? 0 : fail_errno(err, "list directory caches");
	ret = store_session(store, err);
	while (ret >= 0 && (entry = file_next(dir))) {
		if (entry->d_name[0] != '.')
			ret = sweep_one(store, dirfd(dir), entry->d_name, only_count, ret_count,
					ret_bytes, err);
	}
	if (ret >= 0 && errno)
		return fail_errno(err, "list directory caches");
	return ret < 0 ? ret : 0;
}
