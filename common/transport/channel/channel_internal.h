/* channel_internal: the fields of a channel, for channel*.c. */
#ifndef PS_TRANSPORT_CHANNEL_CHANNEL_INTERNAL_H
#define PS_TRANSPORT_CHANNEL_CHANNEL_INTERNAL_H

#include "common/transport/call/http2_internal.h"
#include "common/transport/channel/backoff.h"
#include "common/transport/channel/channel.h"
#include "common/transport/tls/tls_context.h"

/*     connecting --dialled--> greeting --SETTINGS came--> up
 *        ^   \________ failed ____/ |                      | lost
 *        |                          v                      v
 *        +------- backoff over --- waiting <---------------+
 * GOAWAY (of what is up, as a rule): the connection is retired with its calls, and a new one is
 * made at once. From all of them to freed. Legal moves: channel_connect.c. */
typedef enum ps_channel_state {
    PS_CHANNEL_CONNECTING,
    PS_CHANNEL_GREETING,
    PS_CHANNEL_UP,
    PS_CHANNEL_WAITING,
    PS_CHANNEL_FREED,
    PS_CHANNEL_STATES,
} ps_channel_state;

/* One connection of a channel, which may be retired already. */
typedef struct ps_channel_link {
    ps_list link;
    ps_channel *channel;
    ps_http2 *conn;
    unsigned made_with, verified_with; /* tls_number of these contexts */
} ps_channel_link;

struct ps_channel {
    ps_loop *loop;
    ps_channel_options options;
    char *target;
    char host[256];
    ps_tls_context *tls;
    unsigned tls_number; /* how often it has changed */
    unsigned state;      /* ps_channel_state */
    unsigned refs;       /* the user's, and one of each link */
    ps_tcp_dial *dial;
    ps_list links;
    ps_channel_link *current; /* NULL unless greeting or up */
    ps_list waiting;          /* calls; ps_call.wait_for_ready says which may wait longer */
    ps_timer *timer;          /* dial deadline, end of backoff, deadlines of waiting calls */
    uint64_t due_ns;          /* of the state: dial deadline or end of backoff */
    ps_loop_task start;       /* the first attempt */
    ps_backoff backoff;
    ps_budget *budget;
    ps_http2_stats *traffic;
    ps_error last; /* why the last attempt failed */
};

void ps_channel_move(ps_channel *channel, ps_channel_state to);
void ps_channel_connect(ps_channel *channel);
void ps_channel_due(ps_channel *channel);      /* due_ns has passed */
void ps_channel_verify(ps_channel_link *link); /* would the context in force accept it, too? */
void ps_channel_set_timer(ps_channel *channel);
void ps_channel_unref(ps_channel *channel);

#endif
