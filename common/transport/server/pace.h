/* pace: how fast connections from an address are begun. A connection that is one too many for whose
 * it is has cost its TLS handshake, for whose it is shows only then; so from the address of one
 * that was refused so, further ones wait for their turn, PS_PACE_RATE a second, and the others
 * behind it with them. Addresses that nobody was refused from are not in the table, and do not
 * wait.
 *
 * An address is an IPv4 one, or the /64 of an IPv6 one, whose holder has all of it. It is forgotten
 * PS_PACE_FORGET_NS after the last refusal. What it keeps is bounded: by addresses, and by
 * connections that wait. Times are the caller's; those who wait are descriptors, the caller's too,
 * which it neither reads nor closes. One thread at a time (not asserted: it is its owner's; see
 * rpc_pace.c).
 */
#ifndef PS_TRANSPORT_SERVER_PACE_H
#define PS_TRANSPORT_SERVER_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_PACE_RATE = 10,        /* a second, from an address: 2 % of a core at 2 ms a handshake */
    PS_PACE_BURST = 10,       /* at once, of an address that has not begun any for a second */
    PS_PACE_WAITING = 10,     /* from an address: nobody waits for more than a second */
    PS_PACE_WAITING_ALL = 64, /* from all of them: what waits holds a file */
    PS_PACE_ADDRESSES = 256,
};
#define PS_PACE_FORGET_NS UINT64_C(10000000000)
#define PS_PACE_SAY_NS    UINT64_C(10000000000)

typedef struct ps_pace ps_pace;

typedef struct ps_pace_source {
    uint8_t bytes[16];
} ps_pace_source;

typedef enum ps_pace_turn {
    PS_PACE_BEGIN,
    PS_PACE_WAIT,     /* it is kept, until ps_pace_next gives it back */
    PS_PACE_CLOSE,    /* too many wait */
    PS_PACE_CLOSE_SAY /* the same, and for a while nobody was told */
} ps_pace_turn;

void ps_pace_create(ps_pace **out);
void ps_pace_free(ps_pace **pace); /* nobody waits any more */

/* Of "192.0.2.1:4711" or "[2001:db8::1]:4711"; false: it is neither. */
bool ps_pace_source_of(const char *address, ps_pace_source *out);

/* One from there was refused. When the table is full, it takes the place of the address whose last
 * refusal is the longest ago and from which nobody waits; without one, it is passed over. */
void ps_pace_refused(ps_pace *pace, const ps_pace_source *source, uint64_t now_ns);
/* False: no address is known, and every connection begins. */
bool ps_pace_any(const ps_pace *pace);
/* What shall become of fd, which came from there just now. */
ps_pace_turn ps_pace_ask(ps_pace *pace, const ps_pace_source *source, int fd, uint64_t now_ns);
/* One that waited and whose turn it is, the first of its address first; -1: nobody's. */
int ps_pace_next(ps_pace *pace, uint64_t now_ns);
/* When the next turn is; UINT64_MAX: nobody waits. */
uint64_t ps_pace_due_ns(const ps_pace *pace);
/* The first from there that waits and of which `gone` says that its peer does so no more: it has
 * left its place; -1: none. */
int ps_pace_take_gone(ps_pace *pace, const ps_pace_source *source, bool (*gone)(int fd));
/* One that waits, whosever turn it is: at the end, to be closed; -1: nobody does. */
int ps_pace_give_up(ps_pace *pace);

#endif
