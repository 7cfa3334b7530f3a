/* A stream a call. What a call that we have let go of still says is dropped. */
#include "worker/link/attach.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"

static const char path[] = "/psd.v1.Workers/Attach";

struct ps_attach {
    ps_channel *channel;
    ps_attach_events events;
    ps_call *call; /* NULL: none */
    ps_call *left; /* the one that was left last, while it lives */
    unsigned live; /* calls whose end has not come */
    bool freed;
};

static void message_cb(ps_call *call, ps_message *bytes, void *user)
{
    ps_attach *a = user;
    ProtobufCMessage *message = NULL;
    if (call == a->call) {
        ps_status st = ps_message_unpack(ps_message_bytes(bytes),
                                         &psd__v1__server_message__descriptor, &message, NULL);
        if (st) {
            ps_log_error("attach", "psd sent what cannot be read: %s", ps_error_message());
            ps_call_cancel(call);
        } else {
            a->events.message(a->events.user, (Psd__V1__ServerMessage *)message);
            protobuf_c_message_free_unpacked(message, NULL);
        }
    }
    ps_message_release(&bytes);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    ps_attach *a = user;
    bool current = call == a->call;
    if (call == a->left)
        a->left = NULL;
    ps_call_unref(call);
    PS_REQUIRE(a->live > 0);
    a->live--;
    if (current) {
        a->call = NULL;
        a->events.ended(a->events.user, status, message);
    }
    if (a->freed && !a->live)
        ps_free(&a);
}

static const ps_call_events events = {.on_message = message_cb, .on_end = end_cb};

void ps_attach_create(ps_channel *channel, const ps_attach_events *attach_events, ps_attach **out)
{
    PS_REQUIRE(attach_events->message && attach_events->ended);
    ps_attach *a = ps_new(ps_attach);
    a->channel = channel;
    a->events = *attach_events;
    *out = a;
}

void ps_attach_free(ps_attach **attach)
{
    ps_attach *a = *attach;
    if (!a)
        return;
    *attach = NULL;
    ps_call *call = a->call;
    a->call = NULL;
    a->freed = true;
    if (a->left)
        ps_call_cancel(a->left);
    if (call)
        ps_call_cancel(call);
    if (!a->live)
        ps_free(&a);
}

void ps_attach_open(ps_attach *a)
{
    ps_loop_require_on(ps_channel_loop(a->channel));
    PS_REQUIRE(!a->freed && !a->call);
    a->live++;
    a->call =
        ps_channel_call(a->channel, path, &(ps_call_options){.wait_for_ready = true}, &events, a);
}

bool ps_attach_is_behind(const ps_attach *a)
{
    ps_loop_require_on(ps_channel_loop(a->channel));
    return a->call && ps_call_peer(a->call) && !ps_channel_carries(a->channel, a->call);
}

void ps_attach_leave(ps_attach *a)
{
    ps_loop_require_on(ps_channel_loop(a->channel));
    if (a->left)
        ps_call_cancel(a->left);
    a->left = a->call;
    a->call = NULL;
}

void ps_attach_cut(ps_attach *a)
{
    ps_loop_require_on(ps_channel_loop(a->channel));
    if (a->left)
        ps_call_cancel(a->left);
    if (ps_attach_is_behind(a))
        ps_call_cancel(a->call);
}

void ps_attach_send(ps_attach *a, const Psd__V1__WorkerMessage *message)
{
    ps_loop_require_on(ps_channel_loop(a->channel));
    if (a->call)
        ps_call_send(a->call, &message->base, NULL);
}

void ps_attach_close(ps_attach *a)
{
    ps_loop_require_on(ps_channel_loop(a->channel));
    if (a->call)
        ps_call_half_close(a->call);
}
