/* Happy path: hello goes out with the stream, welcome comes back, tasks come, reports and results
 * go. Every event ends in advance(), which does what the state allows and asks to be woken. A
 * stream that ends is nothing unusual: the leases stay and are named in the next hello. */
#include "worker/link/agent.h"

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/repeat.h"
#include "common/base/require.h"
#include "common/base/sm.h"
#include "worker/link/lease.h"

#include <inttypes.h>

typedef enum agent_state { IDLE, DIALLING, ATTACHED, WAITING, CLOSING, GONE } agent_state;
static const char *const state_names[] = {"idle",    "dialling", "attached",
                                          "waiting", "closing",  "gone"};
static const ps_sm_set next_states[] = {
    [IDLE] = PS_SM(DIALLING) | PS_SM(GONE),
    [DIALLING] = PS_SM(ATTACHED) | PS_SM(WAITING) | PS_SM(GONE),
    [ATTACHED] = PS_SM(WAITING) | PS_SM(CLOSING),
    [WAITING] = PS_SM(DIALLING) | PS_SM(GONE),
    [CLOSING] = PS_SM(GONE),
    [GONE] = 0,
};
static const ps_sm machine = {
    .tag = "agent", .names = state_names, .next = next_states, .count = GONE + 1};

struct ps_agent {
    ps_one_thread mine;
    ps_agent_options o;
    unsigned state; /* agent_state */
    ps_list leases;
    uint64_t heartbeat_ms, next_heartbeat_ms;
    uint64_t until_ms; /* WAITING: next attempt; CLOSING: patience */
    unsigned attempts;
    ps_repeat trouble; /* with attaching */
    bool stopping, cancelled;
    bool fenced; /* another psworker of our name has come after us */
    bool superseded;
    bool taken;              /* by psd, once at least */
    bool behind;             /* WAITING: to begin anew then */
    uint64_t stop_at_ms;     /* stopping: tasks that still run are cancelled then, */
    uint64_t alone_since_ms; /* and this is since when there has been no stream */
};

static void move(ps_agent *a, agent_state to)
{
    ps_sm_go(&machine, &a->state, to, "attempts=%u", a->attempts);
}

static uint64_t now_ms(const ps_agent *a)
{
    return ps_clock_ms(a->o.clock);
}

/* ---- leases ---- */

static ps_task_lease *lease_find(ps_agent *a, uint64_t id)
{
    ps_list_each(node, &a->leases)
    {
        ps_task_lease *l = ps_container(node, ps_task_lease, link);
        if (l->id == id)
            return l;
    }
    return NULL;
}

unsigned ps_agent_running(const ps_agent *a)
{
    unsigned n = 0;
    ps_list_each(node, &a->leases) n += !ps_container(node, ps_task_lease, link)->result;
    return n;
}

/* ---- what goes out ---- */

static void forget_oldest(ps_agent *a)
{
    unsigned sent = 0;
    ps_list_each(node, &a->leases) sent += ps_container(node, ps_task_lease, link)->sent;
    ps_list_each_safe(node, &a->leases)
    {
        ps_task_lease *l = ps_container(node, ps_task_lease, link);
        if (l->sent && sent > PS_AGENT_RESULTS) {
            ps_task_lease_free(l);
            sent--;
        }
    }
}

/* Those whose results were sent are last, in the order of sending. */
static void flush(ps_agent *a)
{
    PS_REQUIRE(a->state == ATTACHED);
    ps_list_each_safe(node, &a->leases)
    {
        ps_task_lease *l = ps_container(node, ps_task_lease, link);
        if (l->sent && now_ms(a) - l->sent_ms >= PS_AGENT_RESULT_MS) {
            ps_task_lease_free(l);
            continue;
        }
        bool was_sent = l->sent;
        ps_task_lease_flush(l, a->o.port->send, a->o.user, now_ms(a));
        if (l->sent && !was_sent) {
            ps_trace("lease", "result sent lease=%" PRIu64 " code=%d", l->id, l->result->code);
            ps_list_remove(&l->link);
            ps_list_append(&a->leases, &l->link);
        }
    }
    forget_oldest(a);
}

/* The welcome comes before psd has looked at the hello; whoever is still attached when the first
 * heartbeat is due has been taken. */
static void heartbeat(ps_agent *a)
{
    PS_REQUIRE(a->state == ATTACHED);
    if (now_ms(a) < a->next_heartbeat_ms)
        return;
    a->attempts = 0;
    a->taken = true;
    (void)ps_repeat_over(&a->trouble);
    Psd__V1__Heartbeat beat = PSD__V1__HEARTBEAT__INIT;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_HEARTBEAT;
    message.heartbeat = &beat;
    a->o.port->send(a->o.user, &message);
    a->next_heartbeat_ms = now_ms(a) + a->heartbeat_ms;
}

static void dial(ps_agent *a)
{
    move(a, DIALLING);
    a->o.port->open(a->o.user);
    Psd__V1__Hello hello = *a->o.hello;
    size_t count = 0;
    ps_list_each(node, &a->leases) count++;
    hello.leases = ps_alloc_array(count + 1, sizeof(uint64_t));
    ps_list_each(node, &a->leases) hello.leases[hello.n_leases++] =
        ps_container(node, ps_task_lease, link)->id;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    a->o.port->send(a->o.user, &message);
    ps_free(&hello.leases);
}

/* ---- the machine ---- */

static bool all_reported(const ps_agent *a)
{
    ps_list_each(node, &a->leases) if (!ps_container(node, ps_task_lease, link)->sent) return false;
    return true;
}

static void go(ps_agent *a)
{
    move(a, GONE);
    a->o.port->gone(a->o.user);
}

static const char stopping_text[] = "the worker is stopping";

static void cancel_tasks(ps_agent *a, const char *why)
{
    if (a->cancelled)
        return;
    a->cancelled = true;
    ps_list_each(node, &a->leases)
    {
        ps_task_lease *l = ps_container(node, ps_task_lease, link);
        if (!l->result)
            a->o.port->cancel(a->o.user, l->id, why);
    }
}

/* Stopping, and no stream: is there anything to wait for, and still time? */
static void go_alone(ps_agent *a)
{
    unsigned unfinished = ps_agent_running(a), unsent = 0;
    ps_list_each(node, &a->leases)
    {
        const ps_task_lease *l = ps_container(node, ps_task_lease, link);
        unsent += l->result && !l->sent;
    }
    if (unfinished + unsent > 0) {
        if (now_ms(a) < a->alone_since_ms + PS_AGENT_RECONNECT_MS)
            return;
        ps_log_warning("agent",
                       "leaving without psd: lost are tasks=%u that have not ended and results=%u "
                       "that were not delivered; psd gives their rows out again",
                       unfinished, unsent);
    }
    cancel_tasks(a, stopping_text);
    go(a);
}

static void ask_wake(ps_agent *a)
{
    uint64_t at = UINT64_MAX;
    if (a->state == ATTACHED)
        at = a->next_heartbeat_ms;
    if (a->state == WAITING || a->state == CLOSING)
        at = a->until_ms;
    if (a->stopping && !a->cancelled && a->stop_at_ms < at)
        at = a->stop_at_ms;
    bool alone = a->state == DIALLING || a->state == WAITING;
    if (a->stopping && alone && a->alone_since_ms + PS_AGENT_RECONNECT_MS < at)
        at = a->alone_since_ms + PS_AGENT_RECONNECT_MS;
    uint64_t now = now_ms(a);
    if (at != UINT64_MAX && a->state != GONE)
        a->o.port->wake(a->o.user, at > now ? at - now : 0);
}

static void begin_to_stop(ps_agent *a)
{
    a->stopping = true;
    a->alone_since_ms = now_ms(a);
    a->stop_at_ms = now_ms(a) + a->o.stop_ms;
    a->o.port->stop_tasks(a->o.user);
}

static void supersede(ps_agent *a)
{
    if (a->stopping)
        return;
    ps_log_notice("agent", "beginning anew: another psworker of this name was here meanwhile");
    a->superseded = true;
    a->cancelled = false; /* tasks may have come since */
    begin_to_stop(a);
}

static void advance(ps_agent *a)
{
    if (a->behind && now_ms(a) >= a->until_ms)
        supersede(a);
    if (a->stopping && now_ms(a) >= a->stop_at_ms)
        cancel_tasks(a, stopping_text);
    if (a->stopping && (a->state == DIALLING || a->state == WAITING))
        go_alone(a);
    switch (a->state) {
    case WAITING:
        if (now_ms(a) >= a->until_ms)
            dial(a);
        break;
    case ATTACHED:
        flush(a);
        heartbeat(a);
        if (a->fenced && !a->attempts) /* taken after all, by a psd that knows no later one */
            supersede(a);
        if (a->stopping && !ps_agent_running(a) && all_reported(a)) {
            move(a, CLOSING);
            a->until_ms = now_ms(a) + PS_AGENT_CLOSING_MS;
            a->o.port->close(a->o.user);
        }
        break;
    case CLOSING:
        if (now_ms(a) >= a->until_ms)
            go(a);
        break;
    case IDLE:
        if (a->stopping)
            go(a);
        break;
    case DIALLING:
    case GONE:
        break;
    }
    ask_wake(a);
}

void ps_agent_tick(ps_agent *a)
{
    ps_one_thread_require(&a->mine);
    advance(a);
}

/* ---- what comes in ---- */

static void welcomed(ps_agent *a, const Psd__V1__Welcome *welcome)
{
    if (a->state != DIALLING)
        return;
    move(a, ATTACHED);
    a->heartbeat_ms = welcome->heartbeat_ms;
    if (a->heartbeat_ms < 50)
        a->heartbeat_ms = 50;
    if (a->heartbeat_ms > 60000)
        a->heartbeat_ms = 60000;
    a->next_heartbeat_ms = now_ms(a) + a->heartbeat_ms;
    if (!a->fenced)
        ps_log_info("agent", "attached server_version=%s heartbeat_ms=%" PRIu64,
                    welcome->server_version, a->heartbeat_ms);
}

static void tasked(ps_agent *a, Psd__V1__ServerMessage *message)
{
    PS_REQUIRE(message->task);
    Psd__V1__Task *task = message->task;
    if (a->state != ATTACHED || lease_find(a, task->lease_id))
        return; /* the same lease again: it runs */
    if (a->stopping) {
        ps_task_refuse(task, PS_CANCELLED, stopping_text, a->o.port->send,
                       a->o.user); /* psd sends no other then */
        return;
    }
    if (ps_agent_running(a) >= a->o.hello->slots) {
        ps_task_refuse(task, PS_RESOURCE_EXHAUSTED, "all slots of the worker are busy",
                       a->o.port->send, a->o.user);
        return;
    }
    ps_task_lease *l = ps_task_lease_new(task);
    ps_list_append(&a->leases, &l->link);
    ps_trace("lease", "taken lease=%" PRIu64 " job=%" PRIu64 " kind=%s", task->lease_id,
             task->job_id, task->kind);
    message->task = NULL;
    message->body_case = PSD__V1__SERVER_MESSAGE__BODY__NOT_SET;
    a->o.port->start(a->o.user, task);
}

static void cancelled(ps_agent *a, const Psd__V1__CancelTask *cancel)
{
    ps_task_lease *l = lease_find(a, cancel->lease_id);
    if (l && l->result)
        ps_task_lease_free(l); /* psd has forgotten it: so may we */
    else if (l)
        a->o.port->cancel(a->o.user, l->id, cancel->reason);
}

void ps_agent_message(ps_agent *a, Psd__V1__ServerMessage *message)
{
    ps_one_thread_require(&a->mine);
    switch (message->body_case) {
    case PSD__V1__SERVER_MESSAGE__BODY_WELCOME:
        welcomed(a, message->welcome);
        break;
    case PSD__V1__SERVER_MESSAGE__BODY_TASK:
        tasked(a, message);
        break;
    case PSD__V1__SERVER_MESSAGE__BODY_CANCEL:
        cancelled(a, message->cancel);
        break;
    default:
        break; /* of a later psd */
    }
    advance(a);
}

static void say_ended(ps_agent *a, ps_status status, const char *message)
{
    const char *why = status ? message : "psd ended the stream";
    char times[PS_REPEAT_TEXT];
    if (ps_repeat_due(&a->trouble, now_ms(a), why))
        ps_log_warning("agent", "not attached%s: %s%s",
                       status == PS_FAILED_PRECONDITION ? ", trying on until it is gone" : "", why,
                       ps_repeat_text(&a->trouble, times));
}

static uint64_t retry_delay(ps_agent *a)
{
    uint64_t delay = PS_AGENT_RETRY_MIN_MS;
    for (unsigned i = 0; i < a->attempts && delay < PS_AGENT_RETRY_MAX_MS; i++)
        delay *= 2;
    a->attempts++;
    return delay < PS_AGENT_RETRY_MAX_MS ? delay : PS_AGENT_RETRY_MAX_MS;
}

/* psd's word on two of one name (agent.h). */
static void obey(ps_agent *a, ps_status status)
{
    if (status == PS_FAILED_PRECONDITION) {
        a->fenced = true;
        cancel_tasks(a, "another psworker with this worker's certificate has taken its place");
    } else if (status == PS_ABORTED && (a->fenced || a->taken)) {
        supersede(a);
    } else if (status == PS_ABORTED) { /* our clock is behind that of who was here */
        a->behind = true;
        a->until_ms = now_ms(a) + PS_AGENT_RETRY_MAX_MS;
    }
}

/* What was said on it may be lost, and is said again. */
static void lose_stream(ps_agent *a)
{
    ps_list_each(node, &a->leases) ps_task_lease_unsend(ps_container(node, ps_task_lease, link));
    if (a->state == ATTACHED)
        a->alone_since_ms = now_ms(a);
    move(a, WAITING);
}

void ps_agent_ended(ps_agent *a, ps_status status, const char *message)
{
    ps_one_thread_require(&a->mine);
    if (a->state == CLOSING) {
        go(a);
        return;
    }
    if (a->state != DIALLING && a->state != ATTACHED)
        return;
    lose_stream(a);
    a->until_ms = now_ms(a) + retry_delay(a);
    obey(a, status);
    say_ended(a, status, message);
    advance(a);
}

void ps_agent_move_over(ps_agent *a)
{
    ps_one_thread_require(&a->mine);
    if (a->state != DIALLING && a->state != ATTACHED)
        return;
    a->o.port->leave(a->o.user);
    lose_stream(a);
    dial(a);
    ask_wake(a);
}

void ps_agent_progress(ps_agent *a, const Psd__V1__TaskProgress *progress)
{
    ps_one_thread_require(&a->mine);
    ps_task_lease *l = lease_find(a, progress->lease_id);
    if (!l || l->result)
        return;
    ps_task_lease_add(l, progress);
    advance(a);
}

void ps_agent_output(ps_agent *a, const Psd__V1__TaskOutput *output)
{
    ps_one_thread_require(&a->mine);
    ps_task_lease *l = lease_find(a, output->lease_id);
    if (!l || l->result)
        return;
    ps_task_lease_generated(l, output->output);
    advance(a);
}

void ps_agent_result(ps_agent *a, Psd__V1__TaskResult *result)
{
    ps_one_thread_require(&a->mine);
    PS_REQUIRE(result);
    ps_task_lease *l = lease_find(a, result->lease_id);
    if (!l || l->result) {
        psd__v1__task_result__free_unpacked(result, NULL);
        return;
    }
    l->result = result;
    advance(a);
}

/* ---- making, stopping, freeing ---- */

void ps_agent_create(const ps_agent_options *options, ps_agent **out)
{
    PS_REQUIRE(options->port && options->clock && options->hello);
    ps_agent *a = ps_new(ps_agent);
    a->o = *options;
    ps_list_init(&a->leases);
    *out = a;
}

void ps_agent_free(ps_agent **agent)
{
    ps_agent *a = *agent;
    if (!a)
        return;
    ps_list_each_safe(node, &a->leases) ps_task_lease_free(ps_container(node, ps_task_lease, link));
    ps_free(agent);
}

void ps_agent_start(ps_agent *a)
{
    ps_one_thread_require(&a->mine);
    PS_REQUIRE(a->state == IDLE);
    dial(a);
    ask_wake(a);
}

void ps_agent_stop(ps_agent *a)
{
    ps_one_thread_require(&a->mine);
    if (a->stopping)
        return;
    begin_to_stop(a);
    advance(a);
}

bool ps_agent_superseded(const ps_agent *a)
{
    return a->superseded;
}

const char *ps_agent_state(const ps_agent *a)
{
    return ps_sm_name(&machine, a->state);
}
