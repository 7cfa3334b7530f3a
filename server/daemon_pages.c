/* The pages of the second listener but for /metrics, which daemon_metrics.c makes. */
#include "server/daemon_internal.h"

static unsigned health_page(void *user, ps_buf *out)
{
    ps_daemon *d = user;
    if (!ps_health_check(&d->health, out))
        return 503;
    ps_buf_puts(out, "ok\n");
    return 200;
}

/* On a full disk jobs go on, but not everything that may be asked for. */
static bool has_room(const ps_daemon *d)
{
    return ps_room_check(&ps_disk_system, d->conf->data_dir) == PS_OK;
}

bool ps_daemon_is_ready(const ps_daemon *d)
{
    return atomic_load(&d->ready) && !atomic_load(&d->draining) && has_room(d);
}

static unsigned ready_page(void *user, ps_buf *out)
{
    ps_daemon *d = user;
    if (ps_daemon_is_ready(d)) {
        ps_buf_puts(out, "ready\n");
        return 200;
    }
    if (atomic_load(&d->draining))
        ps_buf_puts(out, "draining\n");
    else if (atomic_load(&d->ready) && !has_room(d))
        ps_buf_printf(out, "disk full: %s\n", ps_error_message());
    else
        ps_buf_puts(out, "starting\n");
    return 503;
}

const ps_http_page ps_daemon_pages[] = {
    {.path = "/metrics",
     .content_type = "text/plain; version=0.0.4",
     .render = ps_daemon_metrics_page},
    {.path = "/healthz", .content_type = "text/plain; charset=utf-8", .render = health_page},
    {.path = "/readyz", .content_type = "text/plain; charset=utf-8", .render = ready_page},
    {0},
};
