/* SPDX-License-Identifier: Apache-2.0 */
/* The database: opening it, and statements with typed parameters. */
#include "store/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "store/schema.h"

#define BUSY_TIMEOUT_MS 60000 /* only WAL recovery waits here: writers queue up at store_begin() */
#define KEPT_MAX 32	      /* prepared statements kept for the next use */

/*
 * The WAL is merged into the database by who has made it this many pages long, and left as it is by
 * others: merging costs a short command several waits for the disk. Whoever opens the store as the only
 * one reads it through, so nobody leaves it long.
 */
#define WAL_PAGES 1000
#define WAL_PAGES_LEFT 96
#define VFS_NAME "snapdrv" /* SQLite's own, with open_file() */

struct query {
	struct db *db;
	sqlite3_stmt *statement;
	const char *sql;
	int in_use;
};

struct db {
	sqlite3 *handle;
	int wal_pages; /* when this handle last wrote */
	int is_lazy;   /* synchronous=NORMAL is set */
	struct query kept[KEPT_MAX];
};

static int fail_sqlite(struct db *db, struct snapdrv_error *err)
{
	int code = sqlite3_extended_errcode(db->handle), errnum = EIO;
	int system_errno = sqlite3_system_errno(db->handle);

	/* "disk I/O error" is a used up quota, and "unable to open", a lack of descriptors, too. */
	if (((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN) && system_errno)
		return fail(err, SNAPDRV_FAILED, system_errno, "database: %s: %s",
			    sqlite3_errmsg(db->handle), strerror(system_errno));
	if ((code & 0xff) == SQLITE_FULL)
		errnum = ENOSPC;
	else if ((code & 0xff) == SQLITE_NOMEM)
		errnum = ENOMEM;
	else if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
		errnum = EUCLEAN;
	else if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
		errnum = EBUSY;
	else if ((code & 0xff) == SQLITE_CONSTRAINT)
		errnum = EEXIST;
	return fail(err, SNAPDRV_FAILED, errnum, "database: %s", sqlite3_errmsg(db->handle));
}

static int run_script(struct db *db, const char *script, struct snapdrv_error *err)
{
	return sqlite3_exec(db->handle, script, NULL, NULL, NULL) ? fail_sqlite(db, err) : 0;
}

static int schema_version(struct db *db, int64_t *ret_version, struct snapdrv_error *err)
{
	int found = db_get_int(db, ret_version, err, "PRAGMA user_version", "");

	return found < 0 ? found : 0;
}

/* Each step of the schema is a transaction of its own and raises the version by one. */
static int bring_up_to_date(struct db *db, struct snapdrv_error *err)
{
	int64_t version;
	int ret = schema_version(db, &version, err);

	if (ret)
		return ret;
	if (version == SCHEMA_VERSION)
		return 0;
	if (version > SCHEMA_VERSION || version < 0)
		return fail(err, SNAPDRV_USAGE, EPROTO,
			    "schema version %lld: made by a newer snapdrv, this one knows up to %d",
			    (long long)version, SCHEMA_VERSION);
	ret = db_begin(db, 0, err);
	if (ret)
		return ret;
	/* Another process may have done it while this one waited. */
	ret = schema_version(db, &version, err);
	while (!ret && version < SCHEMA_VERSION)
		ret = run_script(db, schema_steps[version++], err);
	if (ret) {
		db_rollback(db);
		return ret;
	}
	return db_commit(db, err);
}

/*
 * SQLite syncs the directory of every WAL that it opened so as to make it when it was not there, by every
 * process once. One that is there was synced by who made it.
 */
static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		     int *ret_flags)
{
	sqlite3_vfs *base = sqlite3_vfs_find(NULL);
	int got = 0, ret;

	(void)vfs;
	if (flags & SQLITE_OPEN_WAL && !access(name, F_OK))
		flags &= ~SQLITE_OPEN_CREATE;
	ret = base->xOpen(base, name, file, flags, &got);
	/*
	 * Whatever kept it from being opened to write (a lack of descriptors), SQLite opens it to read; the error
	 * would be that of a later write.
	 */
	if (ret == SQLITE_OK && flags & SQLITE_OPEN_READWRITE && got & SQLITE_OPEN_READONLY) {
		file->pMethods->xClose(file);
		file->pMethods = NULL;
		return SQLITE_CANTOPEN;
	}
	if (ret_flags)
		*ret_flags = got;
	return ret;
}

static void register_vfs(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *base = sqlite3_vfs_find(NULL);

	if (!base)
		return;
	vfs = *base;
	vfs.pNext = NULL;
	vfs.zName = VFS_NAME;
	vfs.xOpen = open_file;
	sqlite3_vfs_register(&vfs, 0);
}

/* A change that says nothing, and does not wait for the disk. */
static int write_something(struct db *db)
{
	db->is_lazy = 1;
	return run_script(
		db,
		"PRAGMA synchronous=NORMAL; UPDATE meta SET value = value + 1 WHERE key = 'merged'",
		NULL);
}

static int count_wal_pages(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct db *db = arg;

	db->wal_pages = pages;
	if (pages >= WAL_PAGES)
		sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/*
 * Merge the WAL and write something, so that it begins anew: a file that is written over in its length
 * takes fewer writes of the filesystem to sync than one that grows.
 */
static void begin_wal_anew(struct db *db)
{
	sqlite3_busy_timeout(db->handle, 0);
	if (sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL))
		return;
	write_something(db);
}

int db_open(const char *path, int is_read_only, struct db **ret_db, struct snapdrv_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct db *db = calloc(1, sizeof(*db));
	int ret = 0;

	if (!db)
		return fail_memory(err);
	pthread_once(&once, register_vfs);
	if (sqlite3_open_v2(path, &db->handle,
			    SQLITE_OPEN_NOMUTEX |
				    (is_read_only ? SQLITE_OPEN_READONLY
						  : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE),
			    is_read_only ? NULL : VFS_NAME)) {
		ret = fail_sqlite(db, err);
	} else {
		sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
		sqlite3_wal_hook(db->handle, count_wal_pages, db);
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		ret = run_script(db,
				 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
				 "PRAGMA foreign_keys=ON;",
				 err);
	}
	if (!ret)
		ret = bring_up_to_date(db, err);
	if (ret) {
		db_close(db);
		return fail_within(err, ret, "%s", path);
	}
	*ret_db = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < KEPT_MAX; i++)
		sqlite3_finalize(db->kept[i].statement);
	if (db->wal_pages > WAL_PAGES_LEFT)
		begin_wal_anew(db);
	sqlite3_close(db->handle);
	free(db);
}

/* A kept statement with this text, or a free place for it; recursion makes a query that is not kept. */
static struct query *take_query(struct db *db, const char *sql)
{
	struct query *query, *place = NULL;

	for (size_t i = 0; i < KEPT_MAX; i++) {
		query = &db->kept[i];
		if (!query->in_use && query->statement && !strcmp(query->sql, sql))
			return query;
		if (!query->in_use && (!place || !query->statement))
			place = query;
	}
	if (place) {
		sqlite3_finalize(place->statement);
		memset(place, 0, sizeof(*place));
		return place;
	}
	return calloc(1, sizeof(*query));
}

static int bind(struct query *query, const char *types, va_list args)
{
	int ret = SQLITE_OK;

	for (int i = 1; *types && ret == SQLITE_OK; types++, i++) {
		if (*types == 'i') {
			ret = sqlite3_bind_int64(query->statement, i, va_arg(args, int64_t));
		} else if (*types == 's') {
			ret = sqlite3_bind_text(query->statement, i, va_arg(args, const char *), -1,
						SQLITE_STATIC);
		} else {
			const void *data = va_arg(args, const void *);

			ret = sqlite3_bind_blob64(query->statement, i, data, va_arg(args, size_t),
						  SQLITE_STATIC);
		}
	}
	return ret;
}

static struct query *query_new(struct db *db, const char *sql, const char *types, va_list args,
			       struct snapdrv_error *err)
{
	struct query *query = take_query(db, sql);
	int ret = SQLITE_OK;

	if (!query) {
		fail_memory(err);
		return NULL;
	}
	query->db = db;
	query->sql = sql;
	query->in_use = 1;
	if (!query->statement)
		ret = sqlite3_prepare_v2(db->handle, sql, -1, &query->statement, NULL);
	if (ret == SQLITE_OK)
		ret = bind(query, types, args);
	if (ret != SQLITE_OK) {
		fail_sqlite(db, err);
		query_done(query);
		return NULL;
	}
	return query;
}

struct query *db_query(struct db *db, struct snapdrv_error *err, const char *sql, const char *types,
		       ...)
{
	struct query *query;
	va_list args;

	va_start(args, types);
	query = query_new(db, sql, types, args, err);
	va_end(args);
	return query;
}

int query_next(struct query *query, struct snapdrv_error *err)
{
	int ret = sqlite3_step(query->statement);

	if (ret == SQLITE_ROW)
		return 1;
	return ret == SQLITE_DONE ? 0 : fail_sqlite(query->db, err);
}

int64_t query_int(struct query *query, int column)
{
	return sqlite3_column_int64(query->statement, column);
}

const char *query_text(struct query *query, int column)
{
	const char *text = (const char *)sqlite3_column_text(query->statement, column);

	return text ? text : "";
}

int query_is_null(struct query *query, int column)
{
	return sqlite3_column_type(query->statement, column) == SQLITE_NULL;
}

const void *query_bytes(struct query *query, int column, size_t *ret_size)
{
	const void *data = sqlite3_column_blob(query->statement, column);

	*ret_size = (size_t)sqlite3_column_bytes(query->statement, column);
	return data;
}

void query_done(struct query *query)
{
	int is_kept;

	if (!query)
		return;
	is_kept = query >= query->db->kept && query < query->db->kept + KEPT_MAX;
	query->in_use = 0;
	if (is_kept && query->statement) {
		sqlite3_reset(query->statement);
		sqlite3_clear_bindings(query->statement);
	} else if (!is_kept) {
		sqlite3_finalize(query->statement);
		free(query);
	}
}

int db_run(struct db *db, struct snapdrv_error *err, const char *sql, const char *types, ...)
{
	cleanup_query struct query *query = NULL;
	va_list args;
	int ret;

	va_start(args, types);
	query = query_new(db, sql, types, args, err);
	va_end(args);
	if (!query)
		return -EIO;
	ret = query_next(query, err);
	return ret < 0 ? ret : sqlite3_changes(db->handle);
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int db_get_int(struct db *db, int64_t *ret_value, struct snapdrv_error *err, const char *sql,
	       const char *types, ...)
{
	cleanup_query struct query *query = NULL;
	va_list args;
	int found;

	va_start(args, types);
	query = query_new(db, sql, types, args, err);
	va_end(args);
	if (!query)
		return -EIO;
	found = query_next(query, err);
	if (found == 1)
		*ret_value = query_int(query, 0);
	return found;
}

int db_check(struct db *db, int is_deep, char **ret_problem, struct snapdrv_error *err)
{
	cleanup_query struct query *pages = NULL, *rows = NULL;
	const char *problem = NULL;
	int ret;

	pages = is_deep ? db_query(db, err, "PRAGMA integrity_check(1)", "")
			: db_query(db, err, "PRAGMA quick_check(1)", "");
	ret = pages ? query_next(pages, err) : -EIO;
	if (ret < 0)
		return ret;
	if (ret && strcmp(query_text(pages, 0), "ok") != 0)
		problem = query_text(pages, 0);
	if (!problem) {
		rows = db_query(db, err, "PRAGMA foreign_key_check", "");
		ret = rows ? query_next(rows, err) : -EIO;
		if (ret < 0)
			return ret;
		if (!ret)
			return 1;
	}
	*ret_problem = problem ? text_dup(problem, err)
			       : text_format(err,
					     "row %lld of table %s refers to one of table %s "
					     "that is not there",
					     (long long)query_int(rows, 1), query_text(rows, 0),
					     query_text(rows, 2));
	return *ret_problem ? 0 : -ENOMEM;
}

int db_begin(struct db *db, int is_lazy, struct snapdrv_error *err)
{
	int ret = 0;

	/* This pragma works when it is compiled, and not within a transaction. */
	if (db->is_lazy != is_lazy)
		ret = run_script(
			db, is_lazy ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL", err);
	if (ret)
		return ret;
	db->is_lazy = is_lazy;
	ret = db_run(db, err, "BEGIN IMMEDIATE", "");
	return ret < 0 ? ret : 0;
}

int db_commit(struct db *db, struct snapdrv_error *err)
{
	int ret = db_run(db, err, "COMMIT", "");

	if (ret < 0)
		db_rollback(db);
	return ret < 0 ? ret : 0;
}

int db_forget_commit(struct db *db)
{
	return write_something(db);
}

void db_rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		db_run(db, NULL, "ROLLBACK", "");
}
