/* Happy path: a call starts on the connection that is up. While there is none it waits in the
 * channel, and starts when one comes. Failure: it ends with the reason of the last attempt, unless
 * it may wait; its deadline ends it in any case. */
#include "common/transport/channel/channel.h"

#include "common/transport/channel/channel_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/tls/tls.h"

#include <stdio.h>

#define MS 1000000ull

static void tick_cb(void *user)
{
    ps_channel *channel = user;
    uint64_t now = ps_clock_ns(&ps_clock_system);
    ps_list_each_safe(node, &channel->waiting)
    {
        ps_call *call = ps_container(node, ps_call, link);
        if (now >= call->deadline_ns)
            ps_call_end(call, PS_DEADLINE_EXCEEDED,
                        channel->last.code ? channel->last.message : "deadline exceeded");
    }
    if (now >= channel->due_ns) {
        channel->due_ns = PS_NEVER;
        ps_channel_due(channel);
    }
    ps_channel_set_timer(channel);
}

void ps_channel_set_timer(ps_channel *channel)
{
    uint64_t next = channel->due_ns, now = ps_clock_ns(&ps_clock_system);
    ps_list_each(node, &channel->waiting)
    {
        uint64_t deadline = ps_container(node, ps_call, link)->deadline_ns;
        if (deadline < next)
            next = deadline;
    }
    if (channel->state == PS_CHANNEL_FREED)
        return;
    if (next == PS_NEVER)
        ps_timer_stop(channel->timer);
    else
        ps_timer_start(channel->timer, next > now ? (next - now) / MS + 1 : 0, 0);
}

static void start_cb(ps_loop_task *job)
{
    ps_channel_connect(ps_container(job, ps_channel, start));
}

static unsigned or_default(unsigned value, unsigned standard)
{
    return value ? value : standard;
}

ps_status ps_channel_create(ps_loop *loop, const ps_channel_options *options, ps_channel **out)
{
    ps_loop_require_on(loop);
    PS_REQUIRE(options->target);
    char host[256], port[8];
    ps_status st = ps_tcp_split(options->target, host, port);
    if (st)
        return st;
    if (!options->tls)
        return ps_fail(PS_INVALID_ARGUMENT, "channel to %s: no TLS context", options->target);
    ps_channel *channel = ps_new(ps_channel);
    ps_channel_options *o = &channel->options;
    *o = *options;
    o->message_bytes = o->message_bytes ? o->message_bytes : 4u << 20;
    o->window_bytes = o->window_bytes ? o->window_bytes : 16u << 20;
    o->connect_ms = or_default(o->connect_ms, 5000);
    o->backoff_min_ms = or_default(o->backoff_min_ms, 100);
    o->backoff_max_ms = or_default(o->backoff_max_ms, 10000);
    o->keepalive_ms = or_default(o->keepalive_ms, 20000);
    o->keepalive_timeout_ms = or_default(o->keepalive_timeout_ms, 10000);
    channel->loop = loop;
    channel->refs = 1;
    channel->target = ps_strdup(options->target);
    snprintf(channel->host, sizeof channel->host, "%s", host);
    channel->tls = ps_tls_context_ref(options->tls);
    channel->due_ns = PS_NEVER;
    channel->traffic = ps_new(ps_http2_stats);
    ps_list_init(&channel->links);
    ps_list_init(&channel->waiting);
    ps_backoff_init(&channel->backoff, o->backoff_min_ms, o->backoff_max_ms, ps_rng_entropy());
    ps_budget_create(16 * (o->window_bytes + o->message_bytes), &channel->budget);
    ps_timer_create(loop, tick_cb, channel, &channel->timer);
    ps_loop_task_init(&channel->start, start_cb);
    ps_loop_defer(loop, &channel->start);
    *out = channel;
    return PS_OK;
}

void ps_channel_verify(ps_channel_link *link)
{
    ps_channel *channel = link->channel;
    ps_layer *layer = ps_http2_layer(link->conn);
    bool revoked;
    if (!layer || !ps_tls_layer_certificate(layer) || link->verified_with == channel->tls_number)
        return; /* one whose handshake is under way is asked when it is up */
    link->verified_with = channel->tls_number;
    if (!ps_tls_layer_verify_again(layer, channel->tls, &revoked))
        return;
    if (revoked)
        ps_http2_cut(link->conn, ps_error_message());
    else
        ps_http2_retire(link->conn, ps_error_message());
}

void ps_channel_set_tls(ps_channel *channel, struct ps_tls_context *tls)
{
    ps_loop_require_on(channel->loop);
    PS_REQUIRE(tls);
    ps_tls_context *before = channel->tls;
    channel->tls = ps_tls_context_ref(tls);
    ps_tls_context_unref(&before);
    channel->tls_number++;
    ps_list_each_safe(node, &channel->links)
        ps_channel_verify(ps_container(node, ps_channel_link, link));
}

void ps_channel_move_over(ps_channel *channel)
{
    ps_loop_require_on(channel->loop);
    const ps_channel_link *link = channel->current;
    if (link && link->made_with != channel->tls_number) /* else it, or the next one, is new */
        ps_http2_drain(channel->current->conn);
}

bool ps_channel_carries(const ps_channel *channel, const ps_call *call)
{
    ps_loop_require_on(channel->loop);
    return channel->current && call->conn == channel->current->conn;
}

ps_loop *ps_channel_loop(const ps_channel *channel)
{
    return channel->loop;
}

bool ps_channel_is_up(const ps_channel *channel)
{
    return channel->state == PS_CHANNEL_UP;
}

void ps_channel_unref(ps_channel *channel)
{
    PS_REQUIRE(channel->refs > 0);
    if (--channel->refs > 0)
        return;
    ps_budget_unref(&channel->budget);
    ps_tls_context_unref(&channel->tls);
    free(channel->traffic);
    free(channel->target);
    free(channel);
}

static void end_all(ps_list *calls)
{
    ps_list_each_safe(node, calls)
        ps_call_end(ps_container(node, ps_call, link), PS_CANCELLED, "the channel was closed");
}

void ps_channel_free(ps_channel **pointer)
{
    ps_channel *channel = *pointer;
    if (!channel)
        return;
    ps_loop_require_on(channel->loop);
    *pointer = NULL;
    ps_channel_move(channel, PS_CHANNEL_FREED);
    channel->current = NULL;
    ps_loop_cancel(channel->loop, &channel->start);
    ps_tcp_dial_free(&channel->dial);
    ps_timer_free(&channel->timer);
    end_all(&channel->waiting);
    ps_list_each_safe(node, &channel->links)
    {
        ps_channel_link *link = ps_container(node, ps_channel_link, link);
        end_all(&link->conn->calls);
        ps_http2_close(link->conn, PS_OK, "the channel was closed");
    }
    ps_channel_unref(channel);
}

ps_call *ps_channel_call(ps_channel *channel, const char *path, const ps_call_options *options,
                         const ps_call_events *events, void *user)
{
    ps_loop_require_on(channel->loop);
    PS_REQUIRE(channel->state != PS_CHANNEL_FREED);
    PS_REQUIRE(events && events->on_end);
    static const ps_call_options standard;
    if (!options)
        options = &standard;
    ps_call *call = NULL;
    ps_call_create(channel->loop, PS_CALL_CLIENT, path, &call);
    call->events = events;
    call->user = user;
    call->wait_for_ready = options->wait_for_ready;
    if (options->deadline_ms)
        call->deadline_ns = ps_clock_ns(&ps_clock_system) + options->deadline_ms * MS;
    if (channel->state == PS_CHANNEL_UP) {
        ps_http2_start_call(channel->current->conn, call, channel->target);
    } else if (channel->state == PS_CHANNEL_WAITING && !options->wait_for_ready) {
        ps_call_end(call, channel->last.code, channel->last.message);
    } else {
        ps_call_ref(call);
        ps_list_append(&channel->waiting, &call->link);
        ps_channel_set_timer(channel);
    }
    return call;
}
