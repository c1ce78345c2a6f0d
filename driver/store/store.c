/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a store and its session in staging/. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "kernel/file.h"
#include "store/lock.h"
#include "store/reserve.h"

#define SEARCH_GRANT 0010 /* as an ACL that lets single users through shows (kernel/idmap.h) */

static int open_made_dir(int dir_fd, const char *name, int *ret_fd, struct snapdrv_error *err)
{
	*ret_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd >= 0)
		return 0;
	if (mkdirat(dir_fd, name, 0700) && errno != EEXIST)
		return fail_errno(err, "make directory %s", name);
	*ret_fd = file_open_dir(dir_fd, name, err);
	return *ret_fd < 0 ? *ret_fd : 0;
}

static int open_root(struct store *store, const char *root, struct snapdrv_error *err)
{
	struct stat st;
	int ret;

	store->root = realpath(root, NULL);
	if (!store->root) {
		ret = file_make_dirs(root, err);
		if (ret)
			return ret;
		store->root = realpath(root, NULL);
	}
	if (!store->root)
		return fail_errno(err, "find the path");
	store->root_fd = open(store->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->root_fd < 0 || fstat(store->root_fd, &st))
		return fail_errno(err, "open the directory");
	/* Nobody else may reach the setuid files of an image (GHSA-c2h3-6mxw-7mvq). */
	if ((st.st_mode & 07777 & ~SEARCH_GRANT) != 0700 && fchmod(store->root_fd, 0700))
		return fail_errno(err, "set the mode of the directory");
	return 0;
}

static int open_dirs(struct store *store, struct snapdrv_error *err)
{
	cleanup_fd int content_fd = -1;
	int ret = open_made_dir(store->root_fd, "content", &content_fd, err);

	if (!ret)
		ret = open_made_dir(content_fd, "sha256", &store->content_fd, err);
	if (!ret)
		ret = open_made_dir(store->root_fd, "layers", &store->layers_fd, err);
	if (!ret)
		ret = open_made_dir(store->root_fd, "active", &store->active_fd, err);
	if (!ret)
		ret = open_made_dir(store->root_fd, "containers", &store->containers_fd, err);
	if (!ret)
		ret = open_made_dir(store->root_fd, "staging", &store->staging_fd, err);
	if (!ret)
		ret = open_made_dir(store->root_fd, "locks", &store->locks_fd, err);
	if (ret)
		return ret;
	store->lock_fd = openat(store->locks_fd, "store", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0 && errno == EROFS) {
		store->is_read_only = 1;
		store->lock_fd = openat(store->locks_fd, "store", O_RDONLY | O_CLOEXEC);
	}
	return store->lock_fd < 0 ? fail_errno(err, "open locks/store") : 0;
}

static int open_all(struct store *store, const char *root, struct snapdrv_error *err)
{
	cleanup_free char *db_path = NULL;
	int ret = open_root(store, root, err);

	if (!ret)
		ret = open_dirs(store, err);
	if (ret)
		return ret;
	db_path = text_format(err, "%s/snapdrv.db", store->root);
	if (!db_path)
		return -ENOMEM;
	/* SQLite sets up and takes down its WAL when the first one opens and the last one closes. */
	ret = lock_writer(store, err);
	if (ret)
		return ret;
	ret = db_open(db_path, store->is_read_only, &store->db, err);
	unlock_writer(store);
	return ret;
}

static const struct store closed = {.root_fd = -1,
				    .content_fd = -1,
				    .layers_fd = -1,
				    .active_fd = -1,
				    .containers_fd = -1,
				    .staging_fd = -1,
				    .locks_fd = -1,
				    .lock_fd = -1,
				    .session_fd = -1};

int store_open(const char *root, struct store *ret_store, struct snapdrv_error *err)
{
	struct store store = closed;
	int ret = open_all(&store, root, err);

	if (ret && reserve_helps(&store, -ret)) {
		store_close(&store);
		store = closed;
		ret = open_all(&store, root, err);
	}
	if (ret) {
		store_close(&store);
		return fail_within(err, ret, "store %s", quote(root).text);
	}
	*ret_store = store;
	return 0;
}

static void forget_moves(struct store *store);

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void store_close(struct store *store)
{
	if (store->session_fd >= 0 && !store->is_left)
		unlinkat(store->staging_fd, store->session, AT_REMOVEDIR);
	if (store->db && !lock_writer(store, NULL)) {
		db_close(store->db);
		unlock_writer(store);
	}
	/* Not by who could not even open it. */
	if (store->db)
		reserve_keep(store);
	store->db = NULL;
	close_fd(&store->session_fd);
	close_fd(&store->content_fd);
	close_fd(&store->layers_fd);
	close_fd(&store->active_fd);
	close_fd(&store->containers_fd);
	close_fd(&store->staging_fd);
	close_fd(&store->locks_fd);
	close_fd(&store->lock_fd);
	close_fd(&store->root_fd);
	forget_moves(store);
	free(steal_ptr(&store->root));
}

/*
 * Somebody who sweeps may find the new directory before its lock is taken, and lock it first: then it
 * goes away, and another name is tried.
 */
static int try_session(struct store *store, struct snapdrv_error *err)
{
	cleanup_fd int fd = -1;
	struct stat by_fd, by_name;
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "get random bytes");
	snprintf(store->session, sizeof(store->session), "%016llx", (unsigned long long)random);
	if (mkdirat(store->staging_fd, store->session, 0700))
		return errno == EEXIST ? 0 : fail_errno(err, "make a directory in staging");
	fd = openat(store->staging_fd, store->session, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open a directory in staging");
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? 0 : fail_errno(err, "lock a directory in staging");
	if (fstat(fd, &by_fd) || fstatat(store->staging_fd, store->session, &by_name, 0) ||
	    by_fd.st_ino != by_name.st_ino)
		return 0;
	store->session_fd = steal_fd(&fd);
	return 0;
}

static int fail_read_only(struct snapdrv_error *err)
{
	errno = EROFS;
	return fail_errno(err, "write to the store");
}

int store_session(struct store *store, struct snapdrv_error *err)
{
	if (store->is_read_only)
		return fail_read_only(err);
	while (store->session_fd < 0) {
		int ret = try_session(store, err);

		if (ret)
			return ret;
	}
	return store->session_fd;
}

void store_leave(struct store *store)
{
	store_session(store, NULL);
	store->is_left = 1;
}

struct store_name store_name(struct store *store)
{
	struct store_name name;

	snprintf(name.text, sizeof(name.text), "%u",
		 __atomic_fetch_add(&store->names, 1, __ATOMIC_RELAXED));
	return name;
}

static int take_if_dead(struct store *store, const char *name, int *ret_fd)
{
	cleanup_fd int fd =
		openat(store->staging_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	/* Somebody who closes removes it before letting go of the lock: that one is not dead. */
	if (faccessat(store->staging_fd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	*ret_fd = steal_fd(&fd);
	return 1;
}

int store_take_dead_session(struct store *store, char ret_name[24], int *ret_fd,
			    struct snapdrv_error *err)
{
	cleanup_dir DIR *dir = file_list(store->staging_fd, ".");
	struct dirent *entry;

	if (!dir)
		return fail_errno(err, "list staging");
	while ((entry = file_next(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(store->session) ||
		    (store->session_fd >= 0 && !strcmp(entry->d_name, store->session)))
			continue;
		if (!take_if_dead(store, entry->d_name, ret_fd))
			continue;
		strcpy(ret_name, entry->d_name);
		return 1;
	}
	return errno ? fail_errno(err, "list staging") : 0;
}

int store_sync(struct store *store, struct snapdrv_error *err)
{
	return file_sync_all(store->root_fd, err);
}

static int begin(struct store *store, int is_lazy, struct snapdrv_error *err)
{
	int ret = store->is_read_only ? fail_read_only(err) : lock_writer(store, err);

	if (ret)
		return ret;
	store->is_lazy = is_lazy;
	ret = db_begin(store->db, is_lazy, err);
	if (ret)
		unlock_writer(store);
	return ret;
}

int store_begin(struct store *store, struct snapdrv_error *err)
{
	return begin(store, 0, err);
}

int store_begin_lazy(struct store *store, struct snapdrv_error *err)
{
	return begin(store, 1, err);
}

/* What is not in the WAL any more was synced when it went to the database file. */
int store_flush(struct store *store, struct snapdrv_error *err)
{
	cleanup_fd int fd = openat(store->root_fd, "snapdrv.db-wal", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the database's WAL");
	return fdatasync(fd) ? fail_errno(err, "sync the database's WAL") : 0;
}

#define BOOT_ID_LENGTH 36

static int read_boot_id(int dir_fd, const char *path, char boot_id[BOOT_ID_LENGTH])
{
	cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, boot_id, BOOT_ID_LENGTH) == BOOT_ID_LENGTH;
}

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

int store_is_new_boot(struct store *store)
{
	char now[BOOT_ID_LENGTH], marked[BOOT_ID_LENGTH];

	return !read_boot_id(AT_FDCWD, BOOT_ID, now) ||
	       !read_boot_id(store->locks_fd, "boot", marked) || memcmp(now, marked, sizeof(now));
}

void store_mark_boot(struct store *store)
{
	cleanup_fd int fd = openat(store->locks_fd, "boot", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char now[BOOT_ID_LENGTH];

	/* One that cannot be written has the next opening look again. */
	if (fd >= 0 && read_boot_id(AT_FDCWD, BOOT_ID, now))
		(void)!pwrite(fd, now, sizeof(now), 0);
}

struct store_move {
	char session_name[16];
	int dir_fd;
	int is_remade;
	char name[72];
};

/*
 * Somebody who was killed between such a move and the commit has left something in the place: the number is
 * given again, since its row was not. It goes with this session; a sweep might come too late.
 */
static int clear_place(struct store *store, int dir_fd, const char *name)
{
	struct store_name away = store_name(store);

	return renameat(dir_fd, name, store->session_fd, away.text);
}

int store_move(struct store *store, const char *session_name, int dir_fd, const char *name,
	       int is_remade, struct snapdrv_error *err)
{
	struct store_move *moves = reallocarray(store->moves, store->n_moves + 1, sizeof(*moves));
	struct store_move move = {.dir_fd = dir_fd, .is_remade = is_remade};

	if (!moves)
		return fail_memory(err);
	store->moves = moves;
	snprintf(move.session_name, sizeof(move.session_name), "%s", session_name);
	snprintf(move.name, sizeof(move.name), "%s", name);
	if (renameat(store->session_fd, session_name, dir_fd, name) &&
	    ((errno != ENOTEMPTY && errno != EEXIST) || clear_place(store, dir_fd, name) ||
	     renameat(store->session_fd, session_name, dir_fd, name)))
		return fail_errno(err, "move %s to its place", name);
	moves[store->n_moves++] = move;
	return 0;
}

static void forget_moves(struct store *store)
{
	free(steal_ptr(&store->moves));
	store->n_moves = 0;
}

/* What cannot be moved back has no row. */
static void undo_moves(struct store *store)
{
	while (store->n_moves--) {
		const struct store_move *move = &store->moves[store->n_moves];

		if (renameat(move->dir_fd, move->name, store->session_fd, move->session_name))
			store_leave(store);
	}
	forget_moves(store);
}

/* The new names have to be on disk before the rows. */
static int sync_moves(struct store *store, struct snapdrv_error *err)
{
	int last_fd = -1, ret = 0;

	for (size_t i = 0; i < store->n_moves && !ret; i++) {
		if (store->moves[i].is_remade)
			continue;
		if (store->moves[i].dir_fd != last_fd)
			ret = file_sync_dir(store->moves[i].dir_fd, err);
		last_fd = store->moves[i].dir_fd;
	}
	return ret;
}

int store_commit(struct store *store, struct snapdrv_error *err)
{
	int ret = store->is_lazy ? 0 : sync_moves(store, err);

	/* Directories, too, may have been made for it. */
	if (ret) {
		store_leave(store);
		store_rollback(store);
		return ret;
	}
	ret = db_commit(store->db, err);
	if (ret) {
		store_leave(store);
		db_rollback(store->db);
		if (!db_forget_commit(store->db))
			undo_moves(store);
	}
	forget_moves(store);
	unlock_writer(store);
	return ret;
}

void store_rollback(struct store *store)
{
	db_rollback(store->db);
	undo_moves(store);
	unlock_writer(store);
}

int store_end(struct store *store, int ret, struct snapdrv_error *err)
{
	if (!ret)
		return store_commit(store, err);
	store_rollback(store);
	return ret;
}

int64_t store_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}
