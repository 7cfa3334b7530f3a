/* Happy path and failure: the states are drawn in channel_internal.h. The attempt counts as a
 * success when the server's SETTINGS have come: a TLS 1.3 client believes to be connected before
 * the server has looked at its certificate. */
#include "common/transport/channel/channel_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/sm.h"
#include "common/transport/tls/tls.h"

#include <stdio.h>

#define MS 1000000ull

static const char *const state_names[] = {"connecting", "greeting", "up", "waiting", "freed"};
static const ps_sm_set state_next[] = {
    /* itself: the first attempt */
    [PS_CHANNEL_CONNECTING] = PS_SM(PS_CHANNEL_CONNECTING) | PS_SM(PS_CHANNEL_GREETING) |
                              PS_SM(PS_CHANNEL_WAITING) | PS_SM(PS_CHANNEL_FREED),
    [PS_CHANNEL_GREETING] = PS_SM(PS_CHANNEL_UP) | PS_SM(PS_CHANNEL_CONNECTING) |
                            PS_SM(PS_CHANNEL_WAITING) | PS_SM(PS_CHANNEL_FREED),
    [PS_CHANNEL_UP] =
        PS_SM(PS_CHANNEL_CONNECTING) | PS_SM(PS_CHANNEL_WAITING) | PS_SM(PS_CHANNEL_FREED),
    [PS_CHANNEL_WAITING] = PS_SM(PS_CHANNEL_CONNECTING) | PS_SM(PS_CHANNEL_FREED),
    [PS_CHANNEL_FREED] = 0,
};
static const ps_sm machine = {.tag = "channel",
                              .names = state_names,
                              .next = state_next,
                              .count = PS_CHANNEL_STATES,
                              .level = PS_LOG_TRACE};

void ps_channel_move(ps_channel *channel, ps_channel_state to)
{
    ps_sm_go(&machine, &channel->state, to, "target=%s", channel->target);
}

static void tell(ps_channel *channel, bool up, const char *reason)
{
    if (channel->options.on_state && channel->state != PS_CHANNEL_FREED)
        channel->options.on_state(channel->options.user, up, reason);
}

/* The attempt, or the connection, is over: wait, and let fail what may not wait. */
static void lost(ps_channel *channel, ps_status status, const char *reason)
{
    bool unauthenticated = status == PS_UNAUTHENTICATED || status == PS_INVALID_ARGUMENT;
    channel->last.code = unauthenticated ? status : PS_UNAVAILABLE;
    snprintf(channel->last.message, sizeof channel->last.message, "%s: %s", channel->target,
             *reason ? reason : "connection closed");
    ps_channel_move(channel, PS_CHANNEL_WAITING);
    channel->current = NULL;
    unsigned wait_ms = ps_backoff_next(&channel->backoff);
    channel->due_ns = ps_clock_ns(&ps_clock_system) + wait_ms * MS;
    ps_list_each_safe(node, &channel->waiting)
    {
        ps_call *call = ps_container(node, ps_call, link);
        if (!call->wait_for_ready)
            ps_call_end(call, channel->last.code, channel->last.message);
    }
    ps_channel_set_timer(channel);
    ps_log_debug("channel", "down target=%s retry_ms=%u reason=\"%s\"", channel->target, wait_ms,
                 reason);
    tell(channel, false, channel->last.message);
}

static void up_cb(void *owner, ps_http2 *conn)
{
    ps_channel_link *link = owner;
    ps_channel *channel = link->channel;
    ps_channel_verify(link);
    if (channel->current != link || !ps_http2_is_usable(conn))
        return;
    ps_channel_move(channel, PS_CHANNEL_UP);
    channel->last.code = PS_OK;
    ps_backoff_reset(&channel->backoff);
    while (!ps_list_empty(&channel->waiting)) {
        ps_call *call = ps_container(channel->waiting.next, ps_call, link);
        ps_list_remove(&call->link);
        ps_http2_start_call(conn, call, channel->target);
        ps_call_unref(call);
    }
    ps_channel_set_timer(channel);
    tell(channel, true, ps_tls_layer_group(ps_http2_layer(conn)));
}

static void draining_cb(void *owner, ps_http2 *conn)
{
    (void)conn;
    ps_channel_link *link = owner;
    ps_channel *channel = link->channel;
    if (channel->current != link)
        return;
    channel->current = NULL;
    ps_channel_connect(channel);
}

static void closed_cb(void *owner, ps_http2 *conn, ps_status status, const char *reason)
{
    (void)conn;
    ps_channel_link *link = owner;
    ps_channel *channel = link->channel;
    bool was_current = channel->current == link;
    ps_list_remove(&link->link);
    ps_http2_unref(&link->conn);
    free(link);
    if (was_current)
        lost(channel, status, reason);
    ps_channel_unref(channel);
}

static const ps_http2_events events = {
    .on_up = up_cb,
    .on_draining = draining_cb,
    .on_closed = closed_cb,
};

static ps_status greet(ps_channel *channel, ps_layer *tcp, const char *address)
{
    PS_REQUIRE(channel->state == PS_CHANNEL_CONNECTING && !channel->current);
    ps_layer *top = NULL;
    ps_status st = ps_tls_layer_create(tcp, channel->tls, channel->host, &top);
    if (st)
        return st;
    const ps_channel_options *o = &channel->options;
    ps_channel_link *link = ps_new(ps_channel_link);
    ps_http2_options options = {
        .loop = channel->loop,
        .layer = top,
        .limits = {.message_bytes = o->message_bytes,
                   .connection_bytes = 4 * o->window_bytes,
                   .call_bytes = o->window_bytes,
                   .handshake_ms = o->connect_ms,
                   .keepalive_ms = o->keepalive_ms,
                   .keepalive_timeout_ms = o->keepalive_timeout_ms,
                   .stall_ms = o->keepalive_ms + o->keepalive_timeout_ms},
        .budget = channel->budget,
        .stats = channel->traffic,
        .address = address,
        .peer = ps_tls_layer_peer,
        .peer_not_after = ps_tls_layer_peer_not_after,
        .events = &events,
        .owner = link,
    };
    st = ps_http2_create(&options, &link->conn);
    if (st) {
        free(link);
        return st;
    }
    link->channel = channel;
    link->made_with = link->verified_with = channel->tls_number;
    ps_list_append(&channel->links, &link->link);
    channel->refs++;
    channel->current = link;
    ps_channel_move(channel, PS_CHANNEL_GREETING);
    channel->due_ns = PS_NEVER; /* the connection has its own deadline */
    return PS_OK;
}

static void dialled_cb(void *user, ps_status status, ps_layer *layer, const char *address)
{
    ps_channel *channel = user;
    if (!status)
        status = greet(channel, layer, address);
    ps_error kept;
    ps_error_save(&kept, status);
    ps_tcp_dial_free(&channel->dial);
    if (status)
        lost(channel, kept.code, kept.message);
}

void ps_channel_connect(ps_channel *channel)
{
    ps_loop_require_on(channel->loop);
    PS_REQUIRE(!channel->dial);
    ps_channel_move(channel, PS_CHANNEL_CONNECTING);
    channel->due_ns = ps_clock_ns(&ps_clock_system) + channel->options.connect_ms * MS;
    ps_status st =
        ps_tcp_dial_start(channel->loop, channel->target, dialled_cb, channel, &channel->dial);
    if (st)
        lost(channel, st, ps_error_message());
    else
        ps_channel_set_timer(channel);
}

void ps_channel_due(ps_channel *channel)
{
    if (channel->state == PS_CHANNEL_WAITING) {
        ps_channel_connect(channel);
    } else if (channel->state == PS_CHANNEL_CONNECTING) {
        ps_tcp_dial_free(&channel->dial);
        char text[64];
        snprintf(text, sizeof text, "no connection within %u ms", channel->options.connect_ms);
        lost(channel, PS_UNAVAILABLE, text);
    }
}
