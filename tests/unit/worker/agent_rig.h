/* agent_rig: an agent whose psd, tasks and clock are the test: what the tests of the agent share.
 * One at a time, in `w`. */
#ifndef PS_TEST_AGENT_RIG_H
#define PS_TEST_AGENT_RIG_H

#include "common/base/mem.h"
#include "worker/link/agent.h"

#include <check.h>
#include <string.h>

enum { SENT_MAX = 64 };

static struct {
    ps_clock_virtual time;
    ps_clock clock;
    ps_agent *agent;
    Psd__V1__Hello hello;
    Psd__V1__WorkerMessage *sent[SENT_MAX];
    size_t count;
    unsigned opened, closed, left, stopped, gone, cancelled, started;
    uint64_t wake_ms, cancelled_lease;
} w;

static inline void open_stream(void *user)
{
    (void)user;
    w.opened++;
}

static inline void send_message(void *user, const Psd__V1__WorkerMessage *message)
{
    (void)user;
    uint8_t bytes[4096];
    size_t n = psd__v1__worker_message__pack(message, bytes);
    ck_assert_uint_lt(w.count, SENT_MAX);
    w.sent[w.count++] = psd__v1__worker_message__unpack(NULL, n, bytes);
}

static inline void close_stream(void *user)
{
    (void)user;
    w.closed++;
}

static inline void leave_stream(void *user)
{
    (void)user;
    w.left++;
}

static inline void start_task(void *user, Psd__V1__Task *task)
{
    (void)user;
    w.started++;
    psd__v1__task__free_unpacked(task, NULL);
}

static inline void cancel_task(void *user, uint64_t lease_id, const char *reason)
{
    (void)user;
    (void)reason;
    w.cancelled++;
    w.cancelled_lease = lease_id;
}

static inline void stop_tasks(void *user)
{
    (void)user;
    w.stopped++;
}

static inline void wake(void *user, uint64_t delay_ms)
{
    (void)user;
    w.wake_ms = delay_ms;
}

static inline void gone(void *user)
{
    (void)user;
    w.gone++;
}

static const ps_agent_port port = {.open = open_stream,
                                   .send = send_message,
                                   .close = close_stream,
                                   .leave = leave_stream,
                                   .start = start_task,
                                   .cancel = cancel_task,
                                   .stop_tasks = stop_tasks,
                                   .wake = wake,
                                   .gone = gone};

static inline void forget_sent(void)
{
    for (size_t i = 0; i < w.count; i++)
        psd__v1__worker_message__free_unpacked(w.sent[i], NULL);
    w.count = 0;
}

static inline void begin(void)
{
    memset(&w, 0, sizeof(w));
    w.clock = ps_clock_virtual_table(&w.time);
    psd__v1__hello__init(&w.hello);
    w.hello.slots = 1;
    w.hello.incarnation = 99;
    ps_agent_create(
        &(ps_agent_options){.port = &port, .clock = &w.clock, .hello = &w.hello, .stop_ms = 5000},
        &w.agent);
    ps_agent_start(w.agent);
}

static inline void end(void)
{
    forget_sent();
    ps_agent_free(&w.agent);
}

static inline void pass(uint64_t ms)
{
    w.time.now_ns += ms * 1000000;
    ps_agent_tick(w.agent);
}

static inline void welcome(void)
{
    Psd__V1__Welcome welcome;
    psd__v1__welcome__init(&welcome);
    welcome.heartbeat_ms = 1000;
    Psd__V1__ServerMessage message = PSD__V1__SERVER_MESSAGE__INIT;
    message.body_case = PSD__V1__SERVER_MESSAGE__BODY_WELCOME;
    message.welcome = &welcome;
    ps_agent_message(w.agent, &message);
}

static inline void give_task(uint64_t lease_id)
{
    Psd__V1__Task *task = ps_new(Psd__V1__Task);
    psd__v1__task__init(task);
    task->lease_id = lease_id;
    task->row_begin = 100;
    Psd__V1__ServerMessage message = PSD__V1__SERVER_MESSAGE__INIT;
    message.body_case = PSD__V1__SERVER_MESSAGE__BODY_TASK;
    message.task = task;
    ps_agent_message(w.agent, &message);
    if (message.body_case == PSD__V1__SERVER_MESSAGE__BODY_TASK)
        psd__v1__task__free_unpacked(message.task, NULL);
}

static inline void cancel_lease(uint64_t lease_id)
{
    Psd__V1__CancelTask cancel;
    psd__v1__cancel_task__init(&cancel);
    cancel.lease_id = lease_id;
    Psd__V1__ServerMessage message = PSD__V1__SERVER_MESSAGE__INIT;
    message.body_case = PSD__V1__SERVER_MESSAGE__BODY_CANCEL;
    message.cancel = &cancel;
    ps_agent_message(w.agent, &message);
}

static inline void progress(uint64_t lease_id, uint64_t position, uint64_t samples,
                            const char *text)
{
    Psd__V1__LogEvent log;
    psd__v1__log_event__init(&log);
    log.text = (char *)(uintptr_t)text;
    Psd__V1__TaskProgress p = PSD__V1__TASK_PROGRESS__INIT;
    p.lease_id = lease_id;
    p.position = position;
    p.samples = samples;
    p.steps = 1;
    p.loss_sum = 0.5 * (double)samples;
    Psd__V1__Metric right, *sums[] = {&right};
    psd__v1__metric__init(&right);
    right.name = (char *)(uintptr_t) "accuracy";
    right.value = (double)samples / 2;
    p.metric_sums = sums;
    p.n_metric_sums = 1;
    p.log = text ? &log : NULL;
    ps_agent_progress(w.agent, &p);
}

static inline void result(uint64_t lease_id)
{
    Psd__V1__TaskResult *r = ps_new(Psd__V1__TaskResult);
    psd__v1__task_result__init(r);
    r->lease_id = lease_id;
    ps_agent_result(w.agent, r);
}

static inline void say(uint64_t lease_id, uint32_t token)
{
    Psd__V1__Output more = PSD__V1__OUTPUT__INIT;
    more.tokens = &token, more.n_tokens = 1;
    Psd__V1__TaskOutput o = PSD__V1__TASK_OUTPUT__INIT;
    o.lease_id = lease_id, o.output = &more;
    ps_agent_output(w.agent, &o);
}

static inline int kind(size_t i)
{
    ck_assert_uint_lt(i, w.count);
    return (int)w.sent[i]->body_case;
}

#endif
