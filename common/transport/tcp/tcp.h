/* tcp: the bottom layer: one connected socket on a loop; and the listener and the dialler that make
 * such layers. All on the loop's thread. Sockets are non-blocking, without Nagle's delay, give up
 * unacknowledged data after a while (TCP_USER_TIMEOUT), and within the machine are not paced.
 */
#ifndef PS_TRANSPORT_TCP_TCP_H
#define PS_TRANSPORT_TCP_TCP_H

#include "common/loop/loop.h"
#include "common/transport/tcp/layer.h"

#include <stdint.h>

#define PS_ADDRESS_TEXT 64 /* "[ip6]:port" and its zero */

/* Takes the connected, non-blocking socket: it is closed with the layer, or here on failure. */
PS_MUST_CHECK ps_status ps_tcp_layer_create(ps_loop *loop, int fd, ps_layer **out);
/* "127.0.0.1:4711", of the peer; "?" when it is gone. */
void ps_tcp_peer_text(int fd, char out[PS_ADDRESS_TEXT]);

/* Splits "host:port", "[::1]:port". host has room for 256. */
PS_MUST_CHECK ps_status ps_tcp_split(const char *target, char host[256], char port[8]);

/* Resolves and connects: to one address after the other, the next one when the last has failed or
 * said nothing for 250 ms; the first to connect is taken. done comes once, on the loop: with the
 * layer and the peer's address, or with the reason. A dial that is freed calls back no more. */
typedef struct ps_tcp_dial ps_tcp_dial;
typedef void (*ps_tcp_dial_cb)(void *user, ps_status status, ps_layer *layer, const char *address);
PS_MUST_CHECK ps_status ps_tcp_dial_start(ps_loop *loop, const char *target, ps_tcp_dial_cb done,
                                          void *user, ps_tcp_dial **out);
void ps_tcp_dial_free(ps_tcp_dial **dial); /* also from inside done */

/* Accepts on one loop; accepted gets each socket (its own from then on). */
typedef struct ps_tcp_listener ps_tcp_listener;
typedef void (*ps_tcp_accepted_cb)(void *user, int fd);
/* Binds and listens; any thread. Nothing is accepted yet. */
PS_MUST_CHECK ps_status ps_tcp_listener_bind(const char *address, uint16_t port,
                                             ps_tcp_listener **out);
uint16_t ps_tcp_listener_port(const ps_tcp_listener *listener);
/* On the loop's thread. */
PS_MUST_CHECK ps_status ps_tcp_listener_start(ps_tcp_listener *listener, ps_loop *loop,
                                              ps_tcp_accepted_cb accepted, void *user);
void ps_tcp_listener_free(ps_tcp_listener **listener); /* on its loop, once it was started */

#endif
