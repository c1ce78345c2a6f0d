/* SPDX-License-Identifier: Apache-2.0 */
/* The database (SQLite): statements with typed parameters, and the schema. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdint.h>

#include "base/cleanup.h"
#include "snapdrv.h"

struct db;
struct query;

/**
 * db_open() - open the database of a store, making it or bringing an older schema up to date.
 * @path: of the file. WAL mode, synchronous=FULL: a row whose commit returned survives a power cut.
 * @is_read_only: its filesystem is. SQLite reads the WAL then without locking anybody out.
 *
 * Return: 0, or a negative errno value; USAGE when the schema is newer than this version knows.
 */
int db_open(const char *path, int is_read_only, struct db **ret_db, struct snapdrv_error *err);

/** db_close() - takes NULL. The WAL stays, also after the last one. */
void db_close(struct db *db);

/**
 * db_query() - prepare a statement and bind its parameters.
 * @sql:   one statement. Statements are kept and used again by their text: pass literals.
 * @types: a letter for each parameter: `i` int64_t, `s` const char * (NULL allowed; borrowed until
 *         query_done), `b` const void * and size_t.
 *
 * Return: the query, for query_done(), or NULL with @err filled.
 */
struct query *db_query(struct db *db, struct snapdrv_error *err, const char *sql, const char *types,
		       ...);

/** query_next() - go to the next row. Return: 1 there is one, 0 no more, or a negative errno value. */
int query_next(struct query *query, struct snapdrv_error *err);

/** query_int() - a column of the row. NULL is 0. */
int64_t query_int(struct query *query, int column);

/**
 * query_text() - a column of the row, "" for NULL: a damaged database may have one where none should be.
 * Borrowed until the next query_next(). query_is_null() - whether it is NULL.
 */
const char *query_text(struct query *query, int column);
int query_is_null(struct query *query, int column);

/** query_bytes() - a column of the row as bytes; borrowed until the next query_next(). */
const void *query_bytes(struct query *query, int column, size_t *ret_size);

/** query_done() - takes NULL. */
void query_done(struct query *query);

DEFINE_CLEANUP(query, struct query, query_done)
#define cleanup_query __attribute__((cleanup(cleanup_query_at)))

/**
 * db_run() - a statement that gives no rows, as db_query().
 * Return: the number of rows changed, or a negative errno value; EBUSY when other rows refer to what was
 * to go, EEXIST when the row is there already.
 */
int db_run(struct db *db, struct snapdrv_error *err, const char *sql, const char *types, ...);

/** db_last_id() - the row id that the last INSERT made. */
int64_t db_last_id(struct db *db);

/**
 * db_get_int() - the first column of the first row of a statement, as db_query().
 * Return: 1 and *ret_value, 0 no row, or a negative errno value.
 */
int db_get_int(struct db *db, int64_t *ret_value, struct snapdrv_error *err, const char *sql,
	       const char *types, ...);

/**
 * db_check() - whether the database holds together: its pages, and that what rows refer to is there.
 * @is_deep: indices against tables too.
 * @ret_problem: what is wrong first, for free(3).
 *
 * Return: 1 all is well, 0 and *ret_problem, or a negative errno value.
 */
int db_check(struct db *db, int is_deep, char **ret_problem, struct snapdrv_error *err);

/**
 * db_begin(), db_commit(), db_rollback() - for store_begin() and its like.
 * @is_lazy: db_commit() does not wait for the disk. The change is on disk with the next one that waits,
 *           or with an fdatasync(2) of the WAL. After a power cut before that it was never made.
 */
int db_begin(struct db *db, int is_lazy, struct snapdrv_error *err);
int db_commit(struct db *db, struct snapdrv_error *err);
void db_rollback(struct db *db);

/**
 * db_forget_commit() - after db_commit() failed: see to it that the change never comes to be.
 *
 * When the sync is what failed, the WAL holds all of the change, and whoever opens the database next as the only
 * one takes it for committed. Another change over it ends that.
 *
 * Return: 0, or negative: the change may be found by a later opening.
 */
int db_forget_commit(struct db *db);

#endif
