/* What psd does by itself from time to time: the reserve is made again when there is room. One
 * piece at a time, on the thread pool; a tick that finds the last one still at work does nothing.
 */
#include "common/base/mem.h"
#include "server/daemon_internal.h"
#include "server/runs/off_loop.h"

typedef struct upkeep {
    ps_off_loop off;
    ps_daemon *daemon;
} upkeep;

static void upkeep_run(ps_off_loop *off)
{
    upkeep *u = ps_container(off, upkeep, off);
    ps_daemon *d = u->daemon;
    ps_room_tick(d->room);
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
