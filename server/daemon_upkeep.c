/* What psd does by itself from time to time: the reserve is made again when there is room, and what
 * is over its time goes. One piece at a time, on the thread pool; a tick that finds the last one
 * still at work does nothing. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/daemon_internal.h"
#include "server/runs/off_loop.h"

#include <inttypes.h>

typedef struct upkeep {
    ps_off_loop off;
    ps_daemon *daemon;
} upkeep;

/* One bounded pass; the next tick goes on where there was more. */
static void expire(ps_daemon *d)
{
    enum { PASS_MS = 60000 };
    char times[PS_REPEAT_TEXT];
    ps_removed gone = {0};
    bool more = false;
    uint64_t now = ps_clock_ms(&d->clock);
    if (now < d->expire_ms)
        return;
    ps_status st = ps_retention_pass(&d->services.files, &d->conf->retention, &gone, &more);
    if (st && ps_repeat_due(&d->expire_trouble, now, NULL))
        ps_log_warning("retention", "%s%s", ps_error_message(),
                       ps_repeat_text(&d->expire_trouble, times));
    else if (!st)
        (void)ps_repeat_over(&d->expire_trouble);
    if (gone.jobs || gone.artifacts || gone.lines)
        ps_log_info("retention",
                    "over their time: jobs=%" PRIu64 " artifacts=%" PRIu64 " bytes=%" PRIu64
                    " log_lines=%" PRIu64,
                    gone.jobs, gone.artifacts, gone.bytes, gone.lines);
    if (!more)
        d->expire_ms = now + PASS_MS;
}

static void upkeep_run(ps_off_loop *off)
{
    upkeep *u = ps_container(off, upkeep, off);
    ps_daemon *d = u->daemon;
    ps_room_tick(d->room);
    expire(d);
    atomic_store(&d->in_upkeep, false);
    ps_free(&u);
}

void ps_daemon_upkeep_cb(void *daemon)
{
    ps_daemon *d = daemon;
    if (atomic_exchange(&d->in_upkeep, true))
        return;
    upkeep *u = ps_new(upkeep);
    u->daemon = d;
    ps_off_loop_submit(d->loop, &u->off, upkeep_run);
}
