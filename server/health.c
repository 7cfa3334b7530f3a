#include "server/health.h"

#include "common/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void look_at(const ps_health *h, const ps_loop *loop, const char *name, ps_buf *out)
{
    uint64_t ms = ps_loop_stands_ms(loop);
    if (ms >= h->limit_ms)
        ps_buf_printf(out, "%s has stood still for %" PRIu64 " s\n", name, ms / 1000);
}

static void log_lines(const char *text)
{
    for (size_t n; (n = strcspn(text, "\n")) > 0; text += n + 1)
        ps_log_error("health", "%.*s", (int)n, text);
}

bool ps_health_check(ps_health *h, ps_buf *out)
{
    size_t before = out->len;
    char name[32];
    if (h->main)
        look_at(h, h->main, "main loop", out);
    for (unsigned i = 0; h->loops && i < ps_loops_count(h->loops); i++) {
        (void)snprintf(name, sizeof name, "connection loop %u", i);
        look_at(h, ps_loops_get(h->loops, i), name, out);
    }
    bool stands = out->len > before;
    if (atomic_exchange(&h->stands, stands) == stands)
        return !stands;
    if (stands)
        log_lines(ps_buf_cstr(out) + before);
    else
        ps_log_notice("health", "all loops go on");
    return !stands;
}
