/* Happy path: nghttp2 tells of headers, data, ends of streams; each goes to the call it belongs to.
 * The options and SETTINGS with which we meet hostile peers are all in this file (the table of CVEs
 * is in the comments), but for flow control (flow.c) and the frame counters (floods.c).
 *
 * Failure: a peer that breaks a limit is disconnected with ENHANCE_YOUR_CALM; a single bad stream
 * is reset or answered. */
#include "common/transport/call/http2_internal.h"

#include "common/base/log.h"

#include <string.h>

#define HEADER_BYTES_FATAL (64u << 10) /* HPACK bomb: no more decoding */
#define TABLE_SIZE         4096u

static bool flood(ps_http2 *conn, ps_flood_kind kind)
{
    if (ps_floods_count(&conn->floods, kind, ps_http2_now(conn)))
        return false;
    ps_http2_close(conn, PS_RESOURCE_EXHAUSTED, "control frames flood");
    return true;
}

static ps_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static bool count_frame(ps_http2 *conn, const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_PING:
        return flood(conn, PS_FLOOD_PING);
    case NGHTTP2_SETTINGS:
        return flood(conn, PS_FLOOD_SETTINGS);
    case NGHTTP2_PRIORITY:
        return flood(conn, PS_FLOOD_PRIORITY);
    case NGHTTP2_WINDOW_UPDATE:
        return flood(conn, PS_FLOOD_WINDOW_UPDATE);
    case NGHTTP2_DATA:
        return hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM) &&
               flood(conn, PS_FLOOD_EMPTY_DATA);
    case NGHTTP2_RST_STREAM:
        return conn->server && flood(conn, PS_FLOOD_RESET);
    default:
        return false;
    }
}

static int begin_frame_cb(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    ps_http2 *conn = user;
    conn->data_call = NULL;
    if (count_frame(conn, hd))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (hd->type == NGHTTP2_DATA) {
        conn->data_call = call_of(session, hd->stream_id);
        conn->data_left = hd->length;
    }
    return 0;
}

static int begin_headers_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    ps_http2 *conn = user;
    conn->header_bytes = 0;
    if (!conn->server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    ps_call *call = NULL;
    ps_call_create(conn->loop, PS_CALL_STREAM, NULL, &call);
    call->stream_id = frame->hd.stream_id;
    ps_call_attach(call, conn);
    ps_call_unref(call); /* the connection's reference is left */
    nghttp2_session_set_stream_user_data(session, call->stream_id, call);
    return 0;
}

static int header_cb(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags;
    ps_http2 *conn = user;
    conn->header_bytes += name_len + value_len + 32; /* as RFC 9113 section 6.5.2 counts */
    if (conn->header_bytes > HEADER_BYTES_FATAL) {
        ps_http2_close(conn, PS_PROTOCOL, "headers of more than 64 KiB");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    ps_call *call = call_of(session, frame->hd.stream_id);
    if (!call || call->ended)
        return 0;
    if (conn->header_bytes > PS_HTTP2_HEADERS_MAX) {
        if (!call->refuse.code)
            ps_error_save(&call->refuse,
                          ps_fail(PS_RESOURCE_EXHAUSTED, "metadata of more than %u bytes",
                                  PS_HTTP2_HEADERS_MAX));
        return 0;
    }
    ps_slice n = ps_slice_of(name, name_len), v = ps_slice_of(value, value_len);
    if (!conn->server)
        ps_http2_client_header(call, n, v);
    else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        ps_http2_server_header(call, n, v);
    return 0;
}

static void feed_call(ps_call *call, ps_slice in)
{
    call->fed_ns = ps_http2_now(call->conn);
    call->fed_at = call->conn->received;
    while (in.len > 0 && !call->no_reading) {
        ps_message *message = NULL;
        ps_status st = ps_grpc_frame_feed(&call->frame, &in, ps_flow_make, call, &message);
        if (st) {
            ps_call_refuse_data(call, st);
            return;
        }
        ps_flow_filled(call);
        if (message)
            ps_call_message(call, message);
    }
}

static int data_cb(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user)
{
    (void)flags;
    ps_http2 *conn = user;
    conn->data_left -= len < conn->data_left ? len : conn->data_left;
    ps_call *call = call_of(session, stream_id);
    if (call) {
        ps_call_ref(call);
        feed_call(call, ps_slice_of(data, len));
        ps_flow_update(conn, call);
        ps_call_unref(call);
    } else {
        ps_flow_update(conn, NULL);
    }
    return 0;
}

/* The windows of calls have changed with the first one (RFC 9113 section 6.9.2), and may be less
 * than nothing. */
static void update_windows(ps_http2 *conn)
{
    ps_list_each(node, &conn->calls) ps_flow_update(conn, ps_container(node, ps_call, link));
}

static void control_frame(ps_http2 *conn, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        update_windows(conn);
    } else if (frame->hd.type == NGHTTP2_SETTINGS && !conn->up) {
        conn->up = true;
        if (conn->events->on_up)
            conn->events->on_up(conn->owner, conn);
    } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        conn->pinged_ns = PS_NEVER;
        if (conn->draining && conn->server && !conn->goaway_final &&
            memcmp(frame->ping.opaque_data, "drained?", 8) == 0) {
            conn->goaway_final = true;
            nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE,
                                  nghttp2_session_get_last_proc_stream_id(conn->session),
                                  NGHTTP2_NO_ERROR, NULL, 0);
        }
    } else if (frame->hd.type == NGHTTP2_GOAWAY && !conn->draining) {
        conn->draining = conn->goaway_final = true;
        if (conn->events->on_draining)
            conn->events->on_draining(conn->owner, conn);
    }
}

static int frame_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    ps_http2 *conn = user;
    bool headers = frame->hd.type == NGHTTP2_HEADERS;
    if (!headers && frame->hd.type != NGHTTP2_DATA) {
        control_frame(conn, frame);
        return 0;
    }
    ps_call *call = call_of(session, frame->hd.stream_id);
    if (!call)
        return 0;
    ps_call_ref(call);
    if (headers && conn->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        ps_http2_server_headers_done(call);
    else if (headers && !conn->server)
        ps_http2_client_headers_done(call);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        ps_call_remote_end(call);
    ps_call_unref(call);
    return 0;
}

static int invalid_frame_cb(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
    (void)session, (void)frame;
    ps_http2 *conn = user;
    conn->fault = code;
    return 0;
}

static int frame_sent_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    ps_http2 *conn = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM && conn->server) {
        uint32_t code = frame->rst_stream.error_code;
        if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
            code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR)
            return flood(conn, PS_FLOOD_FORCED_RESET) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
        return 0;
    }
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    ps_call *call = call_of(session, frame->hd.stream_id);
    if (!call)
        return 0;
    call->end_sent = true;
    if (!conn->server)
        return 0;
    /* The status has left us: whatever the client still sends is of no use (RFC 9113 section 8.1)
     */
    if (!call->remote_end)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_NO_ERROR);
    ps_call_end(call, PS_OK, "");
    return 0;
}

static int stream_close_cb(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *user)
{
    ps_http2 *conn = user;
    ps_call *call = call_of(session, stream_id);
    if (conn->data_call == call)
        conn->data_call = NULL;
    if (!call)
        return 0;
    nghttp2_session_set_stream_user_data(session, stream_id, NULL);
    call->stream_id = 0;
    ps_list_remove(&call->link);
    conn->n_calls--;
    if (!conn->server)
        ps_http2_client_stream_closed(call, error_code);
    else if (!call->ended)
        ps_call_end(call, PS_CANCELLED, "cancelled by the client");
    ps_flow_forget(call);
    ps_call_unref(call);
    ps_http2_write_soon(conn); /* a drained connection may close */
    return 0;
}

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, begin_frame_cb);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers_cb);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header_cb);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_cb);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_cb);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, invalid_frame_cb);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent_cb);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_close_cb);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, ps_http2_send_data_cb);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks,
                                                                   ps_http2_frame_size_cb);
}

static void set_options(nghttp2_option *option)
{
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_stream_reset_rate_limit(option, 100, 10); /* CVE-2023-44487 */
    nghttp2_option_set_max_continuations(option, 2);             /* CVE-2024-28182 */
    nghttp2_option_set_max_outbound_ack(option, 100);            /* CVE-2019-9512, 9515 */
    nghttp2_option_set_max_settings(option, 16);                 /* CVE-2020-11080 */
    nghttp2_option_set_max_deflate_dynamic_table_size(option, TABLE_SIZE);
    nghttp2_option_set_server_fallback_rfc7540_priorities(option, 0);
    nghttp2_option_set_no_closed_streams(option, 1);
}

static int submit_settings(ps_http2 *conn)
{
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, ps_http2_first_window(conn)},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, PS_HTTP2_FRAME_MAX},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, TABLE_SIZE},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, PS_HTTP2_HEADERS_MAX},
        {conn->server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         conn->server ? conn->limits.streams : 0},
    };
    return nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, entries,
                                   sizeof entries / sizeof *entries);
}

ps_status ps_http2_session_create(ps_http2 *conn)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);
    if (rc)
        goto out;
    rc = nghttp2_option_new(&option);
    if (rc)
        goto free_callbacks;
    set_callbacks(callbacks);
    set_options(option);
    rc = conn->server ? nghttp2_session_server_new2(&conn->session, callbacks, conn, option)
                      : nghttp2_session_client_new2(&conn->session, callbacks, conn, option);
    if (!rc)
        rc = submit_settings(conn);
    nghttp2_option_del(option);
    if (!rc)
        ps_flow_update(conn, NULL);
free_callbacks:
    nghttp2_session_callbacks_del(callbacks);
out:
    return rc ? ps_fail(PS_NO_MEMORY, "http2: %s", nghttp2_strerror(rc)) : PS_OK;
}
