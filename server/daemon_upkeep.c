/* What psd does by itself from time to time: the scheduler's tick, which carries out whatever has
 * been decided (a checkpoint may be written, and a step of bsp applied, in there); the reserve is
 * made again when there is room, what is over its time goes, and what is plain is sealed. One piece
 * of each at a time, on the thread pool, so that signals and the watchdog wait for none; a tick
 * that finds the last one still at work does nothing. */
#include "common/base/log.h"
#include "server/daemon_internal.h"

#include <inttypes.h>

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

/* Likewise; what is plain still comes from before there were keys, or was written by and by. Keys
 * are read here on SIGHUP: a program that gives one may take its time. */
static void seal(ps_daemon *d)
{
    enum { PASS_MS = 60000, WORK_MS = 1000 };
    uint64_t now = ps_clock_ms(&d->clock);
    bool asked = atomic_exchange(&d->keys_asked, false);
    if (asked && ps_daemon_read_keys(d))
        ps_log_error("sealing", "the keys of before stay: %s", ps_error_message());
    if (now < d->seal_ms && !asked)
        return;
    ps_sealing_counts counts;
    ps_sealing_upkeep(d->sealing, WORK_MS, &counts);
    d->seal_ms = now + (counts.left && counts.done ? 0 : PASS_MS);
}

static void upkeep_run(void *daemon)
{
    ps_daemon *d = daemon;
    ps_room_tick(d->room);
    expire(d);
    seal(d);
    ps_daemon_renew_own(d);
}

void ps_daemon_upkeep_cb(void *daemon)
{
    ps_daemon *d = daemon;
    ps_loop_require_on(d->loop);
    ps_daemon_take_own(d);
    (void)ps_off_loop_turn_submit(d->loop, &d->upkeep_turn, upkeep_run, d);
}

static void sched_run(void *daemon)
{
    ps_sched_tick(((ps_daemon *)daemon)->sched);
}

/* Loops that are well do not show that jobs wait, so the log does. */
void ps_daemon_tick_cb(void *daemon)
{
    enum { LATE_MS = 30000 };
    ps_daemon *d = daemon;
    char times[PS_REPEAT_TEXT];
    ps_loop_require_on(d->loop);
    uint64_t now = ps_clock_ms(&d->clock);
    if (ps_off_loop_turn_submit(d->loop, &d->sched_turn, sched_run, d)) {
        d->sched_ms = now;
        if (ps_repeat_over(&d->sched_trouble))
            ps_log_notice("sched", "decides again");
    } else if (now - d->sched_ms >= LATE_MS && ps_repeat_due(&d->sched_trouble, now, NULL)) {
        ps_log_warning("sched",
                       "for %" PRIu64 " s it has been carrying out what it decided last, and "
                       "jobs wait: is the disk of data_dir slow?%s",
                       (now - d->sched_ms) / 1000, ps_repeat_text(&d->sched_trouble, times));
    }
}
