/* The loop's side of a push: a bucket's call is opened at its first piece, takes the chunks of
 * what is ready as long as it is writable, is half-closed after the last, and its answer is
 * counted. What breaks it and passes makes it WAITING, and it begins again with the same sequence.
 */
#include "worker/exchange/push_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/sm.h"

#include <inttypes.h>

static const char path[] = "/psd.v1.Parameters/Push";

/* A hop of this bucket. */
#define TRACE(s, what, format, ...)                                                                \
    ps_trace("push",                                                                               \
             what " job=%" PRIu64 " lease=%" PRIu64 " client=%" PRIu64                             \
                  " sequence=%" PRIu64 format,                                                     \
             (s)->pusher->job_id, (s)->step->about.lease, (s)->pusher->incarnation, (s)->sequence, \
             __VA_ARGS__)

static const char *const state_names[] = {"idle", "open", "sent", "waiting", "done"};
static const ps_sm_set state_next[] = {
    [PS_SEND_IDLE] = PS_SM(PS_SEND_OPEN) | PS_SM(PS_SEND_DONE),
    [PS_SEND_OPEN] = PS_SM(PS_SEND_SENT) | PS_SM(PS_SEND_WAITING) | PS_SM(PS_SEND_DONE),
    [PS_SEND_SENT] = PS_SM(PS_SEND_WAITING) | PS_SM(PS_SEND_DONE),
    [PS_SEND_WAITING] = PS_SM(PS_SEND_IDLE) | PS_SM(PS_SEND_DONE),
    [PS_SEND_DONE] = PS_SM(PS_SEND_IDLE),
};
static const ps_sm machine = {.tag = "push_send",
                              .names = state_names,
                              .next = state_next,
                              .count = PS_SEND_STATES,
                              .level = PS_LOG_TRACE};

void ps_push_send_move(ps_push_send *s, ps_push_send_state to)
{
    ps_sm_go(&machine, &s->state, to, "job=%" PRIu64 " sequence=%" PRIu64, s->pusher->job_id,
             s->sequence);
}

/* With the lock held. */
static void settle(ps_push_send *s)
{
    ps_gate_require_held(s->pusher->remote.gate);
    if (!s->acked || s->held || !s->step->open)
        return;
    s->acked = false; /* counted once */
    PS_REQUIRE(s->step->busy);
    if (--s->step->open == 0)
        s->step->busy = false;
    ps_gate_notify(s->pusher->remote.gate);
}

static void release_cb(void *user)
{
    ps_push_send *s = user;
    ps_gate *gate = s->pusher->remote.gate;
    ps_gate_lock(gate);
    PS_REQUIRE(s->held > 0);
    s->held--;
    settle(s);
    if (!s->held)
        ps_gate_notify(gate);
    ps_gate_unlock(gate);
}

static void begin_piece(ps_push_send *s, size_t piece)
{
    PS_REQUIRE(piece < s->pusher->pieces.count);
    const ps_tensor_piece *p = &s->pusher->pieces.list[piece];
    s->piece = piece;
    s->chunk = ps_chunks_find(&s->pusher->chunks, p->tensor, p->begin);
    s->end = ps_chunks_find(&s->pusher->chunks, p->tensor, p->end);
}

static ps_slice payload_of(const ps_push_send *s, size_t tensor)
{
    const ps_push_step *step = s->step;
    const ps_chunk *chunk = &s->pusher->chunks.list[s->chunk];
    if (step->encoded)
        return ps_slice_of(step->encoded + chunk->room, step->lengths[s->chunk]);
    return ps_slice_of(step->wire[tensor] + chunk->at, chunk->count * sizeof(float));
}

static void send_chunk(ps_push_send *s)
{
    ps_pusher *p = s->pusher;
    PS_REQUIRE(s->state == PS_SEND_OPEN && s->call && s->chunk < s->end);
    size_t tensor = p->pieces.list[s->piece].tensor;
    const ps_chunk *what = &p->chunks.list[s->chunk];
    Psd__V1__Chunk chunk = PSD__V1__CHUNK__INIT;
    chunk.tensor_id = p->maps->tensors[tensor].id;
    chunk.shard = what->shard;
    chunk.offset = what->offset;
    chunk.count = what->count;
    chunk.codec = (Psd__V1__Codec)p->codec->number;
    Psd__V1__PushRequest request = PSD__V1__PUSH_REQUEST__INIT;
    request.chunk = &chunk;
    ps_payload payload = {.bytes = payload_of(s, tensor), .release = release_cb, .user = s};
    ps_gate_lock(p->remote.gate);
    s->held++;
    ps_gate_unlock(p->remote.gate);
    s->chunk++;
    ps_call_send(s->call, &request.base, &payload);
}

static bool ready(const ps_push_send *s, size_t piece)
{
    return atomic_load(&s->step->ready[s->pusher->pieces.list[piece].tensor]);
}

/* Has psd room for it, and would it still know its answer if it had to be made again? */
static bool may_leave(ps_push_send *s)
{
    ps_pusher *p = s->pusher;
    bool may = !p->told && p->open < PS_PUSH_OPEN && s->sequence - p->oldest < PS_PUSH_AHEAD;
    p->held_back |= !may;
    return may;
}

static void open_call(ps_push_send *s);

/* Sends what is ready and fits; half-closes after the last chunk. */
static void pump(ps_push_send *s)
{
    ps_loop_require_on(s->pusher->remote.loop);
    if (s->state == PS_SEND_IDLE && ready(s, s->bucket->first) && may_leave(s))
        open_call(s);
    while (s->state == PS_SEND_OPEN && ps_call_writable(s->call)) {
        if (s->chunk == s->end) {
            if (s->piece == s->bucket->last) {
                ps_push_send_move(s, PS_SEND_SENT);
                TRACE(s, "sent", " call=%p", (void *)s->call);
                ps_call_half_close(s->call);
                return;
            }
            begin_piece(s, s->piece - 1);
        }
        if (!ready(s, s->piece))
            return;
        send_chunk(s);
    }
}

/* Of what has no answer; UINT64_MAX when all have. */
static uint64_t oldest_sequence(ps_pusher *p)
{
    uint64_t oldest = UINT64_MAX;
    ps_gate_lock(p->remote.gate); /* no step is half begun */
    for (unsigned i = 0; i < p->sets; i++)
        for (size_t b = 0; b < p->buckets.count; b++) {
            const ps_push_send *s = &p->steps[i].sends[b];
            if (s->state != PS_SEND_DONE && s->sequence < oldest)
                oldest = s->sequence;
        }
    ps_gate_unlock(p->remote.gate);
    return oldest;
}

static void pump_all(ps_pusher *p)
{
    ps_loop_require_on(p->remote.loop);
    p->held_back = false;
    p->oldest = oldest_sequence(p);
    if (p->oldest == UINT64_MAX)
        return; /* what is begun from now on wakes us again */
    for (unsigned i = 0; i < p->sets; i++)
        for (size_t b = 0; b < p->buckets.count; b++)
            pump(&p->steps[i].sends[b]);
}

void ps_pusher_wake_cb(ps_loop_task *job)
{
    ps_pusher *p = ps_container(job, ps_pusher, wake_job);
    ps_gate_lock(p->remote.gate);
    p->wake_posted = false;
    bool stopping = p->stopping;
    ps_gate_unlock(p->remote.gate);
    if (!stopping)
        pump_all(p);
}

static void writable_cb(ps_call *call, void *user)
{
    ps_push_send *s = user;
    if (call == s->call)
        pump(s);
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    ps_push_send *s = user;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_message_unpack(ps_message_bytes(message), &psd__v1__push_response__descriptor,
                                     &reply, NULL);
    if (!st && call == s->call) {
        const Psd__V1__PushResponse *response = (const Psd__V1__PushResponse *)reply;
        s->has_reply = true;
        s->duplicate = response->duplicate;
        s->staleness = response->staleness;
        s->version = response->version;
    }
    if (reply)
        protobuf_c_message_free_unpacked(reply, NULL);
    ps_message_release(&message);
}

/* With the lock held. */
static void acknowledged(ps_push_send *s)
{
    ps_gate_require_held(s->pusher->remote.gate);
    PS_REQUIRE(s->state == PS_SEND_DONE);
    ps_pusher_stats *stats = &s->pusher->stats;
    stats->pushes++;
    stats->duplicates += s->duplicate;
    stats->bytes += s->bucket->bytes;
    stats->staleness_sum += s->staleness;
    if (s->staleness > stats->staleness_max)
        stats->staleness_max = s->staleness;
    stats->version = s->version;
    s->acked = true;
    settle(s);
}

static void failed(ps_push_send *s, ps_status status, const char *message)
{
    ps_pusher *p = s->pusher;
    ps_gate_require_held(s->pusher->remote.gate);
    if (!p->error.code)
        ps_error_save(&p->error, ps_fail(status, "push: %s", message));
    ps_gate_notify(p->remote.gate);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    ps_push_send *s = user;
    ps_pusher *p = s->pusher;
    uint64_t delay_ms = 0;
    ps_error error;
    ps_retry_error(call, status, message, &error);
    ps_call_unref(call);
    s->call = NULL;
    PS_REQUIRE(p->open > 0);
    p->open--;
    ps_gate_lock(p->remote.gate);
    bool again = status && !p->stopping &&
                 ps_retry_after(&p->retry, &error, ps_clock_ms(p->remote.clock), &delay_ms);
    ps_push_send_move(s, again ? PS_SEND_WAITING : PS_SEND_DONE);
    if (!status && s->has_reply) {
        ps_retry_succeeded(&p->retry);
        TRACE(s, "acknowledged", " version=%" PRIu64 " staleness=%" PRIu64 " duplicate=%d",
              s->version, s->staleness, s->duplicate);
        acknowledged(s);
    } else if (!status) {
        failed(s, PS_PROTOCOL, "psd answered nothing");
    } else if (again) {
        p->stats.retries++;
        p->told |= error.retry_ms > 0; /* that holds for those that have not left, too */
        TRACE(s, "again", " after_ms=%" PRIu64 " status=%s", delay_ms, ps_status_name(status));
        ps_timer_start(p->timer, delay_ms, 0);
    } else {
        TRACE(s, "failed", " status=%s", ps_status_name(status));
        failed(s, status, message);
    }
    bool more = p->held_back && !p->stopping && !p->error.code;
    ps_gate_unlock(p->remote.gate);
    if (more)
        pump_all(p);
    ps_gate_lock(p->remote.gate);
    PS_REQUIRE(p->live > 0);
    p->live--; /* last: who waits for it may free us */
    ps_gate_notify(p->remote.gate);
    ps_gate_unlock(p->remote.gate);
}

static const ps_call_events events = {
    .on_message = message_cb, .on_writable = writable_cb, .on_end = end_cb};

static void open_call(ps_push_send *s)
{
    ps_pusher *p = s->pusher;
    Psd__V1__PushHeader header = PSD__V1__PUSH_HEADER__INIT;
    header.job_id = p->job_id;
    header.incarnation = p->incarnation;
    header.sequence = s->sequence;
    header.clock = s->step->about.clock;
    header.pulled_version = s->step->about.pulled_version;
    header.weight = s->step->about.weight;
    header.lease_id = s->step->about.lease;
    header.row_begin = s->step->about.position;
    header.row_end = s->step->about.next_position;
    header.parts = (uint32_t)p->buckets.count;
    Psd__V1__PushRequest request = PSD__V1__PUSH_REQUEST__INIT;
    request.header = &header;
    PS_REQUIRE(!s->call);
    begin_piece(s, s->bucket->first);
    s->has_reply = false;
    ps_push_send_move(s, PS_SEND_OPEN);
    p->open++;
    ps_gate_lock(p->remote.gate);
    p->live++;
    ps_gate_unlock(p->remote.gate);
    s->call = ps_channel_call(p->remote.channel, path, &(ps_call_options){.wait_for_ready = true},
                              &events, s);
    TRACE(s, "opened", " clock=%" PRIu64 " version=%" PRIu64 " call=%p", s->step->about.clock,
          s->step->about.pulled_version, (void *)s->call);
    ps_call_send(s->call, &request.base, NULL);
}

void ps_pusher_retry_cb(void *user)
{
    ps_pusher *p = user;
    ps_loop_require_on(p->remote.loop);
    p->told = false;
    for (unsigned i = 0; i < p->sets; i++)
        for (size_t b = 0; b < p->buckets.count; b++)
            if (p->steps[i].sends[b].state == PS_SEND_WAITING)
                ps_push_send_move(&p->steps[i].sends[b], PS_SEND_IDLE);
    pump_all(p);
}

void ps_pusher_stop_sends(void *state)
{
    ps_pusher *p = state;
    ps_loop_require_on(p->remote.loop);
    ps_timer_stop(p->timer);
    for (unsigned i = 0; i < p->sets; i++)
        for (size_t b = 0; b < p->buckets.count; b++) {
            ps_push_send *s = &p->steps[i].sends[b];
            if (s->call)
                ps_call_cancel(s->call);
            else if (s->state != PS_SEND_DONE)
                ps_push_send_move(s, PS_SEND_DONE);
        }
}
