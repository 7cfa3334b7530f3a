/* Happy path: the addresses of the name, each once, are bound one after the other; with port 0 the
 * first one's port is the others', too.
 *
 * How it can fail: see the header. With port 0 the others' may be taken: then once more, with
 * another port. */
#include "common/transport/tcp/listen.h"

#include "common/base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIES = 16 }; /* for a port that is free everywhere */

/* A socket's address of either family; the port stands at the same place in both. */
typedef union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} endpoint;

typedef struct request {
    const char *address;
    int backlog;
    size_t n;
    endpoint at[PS_LISTEN_MAX];
} request;

static socklen_t length_of(const endpoint *e)
{
    return e->any.sa_family == AF_INET6 ? sizeof e->v6 : sizeof e->v4;
}

static bool is_every_address(const endpoint *e)
{
    return e->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&e->v6.sin6_addr);
}

static const char *advice_on(int error, const endpoint *e)
{
    switch (error) {
    case EAFNOSUPPORT:
        return e->any.sa_family == AF_INET6
                   ? "; this machine has no IPv6: write an IPv4 address, 0.0.0.0 for all"
                   : "; this machine has no IPv4: write an IPv6 address, :: for all";
    case EADDRNOTAVAIL:
        return "; no interface of this machine has this address";
    case EACCES:
        return "; ports below 1024 need CAP_NET_BIND_SERVICE";
    default:
        return "";
    }
}

/* The socket, or -1 with errno. */
static int bind_one(const endpoint *e, int backlog)
{
    const int one = 1, only_v6 = !is_every_address(e);
    int fd = socket(e->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (e->any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    if (bind(fd, &e->any, length_of(e)) == 0 && listen(fd, backlog) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static uint16_t port_of(int fd)
{
    endpoint e = {0};
    socklen_t len = sizeof e;
    (void)getsockname(fd, &e.any, &len);
    return ntohs(e.v4.sin_port);
}

static ps_status fail(const request *r, const endpoint *e, uint16_t port, int error)
{
    char reason[128];
    (void)ps_fail(PS_IO, "cannot listen on %s port %u: %s%s", r->address, port,
                  strerror_r(error, reason, sizeof reason), advice_on(error, e));
    return PS_UNAVAILABLE;
}

/* "::" without IPv6 is what 0.0.0.0 is. */
static bool fall_back(endpoint *e, int error)
{
    if (!is_every_address(e) || (error != EAFNOSUPPORT && error != EADDRNOTAVAIL))
        return false;
    ps_log_warning("listen", "this machine has no IPv6: 0.0.0.0 instead of ::");
    *e = (endpoint){.v4 = {.sin_family = AF_INET}};
    return true;
}

/* error: why the last address that was passed over could not be had. PS_AGAIN: with port 0, the
 * port that the first address got is taken at another one. */
static ps_status bind_all(request *r, uint16_t port, ps_listen_sockets *out)
{
    int error = 0;
    *out = (ps_listen_sockets){.port = port};
    for (size_t i = 0; i < r->n; i++) {
        endpoint *e = &r->at[i];
        e->v4.sin_port = htons(out->port);
        int fd = bind_one(e, r->backlog);
        error = fd < 0 ? errno : 0;
        if (fd >= 0) {
            out->fds[out->n++] = fd;
            out->port = port_of(fd);
        } else if (fall_back(e, error)) {
            i--;
        } else if (error == EADDRINUSE && port == 0 && out->n > 0) {
            ps_listen_close(out);
            return PS_AGAIN;
        } else if (r->n == 1 || (error != EADDRNOTAVAIL && error != EAFNOSUPPORT)) {
            uint16_t asked = out->port;
            ps_listen_close(out);
            return fail(r, e, asked, error);
        } else {
            ps_log_warning("listen", "an address of %s is left out: %s", r->address,
                           strerror(error));
        }
    }
    return out->n ? PS_OK : fail(r, &r->at[r->n - 1], port, error);
}

/* The hosts file may say the same address twice. */
static void keep(request *r, const struct addrinfo *a)
{
    endpoint e = {0};
    if (r->n == PS_LISTEN_MAX || a->ai_addrlen > sizeof e)
        return;
    memcpy(&e, a->ai_addr, a->ai_addrlen);
    for (size_t i = 0; i < r->n; i++)
        if (memcmp(&r->at[i], &e, sizeof e) == 0)
            return;
    r->at[r->n++] = e;
}

static ps_status resolve(request *r)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(r->address, NULL, &hints, &found);
    if (rc)
        return ps_fail(
            PS_INVALID_ARGUMENT, "cannot listen on %s: %s%s", r->address, gai_strerror(rc),
            rc == EAI_NONAME ? "; neither an address nor a name that is known here" : "");
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        keep(r, a);
    freeaddrinfo(found);
    return PS_OK;
}

ps_status ps_listen_open(const char *address, uint16_t port, int backlog, ps_listen_sockets *out)
{
    request r = {.address = address, .backlog = backlog};
    ps_listen_sockets sockets;
    ps_status st = resolve(&r);
    if (st)
        return st;
    int tries = 0;
    do
        st = bind_all(&r, port, &sockets);
    while (st == PS_AGAIN && ++tries < TRIES);
    if (st == PS_AGAIN)
        return ps_fail(PS_UNAVAILABLE, "cannot listen on %s: no port is free at all its addresses",
                       address);
    if (!st)
        *out = sockets;
    return st;
}

void ps_listen_close(ps_listen_sockets *sockets)
{
    while (sockets->n)
        (void)close(sockets->fds[--sockets->n]);
}
