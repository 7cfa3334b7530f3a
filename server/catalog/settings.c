/* Happy path: a row a setting. What fails is the disk. */
#include "server/catalog/settings.h"

#include "server/catalog/db.h"

#include <stddef.h>

static ps_status put(ps_catalog *catalog, const char *name, const char *value)
{
    ps_stmt q;
    ps_status st = value ? ps_stmt_begin(&q, catalog,
                                         "INSERT OR REPLACE INTO setting(name,value) VALUES(?1,?2)")
                         : ps_stmt_begin(&q, catalog, "DELETE FROM setting WHERE name=?1");
    if (st)
        return st;
    ps_stmt_text(&q, 1, name);
    if (value)
        ps_stmt_text(&q, 2, value);
    return ps_stmt_end(&q, ps_stmt_run(&q));
}

ps_status ps_catalog_setting_put(ps_catalog *catalog, const char *name, const char *value)
{
    ps_status st;
    do
        st = put(catalog, name, value);
    while (ps_db_made_room(catalog, st));
    return st;
}

ps_status ps_catalog_setting_get(ps_catalog *catalog, const char *name, char **out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, "SELECT value FROM setting WHERE name=?1");
    if (st)
        return st;
    ps_stmt_text(&q, 1, name);
    st = ps_stmt_row(&q);
    *out = st ? NULL : ps_stmt_get_text(&q, 0);
    return ps_stmt_end(&q, st == PS_END ? PS_OK : st);
}
