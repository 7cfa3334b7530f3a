/* Happy path: the call's headers go out, its messages after them; the answer's headers, messages
 * and trailers come, and the stream closes: the trailers' status is the outcome.
 *
 * Failure: an answer without grpc-status is judged by its HTTP status, a reset by its code. */
#include "common/transport/call/http2_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/call/grpc_text.h"

#include <stdio.h>

#define MESSAGE_MAX   (PS_ERROR_MAX - 1)
#define RETRY_MOST_MS 3600000

static int number(ps_slice text, int max)
{
    int v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || v > max)
            return -1;
        v = v * 10 + (text.data[i] - '0');
    }
    return text.len ? v : -1;
}

void ps_http2_client_header(ps_call *call, ps_slice name, ps_slice value)
{
    PS_REQUIRE(call->kind == PS_CALL_CLIENT);
    if (ps_slice_is(name, ":status")) {
        call->http_status = number(value, 999);
    } else if (ps_slice_is(name, "grpc-status")) {
        int status = number(value, 1000);
        call->grpc_status = status < 0 ? ps_status_grpc(PS_UNKNOWN) : status;
    } else if (ps_slice_is(name, "grpc-message")) {
        ps_buf_clear(&call->grpc_message);
        if (value.len > 3 * MESSAGE_MAX)
            value.len = 3 * MESSAGE_MAX;
        ps_grpc_percent_decode(value, &call->grpc_message);
    } else if (ps_slice_is(name, "grpc-retry-pushback-ms")) {
        call->retry_ms = number(value, RETRY_MOST_MS); /* one that is none: not by itself */
    } else if (ps_slice_is(name, "content-type")) {
        call->bad_type = value.len < 16 || memcmp(value.data, "application/grpc", 16) != 0;
    } else if (ps_slice_is(name, "grpc-encoding")) {
        call->compressed = !ps_slice_is(value, "identity");
    }
}

/* The outcome, as far as headers tell. */
static void end_by_headers(ps_call *call)
{
    char text[64];
    if (call->grpc_status >= 0) {
        ps_call_end(call, ps_status_from_grpc(call->grpc_status),
                    call->grpc_message.len ? ps_buf_cstr(&call->grpc_message) : "");
        return;
    }
    snprintf(text, sizeof text, "the server answered without a status of gRPC (HTTP %d)",
             call->http_status);
    ps_status st =
        call->http_status == 200 ? PS_UNKNOWN : ps_grpc_status_of_http(call->http_status);
    ps_call_end(call, st, text);
}

void ps_http2_client_headers_done(ps_call *call)
{
    PS_REQUIRE(call->kind == PS_CALL_CLIENT);
    if (call->ended)
        return;
    if (call->refuse.code) { /* more of them than we keep */
        ps_call_end(call, call->refuse.code, call->refuse.message);
        ps_call_reset(call, NGHTTP2_CANCEL);
    } else if (call->grpc_status >= 0) {
        /* These were the trailers, and the call is over even when our side is not closed yet. */
        if (call->grpc_status == 0 && ps_grpc_frame_is_partial(&call->frame))
            ps_call_end(call, PS_INTERNAL, "the last message is incomplete");
        else
            end_by_headers(call);
    } else if (call->http_status >= 200 && (call->http_status != 200 || call->bad_type)) {
        end_by_headers(call);
        ps_call_reset(call, NGHTTP2_CANCEL);
    } else if (call->compressed) {
        ps_call_end(call, PS_UNIMPLEMENTED, "the server compresses: only identity is supported");
        ps_call_reset(call, NGHTTP2_CANCEL);
    }
}

void ps_http2_client_stream_closed(ps_call *call, uint32_t error_code)
{
    PS_REQUIRE(call->kind == PS_CALL_CLIENT);
    call->end_sent = true; /* there is no stream left to reset */
    if (call->ended)
        return;
    char text[80];
    if (error_code == NGHTTP2_NO_ERROR) {
        end_by_headers(call);
        return;
    }
    snprintf(text, sizeof text, "the server reset the call: %s",
             nghttp2_http2_strerror(error_code));
    ps_call_end(call, ps_grpc_status_of_reset(error_code), text);
}

#define HEADER(key, text)                                \
    ((nghttp2_nv){.name = (uint8_t *)(uintptr_t)(key),   \
                  .namelen = strlen(key),                \
                  .value = (uint8_t *)(uintptr_t)(text), \
                  .valuelen = strlen(text)})

void ps_http2_start_call(ps_http2 *conn, ps_call *call, const char *authority)
{
    ps_loop_require_on(conn->loop);
    PS_REQUIRE(!conn->server && conn->session);
    PS_REQUIRE(call->kind == PS_CALL_CLIENT && call->path);
    nghttp2_nv headers[10];
    size_t n = 0;
    char timeout[16];
    headers[n++] = HEADER(":method", "POST");
    headers[n++] = HEADER(":scheme", "https");
    headers[n++] = HEADER(":path", call->path);
    headers[n++] = HEADER(":authority", authority);
    headers[n++] = HEADER("te", "trailers");
    headers[n++] = HEADER("content-type", "application/grpc");
    headers[n++] = HEADER("user-agent", "grpc-c-psd/" PS_VERSION);
    headers[n++] = HEADER("grpc-accept-encoding", "identity");
    if (call->deadline_ns != PS_NEVER) {
        uint64_t now = ps_http2_now(conn);
        ps_grpc_timeout_format(call->deadline_ns > now ? call->deadline_ns - now : 1, timeout);
        headers[n++] = HEADER("grpc-timeout", timeout);
        ps_http2_timer_at(conn, call->deadline_ns);
    }
    ps_call_attach(call, conn);
    nghttp2_data_provider data = ps_http2_data_of(call);
    int32_t id = nghttp2_submit_request(conn->session, NULL, headers, n, &data, call);
    if (id < 0) { /* stream ids are used up, after 2^30 calls */
        ps_list_remove(&call->link);
        conn->n_calls--;
        ps_call_end(call, PS_UNAVAILABLE, nghttp2_strerror(id));
        ps_call_unref(call);
        ps_http2_drain(conn);
        return;
    }
    call->stream_id = id;
    call->submitted = true;
    ps_trace("call", "started call=%p stream=%d path=%s address=%s", (void *)call, (int)id,
             call->path, conn->address);
    ps_http2_write_soon(conn);
}
