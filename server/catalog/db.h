/* db: the catalog's connection, and statements on it that clean up after themselves.
 *
 *     ps_stmt q;
 *     ps_status st = ps_stmt_begin(&q, catalog, "SELECT name FROM job WHERE id=?1");
 *     if (st) return st;
 *     ps_stmt_u64(&q, 1, id);
 *     st = ps_stmt_row(&q);              // PS_OK: there is a row; PS_END: no more
 *     ...
 *     return ps_stmt_end(&q, st);        // and gives the mutex back
 *
 * A statement is prepared once and kept; the mutex is held from begin to end. Inside this folder
 * only.
 */
#ifndef PS_CATALOG_DB_H
#define PS_CATALOG_DB_H

#include "common/base/mutex.h"
#include "common/base/slice.h"
#include "server/catalog/catalog.h"
#include "server/catalog/vfs.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum { PS_DB_STATEMENTS = 64 }; /* more than the folder has */

struct ps_catalog {
    sqlite3 *db;
    ps_vfs *vfs;              /* NULL: the plain files */
    struct ps_values *values; /* values.h */
    char *path;
    ps_mutex mutex;
    unsigned depth; /* how often its holder has it: a transaction spans several statements */
    struct {
        const char *sql; /* compared by address: a literal of its caller */
        sqlite3_stmt *stmt;
    } kept[PS_DB_STATEMENTS];
    size_t n_kept;
    uint64_t writes_left; /* ps_catalog_limit_writes */
    bool (*make_room)(void *user);
    void *user;
};

typedef struct ps_stmt {
    ps_catalog *catalog;
    sqlite3_stmt *stmt;
} ps_stmt;

/* The mutex, as often as one likes. Everything below needs it, but what takes it itself. */
void ps_db_lock(ps_catalog *catalog);
void ps_db_unlock(ps_catalog *catalog);

/* What the row of the storage failed with last, if nobody has been told yet: it knows better than
 * SQLite what happened. */
ps_status ps_db_storage_failed(ps_catalog *catalog);
/* SQLite's error as a status: "catalog PATH: what it said, what to do". */
ps_status ps_db_fail(ps_catalog *catalog, int code);
PS_MUST_CHECK ps_status ps_db_exec(ps_catalog *catalog, const char *sql);
/* All or nothing; they hold the mutex in between. end commits when st is PS_OK, and returns what
 * the whole came to. */
PS_MUST_CHECK ps_status ps_db_transaction(ps_catalog *catalog);
PS_MUST_CHECK ps_status ps_db_transaction_end(ps_catalog *catalog, ps_status st);

/* Was it refused for want of room, and has some been made? Then it is to be tried again. */
bool ps_db_made_room(ps_catalog *catalog, ps_status st);

PS_MUST_CHECK ps_status ps_stmt_begin(ps_stmt *q, ps_catalog *catalog, const char *sql);
void ps_stmt_u64(ps_stmt *q, int at, uint64_t v); /* up to 2^63-1, what SQLite can hold */
void ps_stmt_i64(ps_stmt *q, int at, int64_t v);
void ps_stmt_real(ps_stmt *q, int at, double v);
void ps_stmt_text(ps_stmt *q, int at, const char *v); /* borrowed until ps_stmt_end */
void ps_stmt_blob(ps_stmt *q, int at, ps_slice v);    /* likewise */
/* The next row: PS_OK, PS_END after the last, or a failure. */
PS_MUST_CHECK ps_status ps_stmt_row(ps_stmt *q);
/* For a statement that gives no rows. */
PS_MUST_CHECK ps_status ps_stmt_run(ps_stmt *q);
uint64_t ps_stmt_get_u64(ps_stmt *q, int column);
int64_t ps_stmt_get_i64(ps_stmt *q, int column);
double ps_stmt_get_real(ps_stmt *q, int column);
char *ps_stmt_get_text(ps_stmt *q, int column);    /* a copy; "" for null */
ps_slice ps_stmt_get_blob(ps_stmt *q, int column); /* valid until the next row */
int ps_stmt_changes(const ps_stmt *q);             /* rows that the statement changed */
/* Gives statement and mutex back; returns st. */
ps_status ps_stmt_end(ps_stmt *q, ps_status st);

#endif
