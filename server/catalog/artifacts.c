/* Happy path: one row a file. That the job exists is the foreign key's to say. The file of the row
 * before gets onto the list of the doomed with the change. */
#include "server/catalog/artifacts.h"

#include "common/base/mem.h"
#include "server/catalog/db.h"

#include <inttypes.h>

void ps_artifact_record_free(ps_artifact_record **record)
{
    if (!*record)
        return;
    free((*record)->name);
    free((*record)->path);
    ps_free(record);
}

void ps_artifact_records_free(ps_artifact_record ***records)
{
    if (!*records)
        return;
    for (ps_artifact_record **r = *records; *r; r++)
        ps_artifact_record_free(r);
    ps_free(records);
}

/* One statement of the record's job, name and path. */
static ps_status change(ps_catalog *catalog, const char *sql, const ps_artifact_record *r)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, sql);
    if (st)
        return st;
    ps_stmt_u64(&q, 1, r->job_id);
    ps_stmt_text(&q, 2, r->name);
    ps_stmt_text(&q, 3, r->path);
    return ps_stmt_end(&q, ps_stmt_run(&q));
}

static ps_status put_row(ps_catalog *catalog, const ps_artifact_record *r)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "INSERT OR REPLACE INTO artifact(job_id,name,bytes,created_ms,"
                                 "path) VALUES(?1,?2,?3,?4,?5)");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, r->job_id);
    ps_stmt_text(&q, 2, r->name);
    ps_stmt_u64(&q, 3, r->bytes);
    ps_stmt_i64(&q, 4, r->created_ms);
    ps_stmt_text(&q, 5, r->path);
    st = ps_stmt_run(&q);
    if (st && sqlite3_extended_errcode(catalog->db) == SQLITE_CONSTRAINT_FOREIGNKEY)
        st = ps_fail(PS_NOT_FOUND, "job %" PRIu64 " does not exist", r->job_id);
    return ps_stmt_end(&q, st);
}

static ps_status check_room(ps_catalog *catalog, const ps_artifact_record *r)
{
    ps_stmt q;
    ps_status st =
        ps_stmt_begin(&q, catalog, "SELECT count(*),sum(name=?2) FROM artifact WHERE job_id=?1");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, r->job_id);
    ps_stmt_text(&q, 2, r->name);
    st = ps_stmt_row(&q);
    bool there = !st && ps_stmt_get_u64(&q, 1) > 0;
    if (!st && !r->own && !there && ps_stmt_get_u64(&q, 0) >= PS_ARTIFACTS_MAX)
        st = ps_fail(PS_RESOURCE_EXHAUSTED, "job %" PRIu64 " has %d artifacts, as many as it may",
                     r->job_id, PS_ARTIFACTS_MAX);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_artifact_put(ps_catalog *catalog, const ps_artifact_record *r)
{
    ps_status st = ps_db_transaction(catalog);
    if (st)
        return st;
    st = check_room(catalog, r);
    if (!st)
        st = change(catalog,
                    "INSERT OR IGNORE INTO doomed_file SELECT path FROM artifact"
                    " WHERE job_id=?1 AND name=?2 AND path<>?3",
                    r);
    if (!st)
        st = change(catalog, "DELETE FROM doomed_file WHERE path=?3", r);
    if (!st)
        st = put_row(catalog, r);
    return ps_db_transaction_end(catalog, st);
}

static ps_artifact_record *read_row(ps_stmt *q)
{
    ps_artifact_record *r = ps_new(ps_artifact_record);
    r->job_id = ps_stmt_get_u64(q, 0);
    r->name = ps_stmt_get_text(q, 1);
    r->bytes = ps_stmt_get_u64(q, 2);
    r->created_ms = ps_stmt_get_i64(q, 3);
    r->path = ps_stmt_get_text(q, 4);
    return r;
}

ps_status ps_catalog_artifact_get(ps_catalog *catalog, uint64_t job_id, const char *name,
                                  ps_artifact_record **out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "SELECT job_id,name,bytes,created_ms,path FROM artifact"
                                 " WHERE job_id=?1 AND name=?2");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, job_id);
    ps_stmt_text(&q, 2, name);
    st = ps_stmt_row(&q);
    if (!st)
        *out = read_row(&q);
    else if (st == PS_END)
        st = ps_fail(PS_NOT_FOUND, "job %" PRIu64 " has no artifact '%s'", job_id, name);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_artifact_list(ps_catalog *catalog, uint64_t job_id, ps_artifact_record ***out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "SELECT job_id,name,bytes,created_ms,path FROM artifact"
                                 " WHERE job_id=?1 ORDER BY name");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, job_id);
    size_t n = 0;
    ps_artifact_record **all = ps_alloc_array(1, sizeof *all);
    while ((st = ps_stmt_row(&q)) == PS_OK) {
        all = ps_realloc(all, (n + 2) * sizeof *all);
        all[n++] = read_row(&q);
        all[n] = NULL;
    }
    if (st != PS_END) {
        ps_artifact_records_free(&all);
        return ps_stmt_end(&q, st);
    }
    *out = all;
    return ps_stmt_end(&q, PS_OK);
}
