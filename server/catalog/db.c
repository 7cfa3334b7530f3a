/* Happy path: a statement is found among those prepared before, bound, stepped and reset. Failures
 * are SQLite's; a full disk and a damaged file get codes of their own, since callers act on them.
 */
#include "server/catalog/db.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Why the last write to the log ahead of the tables failed. */
static int write_errno(sqlite3 *db)
{
    int error = 0;
    sqlite3_file *file = NULL;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (file && file->pMethods)
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/* To SQLite a quota that is used up is an error of the disk. */
static bool is_full(const ps_catalog *catalog, int code)
{
    bool write = code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_FSYNC;
    int error = catalog->db && write ? write_errno(catalog->db) : 0;
    return (code & 0xff) == SQLITE_FULL || error == EDQUOT || error == ENOSPC;
}

ps_status ps_db_storage_failed(ps_catalog *catalog)
{
    ps_error error;
    return catalog->vfs && ps_vfs_take_error(catalog->vfs, &error)
               ? ps_wrap(ps_error_raise(&error), "catalog %s", catalog->path)
               : PS_OK;
}

/* Is it one that a file can be the reason of? */
static bool is_of_files(int code)
{
    return code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL ||
           code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_NOMEM;
}

ps_status ps_db_fail(ps_catalog *catalog, int code)
{
    ps_status st = is_of_files(code & 0xff) ? ps_db_storage_failed(catalog) : PS_OK;
    if (st)
        return st;
    const char *said = catalog->db ? sqlite3_errmsg(catalog->db) : sqlite3_errstr(code);
    switch (is_full(catalog, code) ? SQLITE_FULL : code & 0xff) {
    case SQLITE_FULL:
        return ps_fail(PS_NO_SPACE, "catalog %s: the disk is full; free space and try again",
                       catalog->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ps_fail(PS_CORRUPT, "catalog %s: is damaged (%s); restore it from a backup",
                       catalog->path, said);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ps_fail(PS_FAILED_PRECONDITION, "catalog %s: is in use by another process",
                       catalog->path);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return ps_fail(PS_IO, "catalog %s: %s; check the folder and its permissions", catalog->path,
                       said);
    case SQLITE_NOMEM:
        return ps_fail(PS_NO_MEMORY, "catalog %s: out of memory", catalog->path);
    default:
        return ps_fail(PS_IO, "catalog %s: %s", catalog->path, said);
    }
}

void ps_db_lock(ps_catalog *catalog)
{
    ps_loop_require_off(); /* it waits for the disk */
    if (!ps_mutex_is_held(&catalog->mutex))
        ps_mutex_lock(&catalog->mutex);
    catalog->depth++;
}

void ps_db_unlock(ps_catalog *catalog)
{
    ps_mutex_require_held(&catalog->mutex);
    PS_REQUIRE(catalog->depth > 0);
    if (--catalog->depth == 0)
        ps_mutex_unlock(&catalog->mutex);
}

ps_status ps_db_exec(ps_catalog *catalog, const char *sql)
{
    ps_mutex_require_held(&catalog->mutex);
    int code = sqlite3_exec(catalog->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? PS_OK : ps_db_fail(catalog, code);
}

ps_status ps_db_transaction(ps_catalog *catalog)
{
    ps_db_lock(catalog);
    PS_REQUIRE(sqlite3_get_autocommit(catalog->db)); /* they do not nest */
    ps_status st = ps_db_exec(catalog, "BEGIN IMMEDIATE");
    if (st)
        ps_db_unlock(catalog);
    return st;
}

ps_status ps_db_transaction_end(ps_catalog *catalog, ps_status st)
{
    ps_mutex_require_held(&catalog->mutex);
    if (!st)
        st = ps_db_exec(catalog, "COMMIT");
    /* a full disk may have rolled it back already: then this says so, and that is all right */
    if (st && !sqlite3_get_autocommit(catalog->db))
        (void)sqlite3_exec(catalog->db, "ROLLBACK", NULL, NULL, NULL);
    ps_db_unlock(catalog);
    return st;
}

bool ps_db_made_room(ps_catalog *catalog, ps_status st)
{
    return st == PS_NO_SPACE && catalog->make_room && catalog->make_room(catalog->user);
}

static ps_status find(ps_catalog *catalog, const char *sql, sqlite3_stmt **out)
{
    for (size_t i = 0; i < catalog->n_kept; i++) {
        if (catalog->kept[i].sql == sql) {
            *out = catalog->kept[i].stmt;
            return PS_OK;
        }
    }
    PS_REQUIRE(catalog->n_kept < PS_DB_STATEMENTS);
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v3(catalog->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (code != SQLITE_OK)
        return ps_db_fail(catalog, code);
    catalog->kept[catalog->n_kept].sql = sql;
    catalog->kept[catalog->n_kept++].stmt = stmt;
    *out = stmt;
    return PS_OK;
}

ps_status ps_stmt_begin(ps_stmt *q, ps_catalog *catalog, const char *sql)
{
    ps_db_lock(catalog);
    *q = (ps_stmt){.catalog = catalog};
    ps_status st = find(catalog, sql, &q->stmt);
    if (st)
        ps_db_unlock(catalog);
    else
        PS_REQUIRE(!sqlite3_stmt_busy(q->stmt)); /* begun twice, one would read the other's rows */
    return st;
}

/* Binding fails only for a number that the statement has not (removal.c binds what any of its own
 * may have), or when memory is out, which stepping reports. */
void ps_stmt_i64(ps_stmt *q, int at, int64_t v)
{
    (void)sqlite3_bind_int64(q->stmt, at, v);
}

void ps_stmt_u64(ps_stmt *q, int at, uint64_t v)
{
    (void)sqlite3_bind_int64(q->stmt, at, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

void ps_stmt_real(ps_stmt *q, int at, double v)
{
    (void)sqlite3_bind_double(q->stmt, at, v);
}

void ps_stmt_text(ps_stmt *q, int at, const char *v)
{
    (void)sqlite3_bind_text(q->stmt, at, v ? v : "", -1, SQLITE_STATIC);
}

void ps_stmt_blob(ps_stmt *q, int at, ps_slice v)
{
    (void)sqlite3_bind_blob64(q->stmt, at, v.len ? (const void *)v.data : "", v.len, SQLITE_STATIC);
}

/* ps_catalog_limit_writes */
static bool may_write(ps_stmt *q)
{
    ps_catalog *c = q->catalog;
    if (c->writes_left == PS_CATALOG_ALL || sqlite3_stmt_readonly(q->stmt))
        return true;
    if (c->writes_left == 0)
        return false;
    c->writes_left--;
    return true;
}

ps_status ps_stmt_row(ps_stmt *q)
{
    ps_mutex_require_held(&q->catalog->mutex);
    if (!may_write(q))
        return ps_db_fail(q->catalog, SQLITE_FULL);
    int code = sqlite3_step(q->stmt);
    if (code == SQLITE_ROW)
        return PS_OK;
    return code == SQLITE_DONE ? PS_END : ps_db_fail(q->catalog, code);
}

ps_status ps_stmt_run(ps_stmt *q)
{
    ps_status st = ps_stmt_row(q);
    return st == PS_END ? PS_OK : st;
}

uint64_t ps_stmt_get_u64(ps_stmt *q, int column)
{
    int64_t v = sqlite3_column_int64(q->stmt, column);
    return v < 0 ? 0 : (uint64_t)v;
}

int64_t ps_stmt_get_i64(ps_stmt *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

double ps_stmt_get_real(ps_stmt *q, int column)
{
    /* NaN (the loss of a job that diverged) is kept as null */
    return sqlite3_column_type(q->stmt, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(q->stmt, column);
}

char *ps_stmt_get_text(ps_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q->stmt, column);
    return ps_strdup(text ? text : "");
}

ps_slice ps_stmt_get_blob(ps_stmt *q, int column)
{
    const void *data = sqlite3_column_blob(q->stmt, column);
    return ps_slice_of(data, (size_t)sqlite3_column_bytes(q->stmt, column));
}

int ps_stmt_changes(const ps_stmt *q)
{
    return sqlite3_changes(q->catalog->db);
}

ps_status ps_stmt_end(ps_stmt *q, ps_status st)
{
    ps_mutex_require_held(&q->catalog->mutex);
    (void)sqlite3_reset(q->stmt); /* repeats the failure of the step, which st has */
    (void)sqlite3_clear_bindings(q->stmt);
    ps_db_unlock(q->catalog);
    return st;
}
