/* attach: the agent's stream to psd, over a channel: Workers.Attach as a gRPC call. Loop's thread.
 */
#ifndef PS_LINK_ATTACH_H
#define PS_LINK_ATTACH_H

#include "common/transport/channel/channel.h"
#include "psd/v1/workers.pb-c.h"

typedef struct ps_attach ps_attach;

typedef struct ps_attach_events {
    /* What is in the message may be taken out of it (see ps_agent_message). */
    void (*message)(void *user, Psd__V1__ServerMessage *message);
    void (*ended)(void *user, ps_status status, const char *text);
    void *user;
} ps_attach_events;

/* Borrows the channel; events are copied. */
void ps_attach_create(ps_channel *channel, const ps_attach_events *events, ps_attach **out);
/* No event comes any more. */
void ps_attach_free(ps_attach **attach);

void ps_attach_open(ps_attach *attach); /* one stream at a time */
/* Is the stream on a connection that the channel has left? */
bool ps_attach_is_behind(const ps_attach *attach);
/* It is left for another one, and psd ends it when it has the next hello. */
void ps_attach_leave(ps_attach *attach);
/* What is on such a connection ends, to make room for another one. */
void ps_attach_cut(ps_attach *attach);
void ps_attach_send(ps_attach *attach, const Psd__V1__WorkerMessage *message);
void ps_attach_close(ps_attach *attach); /* half-close: no more from us */

#endif
