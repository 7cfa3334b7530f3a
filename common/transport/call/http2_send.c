/* Happy path: nghttp2 says which frame comes next; of a DATA frame it makes only the head, and the
 * payload goes from the call's queue to the layer (NGHTTP2_DATA_FLAG_NO_COPY). When the layer takes
 * only a part, the rest of that one frame is `tx` or `control`, and is sent before nghttp2 is asked
 * again: so a stream that is reset in between cannot break the framing.
 *
 * Failure: the layer's; PS_AGAIN when it is full. */
#include "common/transport/call/http2_internal.h"

#include "common/base/require.h"

#include <string.h>

#define WRITE_PER_TURN  (4u << 20)   /* then the loop reads again */
#define FRAME_WHEN_MANY (128u << 10) /* of one call, while others have something to send */
#define SLICES          16

static void count_out(ps_http2 *conn, size_t sent)
{
    conn->written += sent;
    conn->stats->bytes_out += sent;
}

static ps_status push_control(ps_http2 *conn)
{
    while (conn->control_len > 0) {
        ps_slice slice = ps_slice_of(conn->control, conn->control_len);
        size_t sent = 0;
        ps_status st = conn->layer->ops->send(conn->layer, &slice, 1, &sent);
        if (st)
            return st;
        PS_REQUIRE(sent <= conn->control_len);
        conn->control += sent;
        conn->control_len -= sent;
        count_out(conn, sent);
    }
    return PS_OK;
}

static ps_status push_tx(ps_http2 *conn)
{
    ps_http2_tx *tx = &conn->tx;
    while (tx->call && tx->done < tx->len) {
        ps_slice slices[SLICES];
        size_t n = 0, sent = 0;
        size_t head_left = tx->done < sizeof tx->head ? sizeof tx->head - tx->done : 0;
        if (head_left)
            slices[n++] = ps_slice_of(tx->head + tx->done, head_left);
        n += ps_call_peek(tx->call, slices + n, SLICES - n, tx->len - tx->done - head_left);
        ps_status st = conn->layer->ops->send(conn->layer, slices, n, &sent);
        if (st)
            return st;
        tx->done += sent;
        PS_REQUIRE(tx->done <= tx->len);
        count_out(conn, sent);
        if (sent > head_left)
            ps_call_sent(tx->call, sent - head_left);
    }
    if (tx->call) {
        ps_call *call = tx->call;
        tx->call = NULL;
        if (call->ended)
            ps_call_drop_queue(call);
        ps_call_unref(call);
    }
    return PS_OK;
}

int ps_http2_send_data_cb(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                          size_t length, nghttp2_data_source *source, void *user)
{
    (void)session, (void)frame;
    ps_http2 *conn = user;
    ps_call *call = source->ptr;
    if (conn->tx.call || call->queued < length) /* never: it is sent right after it was asked for */
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    ps_call_ref(call);
    conn->tx = (ps_http2_tx){.call = call, .len = length + 9};
    memcpy(conn->tx.head, head, 9);
    call->queued -= length;
    ps_floods_earn(&conn->floods);
    /* A failure is met again by the next push. While some of this frame waits no other is made: its
     * call could end before its turn comes, and then it could only be reset, without a status. */
    ps_status st = push_tx(conn);
    if (conn->tx.call)
        return NGHTTP2_ERR_PAUSE;
    return st ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

ssize_t ps_http2_frame_size_cb(nghttp2_session *session, uint8_t type, int32_t stream_id,
                               int32_t session_window, int32_t stream_window, uint32_t frame_max,
                               void *user)
{
    (void)session, (void)type, (void)stream_id;
    const ps_http2 *conn = user;
    int32_t size = conn->n_calls > 1 ? (int32_t)FRAME_WHEN_MANY : (int32_t)PS_HTTP2_FRAME_MAX;
    if (session_window < size)
        size = session_window;
    if (stream_window < size)
        size = stream_window;
    if (frame_max < (uint32_t)size)
        size = (int32_t)frame_max;
    return size;
}

static ssize_t read_data_cb(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)stream_id, (void)data, (void)user;
    ps_call *call = source->ptr;
    size_t n = call->queued < len ? call->queued : len;
    bool last = call->local_end && n == call->queued;
    if (n == 0 && !last)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!last)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (call->kind != PS_CALL_CLIENT) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        ps_http2_server_trailers(call, false);
    }
    return (ssize_t)n;
}

nghttp2_data_provider ps_http2_data_of(ps_call *call)
{
    return (nghttp2_data_provider){.source.ptr = call, .read_callback = read_data_cb};
}

/* What nghttp2 has for us, until the layer is full or this turn is over. */
static ps_status write_frames(ps_http2 *conn)
{
    uint64_t begun = conn->written;
    for (;;) {
        ps_status st = push_tx(conn);
        if (!st)
            st = push_control(conn);
        if (st)
            return st;
        if (conn->written - begun > WRITE_PER_TURN) {
            ps_http2_write_soon(conn);
            return PS_OK;
        }
        const uint8_t *data = NULL;
        ssize_t n = nghttp2_session_mem_send(conn->session, &data);
        if (n < 0)
            return ps_fail(PS_PROTOCOL, "http2: %s", nghttp2_strerror((int)n));
        conn->control = data;
        conn->control_len = (size_t)n;
        if (n == 0 && !conn->tx.call)
            return PS_OK;
    }
}

ps_status ps_http2_write(ps_http2 *conn)
{
    PS_REQUIRE(conn->session && conn->layer);
    uint64_t before = conn->written;
    ps_status st = write_frames(conn);
    if (st == PS_OK || st == PS_AGAIN) {
        ps_status flushed = conn->layer->ops->flush(conn->layer);
        if (flushed)
            st = flushed;
    }
    if (st == PS_OK) {
        conn->blocked_ns = PS_NEVER;
    } else if (st == PS_AGAIN) {
        if (conn->blocked_ns == PS_NEVER || conn->written != before)
            conn->blocked_ns = ps_http2_now(conn);
        ps_http2_timer_at(conn, conn->blocked_ns + conn->limits.stall_ms * 1000000ull);
    }
    return st;
}
