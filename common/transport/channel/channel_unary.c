/* Happy path: send, half-close, decode the one reply when the call has ended well.
 * Failure: the call's; PS_INTERNAL when it ended well without a reply or with several. */
#include "common/transport/channel/channel.h"

#include "common/base/mem.h"
#include "common/base/require.h"

typedef struct unary {
    const ProtobufCMessageDescriptor *reply_type;
    ps_message *reply;
    unsigned replies;
    ps_call *call;
    void (*done)(void *user, ps_status status, const char *message, ProtobufCMessage *reply);
    void *user;
} unary;

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    (void)call;
    unary *u = user;
    if (u->replies++ == 0)
        u->reply = message;
    else
        ps_message_release(&message);
}

static ps_status decode(unary *u, ProtobufCMessage **reply)
{
    if (u->replies != 1)
        return ps_fail(PS_INTERNAL, "the server sent %u replies instead of one", u->replies);
    return ps_message_unpack(ps_message_bytes(u->reply), u->reply_type, reply, NULL);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    unary *u = user;
    ProtobufCMessage *reply = NULL;
    if (!status) {
        status = decode(u, &reply);
        message = status ? ps_error_message() : "";
    }
    if (status)
        (void)ps_fail_retry(status, ps_call_retry_ms(call), "%s", message);
    ps_message_release(&u->reply);
    u->done(u->user, status, message, reply);
    free(u);
    ps_call_unref(call);
}

static const ps_call_events events = {.on_message = message_cb, .on_end = end_cb};

void ps_channel_unary_async(ps_channel *channel, const char *path, const ProtobufCMessage *request,
                            const ProtobufCMessageDescriptor *reply_type,
                            const ps_call_options *options,
                            void (*done)(void *user, ps_status status, const char *message,
                                         ProtobufCMessage *reply),
                            void *user)
{
    PS_REQUIRE(request && reply_type && done);
    unary *u = ps_new(unary);
    *u = (unary){.reply_type = reply_type, .done = done, .user = user};
    u->call = ps_channel_call(channel, path, options, &events, u);
    ps_call_send(u->call, request, NULL);
    ps_call_half_close(u->call);
}

typedef struct waiting {
    bool done, abandoned;
    ps_error outcome;
    ProtobufCMessage *reply;
} waiting;

static void done_cb(void *user, ps_status status, const char *message, ProtobufCMessage *reply)
{
    waiting *w = user;
    if (w->abandoned) {
        if (reply)
            protobuf_c_message_free_unpacked(reply, NULL);
        free(w);
        return;
    }
    w->done = true;
    ps_error_save(&w->outcome, status);
    w->reply = reply;
}

ps_status ps_channel_unary(ps_channel *channel, const char *path, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *reply_type,
                           const ps_call_options *options, ProtobufCMessage **reply)
{
    waiting *w = ps_new(waiting);
    ps_channel_unary_async(channel, path, request, reply_type, options, done_cb, w);
    if (!ps_loop_run_until(ps_channel_loop(channel), &w->done)) {
        w->abandoned = true; /* the call, which ends with the channel at the latest, frees it */
        return ps_fail(PS_CANCELLED, "%s: interrupted", path);
    }
    ps_status st = w->outcome.code;
    if (st)
        (void)ps_error_raise(&w->outcome);
    else
        *reply = w->reply;
    free(w);
    return st;
}
