/* http: the second listener, for machines that speak plain HTTP: a few pages, GET and HEAD only.
 *
 * libmicrohttpd with one thread an address, 32 connections, 10 s each, 32 KiB of memory a
 * connection. Pages are rendered on those threads, so what they read must be safe from any thread.
 */
#ifndef PS_METRICS_HTTP_H
#define PS_METRICS_HTTP_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdint.h>

typedef struct ps_http ps_http;

typedef struct ps_http_page {
    const char *path; /* "/metrics"; NULL ends the table */
    const char *content_type;
    /* Appends the page; returns the HTTP status (200, 503). */
    unsigned (*render)(void *user, ps_buf *out);
} ps_http_page;

/* Failures are those of ps_listen_open. pages and user must outlive the server. */
PS_MUST_CHECK ps_status ps_http_start(const char *address, uint16_t port, const ps_http_page *pages,
                                      void *user, ps_http **out);
uint16_t ps_http_port(const ps_http *http);
void ps_http_stop(ps_http **http); /* waits for requests at hand; NULL is allowed */

#endif
