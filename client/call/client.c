/* Happy path: resolve the context, load the certificates, make a loop and a channel on it, then one
 * call after the other. Fails with the file or the server that is at fault in the message. */
#include "client/call/client.h"

#include "client/call/endings.h"
#include "client/call/support.h"
#include "client/cli/context.h"
#include "common/base/mem.h"
#include "common/transport/tls/tls_expiry.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { UNARY_MS = 30000, CONNECT_MS = 5000 };

void ps_client_init(ps_client *client)
{
    *client = (ps_client){0};
}

void ps_client_prepare(ps_client *client)
{
    const char *output = client->globals.output;
    client->json = output && !strcmp(output, "json");
    client->style = ps_style_for(STDOUT_FILENO, client->globals.no_color);
}

void ps_client_clear(ps_client *client)
{
    ps_channel_free(&client->channel);
    ps_loop_free(&client->loop);
    ps_free(&client->server);
    ps_buf_free(&client->out);
}

ps_status ps_client_usage(ps_client *client, const char *format, ...)
{
    char text[PS_ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    client->usage = true;
    return ps_fail(PS_INVALID_ARGUMENT, "%s", text);
}

static void state_cb(void *user, bool up, const char *reason)
{
    ps_client *client = user;
    if (client->on_state)
        client->on_state(client->on_state_user, up, reason);
}

/* --timeout in milliseconds, as calls take it. */
static unsigned timeout_of(const ps_client *client, unsigned standard)
{
    uint64_t limit = client->globals.timeout_ms;
    return limit > UINT_MAX ? UINT_MAX : limit ? (unsigned)limit : standard;
}

static void remark_dates(const ps_tls_context *tls)
{
    char *remark = ps_tls_expiry_remark(tls, (int64_t)time(NULL));
    if (remark)
        ps_remark("%s", remark);
    ps_free(&remark);
}

static ps_status open_channel(ps_client *client, const ps_context *context)
{
    ps_tls_options files = {.side = PS_TLS_CLIENT,
                            .ca_file = context->ca,
                            .cert_file = context->certificate,
                            .key_file = context->key,
                            .crl_file = context->crl,
                            .crl_stale =
                                context->crl_expired && !strcmp(context->crl_expired, "warn")};
    ps_tls_context *tls = NULL;
    ps_status st = ps_tls_context_new(&files, &tls);
    if (st) /* a certificate that is of no use is a refusal, whoever noticed it */
        return st == PS_FAILED_PRECONDITION || st == PS_NO_ACCESS ? PS_UNAUTHENTICATED : st;
    remark_dates(tls);
    unsigned limit = timeout_of(client, CONNECT_MS);
    ps_channel_options options = {.target = context->server,
                                  .tls = tls,
                                  .connect_ms = limit < CONNECT_MS ? limit : CONNECT_MS,
                                  .backoff_max_ms = 2000,
                                  .on_state = state_cb,
                                  .user = client};
    st = ps_channel_create(client->loop, &options, &client->channel);
    ps_tls_context_unref(&tls);
    return st;
}

ps_status ps_client_connect(ps_client *client)
{
    if (client->channel)
        return PS_OK;
    ps_context context = {0};
    ps_status st = ps_context_resolve(&client->globals, &context);
    if (st) {
        client->usage = st == PS_INVALID_ARGUMENT && !context.server;
        return st;
    }
    if (!client->loop)
        st = ps_loop_create(&client->loop);
    if (!st)
        st = open_channel(client, &context);
    if (!st)
        client->server = ps_strdup(context.server);
    ps_context_clear(&context);
    return st;
}

/* A failure on the way says who was asked; other answers speak for themselves. */
ps_status ps_client_explain(const ps_client *client, ps_status st)
{
    bool on_the_way =
        st == PS_UNAVAILABLE || st == PS_DEADLINE_EXCEEDED || st == PS_UNAUTHENTICATED;
    if (!on_the_way || strstr(ps_error_message(), client->server))
        return st;
    return ps_wrap(st, "%s", client->server);
}

ps_status ps_client_unary(ps_client *client, const char *path, const ProtobufCMessage *request,
                          const ProtobufCMessageDescriptor *type, ProtobufCMessage **reply)
{
    ps_status st = ps_client_connect(client);
    if (st)
        return st;
    ps_call_options options = {.deadline_ms = timeout_of(client, UNARY_MS)};
    st = ps_channel_unary(client->channel, path, request, type, &options, reply);
    return st ? ps_client_explain(client, st) : PS_OK;
}

/* Streams: Ctrl-C ends one in order, so that nothing half done stays behind. ------------------- */

typedef struct stream {
    ps_client *client;
    ps_call *call;
    ps_status (*on_message)(void *user, ps_slice bytes);
    ps_status (*next)(void *user, ps_call *call);
    void *user;
    ps_error error; /* of ours, which wins over the call's outcome */
    bool enough;    /* on_message said PS_END */
    bool sent_all;
    ps_error end;
} stream;

static void stop_early(stream *s, ps_call *call, ps_status st)
{
    if (s->error.code || s->enough)
        return;
    s->enough = st == PS_END;
    if (!s->enough)
        ps_error_save(&s->error, st);
    ps_call_cancel(call);
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    stream *s = user;
    ps_status st = PS_OK;
    if (!s->enough && !s->error.code)
        st = s->on_message(s->user, ps_message_bytes(message));
    ps_message_release(&message);
    if (st)
        stop_early(s, call, st);
}

static void writable_cb(ps_call *call, void *user)
{
    stream *s = user;
    while (s->next && !s->sent_all && !s->error.code && ps_call_writable(call)) {
        ps_status st = s->next(s->user, call);
        if (st == PS_END) {
            s->sent_all = true;
            ps_call_half_close(call);
        } else if (st) {
            stop_early(s, call, st);
        }
    }
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    stream *s = user;
    s->end.code = status;
    snprintf(s->end.message, sizeof s->end.message, "%s", message);
    ps_call_unref(call);
    s->call = NULL;
    ps_loop_stop(s->client->loop);
}

static const ps_call_events stream_events = {
    .on_message = message_cb, .on_writable = writable_cb, .on_end = end_cb};

static void signal_cb(void *user, int number)
{
    (void)number;
    stream *s = user;
    if (!s->call)
        return; /* too late */
    s->client->interrupted = true;
    stop_early(s, s->call, ps_fail(PS_CANCELLED, "interrupted"));
}

static void run_loop(stream *s)
{
    ps_endings_watch watch;
    ps_endings_watch_begin(&watch, s->client->loop, signal_cb, s);
    ps_loop_run(s->client->loop);
    ps_endings_watch_end(&watch);
}

static ps_status run_stream(stream *s, const char *path, const ProtobufCMessage *request)
{
    ps_client *client = s->client;
    ps_status st = ps_client_connect(client);
    if (st)
        return st;
    ps_call_options options = {.deadline_ms = timeout_of(client, 0)};
    ps_call *call = ps_channel_call(client->channel, path, &options, &stream_events, s);
    s->call = call;
    if (request) {
        ps_call_send(call, request, NULL);
        ps_call_half_close(call);
    } else {
        writable_cb(call, s);
    }
    run_loop(s);
    if (s->error.code)
        return ps_error_raise(&s->error);
    if (s->enough || s->end.code == PS_OK)
        return PS_OK;
    return ps_client_explain(client, ps_error_raise(&s->end));
}

ps_status ps_client_stream(ps_client *client, const char *path, const ProtobufCMessage *request,
                           ps_status (*on_message)(void *user, ps_slice bytes), void *user)
{
    stream s = {.client = client, .on_message = on_message, .user = user};
    return run_stream(&s, path, request);
}

typedef struct answer {
    const ProtobufCMessageDescriptor *type;
    ProtobufCMessage *message;
    ps_status (*next)(void *user, ps_call *call);
    void *user;
} answer;

static ps_status answer_message(void *user, ps_slice bytes)
{
    answer *a = user;
    ps_reply_free(&a->message);
    return ps_message_unpack(bytes, a->type, &a->message, NULL);
}

static ps_status answer_next(void *user, ps_call *call)
{
    answer *a = user;
    return a->next(a->user, call);
}

ps_status ps_client_upload(ps_client *client, const char *path,
                           ps_status (*next)(void *user, ps_call *call), void *user,
                           const ProtobufCMessageDescriptor *type, ProtobufCMessage **reply)
{
    answer a = {.type = type, .next = next, .user = user};
    stream s = {.client = client, .on_message = answer_message, .next = answer_next, .user = &a};
    ps_status st = run_stream(&s, path, NULL);
    if (!st && !a.message)
        st = ps_fail(PS_PROTOCOL, "%s: no answer in the reply", path);
    if (st) {
        ps_reply_free(&a.message);
        return st;
    }
    *reply = a.message;
    return PS_OK;
}
