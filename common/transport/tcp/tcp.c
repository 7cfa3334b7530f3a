/* Happy path: the layer above reads and writes the socket directly and gets PS_AGAIN when it would
 * block; uv_poll tells when it no longer does. No bytes pass through a buffer of this layer.
 *
 * Failure: a socket error is PS_UNAVAILABLE with its text, an orderly close is PS_END. */
#include "common/transport/tcp/tcp.h"

#include "common/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

/* A net below HTTP/2's own clocks (keepalive and stall, 40 s as they come), which know more to say
 * of a peer that went away. */
#define USER_TIMEOUT_MS 45000
#define SLICES_AT_ONCE  16

typedef struct tcp {
    ps_loop *loop;
    ps_layer layer;
    uv_poll_t poll;
    int fd;
    bool drained; /* the last read left nothing */
    int events;   /* UV_READABLE | UV_WRITABLE that are polled for */
} tcp;

static tcp *of(ps_layer *layer)
{
    return ps_container(layer, tcp, layer);
}

static void poll_cb(uv_poll_t *handle, int status, int events)
{
    tcp *t = handle->data;
    ps_loop_woken(handle->loop);
    /* An error is found by the read that follows; libuv has stopped polling, want() starts again */
    if (status < 0)
        t->events = 0;
    unsigned ready = status < 0 || (events & UV_READABLE) ? PS_LAYER_READABLE : 0;
    if (events & UV_WRITABLE)
        ready |= PS_LAYER_WRITABLE;
    if (t->layer.on_ready)
        t->layer.on_ready(t->layer.above, ready);
}

static ps_status tcp_handshake(ps_layer *layer)
{
    (void)layer; /* connected before it became a layer */
    return PS_OK;
}

static ps_status tcp_recv(ps_layer *layer, void *data, size_t len, size_t *got)
{
    ps_loop_require_on(of(layer)->loop);
    tcp *t = of(layer);
    if (t->drained) { /* the poll tells when there is more: saves a call that would find nothing */
        t->drained = false;
        return PS_AGAIN;
    }
    ssize_t n;
    do
        n = recv(t->fd, data, len, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        t->drained = (size_t)n < len;
        *got = (size_t)n;
        return PS_OK;
    }
    if (n == 0)
        return ps_fail(PS_END, "closed by the peer");
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return PS_AGAIN;
    (void)ps_fail_errno(errno, "receive");
    return PS_UNAVAILABLE;
}

static ps_status tcp_send(ps_layer *layer, const ps_slice *slices, size_t n, size_t *sent)
{
    ps_loop_require_on(of(layer)->loop);
    struct iovec iov[SLICES_AT_ONCE];
    if (n > SLICES_AT_ONCE)
        n = SLICES_AT_ONCE;
    for (size_t i = 0; i < n; i++)
        iov[i] =
            (struct iovec){.iov_base = (void *)(uintptr_t)slices[i].data, .iov_len = slices[i].len};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = n};
    ssize_t done;
    do
        done = sendmsg(of(layer)->fd, &message, MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    if (done >= 0) {
        *sent = (size_t)done;
        return PS_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return PS_AGAIN;
    (void)ps_fail_errno(errno, "send");
    return PS_UNAVAILABLE;
}

static ps_status tcp_flush(ps_layer *layer)
{
    (void)layer; /* holds nothing back */
    return PS_OK;
}

static void tcp_want(ps_layer *layer, unsigned events)
{
    ps_loop_require_on(of(layer)->loop);
    tcp *t = of(layer);
    int uv_events = (events & PS_LAYER_READABLE ? UV_READABLE : 0) |
                    (events & PS_LAYER_WRITABLE ? UV_WRITABLE : 0);
    if (uv_events == t->events)
        return; /* a change costs two system calls */
    t->events = uv_events;
    if (uv_events)
        uv_poll_start(&t->poll, uv_events, poll_cb);
    else
        uv_poll_stop(&t->poll);
}

static void closed_cb(uv_handle_t *handle)
{
    free(handle->data);
}

static void tcp_close(ps_layer *layer)
{
    ps_loop_require_on(of(layer)->loop);
    tcp *t = of(layer);
    t->layer.on_ready = NULL;
    int fd = t->fd;
    /* The handle first: it takes the descriptor out of epoll, which by its number may soon be
     * another thread's. */
    uv_close((uv_handle_t *)&t->poll, closed_cb);
    /* What was sent shall arrive, a TLS alert above all, even when there is unread input. */
    shutdown(fd, SHUT_WR);
    close(fd);
}

static const ps_layer_ops tcp_ops = {
    .name = "tcp",
    .handshake = tcp_handshake,
    .recv = tcp_recv,
    .send = tcp_send,
    .flush = tcp_flush,
    .want = tcp_want,
    .close = tcp_close,
};

/* The address of a peer, or of our end, without its port; none: false. */
static bool address_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *),
                       struct in6_addr *out)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (name(fd, (struct sockaddr *)&address, &len) != 0)
        return false;
    *out = (struct in6_addr){0};
    if (address.ss_family == AF_INET6)
        *out = ((const struct sockaddr_in6 *)(const void *)&address)->sin6_addr;
    else if (address.ss_family == AF_INET)
        memcpy(out, &((const struct sockaddr_in *)(const void *)&address)->sin_addr, 4);
    return address.ss_family == AF_INET6 || address.ss_family == AF_INET;
}

/* What does not leave the machine meets no queue: algorithms that space packets by what a network
 * might carry (bbr) only take time for it. Reno is always there and allowed to everybody. */
static void unpace_within_machine(int fd)
{
    struct in6_addr peer, own;
    if (address_of(fd, getpeername, &peer) && address_of(fd, getsockname, &own) &&
        memcmp(&peer, &own, sizeof peer) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
}

ps_status ps_tcp_layer_create(ps_loop *loop, int fd, ps_layer **out)
{
    ps_loop_require_on(loop);
    tcp *t = ps_new(tcp);
    int rc = uv_poll_init_socket(ps_loop_uv(loop), &t->poll, fd);
    if (rc) {
        close(fd);
        ps_free(&t);
        return ps_fail(PS_UNAVAILABLE, "socket: %s", uv_strerror(rc));
    }
    int one = 1, timeout = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    unpace_within_machine(fd);
    t->poll.data = t;
    t->loop = loop;
    t->fd = fd;
    t->layer.ops = &tcp_ops;
    *out = &t->layer;
    return PS_OK;
}

void ps_tcp_peer_text(int fd, char out[PS_ADDRESS_TEXT])
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    char ip[INET6_ADDRSTRLEN] = "";
    snprintf(out, PS_ADDRESS_TEXT, "?");
    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&address;
        inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
        snprintf(out, PS_ADDRESS_TEXT, "%s:%u", ip, ntohs(v4->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&address;
        inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
        snprintf(out, PS_ADDRESS_TEXT, "[%s]:%u", ip, ntohs(v6->sin6_port));
    }
}
