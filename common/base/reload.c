/* It fails as its parts do. */
#include "common/base/reload.h"

#include "common/base/buf.h"
#include "common/base/log.h"

static void add(ps_buf *list, const char *what)
{
    ps_buf_printf(list, "%s%s", list->len ? ", " : "", what);
}

ps_status ps_reload_all(const ps_reload_part *parts, size_t n, const char *tag, void *user)
{
    ps_buf done = PS_BUF_EMPTY, bad = PS_BUF_EMPTY;
    ps_status first = PS_OK;
    for (size_t i = 0; i < n; i++) {
        ps_status st = parts[i].run(user);
        if (!st) {
            add(&done, parts[i].what);
            continue;
        }
        ps_log_error(tag, "%s not reloaded, going on with what was there: %s", parts[i].what,
                     ps_error_message());
        ps_buf_printf(&bad, "%s%s not reloaded: %s", bad.len ? "; " : "", parts[i].what,
                      ps_error_message());
        first = first ? first : st;
    }
    if (done.len)
        ps_log_notice(tag, "reloaded %s", ps_buf_cstr(&done));
    if (first)
        first = ps_fail(first, "%s; reloaded: %s", ps_buf_cstr(&bad),
                        done.len ? ps_buf_cstr(&done) : "nothing");
    ps_buf_free(&done);
    ps_buf_free(&bad);
    return first;
}
