#include "tests/lib/echo_rig.h"
#include "tests/lib/ck_ok.h"

#include <check.h>
#include <stdio.h>

static void refused_cb(void *user, const char *address, const ps_identity *peer, const char *path,
                       const char *reason)
{
    (void)address, (void)peer;
    echo_rig *rig = user;
    pthread_mutex_lock(&rig->lock);
    snprintf(rig->refused, sizeof rig->refused, "%s: %s", path ? path : "handshake", reason);
    pthread_mutex_unlock(&rig->lock);
}

void echo_rig_refused(echo_rig *rig, char out[PS_ERROR_MAX])
{
    pthread_mutex_lock(&rig->lock);
    snprintf(out, PS_ERROR_MAX, "%s", rig->refused);
    pthread_mutex_unlock(&rig->lock);
}

void echo_rig_pki(echo_rig *rig)
{
    ps_test_pki_open(&rig->pki, "lab");
    ps_test_pki_server(&rig->pki, "psd", "localhost");
    ps_test_pki_client(&rig->pki, PS_ROLE_WORKER, "w1");
}

void echo_rig_serve(echo_rig *rig, const ps_rpc_limits *limits)
{
    pthread_mutex_init(&rig->lock, NULL);
    rig->server_tls = ps_test_pki_context(&rig->pki, PS_TLS_SERVER, "psd");
    ck_ok(ps_loops_create(2, true, &rig->loops));
    rig->options = (ps_rpc_server_options){
        .loops = rig->loops,
        .address = "127.0.0.1",
        .tls = rig->server_tls,
        .limits = limits ? *limits : PS_RPC_LIMITS_DEFAULT,
        .authorise = rig->authorise,
        .refused = refused_cb,
        .account = rig->account,
        .user = rig,
    };
    ck_ok(ps_rpc_server_create(&rig->options, &rig->server));
    ps_rpc_service service = ps_test_echo_service(&rig->echo);
    ps_rpc_server_add(rig->server, &service);
    ck_ok(ps_rpc_server_start(rig->server));
    snprintf(rig->target, sizeof rig->target, "127.0.0.1:%u", ps_rpc_server_port(rig->server));
}

void echo_rig_open(echo_rig *rig, const ps_rpc_limits *limits)
{
    echo_rig_pki(rig);
    echo_rig_serve(rig, limits);
    rig->client_tls = ps_test_pki_context(&rig->pki, PS_TLS_CLIENT, "w1");
    ck_ok(ps_loop_create(&rig->loop));
}

void echo_rig_dial(echo_rig *rig, uint16_t port)
{
    snprintf(rig->target, sizeof rig->target, "127.0.0.1:%u", port);
    rig->client_tls = ps_test_pki_context(&rig->pki, PS_TLS_CLIENT, "w1");
    ck_ok(ps_loop_create(&rig->loop));
    echo_rig_connect(rig, NULL);
}

static void state_cb(void *user, bool up, const char *reason)
{
    echo_rig *rig = user;
    size_t len = strlen(rig->states);
    snprintf(rig->states + len, sizeof rig->states - len, "%s%s;",
             up ? "up" : "down: ", up ? "" : reason);
}

void echo_rig_connect(echo_rig *rig, const ps_channel_options *options)
{
    ps_channel_options o = options ? *options : (ps_channel_options){0};
    o.target = o.target ? o.target : rig->target;
    o.tls = o.tls ? o.tls : rig->client_tls;
    o.on_state = state_cb;
    o.user = rig;
    ck_ok(ps_channel_create(rig->loop, &o, &rig->channel));
}

void echo_rig_stop(echo_rig *rig)
{
    ps_rpc_server_free(&rig->server);
    ps_loops_free(&rig->loops);
    ps_tls_context_unref(&rig->server_tls);
    pthread_mutex_destroy(&rig->lock);
}

void echo_rig_close(echo_rig *rig)
{
    ps_channel_free(&rig->channel);
    ps_loop_free(&rig->loop);
    ps_tls_context_unref(&rig->client_tls);
    echo_rig_stop(rig);
    ps_test_pki_close(&rig->pki);
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    echo_call *c = user;
    c->messages++;
    if (strcmp(ps_call_path(call), ECHO_UPLOAD) == 0) {
        ps_slice bytes = ps_message_bytes(message);
        c->sum = psd__test__v1__sum__unpack(NULL, bytes.len, bytes.data);
        ck_assert_ptr_nonnull(c->sum);
        ps_message_release(&message);
        return;
    }
    ProtobufCMessage *decoded = NULL;
    ps_slice payload = {0};
    ck_ok(ps_message_unpack(ps_message_bytes(message), &psd__test__v1__piece__descriptor, &decoded,
                            &payload));
    c->bytes += payload.len;
    if (!c->no_crc)
        c->crc = ps_test_crc32(c->crc, payload);
    if (c->on_message)
        c->on_message(c, (const void *)decoded);
    protobuf_c_message_free_unpacked(decoded, NULL);
    if (c->keep && c->n_kept < 512)
        c->kept[c->n_kept++] = message;
    else
        ps_message_release(&message);
}

static void writable_cb(ps_call *call, void *user)
{
    (void)call;
    echo_call *c = user;
    if (c->on_writable)
        c->on_writable(c);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    (void)call;
    echo_call *c = user;
    ck_assert(!c->done); /* exactly once */
    c->done = true;
    c->status = status;
    snprintf(c->message, sizeof c->message, "%s", message);
}

static const ps_call_events events = {
    .on_message = message_cb, .on_writable = writable_cb, .on_end = end_cb};

void echo_start(echo_rig *rig, echo_call *c, const char *path, const ps_call_options *options)
{
    c->call = ps_channel_call(rig->channel, path, options, &events, c);
}

void echo_start_slow(echo_rig *rig, echo_call *c, unsigned delay_ms)
{
    Psd__Test__V1__Piece slow = PSD__TEST__V1__PIECE__INIT;
    slow.delay_ms = delay_ms;
    echo_start(rig, c, ECHO_UNARY, NULL);
    ps_call_send(c->call, &slow.base, NULL);
    ps_call_half_close(c->call);
}

void echo_send(echo_call *c, uint64_t number, const char *text, ps_slice payload)
{
    Psd__Test__V1__Piece piece = PSD__TEST__V1__PIECE__INIT;
    piece.number = number;
    piece.text = (char *)(uintptr_t)text;
    ps_payload p = {.bytes = payload};
    ps_call_send(c->call, &piece.base, payload.data ? &p : NULL);
}

static void counted_cb(void *user)
{
    ++*(unsigned *)user;
}

void echo_send_counted(echo_call *c, ps_slice payload, unsigned *released)
{
    Psd__Test__V1__Piece piece = PSD__TEST__V1__PIECE__INIT;
    ps_payload p = {.bytes = payload, .release = counted_cb, .user = released};
    ps_call_send(c->call, &piece.base, &p);
}

void echo_wait(echo_rig *rig, echo_call *c)
{
    ck_assert(ps_loop_run_until(rig->loop, &c->done));
}

static void set_cb(void *user)
{
    *(bool *)user = true;
}

void echo_run_ms(echo_rig *rig, unsigned ms)
{
    bool over = false;
    ps_timer *timer = NULL;
    ps_timer_create(rig->loop, set_cb, &over, &timer);
    ps_timer_start(timer, ms, 0);
    ck_assert(ps_loop_run_until(rig->loop, &over));
    ps_timer_free(&timer);
}

void echo_clear(echo_call *c)
{
    for (unsigned i = 0; i < c->n_kept; i++)
        ps_message_release(&c->kept[i]);
    if (c->sum)
        psd__test__v1__sum__free_unpacked(c->sum, NULL);
    if (c->call)
        ps_call_unref(c->call);
    *c = (echo_call){0};
}

ps_status echo_unary(echo_rig *rig, Psd__Test__V1__Piece *request, const ps_call_options *options,
                     Psd__Test__V1__Piece **reply)
{
    ProtobufCMessage *got = NULL;
    ps_status st = ps_channel_unary(rig->channel, ECHO_UNARY, &request->base,
                                    &psd__test__v1__piece__descriptor, options, &got);
    if (!st && reply)
        *reply = (Psd__Test__V1__Piece *)(void *)got;
    else if (got)
        protobuf_c_message_free_unpacked(got, NULL);
    return st;
}
