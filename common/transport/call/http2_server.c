/* Happy path: a request's headers are checked and kept; the answer is response headers, messages,
 * and trailers with the status, or the status in the response headers alone ("trailers-only").
 *
 * Failure: what is no gRPC is answered in HTTP (405, 415); the rest with a status and a message. */
#include "common/transport/call/http2_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/call/grpc_text.h"

#include <stdio.h>

#define PATH_MAX_BYTES 512

static bool is_grpc_type(ps_slice value)
{
    static const char type[] = "application/grpc";
    size_t n = sizeof type - 1;
    if (value.len < n || memcmp(value.data, type, n) != 0)
        return false;
    if (value.len == n || value.data[n] == ';')
        return true;
    return value.len >= n + 6 && memcmp(value.data + n, "+proto", 6) == 0;
}

static void refuse(ps_call *call, ps_status status, int http)
{
    if (call->refuse.code)
        return;
    ps_error_save(&call->refuse, status);
    call->refuse_http = http;
}

static void keep_metadata(ps_call *call, ps_slice name, ps_slice value)
{
    /* nghttp2 has refused zero bytes and control characters in both. */
    ps_buf_append(&call->metadata, name.data, name.len);
    ps_buf_putc(&call->metadata, 0);
    ps_buf_append(&call->metadata, value.data, value.len);
    ps_buf_putc(&call->metadata, 0);
}

void ps_http2_server_header(ps_call *call, ps_slice name, ps_slice value)
{
    PS_REQUIRE(call->conn->server);
    if (ps_slice_is(name, ":method")) {
        if (!ps_slice_is(value, "POST"))
            refuse(call, ps_fail(PS_INTERNAL, "gRPC is spoken with POST"), 405);
    } else if (ps_slice_is(name, ":path")) {
        if (value.len > PATH_MAX_BYTES)
            refuse(call, ps_fail(PS_UNIMPLEMENTED, "path of %zu bytes", value.len), 0);
        else if (!call->path)
            call->path = ps_asprintf("%.*s", (int)value.len, (const char *)value.data);
    } else if (ps_slice_is(name, "content-type")) {
        call->has_type = is_grpc_type(value);
    } else if (ps_slice_is(name, "te")) {
        call->has_te = ps_slice_is(value, "trailers");
    } else if (ps_slice_is(name, "grpc-timeout")) {
        uint64_t ns = 0;
        ps_status st = ps_grpc_timeout_parse(value, &ns);
        if (st)
            refuse(call, st, 0);
        else
            call->deadline_ns = ps_http2_now(call->conn) + ns;
    } else if (ps_slice_is(name, "grpc-encoding")) {
        if (!ps_slice_is(value, "identity"))
            refuse(call,
                   ps_fail(PS_UNIMPLEMENTED, "grpc-encoding %.*s: only identity is supported",
                           (int)(value.len < 32 ? value.len : 32), (const char *)value.data),
                   0);
    } else if (name.len > 0 && name.data[0] != ':') {
        keep_metadata(call, name, value);
    }
}

#define HEADER(key, text)                                \
    ((nghttp2_nv){.name = (uint8_t *)(uintptr_t)(key),   \
                  .namelen = strlen(key),                \
                  .value = (uint8_t *)(uintptr_t)(text), \
                  .valuelen = strlen(text)})

/* Answers that are not gRPC's: a status of HTTP and nothing else. */
static void answer_http(ps_call *call)
{
    char status[12];
    snprintf(status, sizeof status, "%d", call->refuse_http);
    nghttp2_nv headers[] = {HEADER(":status", status), HEADER("allow", "POST")};
    call->local_end = call->submitted = true;
    nghttp2_submit_response(call->conn->session, call->stream_id, headers,
                            call->refuse_http == 405 ? 2 : 1, NULL);
    ps_http2_write_soon(call->conn);
}

void ps_http2_server_headers_done(ps_call *call)
{
    PS_REQUIRE(call->conn->server);
    ps_http2 *conn = call->conn;
    if (!call->path)
        call->path = ps_strdup("");
    if (!call->has_type)
        refuse(call, ps_fail(PS_INTERNAL, "content-type is not application/grpc"), 415);
    if (!call->has_te)
        refuse(call, ps_fail(PS_INTERNAL, "the request lacks te: trailers"), 0);
    if (call->refuse.code) {
        call->no_reading = true;
        if (call->refuse_http)
            answer_http(call);
        else
            ps_call_finish(call, call->refuse.code, call->refuse.message);
        return;
    }
    if (call->deadline_ns != PS_NEVER)
        ps_http2_timer_at(conn, call->deadline_ns);
    conn->events->on_request(conn->owner, call);
}

void ps_http2_server_respond(ps_call *call)
{
    PS_REQUIRE(call->kind != PS_CALL_CLIENT && !call->submitted);
    if (call->stream_id == 0 || !ps_http2_is_alive(call->conn))
        return;
    nghttp2_nv headers[] = {HEADER(":status", "200"), HEADER("content-type", "application/grpc"),
                            HEADER("grpc-accept-encoding", "identity")};
    nghttp2_data_provider data = ps_http2_data_of(call);
    nghttp2_submit_response(call->conn->session, call->stream_id, headers,
                            sizeof headers / sizeof *headers, &data);
    call->submitted = true;
    ps_http2_write_soon(call->conn);
}

void ps_http2_server_trailers(ps_call *call, bool with_headers)
{
    PS_REQUIRE(call->kind != PS_CALL_CLIENT && call->finish_text);
    if (call->stream_id == 0 || !ps_http2_is_alive(call->conn))
        return;
    char number[12], retry[12];
    snprintf(number, sizeof number, "%d", call->finish_grpc);
    snprintf(retry, sizeof retry, "%d", call->retry_ms);
    ps_buf text = PS_BUF_EMPTY;
    ps_grpc_percent_encode(call->finish_text, &text);
    nghttp2_nv headers[6];
    size_t n = 0;
    if (with_headers) {
        headers[n++] = HEADER(":status", "200");
        headers[n++] = HEADER("content-type", "application/grpc");
        headers[n++] = HEADER("grpc-accept-encoding", "identity");
    }
    headers[n++] = HEADER("grpc-status", number);
    if (text.len)
        headers[n++] = HEADER("grpc-message", ps_buf_cstr(&text));
    if (call->retry_ms) /* gRFC A6: a client that retries by itself waits so long, or lets it be */
        headers[n++] = HEADER("grpc-retry-pushback-ms", retry);
    nghttp2_session *session = call->conn->session;
    if (with_headers) {
        call->submitted = true;
        nghttp2_submit_response(session, call->stream_id, headers, n, NULL);
    } else {
        nghttp2_submit_trailer(session, call->stream_id, headers, n);
    }
    ps_buf_free(&text);
    ps_http2_write_soon(call->conn);
}
