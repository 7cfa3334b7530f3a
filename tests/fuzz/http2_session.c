/* Happy path: a pipe, a connection on its near end with the events of a real server or with calls
 * of our own. Failure: abort(), which is what a fuzz target reports with. */
#include "tests/fuzz/http2_session.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES    4096u
#define CONNECTION_BYTES (64u << 10)
#define MEMORY_BYTES     (128u << 10)
#define STREAMS          8u
/* A call's answers: echo stops at the high-water mark, after which one more may have been queued.
 */
#define WAITING_MOST (STREAMS * (PS_CALL_HIGH_WATER + PS_TEST_ECHO_SIZE_MAX + MESSAGE_BYTES))

static void require(bool condition)
{
    if (!condition)
        abort();
}

static const ps_http2_limits limits = {.message_bytes = MESSAGE_BYTES,
                                       .connection_bytes = CONNECTION_BYTES,
                                       .call_bytes = 16u << 10,
                                       .streams = STREAMS,
                                       .handshake_ms = 60000,
                                       .keepalive_ms = 60000,
                                       .keepalive_timeout_ms = 60000,
                                       .stall_ms = 60000};

/* ---- the client's side */

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    ps_fuzz_session *s = user;
    Psd__Test__V1__Piece again = PSD__TEST__V1__PIECE__INIT;
    if (call == s->calls[2]) /* Talk: an answer to an answer */
        ps_call_send(call, &again.base, NULL);
    if (call == s->calls[3])
        ps_call_cancel(call);
    ps_message_release(&s->kept); /* the one before is held until now */
    s->kept = message;
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    ps_fuzz_session *s = user;
    require(status < PS_STATUS_COUNT && message);
    for (int i = 0; i < PS_FUZZ_CALLS; i++)
        if (s->calls[i] == call)
            s->calls[i] = NULL;
    s->ended++;
    ps_call_unref(call);
}

static const ps_call_events call_events = {.on_message = message_cb, .on_end = end_cb};

static void up_cb(void *owner, ps_http2 *conn)
{
    static const char *const paths[PS_FUZZ_CALLS] = {
        "/psd.test.v1.Echo/Unary", "/psd.test.v1.Echo/Download", "/psd.test.v1.Echo/Talk",
        "/psd.test.v1.Echo/Talk"};
    ps_fuzz_session *s = owner;
    require(s->started == 0);
    for (int i = 0; i < PS_FUZZ_CALLS; i++) {
        Psd__Test__V1__Piece piece = PSD__TEST__V1__PIECE__INIT;
        piece.text = (char *)(uintptr_t) "said";
        ps_call_create(s->loop, PS_CALL_CLIENT, paths[i], &s->calls[i]);
        s->calls[i]->events = &call_events;
        s->calls[i]->user = s;
        s->started++;
        ps_http2_start_call(conn, s->calls[i], "localhost:1");
        ps_call_send(s->calls[i], &piece.base, NULL);
        if (i < 2)
            ps_call_half_close(s->calls[i]);
    }
}

static void draining_cb(void *owner, ps_http2 *conn)
{
    (void)owner;
    require(!ps_http2_is_usable(conn));
}

static void closed_cb(void *owner, ps_http2 *conn, ps_status status, const char *reason)
{
    ps_fuzz_session *s = owner;
    require(!s->closed && reason && status < PS_STATUS_COUNT);
    s->closed = true;
    ps_http2_unref(&conn); /* the owner's reference */
}

static const ps_http2_events client_events = {
    .on_up = up_cb, .on_draining = draining_cb, .on_closed = closed_cb};

static void open_client(ps_fuzz_session *s, ps_http2_options *options)
{
    s->traffic = &s->client_traffic;
    ps_budget_create(MEMORY_BYTES, &s->budget);
    options->events = &client_events;
    options->owner = s;
    options->limits.streams = 0;
}

/* ---- the server's side */

static void open_server(ps_fuzz_session *s, ps_http2_options *options)
{
    ps_rpc_server *server = s->server = ps_new(ps_rpc_server);
    ps_mutex_init(&server->lock);
    pthread_cond_init(&server->changed, NULL);
    ps_budget_create(MEMORY_BYTES, &server->budget);
    server->serving = true;
    server->n_homes = 1;
    server->homes = ps_new(ps_rpc_home);
    server->homes[0].server = server;
    server->homes[0].loop = s->loop;
    ps_list_init(&server->homes[0].connections);
    ps_list_init(&server->homes[0].watchers);
    ps_health_add(server);
    ps_reflection_add(server);
    ps_rpc_service service = ps_test_echo_service(&s->echo);
    ps_rpc_server_add(server, &service);
    ps_rpc_connection *connection = ps_new(ps_rpc_connection);
    connection->home = &server->homes[0];
    ps_list_append(&server->homes[0].connections, &connection->link);
    server->connections = 1;
    s->traffic = &server->traffic;
    s->budget = server->budget;
    options->server = true;
    options->events = &ps_rpc_http2_events;
    options->owner = connection;
}

void ps_fuzz_session_open(ps_fuzz_session *s, bool client, bool deaf, const ps_pipe_faults *faults)
{
    *s = (ps_fuzz_session){.client = client, .deaf = deaf};
    require(ps_loop_create(&s->loop) == PS_OK);
    ps_http2_options options = {.loop = s->loop, .limits = limits, .address = "pipe"};
    ps_pipe_create(s->loop, faults, faults, &options.layer, &s->far);
    if (client)
        open_client(s, &options);
    else
        open_server(s, &options);
    options.budget = s->budget;
    options.stats = s->traffic;
    require(ps_http2_create(&options, &s->conn) == PS_OK);
    if (!client)
        ((ps_rpc_connection *)options.owner)->conn = s->conn;
    ps_http2_ref(s->conn);
}

void ps_fuzz_session_greeting(const ps_fuzz_session *s, ps_buf *out)
{
    if (!s->client)
        ps_buf_puts(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    ps_buf_append(out, "\0\0\0\4\0\0\0\0\0", 9); /* SETTINGS, none */
}

void ps_fuzz_session_bytes(unsigned flags, ps_slice input, ps_buf *out)
{
    if (!(flags & PS_FUZZ_FRAMES)) {
        ps_buf_append(out, input.data, input.len);
        return;
    }
    while (input.len >= 4) {
        const uint8_t *at = input.data;
        size_t len = at[3] < input.len - 4 ? at[3] : input.len - 4;
        uint8_t head[9] = {0, 0, (uint8_t)len, at[0], at[1], 0, 0, 0, at[2]};
        ps_buf_append(out, head, sizeof head);
        ps_buf_append(out, at + 4, len);
        input = ps_slice_of(at + 4 + len, input.len - 4 - len);
    }
}

void ps_fuzz_session_check(ps_fuzz_session *s)
{
    const ps_http2 *conn = s->conn;
    if (s->server)
        s->closed = ps_list_empty(&s->server->homes[0].connections);
    require(conn->held <= CONNECTION_BYTES + MESSAGE_BYTES && conn->lacking <= conn->held);
    require(conn->waiting <= WAITING_MOST);
    size_t used = ps_budget_used(s->budget);
    require(used >= conn->waiting && used - conn->waiting <= MEMORY_BYTES);
    require(s->client || conn->n_calls <= STREAMS);
}

void ps_fuzz_session_close(ps_fuzz_session *s)
{
    ps_message_release(&s->kept);
    require(s->closed && s->started == s->ended);
    require(s->conn->held == 0 && s->conn->waiting == 0 && s->conn->n_calls == 0);
    require(ps_budget_used(s->budget) == 0);
    require(s->conn->refs == 1); /* ours: nothing else remembers it */
    ps_http2_unref(&s->conn);
    ps_loop_free(&s->loop);
    if (s->server)
        ps_rpc_server_free(&s->server);
    else
        ps_budget_unref(&s->budget);
}
