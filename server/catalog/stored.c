/* Happy path: sums of what rows say. What fails is the disk. */
#include "server/catalog/stored.h"

#include "common/base/mem.h"
#include "server/catalog/db.h"

ps_status ps_catalog_stored_bytes(ps_catalog *catalog, const char *who, uint64_t *bytes)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "SELECT (SELECT coalesce(sum(bytes),0) FROM model_version WHERE owner=?1)"
        "+(SELECT coalesce(sum(a.bytes),0) FROM artifact a JOIN job ON job.id=a.job_id"
        " WHERE submitter=?1)");
    if (st)
        return st;
    ps_stmt_text(&q, 1, who);
    st = ps_stmt_row(&q);
    if (!st)
        *bytes = ps_stmt_get_u64(&q, 0);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_unfinished_of(ps_catalog *catalog, const char *who, uint64_t **jobs, size_t *n)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog, "SELECT id FROM job WHERE state IN (1,2,3) AND submitter=?1 ORDER BY id");
    if (st)
        return st;
    uint64_t *all = NULL;
    size_t count = 0, room = 0;
    ps_stmt_text(&q, 1, who);
    while (!(st = ps_stmt_row(&q))) {
        if (count == room) {
            room = room ? 2 * room : 16;
            all = ps_realloc(all, room * sizeof *all);
        }
        all[count++] = ps_stmt_get_u64(&q, 0);
    }
    st = ps_stmt_end(&q, st == PS_END ? PS_OK : st);
    if (st) {
        ps_free(&all);
        return st;
    }
    *jobs = all;
    *n = count;
    return PS_OK;
}
