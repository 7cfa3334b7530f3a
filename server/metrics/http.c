/* We make the listening sockets ourselves, as for gRPC; libmicrohttpd does the rest. A request that
 * is not GET or HEAD gets 405, an unknown path 404. */
#include "server/metrics/http.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/tcp/listen.h"

#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 32, TIMEOUT_S = 10, CONNECTION_MEMORY = 32 * 1024 };

struct ps_http {
    struct MHD_Daemon *daemons[PS_LISTEN_MAX];
    size_t n;
    const ps_http_page *pages;
    void *user;
    uint16_t port;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              const char *content_type, const ps_buf *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static unsigned render(const ps_http *http, const char *url, const char *method, ps_buf *body,
                       const char **content_type)
{
    *content_type = "text/plain; charset=utf-8";
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        ps_buf_puts(body, "only GET and HEAD\n");
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    for (const ps_http_page *page = http->pages; page->path; page++) {
        if (strcmp(page->path, url) == 0) {
            *content_type = page->content_type;
            return page->render(http->user, body);
        }
    }
    ps_buf_puts(body, "pages:\n");
    for (const ps_http_page *page = http->pages; page->path; page++)
        ps_buf_printf(body, "  %s\n", page->path);
    return MHD_HTTP_NOT_FOUND;
}

static enum MHD_Result handle_cb(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **request)
{
    static int seen;
    if (!*request) { /* headers only; the answer is given at the second call */
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_size) { /* a body is not read */
        *upload_size = 0;
        return MHD_YES;
    }
    ps_buf body = PS_BUF_EMPTY;
    const char *content_type;
    unsigned status = render(cls, url, method, &body, &content_type);
    enum MHD_Result result = answer(connection, status, content_type, &body);
    ps_buf_free(&body);
    return result;
}

/* libmicrohttpd takes one socket a daemon. */
static ps_status start_daemon(ps_http *http, int fd)
{
    PS_REQUIRE(http->n < PS_LISTEN_MAX);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, handle_cb, http,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (!daemon)
        return ps_fail(PS_INTERNAL, "metrics listener: libmicrohttpd did not start");
    http->daemons[http->n++] = daemon;
    return PS_OK;
}

ps_status ps_http_start(const char *address, uint16_t port, const ps_http_page *pages, void *user,
                        ps_http **out)
{
    PS_REQUIRE(pages);
    ps_listen_sockets sockets;
    ps_status st = ps_listen_open(address, port, CONNECTIONS, &sockets);
    if (st)
        return st;
    ps_http *http = ps_new(ps_http);
    http->pages = pages;
    http->user = user;
    http->port = sockets.port;
    for (size_t i = 0; i < sockets.n && !st; i++)
        st = start_daemon(http, sockets.fds[i]);
    if (st) {
        for (size_t i = http->n; i < sockets.n; i++) /* the others are their daemons' */
            (void)close(sockets.fds[i]);
        ps_http_stop(&http);
        return st;
    }
    *out = http;
    return PS_OK;
}

uint16_t ps_http_port(const ps_http *http)
{
    return http->port;
}

void ps_http_stop(ps_http **http)
{
    if (!*http)
        return;
    for (size_t i = 0; i < (*http)->n; i++)
        MHD_stop_daemon((*http)->daemons[i]);
    ps_free(http);
}
