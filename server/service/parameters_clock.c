/* Clock: a worker's clock has ended. Where nobody ever waits (asp) it is answered at once: two hops
 * to a thread and back would be half of the call's time. Else the controller may apply updates (so
 * it is asked on the thread pool) and may park the call until others have come as far.
 *
 *     asking ──answer──▶ answered
 *        ╰────parked──▶ waiting ──released──▶ answered
 *
 * The struct is shared by up to three holders: the call's events, the work on the pool, and the
 * parked callback; the last to let go frees it. */
#include "common/base/mem.h"
#include "psd/v1/parameters.pb-c.h"
#include "server/service/services.h"

#include <stdio.h>

typedef struct clock_call {
    ps_work work;
    ps_loop_task released;
    atomic_uint holders;
    ps_call *call;
    ps_services *services;
    ps_run *run;
    char member[PS_IDENTITY_PART_MAX + 1];
    uint64_t lease, clock;
    bool parked;    /* said by the controller; read on the loop after the work is done */
    bool worked;    /* the work is done: parked may be read; on the loop only */
    bool ended;     /* on the loop only */
    ps_error error; /* of the work */
    ps_status late; /* of the parked answer */
    ps_clock_reply reply;
} clock_call;

static void let_go(clock_call *c)
{
    unsigned before = atomic_fetch_sub(&c->holders, 1);
    PS_REQUIRE(before > 0);
    if (before > 1)
        return;
    ps_run_unref(&c->run);
    ps_free(&c);
}

static void reply_to(ps_call *call, const ps_clock_reply *reply)
{
    Psd__V1__ClockResponse message = PSD__V1__CLOCK_RESPONSE__INIT;
    message.version = reply->version;
    message.slowest_clock = reply->slowest_clock;
    ps_call_reply(call, &message.base);
}

static void answer(clock_call *c, ps_status st, const char *message)
{
    ps_loop_require_on(ps_call_loop(c->call));
    if (c->ended)
        return;
    if (st)
        ps_call_finish(c->call, st, message);
    else
        reply_to(c->call, &c->reply);
}

/* On the loop: the controller has let a parked call go on. */
static void released_cb(ps_loop_task *job)
{
    clock_call *c = ps_container(job, clock_call, released);
    answer(c, c->late,
           c->late == PS_ABORTED       ? "the worker has left the job, or has another task of it"
           : c->late == PS_UNAVAILABLE ? "psd is stopping"
                                       : ps_status_text(c->late));
    ps_call_unref(c->call);
    let_go(c);
}

/* On any thread, perhaps before the work that parked it is done. */
static void release_cb(void *user, ps_status status, const ps_clock_reply *reply)
{
    clock_call *c = user;
    c->late = status;
    if (reply)
        c->reply = *reply;
    ps_loop_post(ps_call_loop(c->call), &c->released);
}

static void work_cb(ps_work *w)
{
    ps_loop_require_off();
    clock_call *c = ps_container(w, clock_call, work);
    ps_clock_reply reply = {0};
    bool parked = false;
    const ps_clock_end end = {.member = c->member, .lease = c->lease, .clock = c->clock};
    ps_status st = ps_param_store_clock(ps_run_store(c->run), &end, &reply, &parked, release_cb, c);
    ps_error_save(&c->error, st);
    c->parked = !st && parked;
    if (!c->parked)
        c->reply = reply;
}

/* The parked callback will not come: give up what it would have given up. */
static void cancel_parked(clock_call *c)
{
    PS_REQUIRE(c->worked && c->parked);
    if (!ps_param_store_clock_cancel(ps_run_store(c->run), c->member, c))
        return; /* it is on its way */
    ps_call_unref(c->call);
    let_go(c);
}

static void done_cb(ps_work *w)
{
    clock_call *c = ps_container(w, clock_call, work);
    c->worked = true;
    if (!c->parked) {
        answer(c, c->error.code, c->error.message);
        ps_call_unref(c->call);
        let_go(c); /* the parked callback's share: it never comes */
    } else if (c->ended) {
        cancel_parked(c);
    }
    let_go(c);
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    clock_call *c = user;
    c->ended = true;
    if (c->worked && c->parked)
        cancel_parked(c);
    let_go(c);
}

static const ps_call_events clock_events = {.on_end = on_end};

static void answer_at_once(ps_call *call, ps_run *run, const Psd__V1__ClockRequest *in)
{
    const ps_clock_end end = {
        .member = ps_call_peer(call)->name, .lease = in->lease_id, .clock = in->clock};
    ps_clock_reply reply = {0};
    bool parked = false;
    ps_status st = ps_param_store_clock(ps_run_store(run), &end, &reply, &parked, NULL, NULL);
    if (st)
        ps_call_fail(call, st);
    else
        reply_to(call, &reply);
}

static void ask_on_the_pool(ps_call *call, ps_services *services, ps_run *run,
                            const Psd__V1__ClockRequest *in)
{
    clock_call *c = ps_new(clock_call);
    atomic_init(&c->holders, 3);
    c->call = call;
    c->services = services;
    c->run = run;
    (void)snprintf(c->member, sizeof c->member, "%s", ps_call_peer(call)->name);
    c->lease = in->lease_id;
    c->clock = in->clock;
    c->work = (ps_work){.work = work_cb, .done = done_cb};
    ps_loop_task_init(&c->released, released_cb);
    ps_call_ref(call);
    ps_call_set_events(call, &clock_events, c);
    ps_work_submit(ps_call_loop(call), &c->work);
}

void ps_parameters_clock(ps_call *call, const ProtobufCMessage *request, void *state)
{
    ps_services *services = state;
    const Psd__V1__ClockRequest *in = (const Psd__V1__ClockRequest *)request;
    ps_run *run = NULL;
    ps_status st = ps_services_find_run(services, ps_call_peer(call), in->job_id, &run);
    if (st) {
        ps_call_fail(call, st);
        return;
    }
    if (ps_param_store_clock_is_quick(ps_run_store(run))) {
        answer_at_once(call, run, in);
        ps_run_unref(&run);
    } else {
        ask_on_the_pool(call, services, run, in);
    }
}
