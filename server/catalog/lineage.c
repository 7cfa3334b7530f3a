/* Where a model comes from: a column of its version, sealed as the others are. */
#include "server/catalog/db.h"
#include "server/catalog/models.h"

ps_status ps_catalog_model_lineage(ps_catalog *catalog, const char *path, char **out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog,
        "SELECT ps_open(lineage,'model.lineage',path) FROM model_version WHERE path=?1");
    if (st)
        return st;
    ps_stmt_text(&q, 1, path);
    st = ps_stmt_row(&q);
    if (!st)
        *out = ps_stmt_get_text(&q, 0);
    else if (st == PS_END)
        st = ps_fail(PS_NOT_FOUND, "there is no version %s", path);
    return ps_stmt_end(&q, st);
}

ps_status ps_catalog_model_set_lineage(ps_catalog *catalog, const char *path, const char *lineage)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "UPDATE model_version SET"
                                 " lineage=ps_seal(?2,'model.lineage',path) WHERE path=?1");
    if (st)
        return st;
    ps_stmt_text(&q, 1, path);
    ps_stmt_text(&q, 2, lineage);
    st = ps_stmt_run(&q);
    if (!st && ps_stmt_changes(&q) == 0)
        st = ps_fail(PS_NOT_FOUND, "there is no version %s", path);
    return ps_stmt_end(&q, st);
}
