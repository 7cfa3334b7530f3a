/* Happy path: sends are queued as an encoded head and a reference to the payload, and the
 * connection takes them when it can; what arrives is handed to the events at once.
 *
 * Failure: ps_call_end, once, from whatever comes first: the peer's status, a reset, the deadline,
 * a cancel, the loss of the connection. It only marks; on_end, on_writable and the release of
 * payloads that nobody will send come from a deferred job, never from inside a call of the user's.
 */
#include "common/transport/call/grpc_call.h"

#include "common/transport/call/http2_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/call/message_codec.h"

#include <stdio.h>

typedef struct outgoing {
    ps_list link;
    ps_payload payload;
    size_t head_len;
    uint8_t head[];
} outgoing;

static size_t whole_of(const outgoing *o)
{
    return o->head_len + o->payload.bytes.len;
}

static void job_soon(ps_call *call);

/* What the peer has on other connections does not stop the answer that is the only one here: each
 * connection goes on by itself. */
static bool is_account_full(const ps_http2 *conn)
{
    return conn->waiting > 0 && ps_account_left(conn->account, PS_ACCOUNT_BYTES) == 0;
}

/* Answers count as memory held for the peer, for as long as it does not take them. */
static void add_waiting(ps_http2 *conn, size_t bytes)
{
    conn->waiting += bytes;
    conn->was_full |= conn->waiting >= conn->limits.connection_bytes;
    ps_budget_charge(conn->budget, bytes);
    ps_account_charge(conn->account, PS_ACCOUNT_BYTES, bytes);
    conn->was_full |= is_account_full(conn);
}

static void sub_waiting(ps_http2 *conn, size_t bytes)
{
    PS_REQUIRE(conn->waiting >= bytes);
    conn->waiting -= bytes;
    ps_budget_give(conn->budget, bytes);
    ps_account_give(conn->account, PS_ACCOUNT_BYTES, bytes);
    if (!conn->was_full || conn->waiting >= conn->limits.connection_bytes / 2 ||
        is_account_full(conn))
        return;
    conn->was_full = false;
    ps_list_each(node, &conn->calls)
    {
        ps_call *call = ps_container(node, ps_call, link);
        call->tell_writable = true;
        job_soon(call);
    }
}

static void forget_expected(ps_call *call)
{
    size_t bytes = call->expected;
    call->expected = 0;
    if (bytes)
        sub_waiting(call->conn, bytes);
}

static void queue(ps_call *call, outgoing *o)
{
    ps_list_append(&call->out, &o->link);
    if (call->kind == PS_CALL_CLIENT)
        return;
    if (!ps_list_empty(&call->link)) { /* when the connection has room again, it is the last */
        ps_list_remove(&call->link);
        ps_list_append(&call->conn->calls, &call->link);
    }
    add_waiting(call->conn, whole_of(o));
    forget_expected(call);
}

static void free_outgoing(ps_call *call, outgoing *o)
{
    ps_loop_require_on(call->loop);
    ps_list_remove(&o->link);
    if (call->kind != PS_CALL_CLIENT)
        sub_waiting(call->conn, whole_of(o));
    if (o->payload.release)
        o->payload.release(o->payload.user);
    free(o);
}

void ps_call_drop_queue(ps_call *call)
{
    while (!ps_list_empty(&call->out))
        free_outgoing(call, ps_container(call->out.next, outgoing, link));
    call->out_off = 0;
    call->queued = 0;
}

static bool is_sending(const ps_call *call)
{
    return call->conn && call->conn->tx.call == call;
}

/* What the peer was told, when it was. */
static void count_end(const ps_call *call)
{
    if (!call->stats)
        return;
    bool told = call->end.code == PS_OK && call->finish_grpc >= 0;
    ps_call_stats_end(call->stats, told ? call->finish_grpc : ps_status_grpc(call->end.code),
                      ps_clock_ns(&ps_clock_system) - call->began_ns);
}

static void job_cb(ps_loop_task *job)
{
    ps_call *call = ps_container(job, ps_call, job);
    const ps_call_events *events = call->events;
    if (call->ended && !is_sending(call))
        ps_call_drop_queue(call);
    bool tell = call->tell_writable && ps_call_writable(call);
    call->tell_writable = false; /* what it does may make another one due */
    if (tell && events && events->on_writable)
        events->on_writable(call, call->user);
    if (call->ended && !call->told_end) {
        call->told_end = true;
        count_end(call);
        if (call->kind == PS_CALL_CLIENT && !call->end_sent)
            ps_call_reset(call, NGHTTP2_CANCEL); /* the server has answered before our end */
        if (events && events->on_end)
            events->on_end(call, call->end.code, call->end.message, call->user);
        ps_call_unref(call); /* of ps_call_end */
    }
    ps_call_unref(call); /* of job_soon */
}

static void job_soon(ps_call *call)
{
    if (call->job.queued)
        return;
    ps_call_ref(call);
    ps_loop_defer(call->loop, &call->job);
}

void ps_call_create(ps_loop *loop, ps_call_kind kind, const char *path, ps_call **out)
{
    PS_REQUIRE(loop);
    ps_call *call = ps_new(ps_call);
    *call = (ps_call){.loop = loop,
                      .kind = kind,
                      .refs = 1,
                      .path = ps_strdup(path),
                      .deadline_ns = PS_NEVER,
                      .finish_grpc = -1,
                      .grpc_status = -1};
    ps_list_init(&call->link);
    ps_list_init(&call->out);
    ps_loop_task_init(&call->job, job_cb);
    *out = call;
}

void ps_call_attach(ps_call *call, ps_http2 *conn)
{
    PS_REQUIRE(!call->conn && ps_list_empty(&call->link));
    ps_http2_ref(conn);
    call->conn = conn;
    ps_list_append(&conn->calls, &call->link);
    conn->n_calls++;
    ps_call_ref(call);
}

void ps_call_ref(ps_call *call)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(call->refs > 0);
    call->refs++;
}

void ps_call_unref(ps_call *call)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(call->refs > 0);
    if (--call->refs > 0)
        return;
    ps_call_drop_queue(call);
    forget_expected(call);
    if (call->counted)
        ps_account_give(call->conn->account, PS_ACCOUNT_CALLS, 1);
    ps_buf_free(&call->metadata);
    ps_buf_free(&call->grpc_message);
    ps_http2_unref(&call->conn);
    free(call->finish_text);
    free(call->path);
    free(call);
}

void ps_call_end(ps_call *call, ps_status status, const char *text)
{
    ps_loop_require_on(call->loop);
    if (call->ended)
        return;
    call->ended = call->no_reading = true;
    ps_trace("call", "ended call=%p stream=%d status=%s", (void *)call, (int)call->stream_id,
             ps_status_name(status));
    call->end.code = status;
    snprintf(call->end.message, sizeof call->end.message, "%s", text);
    call->queued = 0;
    ps_call_ref(call);
    ps_flow_forget(call);
    ps_message_release(&call->request);
    job_soon(call);
    if (!call->conn && !ps_list_empty(&call->link)) { /* it waited for a connection */
        ps_list_remove(&call->link);
        ps_call_unref(call);
    }
}

void ps_call_reset(ps_call *call, uint32_t error_code)
{
    if (call->stream_id == 0 || !ps_http2_is_alive(call->conn))
        return;
    nghttp2_submit_rst_stream(call->conn->session, NGHTTP2_FLAG_NONE, call->stream_id, error_code);
    call->end_sent = true; /* once is enough: resets are counted on the other side */
    ps_http2_write_soon(call->conn);
}

/* Something was queued, or the end was decided: nghttp2 may ask again. */
static void resume(ps_call *call)
{
    if (call->stream_id == 0 || !call->submitted || !ps_http2_is_alive(call->conn))
        return;
    nghttp2_session_resume_data(call->conn->session, call->stream_id);
    ps_http2_write_soon(call->conn);
}

void ps_call_send(ps_call *call, const ProtobufCMessage *head, const ps_payload *payload)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(head);
    size_t head_len = ps_message_head_size(head, payload);
    outgoing *o = ps_alloc(sizeof *o + head_len);
    o->head_len = head_len;
    if (payload)
        o->payload = *payload;
    ps_message_head_write(head, payload, o->head, head_len);
    queue(call, o);
    ps_trace("call", "queued call=%p stream=%d bytes=%zu", (void *)call, (int)call->stream_id,
             whole_of(o));
    if (call->ended || call->local_end) {
        /* Nobody will take it. A call that was finished drops it when it ends. */
        if (call->ended)
            job_soon(call);
        return;
    }
    if (call->queued == 0) {
        call->moved_ns = ps_clock_ns(&ps_clock_system);
        if (call->kind != PS_CALL_CLIENT)
            ps_http2_timer_at(call->conn,
                              call->moved_ns + call->conn->limits.stall_ms * 1000000ull);
    }
    call->queued += whole_of(o);
    call->was_high |= call->queued >= PS_CALL_HIGH_WATER;
    if (call->conn)
        call->conn->stats->messages_out++;
    if (call->kind != PS_CALL_CLIENT && !call->submitted)
        ps_http2_server_respond(call);
    resume(call);
}

size_t ps_call_peek(const ps_call *call, ps_slice *slices, size_t n, size_t bytes)
{
    size_t count = 0, skip = call->out_off;
    ps_list_each(node, &call->out)
    {
        const outgoing *o = ps_container(node, outgoing, link);
        ps_slice parts[2] = {ps_slice_of(o->head, o->head_len), o->payload.bytes};
        for (int i = 0; i < 2; i++) {
            size_t jump = skip < parts[i].len ? skip : parts[i].len;
            skip -= jump;
            size_t left = parts[i].len - jump;
            if (left > bytes)
                left = bytes;
            if (count == n || bytes == 0)
                return count;
            if (left > 0)
                slices[count++] = ps_slice_of(parts[i].data + jump, left);
            bytes -= left;
        }
    }
    return count;
}

void ps_call_sent(ps_call *call, size_t bytes)
{
    call->out_off += bytes;
    call->moved_ns = ps_clock_ns(&ps_clock_system);
    while (!ps_list_empty(&call->out)) {
        outgoing *o = ps_container(call->out.next, outgoing, link);
        if (call->out_off < whole_of(o))
            break;
        call->out_off -= whole_of(o);
        ps_trace("call", "written call=%p stream=%d bytes=%zu", (void *)call, (int)call->stream_id,
                 whole_of(o));
        free_outgoing(call, o);
    }
    PS_REQUIRE(call->out_off == 0 || !ps_list_empty(&call->out)); /* no more than there was */
    if (call->was_high && call->queued < PS_CALL_LOW_WATER && !call->ended) {
        call->was_high = false;
        call->tell_writable = true;
        job_soon(call);
    }
}

size_t ps_call_queued(const ps_call *call)
{
    return call->queued;
}

bool ps_call_writable(const ps_call *call)
{
    ps_loop_require_on(call->loop);
    if (call->ended || call->local_end || call->queued >= PS_CALL_HIGH_WATER)
        return false;
    if (call->kind == PS_CALL_CLIENT || !call->conn->was_full)
        return true;
    /* What was admitted begins at once; the next messages wait for their turn. */
    return !call->submitted && call->conn->waiting < call->conn->limits.connection_bytes;
}

void ps_call_expect(ps_call *call, size_t bytes)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(call->conn);
    PS_REQUIRE(call->kind != PS_CALL_CLIENT);
    add_waiting(call->conn, bytes);
    call->expected += bytes;
}

void ps_call_finish(ps_call *call, ps_status status, const char *message)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(call->kind != PS_CALL_CLIENT);
    if (call->ended || call->local_end)
        return;
    call->local_end = true;
    call->finish_grpc = ps_status_grpc(status);
    call->finish_text = ps_strdup(message ? message : "");
    if (call->submitted)
        resume(call);
    else if (!call->told_at_ns)
        ps_http2_server_trailers(call, true);
}

void ps_call_reply(ps_call *call, const ProtobufCMessage *reply)
{
    ps_call_send(call, reply, NULL);
    ps_call_finish(call, PS_OK, NULL);
}

void ps_call_fail(ps_call *call, ps_status status)
{
    ps_error kept; /* the text is this thread's, and may change under us */
    ps_error_save(&kept, status);
    call->retry_ms = kept.retry_ms;
    ps_held_back_begin(call, kept.code);
    ps_call_finish(call, kept.code, kept.message);
}

void ps_call_refuse(ps_call *call, ps_status status)
{
    call->no_reading = true;
    ps_call_fail(call, status);
}

void ps_call_half_close(ps_call *call)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(call->kind == PS_CALL_CLIENT);
    if (call->ended || call->local_end)
        return;
    call->local_end = true;
    resume(call);
}

void ps_call_cancel(ps_call *call)
{
    ps_loop_require_on(call->loop);
    if (call->ended)
        return;
    ps_call_end(call, PS_CANCELLED, "cancelled");
    ps_call_reset(call, NGHTTP2_CANCEL);
}

static bool may_send(const ps_call *call)
{
    nghttp2_session *session = call->conn->session;
    return nghttp2_session_get_remote_window_size(session) > 0 &&
           nghttp2_session_get_stream_remote_window_size(session, call->stream_id) > 0;
}

void ps_call_give_up(ps_call *call, ps_status status, const char *text)
{
    if (call->ended)
        return;
    ps_call_ref(call);
    bool client = call->kind == PS_CALL_CLIENT;
    if (!client && call->stream_id && !call->local_end) {
        call->queued = 0; /* what no frame was made of is dropped with the end */
        ps_call_finish(call, status, text);
    }
    ps_call_end(call, status, text);
    /* A peer that takes no more data would never let the status pass. */
    if (client || (call->submitted && call->stream_id && !may_send(call)))
        ps_call_reset(call, NGHTTP2_CANCEL);
    ps_call_unref(call);
}

void ps_call_message(ps_call *call, ps_message *message)
{
    PS_REQUIRE(call->conn && message);
    call->conn->stats->messages_in++;
    ps_trace("call", "arrived call=%p stream=%d bytes=%zu", (void *)call, (int)call->stream_id,
             ps_message_bytes(message).len);
    if (call->kind == PS_CALL_UNARY && !call->ended) {
        if (!call->request) {
            call->request = message;
            return;
        }
        ps_call_refuse_data(call, ps_fail(PS_INVALID_ARGUMENT, "more than one request message"));
    } else if (!call->ended && call->events && call->events->on_message) {
        call->events->on_message(call, message, call->user);
        return;
    }
    ps_message_release(&message);
}

void ps_call_refuse_data(ps_call *call, ps_status status)
{
    if (call->kind == PS_CALL_CLIENT) {
        call->no_reading = true;
        ps_error kept;
        ps_error_save(&kept, status);
        ps_call_end(call, kept.code, kept.message);
        ps_call_reset(call, NGHTTP2_CANCEL);
    } else {
        ps_call_refuse(call, status);
    }
}

void ps_call_remote_end(ps_call *call)
{
    PS_REQUIRE(call->conn);
    call->remote_end = true;
    if (call->keeps)
        ps_flow_next(call->conn);
    if (call->kind == PS_CALL_CLIENT || call->ended || call->no_reading)
        return; /* a client's call ends with its stream, or by its trailers */
    if (ps_grpc_frame_is_partial(&call->frame)) {
        ps_call_refuse_data(call, ps_fail(PS_INVALID_ARGUMENT, "the last message is incomplete"));
    } else if (call->kind == PS_CALL_STREAM) {
        if (call->events && call->events->on_half_close)
            call->events->on_half_close(call, call->user);
    } else if (!call->request) {
        ps_call_refuse_data(call, ps_fail(PS_INVALID_ARGUMENT, "no request message"));
    } else if (!call->local_end) {
        /* Its bytes stay in the budget until the call ends, for what the handler makes of them:
         * so calls that wait for their turn hold back the client who makes them. */
        call->conn->events->on_unary(call->conn->owner, call, ps_message_bytes(call->request));
    }
}

void ps_call_set_events(ps_call *call, const ps_call_events *events, void *user)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(!call->told_end);
    call->events = events;
    call->user = user;
}
