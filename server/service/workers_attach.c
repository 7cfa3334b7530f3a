/* Attach: a worker's stream. Hello opens a session; then heartbeats, progress and results go to the
 * scheduler, which may wait for the catalog: so messages are queued and handled one after the other
 * on the thread pool, in the order they came.
 *
 *     idle ──message──▶ working ──queue empty──▶ idle          on_end: detach after the last one
 */
#include "common/base/mem.h"
#include "psd/v1/workers.pb-c.h"
#include "server/service/services.h"
#include "server/service/task_message.h"

#include <stdio.h>

enum { QUEUE_MAX = 256 }; /* messages of one worker that wait; more is no honest worker */

typedef struct attach_call {
    ps_work work;
    ps_call *call;
    ps_services *services;
    char worker[PS_IDENTITY_PART_MAX + 1];
    char address[64];
    int64_t certificate_from_ms; /* when the worker's certificate began, */
    int64_t certificate_ms;      /* and when it ends, since 1970 */
    ps_list queue;               /* of received; on the loop */
    unsigned queued;
    ps_list batch; /* what the work at hand handles */
    bool working;
    bool left; /* the worker has ended its side */
    bool ended;
    bool answered;
    uint64_t session; /* 0 before hello */
    bool attached;
    ps_error error; /* of the work */
} attach_call;

/* Kept as it came, so that what waits holds back the worker who sends it. */
typedef struct received {
    ps_list link;
    ps_message *message;
} received;

static void drop_list(ps_list *list)
{
    ps_list_each_safe(node, list)
    {
        received *r = ps_container(node, received, link);
        ps_list_remove(node);
        ps_message_release(&r->message);
        ps_free(&r);
    }
}

static void finish(attach_call *a, ps_status st, const char *message)
{
    ps_loop_require_on(ps_call_loop(a->call));
    if (!a->answered && !a->ended)
        ps_call_finish(a->call, st, message);
    a->answered = true;
}

static ps_status hello(attach_call *a, const Psd__V1__Hello *message)
{
    ps_hello hello;
    if (a->attached)
        return ps_fail(PS_INVALID_ARGUMENT, "a second hello on one stream");
    ps_hello_read(message, &hello);
    ps_status st = ps_sched_attach(a->services->sched, a->session, a->worker, a->address, &hello);
    a->attached = !st;
    if (!st)
        ps_sched_certified(a->services->sched, a->session, a->certificate_from_ms,
                           a->certificate_ms);
    return st;
}

static ps_status progress(attach_call *a, const Psd__V1__TaskProgress *message)
{
    ps_task_report report;
    ps_task_report_read(message, &report);
    return ps_sched_progress(a->services->sched, a->session, &report);
}

static ps_status output(attach_call *a, const Psd__V1__TaskOutput *message)
{
    const ps_tokens said = ps_tokens_read(message->output);
    return ps_sched_output(a->services->sched, a->session, message->lease_id, &said);
}

static ps_status result(attach_call *a, const Psd__V1__TaskResult *message)
{
    ps_task_result result;
    ps_task_result_read(message, &result);
    ps_status st = ps_sched_result(a->services->sched, a->session, &result);
    ps_data_plan_free(&result.plan); /* when it was not taken */
    return st;
}

static ps_status handle(attach_call *a, const Psd__V1__WorkerMessage *m)
{
    ps_sched *sched = a->services->sched;
    if (m->body_case == PSD__V1__WORKER_MESSAGE__BODY_HELLO)
        return hello(a, m->hello);
    if (!a->attached)
        return ps_fail(PS_INVALID_ARGUMENT, "the first message of a worker is its hello");
    switch (m->body_case) {
    case PSD__V1__WORKER_MESSAGE__BODY_HEARTBEAT:
        return ps_sched_heartbeat(sched, a->session);
    case PSD__V1__WORKER_MESSAGE__BODY_PROGRESS:
        return progress(a, m->progress);
    case PSD__V1__WORKER_MESSAGE__BODY_OUTPUT:
        return output(a, m->output);
    case PSD__V1__WORKER_MESSAGE__BODY_RESULT:
        return result(a, m->result);
    default: /* of a newer worker: a sign of life */
        return ps_sched_heartbeat(sched, a->session);
    }
}

static ps_status decode_and_handle(attach_call *a, const ps_message *message)
{
    ProtobufCMessage *decoded = NULL;
    ps_status st = ps_message_unpack(ps_message_bytes(message),
                                     &psd__v1__worker_message__descriptor, &decoded, NULL);
    if (st)
        return st;
    st = handle(a, (const Psd__V1__WorkerMessage *)decoded);
    protobuf_c_message_free_unpacked(decoded, NULL);
    return st;
}

static void work_cb(ps_work *w)
{
    ps_loop_require_off();
    attach_call *a = ps_container(w, attach_call, work);
    ps_status st = PS_OK;
    ps_list_each(node, &a->batch)
    {
        if (!st)
            st = decode_and_handle(a, ps_container(node, received, link)->message);
    }
    ps_error_save(&a->error, st);
    drop_list(&a->batch);
}

static void detach_work_cb(ps_work *w)
{
    ps_loop_require_off();
    attach_call *a = ps_container(w, attach_call, work);
    if (a->attached && a->left)
        ps_sched_leave(a->services->sched, a->session);
    else if (a->attached)
        ps_sched_detach(a->services->sched, a->session);
}

static void detached_cb(ps_work *w)
{
    attach_call *a = ps_container(w, attach_call, work);
    ps_call_unref(a->call);
    ps_free(&a);
}

static void go_on(attach_call *a);

static void worked_cb(ps_work *w)
{
    attach_call *a = ps_container(w, attach_call, work);
    a->working = false;
    if (a->error.code)
        finish(a, a->error.code, a->error.message);
    go_on(a);
}

/* On the loop: the next batch, or the end. */
static void go_on(attach_call *a)
{
    ps_loop_require_on(ps_call_loop(a->call));
    if (a->working)
        return;
    if (!a->ended && ps_list_empty(&a->queue))
        return;
    PS_REQUIRE(ps_list_empty(&a->batch)); /* the one before is done */
    a->working = true;
    if (a->ended && ps_list_empty(&a->queue)) { /* a leaving worker's last result counts */
        a->work = (ps_work){.work = detach_work_cb, .done = detached_cb};
    } else {
        ps_list_each_safe(node, &a->queue)
        {
            ps_list_remove(node);
            ps_list_append(&a->batch, node);
        }
        a->queued = 0;
        a->work = (ps_work){.work = work_cb, .done = worked_cb};
    }
    ps_work_submit(ps_call_loop(a->call), &a->work);
}

static void welcome(attach_call *a)
{
    Psd__V1__Welcome welcome = PSD__V1__WELCOME__INIT;
    welcome.heartbeat_ms = a->services->heartbeat_ms;
    welcome.lease_timeout_ms = a->services->lease_timeout_ms;
    welcome.server_version = (char *)(uintptr_t)a->services->version;
    Psd__V1__ServerMessage message = PSD__V1__SERVER_MESSAGE__INIT;
    message.body_case = PSD__V1__SERVER_MESSAGE__BODY_WELCOME;
    message.welcome = &welcome;
    ps_call_send(a->call, &message.base, NULL);
}

static void on_message(ps_call *call, ps_message *message, void *user)
{
    attach_call *a = user;
    if (!a->answered && ++a->queued > QUEUE_MAX)
        finish(a,
               ps_fail(PS_RESOURCE_EXHAUSTED, "worker %s: %d messages wait to be handled",
                       a->worker, QUEUE_MAX),
               ps_error_message());
    if (a->answered) {
        ps_message_release(&message);
        return;
    }
    received *r = ps_new(received);
    r->message = message;
    ps_list_append(&a->queue, &r->link);
    go_on(a);
}

static void on_half_close(ps_call *call, void *user)
{
    attach_call *a = user;
    a->left = true;
    finish(a, PS_OK, NULL);
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    attach_call *a = user;
    a->ended = true;
    ps_sessions_close(a->services->sessions, a->session);
    go_on(a);
}

static const ps_call_events attach_events = {
    .on_message = on_message, .on_half_close = on_half_close, .on_end = on_end};

void ps_workers_attach(ps_call *call, void *services)
{
    attach_call *a = ps_new(attach_call);
    a->call = call;
    a->services = services;
    (void)snprintf(a->worker, sizeof a->worker, "%s", ps_call_peer(call)->name);
    (void)snprintf(a->address, sizeof a->address, "%s", ps_call_peer_address(call));
    struct x509_st *certificate = ps_rpc_peer_certificate(call);
    a->certificate_from_ms = certificate ? ps_certificate_not_before(certificate) * 1000 : 0;
    int64_t not_after = ps_call_peer_not_after(call);
    a->certificate_ms = not_after > INT64_MAX / 1000 ? INT64_MAX : not_after * 1000;
    ps_list_init(&a->queue);
    ps_list_init(&a->batch);
    ps_call_ref(call);
    ps_call_set_events(call, &attach_events, a);
    a->session = ps_sessions_open(a->services->sessions, call);
    welcome(a);
}
