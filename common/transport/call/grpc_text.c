/* Happy path and failure: see the header; every function is a few lines of table or loop. */
#include "common/transport/call/grpc_text.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

void ps_grpc_percent_encode(const char *text, ps_buf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            ps_buf_putc(out, (char)c);
        } else {
            ps_buf_putc(out, '%');
            ps_buf_putc(out, hex[c >> 4]);
            ps_buf_putc(out, hex[c & 15]);
        }
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void ps_grpc_percent_decode(ps_slice text, ps_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '%' && i + 2 < text.len && hex_value(text.data[i + 1]) >= 0 &&
            hex_value(text.data[i + 2]) >= 0) {
            c = (uint8_t)(hex_value(text.data[i + 1]) << 4 | hex_value(text.data[i + 2]));
            i += 2;
        }
        ps_buf_putc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

static const struct {
    char unit;
    uint64_t ns;
} units[] = {
    {'n', 1},
    {'u', 1000},
    {'m', 1000000},
    {'S', 1000000000},
    {'M', 60 * 1000000000ull},
    {'H', 3600 * 1000000000ull},
};
#define N_UNITS (sizeof units / sizeof *units)

ps_status ps_grpc_timeout_parse(ps_slice text, uint64_t *ns)
{
    if (text.len < 2 || text.len > 9)
        goto bad;
    uint64_t value = 0;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            goto bad;
        value = value * 10 + (text.data[i] - '0');
    }
    for (size_t i = 0; i < N_UNITS; i++)
        if (units[i].unit == (char)text.data[text.len - 1]) {
            bool huge = value > UINT64_MAX / 4 / units[i].ns;
            *ns = huge ? UINT64_MAX / 4 : value * units[i].ns;
            return PS_OK;
        }
bad:
    return ps_fail(PS_INVALID_ARGUMENT, "grpc-timeout is not up to 8 digits and one of HMSmun");
}

void ps_grpc_timeout_format(uint64_t ns, char out[16])
{
    for (size_t i = 0; i < N_UNITS; i++) {
        uint64_t value = ns / units[i].ns + (ns % units[i].ns != 0);
        if (value <= 99999999) {
            snprintf(out, 16, "%llu%c", (unsigned long long)value, units[i].unit);
            return;
        }
    }
    snprintf(out, 16, "99999999H");
}

ps_status ps_grpc_status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return PS_INTERNAL;
    case 401:
        return PS_UNAUTHENTICATED;
    case 403:
        return PS_PERMISSION_DENIED;
    case 404:
        return PS_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return PS_UNAVAILABLE;
    default:
        return PS_UNKNOWN;
    }
}

ps_status ps_grpc_status_of_reset(uint32_t error_code)
{
    switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
        return PS_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return PS_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return PS_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return PS_PERMISSION_DENIED;
    default:
        return PS_INTERNAL;
    }
}
