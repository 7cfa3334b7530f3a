/* Push: header, chunks, one acknowledgement.
 *
 * Each chunk is checked as it comes and kept in the message that brought it; when the client has
 * said its last, the update is applied: at once when that is quick, on the thread pool when it is
 * not, so that the loop goes on receiving. It is answered when it lasts (params/committer.h): today
 * that is when it is applied.
 *
 *     receiving ─▶ committing ─▶ answered
 *                      ╰─ later ─▶ waiting ─▶ answered
 *
 * The first failure ends the call; what comes after it is dropped. A call that ends before its
 * half-close leaves nothing behind; one that ends later is forgotten when its answer comes. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "psd/v1/parameters.pb-c.h"
#include "server/params/push.h"
#include "server/service/services.h"

#include <inttypes.h>

typedef struct push_call {
    ps_work work;
    ps_call *call;
    ps_services *services;
    ps_run *run;
    ps_push *push; /* NULL before the header and after the commit */
    uint64_t bytes;
    bool answered;
    bool committing; /* on the pool */
    bool waiting;    /* it is applied, and its answer has not come */
    bool came;       /* the answer has, */
    bool ended;
    ps_push_waiter waiter;
    ps_loop_task lasts; /* brought by this, from whatever thread */
    ps_error late;      /* and is this */
    ps_push_reply reply;
    ps_error error;
} push_call;

static void free_call(push_call *p)
{
    if (p->push)
        ps_push_abort(&p->push);
    ps_run_unref(&p->run);
    ps_call_unref(p->call);
    ps_free(&p);
}

static void refuse(push_call *p, ps_status st)
{
    ps_error error;
    ps_error_save(&error, st);
    ps_trace("push", "refused call=%p status=%s: %s", (void *)p->call, ps_status_name(st),
             error.message);
    if (p->push)
        ps_push_abort(&p->push);
    if (p->run)
        ps_push_refused(ps_run_store(p->run), ps_call_peer(p->call)->name, st);
    p->answered = true;
    ps_call_finish(p->call, error.code, error.message);
}

static ps_status begin(push_call *p, const Psd__V1__PushHeader *header)
{
    if (p->push)
        return ps_fail(PS_INVALID_ARGUMENT, "a second header in one push");
    ps_status st =
        ps_services_find_run(p->services, ps_call_peer(p->call), header->job_id, &p->run);
    if (st)
        return st;
    ps_trace("push",
             "header job=%" PRIu64 " lease=%" PRIu64 " client=%" PRIu64 " sequence=%" PRIu64
             " clock=%" PRIu64 " call=%p",
             header->job_id, header->lease_id, header->incarnation, header->sequence, header->clock,
             (void *)p->call);
    const ps_push_header mine = {.incarnation = header->incarnation,
                                 .sequence = header->sequence,
                                 .clock = header->clock,
                                 .pulled_version = header->pulled_version,
                                 .weight = header->weight,
                                 .lease = header->lease_id,
                                 .rows = {header->row_begin, header->row_end},
                                 .parts = header->parts};
    return ps_push_begin(ps_run_store(p->run), ps_call_peer(p->call)->name, &mine, &p->push);
}

static void release_cb(void *user)
{
    ps_message *message = user;
    ps_message_release(&message);
}

/* Takes over the message's reference. */
static ps_status add_chunk(push_call *p, const Psd__V1__Chunk *chunk, ps_slice payload,
                           ps_message *message)
{
    if (!p->push) {
        ps_message_release(&message);
        return ps_fail(PS_INVALID_ARGUMENT, "the first message of a push is its header");
    }
    const ps_push_chunk_header header = {.tensor = chunk->tensor_id,
                                         .shard = chunk->shard,
                                         .offset = chunk->offset,
                                         .count = chunk->count,
                                         .codec = (uint32_t)chunk->codec};
    p->bytes += payload.len;
    return ps_push_chunk(p->push, &header, payload, (ps_push_owner){release_cb, message});
}

static ps_status take(push_call *p, ps_message *message)
{
    ProtobufCMessage *decoded = NULL;
    ps_slice payload;
    ps_status st = ps_message_unpack(ps_message_bytes(message), &psd__v1__push_request__descriptor,
                                     &decoded, &payload);
    if (st) {
        ps_message_release(&message);
        return st;
    }
    const Psd__V1__PushRequest *request = (const Psd__V1__PushRequest *)decoded;
    if (request->header)
        st = begin(p, request->header);
    if (!st && request->chunk)
        st = add_chunk(p, request->chunk, payload, message);
    else
        ps_message_release(&message);
    if (!st && !request->header && !request->chunk)
        st = ps_fail(PS_INVALID_ARGUMENT, "a message of a push with neither header nor chunk");
    protobuf_c_message_free_unpacked(decoded, NULL);
    return st;
}

static void on_message(ps_call *call, ps_message *message, void *user)
{
    push_call *p = user;
    if (p->answered) {
        ps_message_release(&message);
        return;
    }
    ps_status st = take(p, message);
    if (st)
        refuse(p, st);
}

static void commit_cb(ps_work *w)
{
    push_call *p = ps_container(w, push_call, work);
    ps_error_save(&p->error, ps_push_commit(&p->push, &p->reply, &p->waiter));
}

static void answer(push_call *p)
{
    p->answered = true;
    ps_trace("push", "answered call=%p status=%s version=%" PRIu64 " duplicate=%d", (void *)p->call,
             ps_status_name(p->error.code), p->reply.version, p->reply.duplicate);
    if (p->error.code) {
        ps_push_refused(ps_run_store(p->run), ps_call_peer(p->call)->name, p->error.code);
        ps_call_finish(p->call, p->error.code, p->error.message);
        return;
    }
    ps_run_count(p->run, p->bytes, 0);
    atomic_fetch_add_explicit(&p->services->pushes, 1, memory_order_relaxed);
    Psd__V1__PushResponse reply = PSD__V1__PUSH_RESPONSE__INIT;
    reply.version = p->reply.version;
    reply.duplicate = p->reply.duplicate;
    reply.staleness = p->reply.staleness;
    reply.durability = ps_run_durable(p->run) ? PSD__V1__DURABILITY__DURABILITY_CHECKPOINT
                                              : PSD__V1__DURABILITY__DURABILITY_MEMORY;
    ps_call_reply(p->call, &reply.base);
}

static void finish(push_call *p)
{
    if (p->came)
        p->error = p->late;
    if (p->ended)
        free_call(p);
    else
        answer(p);
}

static void committed(push_call *p)
{
    p->waiting = !p->error.code && p->waiter.later && !p->came;
    if (!p->waiting)
        finish(p);
}

static void committed_cb(ps_work *w)
{
    push_call *p = ps_container(w, push_call, work);
    p->committing = false;
    committed(p);
}

/* On the loop, perhaps before the pool's work has come back. */
static void lasts_cb(ps_loop_task *task)
{
    push_call *p = ps_container(task, push_call, lasts);
    p->came = true;
    if (!p->waiting)
        return;
    p->waiting = false;
    finish(p);
}

/* On any thread. */
static void late_cb(void *user, ps_status status)
{
    push_call *p = user;
    ps_error_save(&p->late, status);
    ps_loop_post(ps_call_loop(p->call), &p->lasts);
}

static void on_half_close(ps_call *call, void *user)
{
    push_call *p = user;
    if (p->answered)
        return;
    if (!p->push) {
        refuse(p, ps_fail(PS_INVALID_ARGUMENT, "a push without a header"));
        return;
    }
    p->work = (ps_work){.work = commit_cb, .done = committed_cb};
    if (ps_push_is_quick(p->push)) {
        commit_cb(&p->work);
        committed(p);
        return;
    }
    p->committing = true;
    ps_work_submit(ps_call_loop(call), &p->work);
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    push_call *p = user;
    p->ended = true;
    if (!p->committing && !p->waiting)
        free_call(p);
}

static const ps_call_events push_events = {
    .on_message = on_message, .on_half_close = on_half_close, .on_end = on_end};

void ps_parameters_push(ps_call *call, void *services)
{
    ps_status st = ps_quota_take(ps_call_account(call), PS_QUOTA_PUSHES, 1);
    if (st) { /* before a byte of it is kept */
        ps_call_refuse(call, st);
        return;
    }
    push_call *p = ps_new(push_call);
    p->call = call;
    p->services = services;
    p->waiter = (ps_push_waiter){.cb = late_cb, .user = p};
    ps_loop_task_init(&p->lasts, lasts_cb);
    ps_call_ref(call);
    ps_call_set_events(call, &push_events, p);
    ps_call_keep(call, p->services->push_bytes);
}
