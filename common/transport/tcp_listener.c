/* Happy path: bound in the caller's thread, polled on one loop, every accepted socket is handed on.
 * One acceptor that deals connections out is fairer with few connections than SO_REUSEPORT, whose
 * hash may put all of them on one loop.
 *
 * Failure: port taken is PS_UNAVAILABLE. Out of file descriptors: accepting pauses for a moment,
 * because the socket would stay readable and the loop would spin. */
#include "common/transport/tcp.h"

#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define BACKLOG         512
#define ACCEPTS_AT_ONCE 64
#define PAUSE_MS        100

struct ps_tcp_listener {
    uv_poll_t poll;
    ps_timer *resume;
    int fd;
    uint16_t port;
    bool started;
    ps_tcp_accepted_cb accepted;
    void *user;
};

static int bind_one(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

ps_status ps_tcp_listener_bind(const char *address, uint16_t port, ps_tcp_listener **out)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(address, service, &hints, &list);
    if (rc)
        return ps_fail(PS_INVALID_ARGUMENT, "listen on %s: %s", address, gai_strerror(rc));
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = bind_one(a);
    int error = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        (void)ps_fail_errno(error, "listen on %s port %u", address, port);
        return PS_UNAVAILABLE;
    }
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &len);
    ps_tcp_listener *listener = ps_new(ps_tcp_listener);
    listener->fd = fd;
    listener->port = ntohs(bound.ss_family == AF_INET6
                               ? ((const struct sockaddr_in6 *)(const void *)&bound)->sin6_port
                               : ((const struct sockaddr_in *)(const void *)&bound)->sin_port);
    *out = listener;
    return PS_OK;
}

uint16_t ps_tcp_listener_port(const ps_tcp_listener *listener)
{
    return listener->port;
}

static void poll_cb(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    ps_tcp_listener *listener = handle->data;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->accepted(listener->user, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            ps_log_warning("tcp", "accept: %s, paused for %d ms", strerror(errno), PAUSE_MS);
            uv_poll_stop(&listener->poll);
            ps_timer_start(listener->resume, PAUSE_MS, 0);
        }
        return;
    }
}

static void resume_cb(void *user)
{
    ps_tcp_listener *listener = user;
    uv_poll_start(&listener->poll, UV_READABLE, poll_cb);
}

ps_status ps_tcp_listener_start(ps_tcp_listener *listener, ps_loop *loop,
                                ps_tcp_accepted_cb accepted, void *user)
{
    int rc = uv_poll_init_socket(ps_loop_uv(loop), &listener->poll, listener->fd);
    if (rc)
        return ps_fail(PS_UNAVAILABLE, "listener: %s", uv_strerror(rc));
    listener->poll.data = listener;
    listener->accepted = accepted;
    listener->user = user;
    listener->started = true;
    ps_timer_create(loop, resume_cb, listener, &listener->resume);
    uv_poll_start(&listener->poll, UV_READABLE, poll_cb);
    return PS_OK;
}

static void closed_cb(uv_handle_t *handle)
{
    free(handle->data);
}

void ps_tcp_listener_free(ps_tcp_listener **pointer)
{
    ps_tcp_listener *listener = *pointer;
    if (!listener)
        return;
    *pointer = NULL;
    if (!listener->started) {
        close(listener->fd);
        free(listener);
        return;
    }
    ps_timer_free(&listener->resume);
    int fd = listener->fd;
    uv_close((uv_handle_t *)&listener->poll, closed_cb);
    close(fd); /* after the handle, which takes it out of epoll by its number */
}
