/* Dialling a name with several addresses, some of which refuse and some say nothing: getaddrinfo
 * and connect are the test's own, so that no network has to have them. */
#include "common/transport/tcp/tcp.h"

#include "tests/lib/check_main.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SILENT "127.0.0.2" /* connect() to it goes on for ever */
#define HERE   "127.0.0.1"
#define OURS   __attribute__((visibility("default"))) /* libuv calls it */

static const char *names[4];
static unsigned tried; /* connects */
static ps_loop *loop;
static bool done;
static ps_status status;
static char address[PS_ADDRESS_TEXT], message[PS_ERROR_MAX];

typedef struct answer {
    struct addrinfo info;
    struct sockaddr_in to;
} answer;

OURS int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out)
{
    (void)name, (void)hints;
    struct addrinfo *first = NULL;
    for (int i = 3; i >= 0; i--) {
        if (!names[i])
            continue;
        answer *a = calloc(1, sizeof *a);
        a->to = (struct sockaddr_in){.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)atoi(service)),
                                     .sin_addr.s_addr = inet_addr(names[i])};
        a->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof a->to,
                                    .ai_addr = (struct sockaddr *)&a->to,
                                    .ai_next = first};
        first = &a->info;
    }
    *out = first;
    return 0;
}

OURS void freeaddrinfo(struct addrinfo *info)
{
    while (info) {
        struct addrinfo *next = info->ai_next;
        free(info);
        info = next;
    }
}

/* A socket that never becomes writable, as one whose packets are dropped. */
static int never(int fd)
{
    int pair[2];
    static char bytes[65536];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    while (send(pair[0], bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
        ;
    ck_assert_int_eq(dup2(pair[0], fd), fd);
    close(pair[0]); /* the other end stays open, to the end of the process */
    errno = EINPROGRESS;
    return -1;
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    tried++;
    const struct sockaddr_in *v4 = (const void *)to;
    if (v4->sin_addr.s_addr == inet_addr(SILENT))
        return never(fd);
    return (int)syscall(SYS_connect, fd, to, len);
}

static void dialled_cb(void *user, ps_status st, ps_layer *layer, const char *peer)
{
    (void)user;
    ck_assert(!done);
    done = true;
    status = st;
    snprintf(address, sizeof address, "%s", peer);
    snprintf(message, sizeof message, "%s", st ? ps_error_message() : "");
    if (layer)
        layer->ops->close(layer);
}

static int listening(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Dials a name with the addresses in `names`; milliseconds until the answer. */
static unsigned dial(uint16_t port)
{
    char target[32];
    ps_tcp_dial *d = NULL;
    snprintf(target, sizeof target, "many.test:%u", port);
    tried = 0;
    done = false;
    uint64_t begun = ps_clock_ms(&ps_clock_system);
    ck_ok(ps_tcp_dial_start(loop, target, dialled_cb, NULL, &d));
    ck_assert(ps_loop_run_until(loop, &done));
    ps_tcp_dial_free(&d);
    return (unsigned)(ps_clock_ms(&ps_clock_system) - begun);
}

static void name_is(const char *a, const char *b, const char *c)
{
    names[0] = a;
    names[1] = b;
    names[2] = c;
}

START_TEST(an_address_that_says_nothing_does_not_hold_up_the_next)
{
    uint16_t port;
    int fd = listening(&port);
    char here[PS_ADDRESS_TEXT];
    ck_ok(ps_loop_create(&loop));
    snprintf(here, sizeof here, HERE ":%u", port);
    name_is(SILENT, SILENT, HERE);
    unsigned took = dial(port);
    ck_ok(status);
    ck_assert_str_eq(address, here);
    ck_assert_uint_ge(took, 450); /* each of the two had its moment */
    name_is(HERE, SILENT, NULL);
    ck_assert_uint_lt(dial(port), 250); /* the first one is not made to wait, or to share */
    ck_ok(status);
    ck_assert_uint_eq(tried, 1);
    ps_loop_free(&loop);
    close(fd);
}
END_TEST

START_TEST(an_address_that_refuses_makes_way_at_once)
{
    uint16_t port, closed;
    int fd = listening(&port);
    close(listening(&closed));
    ck_ok(ps_loop_create(&loop));
    name_is("127.0.0.3", HERE, NULL); /* nobody listens there */
    (void)dial(port);
    ck_ok(status);
    ck_assert_uint_eq(tried, 2);
    name_is(HERE, HERE, HERE);
    (void)dial(closed);
    ck_assert_int_eq(status, PS_UNAVAILABLE);
    ck_assert_uint_eq(tried, 3);
    ck_assert_ptr_nonnull(strstr(message, "refused"));
    ps_loop_free(&loop);
    close(fd);
}
END_TEST

static void over_cb(void *user)
{
    *(bool *)user = true;
}

static void run_ms(unsigned ms)
{
    bool over = false;
    ps_timer *timer = NULL;
    ps_timer_create(loop, over_cb, &over, &timer);
    ps_timer_start(timer, ms, 0);
    ck_assert(ps_loop_run_until(loop, &over));
    ps_timer_free(&timer);
}

/* While resolving, connecting, and when it may have connected just now. */
START_TEST(a_dial_that_is_freed_says_nothing)
{
    uint16_t port;
    int fd = listening(&port);
    char target[32];
    snprintf(target, sizeof target, "many.test:%u", port);
    ck_ok(ps_loop_create(&loop));
    name_is(SILENT, HERE, NULL);
    done = false;
    for (unsigned ms = 0; ms <= 240; ms += 80) {
        ps_tcp_dial *d = NULL;
        ck_ok(ps_tcp_dial_start(loop, target, dialled_cb, NULL, &d));
        if (ms)
            run_ms(ms);
        ps_tcp_dial_free(&d);
        ck_assert_ptr_null(d);
    }
    run_ms(500);
    ck_assert(!done);
    ps_loop_free(&loop);
    close(fd);
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
    static const char *const bad[][2] = {{"https://psd.example:7600", "no URL is wanted"},
                                         {"::1:7600", "write [IP]:PORT"},
                                         {"psd.example", "not HOST:PORT"},
                                         {"psd.example:0", "not HOST:PORT"},
                                         {"psd.example:+80", "not HOST:PORT"},
                                         {"psd.example: 80", "not HOST:PORT"},
                                         {"psd.example:65536", "not HOST:PORT"},
                                         {"psd.example:80/", "not HOST:PORT"},
                                         {":80", "not HOST:PORT"}};
    char host[256], number[8];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(ps_tcp_split(bad[i][0], host, number), PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), bad[i][1]), "%s", ps_error_message());
    }
    ck_ok(ps_tcp_split("[::1]:7600", host, number));
    ck_assert_str_eq(host, "::1");
    ck_assert_str_eq(number, "7600");
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_no_address_is_refused, 20},
    {&an_address_that_says_nothing_does_not_hold_up_the_next, 20},
    {&an_address_that_refuses_makes_way_at_once, 20},
    {&a_dial_that_is_freed_says_nothing, 20},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tcp_dial", cases);
}
