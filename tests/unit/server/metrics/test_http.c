/* http: what a plain client gets from the second listener, by a socket of our own. */
#include "server/metrics/http.h"

#include "tests/lib/check_main.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned counter_page(void *user, ps_buf *out)
{
    ps_buf_printf(out, "asked %u\n", atomic_fetch_add((atomic_uint *)user, 1) + 1);
    return 200;
}

static unsigned not_ready_page(void *user, ps_buf *out)
{
    ps_buf_puts(out, "starting\n");
    return 503;
}

static unsigned large_page(void *user, ps_buf *out)
{
    for (int i = 0; i < 100000; i++)
        ps_buf_printf(out, "line %06d\n", i);
    return 200;
}

static const ps_http_page pages[] = {
    {.path = "/metrics", .content_type = "text/plain; version=0.0.4", .render = counter_page},
    {.path = "/readyz", .content_type = "text/plain; charset=utf-8", .render = not_ready_page},
    {.path = "/large", .content_type = "text/plain", .render = large_page},
    {0},
};

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 5};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Everything that comes until the server closes; free() it. */
static char *ask(uint16_t port, const char *request)
{
    size_t len = 0;
    char *answer = malloc(1 << 21);
    int fd = dial(port);
    ck_assert_int_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    for (ssize_t n; (n = read(fd, answer + len, (1 << 21) - 1 - len)) > 0;)
        len += (size_t)n;
    answer[len] = 0;
    close(fd);
    return answer;
}

static char *get(uint16_t port, const char *method, const char *path)
{
    char request[256];
    (void)snprintf(request, sizeof request,
                   "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    return ask(port, request);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    return end + 4;
}

static void assert_answer(char *answer, const char *status, const char *body)
{
    ck_assert_msg(strncmp(answer, status, strlen(status)) == 0, "%s", answer);
    ck_assert_str_eq(body_of(answer), body);
    free(answer);
}

static ps_http *start(atomic_uint *asked)
{
    ps_http *http = NULL;
    ck_assert_msg(ps_http_start("127.0.0.1", 0, pages, asked, &http) == PS_OK, "%s",
                  ps_error_message());
    ck_assert_uint_ne(ps_http_port(http), 0);
    return http;
}

START_TEST(pages_are_rendered_anew_for_each_request)
{
    atomic_uint asked = 0;
    ps_http *http = start(&asked);
    char *answer = get(ps_http_port(http), "GET", "/metrics");
    ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Length: 8\r\n"));
    assert_answer(answer, "HTTP/1.1 200 ", "asked 1\n");
    assert_answer(get(ps_http_port(http), "GET", "/metrics?x=1"), "HTTP/1.1 200 ", "asked 2\n");
    answer = get(ps_http_port(http), "HEAD", "/metrics");
    ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Length: 8\r\n"));
    assert_answer(answer, "HTTP/1.1 200 ", "");
    ck_assert_uint_eq(atomic_load(&asked), 3);
    assert_answer(get(ps_http_port(http), "GET", "/readyz"), "HTTP/1.1 503 ", "starting\n");
    ps_http_stop(&http);
    ck_assert_ptr_null(http);
    ps_http_stop(&http); /* NULL is allowed */
}
END_TEST

START_TEST(a_large_page_comes_whole)
{
    atomic_uint asked = 0;
    ps_http *http = start(&asked);
    char *answer = get(ps_http_port(http), "GET", "/large");
    const char *body = body_of(answer);
    ck_assert_uint_eq(strlen(body), 100000 * 12);
    ck_assert_str_eq(body + 99999 * 12, "line 099999\n");
    free(answer);
    ps_http_stop(&http);
}
END_TEST

START_TEST(other_paths_and_methods_are_refused)
{
    static const char *const list = "pages:\n  /metrics\n  /readyz\n  /large\n";
    static const char *const paths[] = {"/", "/metric", "/metrics/", "/../metrics", "/%6detrics/x"};
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "BREW"};
    atomic_uint asked = 0;
    ps_http *http = start(&asked);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_answer(get(ps_http_port(http), "GET", paths[i]), "HTTP/1.1 404 ", list);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        assert_answer(get(ps_http_port(http), methods[i], "/metrics"), "HTTP/1.1 405 ",
                      "only GET and HEAD\n");
    char *answer = ask(ps_http_port(http), "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close"
                                           "\r\nContent-Length: 5\r\n\r\nhello");
    assert_answer(answer, "HTTP/1.1 405 ", "only GET and HEAD\n");
    ck_assert_uint_eq(atomic_load(&asked), 0);
    ps_http_stop(&http);
}
END_TEST

START_TEST(nonsense_and_endless_headers_are_cut_off_and_others_go_on)
{
    static const char head[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n";
    atomic_uint asked = 0;
    ps_http *http = start(&asked);
    uint16_t port = ps_http_port(http);
    free(ask(port, "\x16\x03\x01 not HTTP at all\r\n\r\n"));
    char *large = malloc(256 << 10);
    memcpy(large, head, sizeof head);
    memset(large + sizeof head - 1, 'x', (256 << 10) - sizeof head);
    large[(256 << 10) - 1] = 0;
    int fd = dial(port); /* the server may close before it has read all */
    (void)!send(fd, large, strlen(large), MSG_NOSIGNAL);
    close(fd);
    free(large);
    int silent[8];
    for (size_t i = 0; i < 8; i++)
        silent[i] = dial(port);
    assert_answer(get(port, "GET", "/metrics"), "HTTP/1.1 200 ", "asked 1\n");
    for (size_t i = 0; i < 8; i++)
        close(silent[i]);
    ps_http_stop(&http);
}
END_TEST

START_TEST(a_port_that_is_taken_and_an_address_that_is_none_are_said)
{
    atomic_uint asked = 0;
    ps_http *http = start(&asked), *second = NULL;
    char words[96];
    ck_assert_int_ne(ps_http_start("127.0.0.1", ps_http_port(http), pages, &asked, &second), PS_OK);
    (void)snprintf(words, sizeof words,
                   "cannot listen on 127.0.0.1 port %u: Address already in use",
                   ps_http_port(http));
    ck_assert_str_eq(ps_error_message(), words);
    ck_assert_int_eq(ps_http_start("psd.example", 0, pages, &asked, &second), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "cannot listen on psd.example: "));
    ck_assert_ptr_null(second);
    uint16_t port = ps_http_port(http);
    ps_http_stop(&http);
    ck_ok(ps_http_start("127.0.0.1", port, pages, &asked, &http)); /* free again */
    ck_assert_uint_eq(ps_http_port(http), port);
    ps_http_stop(&http);
}
END_TEST

static const ps_check_case cases[] = {
    {&pages_are_rendered_anew_for_each_request},
    {&a_large_page_comes_whole},
    {&other_paths_and_methods_are_refused},
    {&nonsense_and_endless_headers_are_cut_off_and_others_go_on},
    {&a_port_that_is_taken_and_an_address_that_is_none_are_said},
    {0},
};

int main(void)
{
    return ps_check_main("server/metrics/http", cases);
}
