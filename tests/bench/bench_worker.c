/* Happy path: hello; a task `plan` is answered with tensors; a task `train` is kept. Failure: the
 * stream ends, or psd cancels a task: the first reason is kept and reported. */
#include "tests/bench/bench_worker.h"

#include "common/base/mem.h"
#include "psd/v1/workers.pb-c.h"

#include <string.h>

enum { HEARTBEAT_MS = 500 };

struct bench_worker {
    ps_loop *loop;
    ps_call *call;
    ps_timer *heartbeat, *patience;
    bench_model_size size;
    uint64_t incarnation, job, first_clock;
    bool leased, settled, ended, closing;
    ps_error error;
};

static void settle(bench_worker *w, ps_status st, const char *message)
{
    if (st && !w->error.code)
        ps_error_save(&w->error, ps_fail(st, "worker: %s", message));
    w->settled = true;
}

static void say(const bench_worker *w, Psd__V1__WorkerMessage *message)
{
    if (!w->ended)
        ps_call_send(w->call, &message->base, NULL);
}

static void hello(bench_worker *w)
{
    static char train[] = "train", version[] = "bench", device[] = "none";
    char *kinds[] = {train};
    Psd__V1__Hello hello = PSD__V1__HELLO__INIT;
    hello.version = version;
    hello.device = device;
    hello.slots = 1;
    hello.n_kinds = 1;
    hello.kinds = kinds;
    hello.incarnation = w->incarnation;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    say(w, &message);
}

static void heartbeat_cb(void *user)
{
    Psd__V1__Heartbeat heartbeat = PSD__V1__HEARTBEAT__INIT;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_HEARTBEAT;
    message.heartbeat = &heartbeat;
    say(user, &message);
}

static void patience_cb(void *user)
{
    settle(user, PS_DEADLINE_EXCEEDED, "psd gave no training task; is a job submitted?");
}

static void answer_plan(bench_worker *w, const Psd__V1__Task *task)
{
    bench_model *model = bench_model_new(&w->size);
    Psd__V1__PlanResult plan = PSD__V1__PLAN_RESULT__INIT;
    plan.train_rows = 1ull << 40; /* never done */
    plan.features = plan.classes = 1024;
    plan.n_tensors = bench_model_tensors(model, &plan.tensors);
    Psd__V1__TaskResult result = PSD__V1__TASK_RESULT__INIT;
    result.lease_id = task->lease_id;
    result.plan = &plan;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_RESULT;
    message.result = &result;
    say(w, &message);
    bench_model_free(&model);
}

static void take_task(bench_worker *w, const Psd__V1__Task *task)
{
    if (strcmp(task->kind, "plan") == 0) {
        answer_plan(w, task);
    } else if (strcmp(task->kind, "train") == 0) {
        w->job = task->job_id;
        w->first_clock = task->first_clock;
        w->leased = true;
        settle(w, PS_OK, "");
    } else {
        settle(w, PS_FAILED_PRECONDITION, "a task that is neither plan nor train");
    }
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    bench_worker *w = user;
    ProtobufCMessage *decoded = NULL;
    ps_status st = ps_message_unpack(ps_message_bytes(message),
                                     &psd__v1__server_message__descriptor, &decoded, NULL);
    ps_message_release(&message);
    if (st) {
        settle(w, st, "a message that cannot be read");
        return;
    }
    const Psd__V1__ServerMessage *m = (const Psd__V1__ServerMessage *)decoded;
    if (m->body_case == PSD__V1__SERVER_MESSAGE__BODY_TASK)
        take_task(w, m->task);
    else if (m->body_case == PSD__V1__SERVER_MESSAGE__BODY_CANCEL)
        settle(w, PS_CANCELLED, m->cancel->reason);
    protobuf_c_message_free_unpacked(decoded, NULL);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    bench_worker *w = user;
    w->ended = true;
    if (!w->closing)
        settle(w, status ? status : PS_UNAVAILABLE, status ? message : "psd ended the stream");
    else
        w->settled = true;
}

static const ps_call_events events = {.on_message = message_cb, .on_end = end_cb};

ps_status bench_worker_open(ps_loop *loop, ps_channel *channel, const bench_model_size *size,
                            bench_worker **out)
{
    bench_worker *w = ps_new(bench_worker);
    w->loop = loop;
    w->size = *size;
    w->incarnation = (uint64_t)ps_clock_wall_ms(&ps_clock_system);
    w->call = ps_channel_call(channel, "/psd.v1.Workers/Attach",
                              &(ps_call_options){.wait_for_ready = true}, &events, w);
    ps_timer_create(loop, heartbeat_cb, w, &w->heartbeat);
    ps_timer_create(loop, patience_cb, w, &w->patience);
    ps_timer_start(w->heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
    ps_timer_start(w->patience, bench_model_patience_ms(size), 0);
    hello(w);
    ps_loop_run_until(loop, &w->settled);
    ps_timer_stop(w->patience);
    if (w->error.code) {
        ps_error kept = w->error;
        bench_worker_close(&w);
        return ps_error_raise(&kept);
    }
    *out = w;
    return PS_OK;
}

uint64_t bench_worker_job(const bench_worker *worker)
{
    return worker->job;
}

uint64_t bench_worker_incarnation(const bench_worker *worker)
{
    return worker->incarnation;
}

uint64_t bench_worker_first_clock(const bench_worker *worker)
{
    return worker->first_clock;
}

void bench_worker_close(bench_worker **pointer)
{
    bench_worker *w = *pointer;
    if (!w)
        return;
    ps_timer_free(&w->heartbeat);
    ps_timer_free(&w->patience);
    w->closing = true;
    if (!w->ended) {
        w->settled = false;
        ps_call_cancel(w->call);
        ps_loop_run_until(w->loop, &w->settled);
    }
    ps_call_unref(w->call);
    ps_free(pointer);
}
