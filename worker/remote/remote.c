/* A request is made on the task's thread, started on the loop, and waited for. It is freed by
 * whoever is last: the task's thread when the answer is there, the loop's when the task was
 * cancelled and left. */
#include "worker/remote/remote.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/ranked.h"
#include "common/base/require.h"

#include <stdatomic.h>

enum { RETRY_FIRST_MS = 50, RETRY_MOST_MS = 2000, TOLD_MOST_MS = 60000, LOG_EVERY = 15 };

/* May what psd has no room for be tried again? */
static bool may_have_room(const ps_retry *retry, int retry_ms, uint64_t now_ms)
{
    if (retry_ms == 0)
        return retry->attempts < PS_RETRY_EXHAUSTED;
    return retry_ms > 0 && (!retry->attempts || now_ms - retry->first_ms < PS_RETRY_TOLD_MS);
}

static uint64_t own_delay_ms(const ps_retry *retry)
{
    unsigned doublings = retry->attempts < 6 ? retry->attempts : 6;
    uint64_t delay = (uint64_t)RETRY_FIRST_MS << doublings;
    return delay < RETRY_MOST_MS ? delay : RETRY_MOST_MS;
}

bool ps_retry_after(ps_retry *retry, const ps_error *error, uint64_t now_ms, uint64_t *delay_ms)
{
    ps_status status = error->code;
    bool again = ps_status_retryable(status);
    if (status == PS_UNAVAILABLE) {
        retry->broken = true;
        retry->broken_at_ms = now_ms;
    }
    bool shaken = retry->broken && now_ms - retry->broken_at_ms < PS_RETRY_GRACE_MS;
    if (shaken && (status == PS_PERMISSION_DENIED || status == PS_NOT_FOUND))
        again = true;
    if (status == PS_RESOURCE_EXHAUSTED && !may_have_room(retry, error->retry_ms, now_ms))
        again = false;
    if (!again)
        return false;
    if (retry->attempts % LOG_EVERY == 0)
        ps_log_warning("exchange", "trying again attempt=%u: %s", retry->attempts + 1,
                       error->message);
    if (!retry->attempts)
        retry->first_ms = now_ms;
    uint64_t told_ms = error->retry_ms > 0 ? (uint64_t)error->retry_ms : 0;
    *delay_ms = told_ms ? ps_least(told_ms, TOLD_MOST_MS) : own_delay_ms(retry);
    retry->attempts++;
    return true;
}

void ps_retry_error(const ps_call *call, ps_status status, const char *message, ps_error *out)
{
    ps_error_save(out, ps_fail_retry(status, ps_call_retry_ms(call), "%s", message));
}

void ps_retry_succeeded(ps_retry *retry)
{
    retry->attempts = 0;
}

/* Which of the two came first, the answer or the task that leaves. A task that leaves takes its
 * gate with it, so the loop asks here before it touches the gate. */
enum { UNDER_WAY, ANSWERED, ABANDONED };

typedef struct request {
    ps_loop_task job;
    ps_remote remote; /* a copy: the task may have left */
    atomic_int first;
    const char *path;
    const ProtobufCMessage *message;
    const ProtobufCMessageDescriptor *reply_type;
    /* under the gate's lock */
    bool started, done;
    ps_error error;
    ProtobufCMessage *reply;
} request;

static void request_free(request *r)
{
    if (r->reply)
        protobuf_c_message_free_unpacked(r->reply, NULL);
    ps_free(&r);
}

/* True to the first of the two. */
static bool come_first(request *r, int as)
{
    int expected = UNDER_WAY;
    return atomic_compare_exchange_strong(&r->first, &expected, as);
}

static void answered_cb(void *user, ps_status status, const char *message, ProtobufCMessage *reply)
{
    request *r = user;
    ps_loop_require_on(r->remote.loop);
    r->reply = reply;
    if (!come_first(r, ANSWERED)) {
        request_free(r);
        return;
    }
    ps_gate *gate = r->remote.gate; /* the task waits for `done` */
    ps_gate_lock(gate);
    PS_REQUIRE(r->started && !r->done); /* once, and not from inside the call */
    if (status)
        ps_error_save(&r->error, status);
    r->done = true;
    ps_gate_notify(gate);
    ps_gate_unlock(gate);
}

static void start_cb(ps_loop_task *job)
{
    request *r = ps_container(job, request, job);
    ps_gate *gate = r->remote.gate;
    ps_channel_unary_async(r->remote.channel, r->path, r->message, r->reply_type,
                           &(ps_call_options){.wait_for_ready = true}, answered_cb, r);
    ps_gate_lock(gate);
    r->started = true; /* the message is encoded: the task may leave */
    ps_gate_notify(gate);
    ps_gate_unlock(gate);
}

/* Takes the request. */
static ps_status take_answer(request *r, ProtobufCMessage **reply)
{
    ps_status st = ps_error_raise(&r->error);
    if (!st) {
        *reply = r->reply;
        r->reply = NULL;
    }
    request_free(r);
    return st;
}

ps_status ps_remote_unary_once(ps_remote *remote, const char *path, const ProtobufCMessage *message,
                               const ProtobufCMessageDescriptor *reply_type,
                               ProtobufCMessage **reply)
{
    PS_REQUIRE(message && reply_type);
    ps_status st = ps_gate_check(remote->gate);
    if (st)
        return st;
    request *r = ps_new(request);
    r->remote = *remote;
    r->path = path;
    r->message = message;
    r->reply_type = reply_type;
    ps_loop_task_init(&r->job, start_cb);
    ps_loop_post(remote->loop, &r->job);

    ps_gate_lock(remote->gate);
    while (!r->started)
        ps_gate_wait_always(remote->gate);
    while (!st && !r->done)
        st = ps_gate_wait(remote->gate);
    bool left = !r->done && come_first(r, ABANDONED);
    while (!left && !r->done)
        ps_gate_wait_always(remote->gate);
    ps_gate_unlock(remote->gate);
    return left ? st : take_answer(r, reply);
}

ps_status ps_remote_pause(ps_remote *remote, uint64_t delay_ms)
{
    uint64_t until = ps_clock_ms(remote->clock) + delay_ms;
    ps_status st = PS_OK;
    ps_gate_lock(remote->gate);
    for (uint64_t now; !st && (now = ps_clock_ms(remote->clock)) < until;)
        st = ps_gate_wait_ms(remote->gate, until - now);
    ps_gate_unlock(remote->gate);
    return st;
}

ps_status ps_remote_again(ps_remote *remote, ps_status st, bool *done)
{
    uint64_t delay_ms = 0;
    ps_error error;
    *done = !st;
    if (!st) {
        ps_retry_succeeded(&remote->retry);
        return PS_OK;
    }
    ps_error_save(&error, st);
    if (!ps_retry_after(&remote->retry, &error, ps_clock_ms(remote->clock), &delay_ms))
        return st;
    return ps_remote_pause(remote, delay_ms);
}

ps_status ps_remote_unary(ps_remote *remote, const char *path, const ProtobufCMessage *message,
                          const ProtobufCMessageDescriptor *reply_type, ProtobufCMessage **reply)
{
    bool done = false;
    ps_status st = PS_OK;
    while (!st && !done) {
        st = ps_remote_unary_once(remote, path, message, reply_type, reply);
        st = ps_remote_again(remote, st, &done);
    }
    return st;
}

typedef struct hop {
    ps_loop_task job;
    ps_gate *gate;
    void (*f)(void *state);
    void *state;
    bool done;
} hop;

static void hop_cb(ps_loop_task *job)
{
    hop *h = ps_container(job, hop, job);
    h->f(h->state);
    ps_gate_lock(h->gate);
    h->done = true;
    ps_gate_notify(h->gate);
    ps_gate_unlock(h->gate);
}

void ps_remote_run(ps_remote *remote, void (*f)(void *state), void *state)
{
    ps_mutex_require_free(&remote->gate->lock);
    PS_REQUIRE(f);
    hop h = {.gate = remote->gate, .f = f, .state = state};
    ps_loop_task_init(&h.job, hop_cb);
    ps_loop_post(remote->loop, &h.job);
    ps_gate_lock(remote->gate);
    while (!h.done)
        ps_gate_wait_always(remote->gate);
    ps_gate_unlock(remote->gate);
}
