/* Happy path: bound in the caller's thread, polled on one loop, every accepted socket is handed on.
 * One acceptor that deals connections out is fairer with few connections than SO_REUSEPORT, whose
 * hash may put all of them on one loop.
 *
 * Failure: port taken is PS_UNAVAILABLE. Out of file descriptors: a connection that waits would
 * keep the socket readable and its client guessing; so one descriptor is kept in reserve, with
 * which it is taken and closed. When even that fails, accepting pauses for a moment. */
#include "common/transport/tcp/tcp.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/tcp/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define BACKLOG         512
#define ACCEPTS_AT_ONCE 64
#define PAUSE_MS        100
#define SAY_EVERY_NS    UINT64_C(10000000000)

typedef struct door {
    uv_poll_t poll;
    ps_tcp_listener *listener;
} door;

struct ps_tcp_listener {
    ps_listen_sockets sockets;
    door doors[PS_LISTEN_MAX]; /* as many as sockets */
    ps_timer *resume;
    size_t open; /* doors that are known to the loop; the last one to close frees */
    int reserve; /* a descriptor; -1: could not be had */
    uint64_t refused, said_ns;
    ps_tcp_accepted_cb accepted;
    void *user;
};

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

ps_status ps_tcp_listener_bind(const char *address, uint16_t port, ps_tcp_listener **out)
{
    ps_listen_sockets sockets;
    ps_status st = ps_listen_open(address, port, BACKLOG, &sockets);
    if (st)
        return st;
    ps_tcp_listener *listener = ps_new(ps_tcp_listener);
    listener->sockets = sockets;
    listener->reserve = open_reserve();
    *out = listener;
    return PS_OK;
}

uint16_t ps_tcp_listener_port(const ps_tcp_listener *listener)
{
    return listener->sockets.port;
}

static void poll_cb(uv_poll_t *handle, int status, int events);

static void start_polls(ps_tcp_listener *listener)
{
    for (size_t i = 0; i < listener->sockets.n; i++)
        uv_poll_start(&listener->doors[i].poll, UV_READABLE, poll_cb);
}

static void pause_polls(ps_tcp_listener *listener, int error)
{
    ps_log_warning("tcp", "accept: %s, paused for %d ms", strerror(error), PAUSE_MS);
    for (size_t i = 0; i < listener->sockets.n; i++)
        uv_poll_stop(&listener->doors[i].poll);
    ps_timer_start(listener->resume, PAUSE_MS, 0);
}

static void resume_cb(void *user)
{
    ps_tcp_listener *listener = user;
    if (listener->reserve < 0)
        listener->reserve = open_reserve();
    start_polls(listener);
}

/* At most one line in ten seconds, with the count. */
static void say_refused(ps_tcp_listener *listener, int error)
{
    uint64_t now = ps_clock_ns(&ps_clock_system);
    listener->refused++;
    if (listener->said_ns && now - listener->said_ns < SAY_EVERY_NS)
        return;
    ps_log_warning("tcp", "accept: %s, connections refused=%" PRIu64, strerror(error),
                   listener->refused);
    listener->said_ns = now;
}

/* After accept has failed for want of a descriptor: 0, or why none could be refused (EAGAIN: none
 * waits). */
static int refuse_one(ps_tcp_listener *listener, int socket_fd, int error)
{
    if (listener->reserve < 0)
        return error;
    (void)close(listener->reserve);
    int fd = accept4(socket_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int outcome = fd < 0 ? errno : 0;
    if (fd >= 0) {
        (void)close(fd);
        say_refused(listener, error);
    }
    listener->reserve = open_reserve();
    return outcome;
}

static void poll_cb(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    const door *d = handle->data;
    ps_tcp_listener *listener = d->listener;
    int socket_fd = listener->sockets.fds[d - listener->doors];
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(socket_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->accepted(listener->user, fd);
            continue;
        }
        int error = errno;
        if (error == EMFILE || error == ENFILE)
            error = refuse_one(listener, socket_fd, error);
        if (error == 0 || error == EINTR || error == ECONNABORTED)
            continue;
        if (error != EAGAIN && error != EWOULDBLOCK)
            pause_polls(listener, error);
        return;
    }
}

static void free_now(ps_tcp_listener *listener)
{
    if (listener->reserve >= 0)
        (void)close(listener->reserve);
    free(listener);
}

static void closed_cb(uv_handle_t *handle)
{
    const door *d = handle->data;
    if (--d->listener->open == 0)
        free_now(d->listener);
}

ps_status ps_tcp_listener_start(ps_tcp_listener *listener, ps_loop *loop,
                                ps_tcp_accepted_cb accepted, void *user)
{
    ps_loop_require_on(loop);
    PS_REQUIRE(accepted);
    for (size_t i = 0; i < listener->sockets.n; i++) {
        door *d = &listener->doors[i];
        *d = (door){.listener = listener};
        int rc = uv_poll_init_socket(ps_loop_uv(loop), &d->poll, listener->sockets.fds[i]);
        if (rc)
            return ps_fail(PS_UNAVAILABLE, "listener: %s", uv_strerror(rc));
        d->poll.data = d;
        listener->open++;
    }
    listener->accepted = accepted;
    listener->user = user;
    ps_timer_create(loop, resume_cb, listener, &listener->resume);
    start_polls(listener);
    return PS_OK;
}

void ps_tcp_listener_free(ps_tcp_listener **pointer)
{
    ps_tcp_listener *listener = *pointer;
    if (!listener)
        return;
    *pointer = NULL;
    ps_timer_free(&listener->resume);
    size_t doors = listener->open;
    for (size_t i = 0; i < doors; i++)
        uv_close((uv_handle_t *)&listener->doors[i].poll, closed_cb);
    ps_listen_close(&listener->sockets); /* after the handles, which take them out of epoll */
    if (doors == 0)
        free_now(listener);
}
