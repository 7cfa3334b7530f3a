/* listen: sockets that listen at one address of psd.yaml or a flag, for both of its listeners.
 *
 * A name may have several addresses: all of them are bound, at one port. "::" is every address of
 * the machine, IPv4's too, whatever net.ipv6.bindv6only says, and also on a machine without IPv6.
 * Any thread; resolving a name may take a while.
 */
#ifndef PS_TRANSPORT_TCP_LISTEN_H
#define PS_TRANSPORT_TCP_LISTEN_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { PS_LISTEN_MAX = 8 }; /* addresses of one name; further ones are left out */

typedef struct ps_listen_sockets {
    int fds[PS_LISTEN_MAX]; /* non-blocking, closed on exec */
    size_t n;
    uint16_t port; /* of all */
} ps_listen_sockets;

/* address: a name or an IP address; port 0: any that is free at all of its addresses. An address
 * that this machine does not have is passed over, with a line in the log, when others are left.
 * Otherwise all or nothing: PS_UNAVAILABLE for a taken port, PS_INVALID_ARGUMENT for a name that is
 * not known; what to do is in the message where it is known. */
PS_MUST_CHECK ps_status ps_listen_open(const char *address, uint16_t port, int backlog,
                                       ps_listen_sockets *out);
void ps_listen_close(ps_listen_sockets *sockets);

#endif
