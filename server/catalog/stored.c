/* Happy path: rows, and sums of what rows say. What fails is the disk. */
#include "server/catalog/stored.h"

#include "common/base/mem.h"
#include "server/catalog/db.h"

void ps_stored_rows_free(ps_stored_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        ps_free(&rows->at[i].who);
    ps_free(&rows->at);
    *rows = (ps_stored_rows){0};
}

/* sql: of ?1, who or "" for everybody; its columns: whose, and how many. */
static ps_status read_rows(ps_catalog *catalog, const char *sql, const char *who,
                           ps_stored_rows *out)
{
    ps_stmt q;
    size_t room = 0;
    *out = (ps_stored_rows){0};
    ps_status st = ps_stmt_begin(&q, catalog, sql);
    if (st)
        return st;
    ps_stmt_text(&q, 1, who ? who : "");
    while (!(st = ps_stmt_row(&q))) {
        if (out->n == room) {
            room = room ? 2 * room : 16;
            out->at = ps_realloc(out->at, room * sizeof *out->at);
        }
        out->at[out->n++] = (ps_stored_row){ps_stmt_get_text(&q, 0), ps_stmt_get_u64(&q, 1)};
    }
    st = ps_stmt_end(&q, st == PS_END ? PS_OK : st);
    if (st)
        ps_stored_rows_free(out);
    return st;
}

ps_status ps_catalog_stored_bytes(ps_catalog *catalog, const char *who, ps_stored_rows *out)
{
    return read_rows(
        catalog,
        "SELECT who,sum(bytes) FROM"
        " (SELECT owner AS who,bytes FROM model_version WHERE ?1 IN ('',owner)"
        " UNION ALL SELECT submitter,a.bytes FROM artifact a JOIN job ON job.id=a.job_id"
        " WHERE ?1 IN ('',submitter)) GROUP BY who",
        who, out);
}

ps_status ps_catalog_unfinished(ps_catalog *catalog, const char *who, ps_stored_rows *out)
{
    return read_rows(catalog,
                     "SELECT submitter,id FROM job WHERE state IN (1,2,3) AND ?1 IN ('',submitter)"
                     " ORDER BY id",
                     who, out);
}
