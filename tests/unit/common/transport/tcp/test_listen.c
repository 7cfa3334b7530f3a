/* listen, and the listener on top of it: getaddrinfo and socket are the test's own, so that names
 * have the addresses and the machine the families that a case wants. */
#include "common/transport/tcp/listen.h"

#include "common/base/log.h"
#include "common/transport/tcp/tcp.h"
#include "tests/lib/check_main.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OURS __attribute__((visibility("default"))) /* libuv calls it */

static const char *addresses[4]; /* of the name "many.test" */
static bool no_v6;
static char logged[256];

static struct answer {
    struct addrinfo info;
    struct sockaddr_in to;
} told[4]; /* of one question at a time */

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef void releaser(struct addrinfo *);

OURS int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out)
{
    struct addrinfo *first = NULL;
    if (strcmp(name, "many.test") != 0)
        return ((resolver *)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, out);
    for (int i = 3; i >= 0; i--) {
        if (!addresses[i])
            continue;
        struct answer *a = &told[i];
        a->to =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(addresses[i])};
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
    for (size_t i = 0; i < 4; i++)
        if (info == &told[i].info)
            return;
    ((releaser *)dlsym(RTLD_NEXT, "freeaddrinfo"))(info);
}

OURS int socket(int family, int type, int protocol)
{
    if (family == AF_INET6 && no_v6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

static void keep(void *state, ps_log_level level, const char *line)
{
    (void)state, (void)level;
    (void)snprintf(logged, sizeof logged, "%s", line);
}

/* The socket; -1: refused. */
static int dial(const char *address, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(address)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool answers(const char *address, uint16_t port)
{
    int fd = dial(address, port);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void open_at(const char *address, uint16_t port, ps_listen_sockets *out)
{
    ck_assert_msg(ps_listen_open(address, port, 8, out) == PS_OK, "%s", ps_error_message());
}

static void expect_failure(const char *address, uint16_t port, ps_status status, const char *words)
{
    ps_listen_sockets none = {0};
    ck_assert_int_eq(ps_listen_open(address, port, 8, &none), status);
    ck_assert_msg(strstr(ps_error_message(), words) != NULL, "%s", ps_error_message());
    ck_assert_uint_eq(none.n, 0);
}

static void name_is(const char *a, const char *b, const char *c)
{
    addresses[0] = a;
    addresses[1] = b;
    addresses[2] = c;
}

START_TEST(a_name_is_bound_at_all_its_addresses_and_one_port)
{
    ps_listen_sockets sockets, again;
    name_is("127.0.0.1", "127.0.0.2", "127.0.0.1"); /* hosts files repeat themselves */
    open_at("many.test", 0, &sockets);
    ck_assert_uint_eq(sockets.n, 2);
    ck_assert_uint_ne(sockets.port, 0);
    ck_assert(answers("127.0.0.1", sockets.port) && answers("127.0.0.2", sockets.port));
    ck_assert(!answers("127.0.0.3", sockets.port));
    expect_failure("many.test", sockets.port, PS_UNAVAILABLE, "Address already in use");
    uint16_t port = sockets.port;
    ps_listen_close(&sockets);
    open_at("many.test", port, &again);
    ck_assert_uint_eq(again.port, port);
    ps_listen_close(&again);
    ck_assert(!answers("127.0.0.1", port));
}
END_TEST

START_TEST(one_taken_address_is_a_failure_and_nothing_stays_bound)
{
    ps_listen_sockets other;
    open_at("127.0.0.2", 0, &other);
    name_is("127.0.0.1", "127.0.0.2", NULL);
    expect_failure("many.test", other.port, PS_UNAVAILABLE, "Address already in use");
    ck_assert(!answers("127.0.0.1", other.port));
    ps_listen_close(&other);
}
END_TEST

START_TEST(an_address_of_another_machine_is_left_out_of_several_and_else_said)
{
    ps_listen_sockets sockets;
    ps_log_set_sink(keep, NULL);
    name_is("203.0.113.1", "127.0.0.1", NULL);
    open_at("many.test", 0, &sockets);
    ck_assert_uint_eq(sockets.n, 1);
    ck_assert_ptr_nonnull(strstr(logged, "an address of many.test is left out"));
    ps_listen_close(&sockets);
    expect_failure("203.0.113.1", 80, PS_UNAVAILABLE,
                   "cannot listen on 203.0.113.1 port 80: Cannot assign requested address; no "
                   "interface of this machine has this address");
    name_is("203.0.113.1", "203.0.113.2", NULL);
    expect_failure("many.test", 0, PS_UNAVAILABLE, "no interface of this machine");
    expect_failure("no.such.name.invalid", 80, PS_INVALID_ARGUMENT, "no.such.name.invalid: ");
}
END_TEST

START_TEST(every_address_means_ipv4_too)
{
    ps_listen_sockets sockets;
    int only_v6 = 1;
    socklen_t len = sizeof only_v6;
    ps_log_set_sink(keep, NULL);
    open_at("::", 0, &sockets);
    if (!*logged) { /* a machine with IPv6 */
        ck_assert_int_eq(getsockopt(sockets.fds[0], IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, &len), 0);
        ck_assert_int_eq(only_v6, 0);
    }
    ck_assert(answers("127.0.0.1", sockets.port));
    ps_listen_close(&sockets);
}
END_TEST

START_TEST(a_machine_without_ipv6_serves_all_it_has_or_says_what_to_write)
{
    ps_listen_sockets sockets;
    ps_log_set_sink(keep, NULL);
    no_v6 = true;
    open_at("::", 0, &sockets);
    ck_assert_str_eq(logged, "listen: this machine has no IPv6: 0.0.0.0 instead of ::");
    ck_assert(answers("127.0.0.1", sockets.port));
    ps_listen_close(&sockets);
    expect_failure("::1", 0, PS_UNAVAILABLE,
                   "this machine has no IPv6: write an IPv4 address, 0.0.0.0 for all");
}
END_TEST

/* ---- the listener: out of file descriptors ---- */

static ps_loop *loop;
static int accepted[4], n_accepted;
static bool enough;

static void accepted_cb(void *user, int fd)
{
    (void)user;
    accepted[n_accepted++] = fd;
    enough = true;
}

static void look_cb(void *user)
{
    struct pollfd p = {.fd = *(const int *)user, .events = POLLIN};
    enough = poll(&p, 1, 0) > 0;
}

static void run_until_enough(void)
{
    enough = false;
    ck_assert(ps_loop_run_until(loop, &enough));
}

START_TEST(without_descriptors_a_connection_is_closed_and_does_not_wait)
{
    ps_tcp_listener *listener = NULL;
    ps_timer *look = NULL;
    struct rlimit files, none;
    ps_log_set_sink(keep, NULL);
    ck_ok(ps_loop_create(&loop));
    ck_ok(ps_tcp_listener_bind("127.0.0.1", 0, &listener));
    uint16_t port = ps_tcp_listener_port(listener);
    ck_ok(ps_tcp_listener_start(listener, loop, accepted_cb, NULL));
    int first = dial("127.0.0.1", port);
    run_until_enough();
    int second = dial("127.0.0.1", port);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    int next = dup(0); /* the lowest number that is free */
    close(next);
    none.rlim_cur = (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ps_timer_create(loop, look_cb, &second, &look);
    ps_timer_start(look, 1, 1);
    run_until_enough();
    char byte;
    ck_assert_int_le(recv(second, &byte, 1, 0), 0);
    ck_assert_int_eq(n_accepted, 1);
    ck_assert_str_eq(logged, "tcp: accept: Too many open files, connections refused=1");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ps_timer_free(&look);
    int third = dial("127.0.0.1", port);
    run_until_enough();
    ck_assert_int_eq(n_accepted, 2);
    for (int i = 0; i < n_accepted; i++)
        close(accepted[i]);
    close(first);
    close(second);
    close(third);
    ps_tcp_listener_free(&listener);
    ps_loop_free(&loop);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_name_is_bound_at_all_its_addresses_and_one_port},
    {&one_taken_address_is_a_failure_and_nothing_stays_bound},
    {&an_address_of_another_machine_is_left_out_of_several_and_else_said},
    {&every_address_means_ipv4_too},
    {&a_machine_without_ipv6_serves_all_it_has_or_says_what_to_write},
    {&without_descriptors_a_connection_is_closed_and_does_not_wait},
    {0},
};

int main(void)
{
    return ps_check_main("transport/listen", tests);
}
