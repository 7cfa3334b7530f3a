/* Happy path: the name is resolved on libuv's pool, the first address connects, and the connected
 * socket becomes a layer.
 *
 * Failure: an address that refuses makes way for the next one at once, and one that says nothing
 * gets company after a moment (RFC 8305, "happy eyeballs"): the first to connect wins. When all
 * have failed, the last error is the answer. The deadline is the caller's, who frees the dial.
 * States: resolving -> connecting (one attempt, and more) -> closing the winner's poll -> done. */
#include "common/transport/tcp/tcp.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/signal_mask.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define NEXT_AFTER_MS 250 /* RFC 8305 section 5 */

/* One socket that connects. Freed by the close callback of its poll, which outlives the dial. */
typedef struct attempt {
    ps_list link;
    uv_poll_t poll;
    ps_tcp_dial *dial; /* NULL: nobody waits for it any more */
    int fd;
} attempt;

struct ps_tcp_dial {
    uv_getaddrinfo_t resolve;
    ps_loop *loop;
    char target[300];
    struct addrinfo *addresses, *next;
    ps_list attempts; /* under way */
    attempt *won;     /* NULL unless its poll is being closed */
    ps_timer *timer;  /* of the next attempt */
    bool resolving, dead;
    ps_error last; /* why an attempt failed */
    ps_tcp_dial_cb done;
    void *user;
};

static void attempt_closed_cb(uv_handle_t *handle)
{
    free(handle->data);
}

static void abandon(attempt *a)
{
    ps_list_remove(&a->link);
    uv_close((uv_handle_t *)&a->poll, attempt_closed_cb);
    close(a->fd); /* after the handle, which takes it out of epoll by its number */
}

static void abandon_all(ps_tcp_dial *dial)
{
    ps_list_each_safe(node, &dial->attempts) abandon(ps_container(node, attempt, link));
}

static void won_closed_cb(uv_handle_t *handle)
{
    attempt *a = handle->data;
    ps_tcp_dial *dial = a->dial;
    int fd = a->fd;
    free(a);
    if (!dial) {
        close(fd);
        return;
    }
    dial->won = NULL;
    char address[PS_ADDRESS_TEXT];
    ps_tcp_peer_text(fd, address);
    ps_layer *layer = NULL;
    ps_status st = ps_tcp_layer_create(dial->loop, fd, &layer);
    dial->done(dial->user, st, layer, address);
}

static void connected(attempt *a)
{
    ps_tcp_dial *dial = a->dial;
    ps_list_remove(&a->link);
    abandon_all(dial);
    ps_timer_stop(dial->timer);
    dial->won = a;
    uv_close((uv_handle_t *)&a->poll, won_closed_cb);
}

static void next_attempt(ps_tcp_dial *dial);

static void poll_cb(uv_poll_t *handle, int status, int events)
{
    (void)events;
    attempt *a = handle->data;
    ps_tcp_dial *dial = a->dial;
    int error = 0;
    socklen_t len = sizeof error;
    /* libuv says EBADF of every socket with an error; the socket itself knows which one */
    getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error == 0 && status < 0)
        error = -status;
    uv_poll_stop(&a->poll);
    if (error == 0) {
        connected(a);
        return;
    }
    ps_error_save(&dial->last, ps_fail_errno(error, "connect to %s", dial->target));
    abandon(a);
    next_attempt(dial);
}

static ps_status start_attempt(ps_tcp_dial *dial, const struct addrinfo *to)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ps_fail_errno(errno, "socket");
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return ps_fail_errno(error, "connect to %s", dial->target);
    }
    attempt *a = ps_new(attempt);
    int rc = uv_poll_init_socket(ps_loop_uv(dial->loop), &a->poll, fd);
    if (rc) {
        close(fd);
        free(a);
        return ps_fail(PS_UNAVAILABLE, "socket: %s", uv_strerror(rc));
    }
    a->poll.data = a;
    a->dial = dial;
    a->fd = fd;
    ps_list_append(&dial->attempts, &a->link);
    uv_poll_start(&a->poll, UV_WRITABLE, poll_cb);
    return PS_OK;
}

/* The next address that does not fail at once; when there is none and nothing is under way, the
 * end. */
static void next_attempt(ps_tcp_dial *dial)
{
    while (dial->next) {
        const struct addrinfo *to = dial->next;
        dial->next = to->ai_next;
        ps_status st = start_attempt(dial, to);
        if (!st) {
            if (dial->next)
                ps_timer_start(dial->timer, NEXT_AFTER_MS, 0);
            return;
        }
        ps_error_save(&dial->last, st);
    }
    if (!ps_list_empty(&dial->attempts))
        return;
    (void)ps_error_raise(&dial->last);
    dial->done(dial->user, PS_UNAVAILABLE, NULL, "");
}

static void timer_cb(void *user)
{
    next_attempt(user);
}

static void release(ps_tcp_dial *dial)
{
    if (dial->addresses)
        uv_freeaddrinfo(dial->addresses);
    free(dial);
}

static void resolved_cb(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    ps_tcp_dial *dial = request->data;
    dial->resolving = false;
    dial->addresses = dial->next = addresses;
    if (dial->dead) {
        release(dial);
        return;
    }
    if (status != 0) {
        dial->next = NULL;
        ps_error_save(&dial->last,
                      ps_fail(PS_UNAVAILABLE, "resolve %s: %s", dial->target, uv_strerror(status)));
    }
    next_attempt(dial);
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
        return ps_fail(PS_INVALID_ARGUMENT, "address \"%s\": %s", target,
                       strchr(target, '/') ? "no URL is wanted, but HOST:PORT" : "write [IP]:PORT");
    }
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    unsigned long number = digits && !colon[1 + digits] ? strtoul(colon + 1, NULL, 10) : 0;
    if (len == 0 || len > 255 || number == 0 || number > 65535)
        return ps_fail(PS_INVALID_ARGUMENT, "address \"%s\": not HOST:PORT", target);
    memcpy(host, begin, len);
    host[len] = 0;
    snprintf(port, 8, "%lu", number);
    return PS_OK;
}

ps_status ps_tcp_dial_start(ps_loop *loop, const char *target, ps_tcp_dial_cb done, void *user,
                            ps_tcp_dial **out)
{
    ps_loop_require_on(loop);
    PS_REQUIRE(done);
    char host[256], port[8];
    ps_status st = ps_tcp_split(target, host, port);
    if (st)
        return st;
    ps_tcp_dial *dial = ps_new(ps_tcp_dial);
    *dial = (ps_tcp_dial){.loop = loop, .done = done, .user = user, .resolving = true};
    ps_list_init(&dial->attempts);
    snprintf(dial->target, sizeof dial->target, "%s", target);
    dial->resolve.data = dial;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    sigset_t mask;
    ps_signals_hold(&mask); /* libuv's pool has the mask of who starts it */
    int rc = uv_getaddrinfo(ps_loop_uv(loop), &dial->resolve, resolved_cb, host, port, &hints);
    ps_signals_let(&mask);
    if (rc) {
        free(dial);
        return ps_fail(PS_UNAVAILABLE, "resolve %s: %s", target, uv_strerror(rc));
    }
    ps_timer_create(loop, timer_cb, dial, &dial->timer);
    *out = dial;
    return PS_OK;
}

void ps_tcp_dial_free(ps_tcp_dial **pointer)
{
    ps_tcp_dial *dial = *pointer;
    if (!dial)
        return;
    *pointer = NULL;
    abandon_all(dial);
    /* now, not with the rest: a loop that ends closes what it finds before names resolve */
    ps_timer_free(&dial->timer);
    if (dial->won)
        dial->won->dial = NULL;
    dial->dead = true;
    if (dial->resolving)
        uv_cancel((uv_req_t *)&dial->resolve);
    else
        release(dial);
}
