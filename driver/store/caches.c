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

/* Return: 1 it is ours, 0 somebody has it, or a negative errno value. */
static int try_name(int caches_fd, const char *name, int is_shared, struct cache *cache,
		    struct snapdrv_error *err)
{
	int is_new = !mkdirat(caches_fd, name, 0755);
	cleanup_fd int fd = -1;

	if (!is_new && errno != EEXIST)
		return fail_errno(err, "make directory caches/%s", name);
	fd = openat(caches_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open directory caches/%s", name);
	if (is_new && fchmod(fd, 0755))
		return fail_errno(err, "set the mode of caches/%s", name);
	if (flock(fd, (is_shared ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return errno == EWOULDBLOCK ? 0 : fail_errno(err, "lock caches/%s", name);
	if (!is_current(caches_fd, name, fd))
		return 0;
	cache->is_new = is_new;
	cache->fd = steal_fd(&fd);
	return 1;
}

int cache_take(struct store *store, const char *id, enum cache_sharing sharing,
	       struct cache *ret_cache, struct snapdrv_error *err)
{
	struct digest digest = digest_of(id, strlen(id));
	struct digest_text text = digest_format(&digest);
	cleanup_fd int caches_fd = open_caches(store, err);
	struct cache cache = {.fd = -1};
	int ret = caches_fd < 0 ? caches_fd : 0;

	for (unsigned i = 0; !ret && i < (sharing == CACHE_PRIVATE ? PRIVATE_MAX : 1); i++) {
		snprintf(cache.name, sizeof(cache.name), i ? "%.*s.%u" : "%.*s", ID_DIGITS,
			 digest_hex(&text), i);
		ret = try_name(caches_fd, cache.name, sharing == CACHE_SHARED, &cache, err);
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

static int sweep_one(struct store *store, int caches_fd, const char *name, int only_count,
		     size_t *count, uint64_t *bytes, struct snapdrv_error *err)
{
	cleanup_fd int fd =
		openat(caches_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct store_name moved = store_name(store);
	struct usage usage = {0};
	int ret;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || !is_current(caches_fd, name, fd))
		return 0;
	usage_of_tree(fd, &usage, NULL);
	++*count;
	*bytes += usage.bytes;
	if (only_count)
		return 0;
	if (renameat(caches_fd, name, store->session_fd, moved.text))
		return fail_errno(err, "move away caches/%s", name);
	ret = store_begin_lazy(store, err);
	if (ret)
		return ret;
	ret = db_run(store->db, err, "DELETE FROM build_cache WHERE name = ?", "s", name);
	ret = store_end(store, ret < 0 ? ret : 0, err);
	return ret ? ret : file_remove_tree(store->session_fd, moved.text, err);
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
