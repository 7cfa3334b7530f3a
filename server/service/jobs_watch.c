/* Watch: what the scheduler has to tell of a job, as fast as the client takes it and no faster.
 *
 *     opening (on the pool: the job may have to be read) ──▶ open ──▶ ended
 *
 * The scheduler's notify comes on any thread and hops to the call's loop; there events are fetched
 * while the call is writable. Closing the watch makes sure that no notify runs or begins; one that
 * has already been posted still arrives, so the struct waits for it, as it waits for the pool. */
#include "common/base/mem.h"
#include "server/service/job_message.h"
#include "server/service/services.h"

typedef struct watch_call {
    ps_work work;
    ps_loop_task hop;
    atomic_bool posted; /* hop is on its way to the loop */
    ps_call *call;
    ps_loop *loop;
    ps_services *services;
    uint64_t job_id, session;
    ps_watch *watch; /* the pool's while opening */
    ps_error error;  /* of opening */
    bool opening, ended;
} watch_call;

/* When the call has ended and nobody is on the way to it any more. */
static void free_if_last(watch_call *w)
{
    ps_loop_require_on(w->loop);
    if (!w->ended || w->opening || atomic_load(&w->posted))
        return;
    ps_call_unref(w->call);
    ps_free(&w);
}

static void send_event(watch_call *w, const ps_watch_event *event)
{
    Psd__V1__WatchEvent out = PSD__V1__WATCH_EVENT__INIT;
    Psd__V1__LogEvent log = PSD__V1__LOG_EVENT__INIT;
    Psd__V1__Output output = PSD__V1__OUTPUT__INIT;
    Psd__V1__Job job;
    ps_job_parts parts;
    if (event->job) {
        ps_job_message_borrow(event->job, &parts, &job);
        out.job = &job;
    }
    if (event->log) {
        log.time_ms = event->log->time_ms;
        log.level = event->log->level;
        log.source = event->log->source;
        log.text = event->log->text;
        out.log = &log;
    }
    if (event->output) {
        output.first = event->output->first;
        output.n_tokens = event->output->n_tokens;
        output.tokens = event->output->tokens;
        out.output = &output;
    }
    ps_call_send(w->call, &out.base, NULL);
}

static void pump(watch_call *w)
{
    ps_loop_require_on(w->loop);
    PS_REQUIRE(!w->opening && w->watch);
    while (!w->ended && ps_call_writable(w->call)) {
        ps_watch_event event = {0};
        ps_status st = ps_watch_next(w->watch, &event);
        if (st == PS_AGAIN)
            return;
        if (st) {
            ps_watch_close(&w->watch);
            if (st == PS_END)
                ps_call_finish(w->call, PS_OK, NULL);
            else
                ps_call_fail(w->call, st);
            return;
        }
        send_event(w, &event);
        ps_watch_event_clear(&event);
    }
}

static void hop_cb(ps_loop_task *job)
{
    watch_call *w = ps_container(job, watch_call, hop);
    atomic_store(&w->posted, false);
    if (!w->opening && w->watch)
        pump(w);
    free_if_last(w);
}

static void notify(void *user)
{
    watch_call *w = user;
    if (!atomic_exchange(&w->posted, true))
        ps_loop_post(w->loop, &w->hop);
}

static void open_cb(ps_work *work)
{
    ps_loop_require_off();
    watch_call *w = ps_container(work, watch_call, work);
    ps_error_save(&w->error, ps_sched_watch(w->services->sched, w->job_id, notify, w, &w->watch));
}

static void opened_cb(ps_work *work)
{
    watch_call *w = ps_container(work, watch_call, work);
    w->opening = false;
    if (w->ended)
        ps_watch_close(&w->watch);
    else if (w->error.code)
        ps_call_finish(w->call, w->error.code, w->error.message);
    else
        pump(w);
    free_if_last(w);
}

static void on_writable(ps_call *call, void *user)
{
    watch_call *w = user;
    if (!w->opening && w->watch)
        pump(w);
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    watch_call *w = user;
    w->ended = true;
    ps_sessions_close(w->services->sessions, w->session);
    if (!w->opening)
        ps_watch_close(&w->watch);
    free_if_last(w);
}

static const ps_call_events watch_events = {.on_writable = on_writable, .on_end = on_end};

void ps_jobs_watch(ps_call *call, const ProtobufCMessage *request, void *services)
{
    watch_call *w = ps_new(watch_call);
    w->call = call;
    w->loop = ps_call_loop(call);
    w->services = services;
    w->job_id = ((const Psd__V1__WatchJobRequest *)request)->job_id;
    w->opening = true;
    w->work = (ps_work){.work = open_cb, .done = opened_cb};
    ps_loop_task_init(&w->hop, hop_cb);
    ps_call_ref(call);
    ps_call_set_events(call, &watch_events, w);
    w->session = ps_sessions_open(w->services->sessions, call);
    ps_work_submit(w->loop, &w->work);
}
