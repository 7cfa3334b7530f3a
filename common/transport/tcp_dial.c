/* Happy path: the name is resolved on libuv's pool, the first address connects, and the connected
 * socket becomes a layer.
 *
 * Failure: the next address is tried; after the last one its error is the answer. The deadline is
 * the caller's, who frees the dial. States: resolving -> connecting (address by address) -> done.
 */
#include "common/transport/tcp.h"

#include "common/base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

struct ps_tcp_dial {
    uv_getaddrinfo_t resolve;
    uv_poll_t poll;
    ps_loop *loop;
    char target[300];
    struct addrinfo *addresses, *at;
    int fd; /* -1: not connecting */
    bool resolving, polling, dead;
    ps_tcp_dial_cb done;
    void *user;
};

static void next_address(ps_tcp_dial *dial);

static void release(ps_tcp_dial *dial)
{
    if (dial->resolving || dial->polling)
        return; /* libuv still has a handle of ours */
    if (dial->addresses)
        uv_freeaddrinfo(dial->addresses);
    free(dial);
}

static void poll_closed_cb(uv_handle_t *handle)
{
    ps_tcp_dial *dial = handle->data;
    dial->polling = false;
    if (dial->dead)
        release(dial);
    else
        next_address(dial);
}

static void finish(ps_tcp_dial *dial, ps_status status, ps_layer *layer, const char *address)
{
    dial->done(dial->user, status, layer, address);
}

/* The poll handle of this attempt is closed; the socket stays open when it connected. */
static void connected_closed_cb(uv_handle_t *handle)
{
    ps_tcp_dial *dial = handle->data;
    dial->polling = false;
    if (dial->dead) {
        if (dial->fd >= 0)
            close(dial->fd);
        release(dial);
        return;
    }
    int fd = dial->fd;
    dial->fd = -1;
    char address[PS_ADDRESS_TEXT];
    ps_tcp_peer_text(fd, address);
    ps_layer *layer = NULL;
    ps_status st = ps_tcp_layer_create(dial->loop, fd, &layer);
    finish(dial, st, layer, address);
}

static void poll_cb(uv_poll_t *handle, int status, int events)
{
    (void)events;
    ps_tcp_dial *dial = handle->data;
    int error = 0;
    socklen_t len = sizeof error;
    /* libuv says EBADF of every socket with an error; the socket itself knows which one */
    getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error == 0 && status < 0)
        error = -status;
    uv_poll_stop(&dial->poll);
    if (error == 0) {
        uv_close((uv_handle_t *)&dial->poll, connected_closed_cb);
        return;
    }
    (void)ps_fail_errno(error, "connect to %s", dial->target);
    uv_close((uv_handle_t *)&dial->poll, poll_closed_cb);
    close(dial->fd); /* after the handle, which takes it out of epoll by its number */
    dial->fd = -1;
    dial->at = dial->at->ai_next;
}

/* Starts to connect to dial->at; false when that failed at once. */
static bool try_address(ps_tcp_dial *dial)
{
    const struct addrinfo *a = dial->at;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)ps_fail_errno(errno, "socket");
        return false;
    }
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
        (void)ps_fail_errno(errno, "connect to %s", dial->target);
        goto close_socket;
    }
    int rc = uv_poll_init_socket(ps_loop_uv(dial->loop), &dial->poll, fd);
    if (rc) {
        (void)ps_fail(PS_UNAVAILABLE, "socket: %s", uv_strerror(rc));
        goto close_socket;
    }
    dial->poll.data = dial;
    dial->fd = fd;
    dial->polling = true;
    uv_poll_start(&dial->poll, UV_WRITABLE, poll_cb);
    return true;
close_socket:
    close(fd);
    return false;
}

static void next_address(ps_tcp_dial *dial)
{
    for (; dial->at; dial->at = dial->at->ai_next)
        if (try_address(dial))
            return;
    finish(dial, PS_UNAVAILABLE, NULL, "");
}

static void resolved_cb(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    ps_tcp_dial *dial = request->data;
    dial->resolving = false;
    dial->addresses = dial->at = addresses;
    if (dial->dead) {
        release(dial);
        return;
    }
    if (status != 0) {
        (void)ps_fail(PS_UNAVAILABLE, "resolve %s: %s", dial->target, uv_strerror(status));
        dial->at = NULL;
        finish(dial, PS_UNAVAILABLE, NULL, "");
        return;
    }
    next_address(dial);
}

ps_status ps_tcp_split(const char *target, char host[256], char port[8])
{
    const char *colon = strrchr(target, ':');
    size_t len = colon ? (size_t)(colon - target) : 0;
    const char *begin = target;
    if (len >= 2 && target[0] == '[' && target[len - 1] == ']') {
        begin++;
        len -= 2;
    } else if (colon && memchr(target, ':', len)) {
        return ps_fail(PS_INVALID_ARGUMENT, "address \"%s\": write [IP]:PORT", target);
    }
    char *end = NULL;
    unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (len == 0 || len > 255 || !end || *end || end == colon + 1 || number == 0 || number > 65535)
        return ps_fail(PS_INVALID_ARGUMENT, "address \"%s\": not HOST:PORT", target);
    memcpy(host, begin, len);
    host[len] = 0;
    snprintf(port, 8, "%lu", number);
    return PS_OK;
}

ps_status ps_tcp_dial_start(ps_loop *loop, const char *target, ps_tcp_dial_cb done, void *user,
                            ps_tcp_dial **out)
{
    char host[256], port[8];
    ps_status st = ps_tcp_split(target, host, port);
    if (st)
        return st;
    ps_tcp_dial *dial = ps_new(ps_tcp_dial);
    *dial = (ps_tcp_dial){.loop = loop, .fd = -1, .done = done, .user = user, .resolving = true};
    snprintf(dial->target, sizeof dial->target, "%s", target);
    dial->resolve.data = dial;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int rc = uv_getaddrinfo(ps_loop_uv(loop), &dial->resolve, resolved_cb, host, port, &hints);
    if (rc) {
        free(dial);
        return ps_fail(PS_UNAVAILABLE, "resolve %s: %s", target, uv_strerror(rc));
    }
    *out = dial;
    return PS_OK;
}

void ps_tcp_dial_free(ps_tcp_dial **pointer)
{
    ps_tcp_dial *dial = *pointer;
    if (!dial)
        return;
    *pointer = NULL;
    dial->dead = true;
    if (dial->resolving)
        uv_cancel((uv_req_t *)&dial->resolve);
    if (dial->polling && !uv_is_closing((uv_handle_t *)&dial->poll)) {
        uv_close((uv_handle_t *)&dial->poll, poll_closed_cb);
        close(dial->fd);
        dial->fd = -1;
    }
    release(dial);
}
