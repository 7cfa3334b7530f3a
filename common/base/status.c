/* The message lives in thread-local storage, so that failing never allocates and a status stays
 * one int. It can only be cut short, never fail. */
#include "common/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_message[PS_ERROR_MAX];
static _Thread_local int last_retry_ms;

static const struct {
    const char *name;
    const char *text;
    int grpc;
    bool retry;
} table[PS_STATUS_COUNT] = {
#define X(n, g, r, t) [PS_##n] = {.name = #n, .text = t, .grpc = g, .retry = r},
    PS_STATUS_TABLE(X)
#undef X
};

static void set(int retry_ms, const char *format, va_list args)
{
    char text[PS_ERROR_MAX]; /* an argument may be last_message itself */
    (void)vsnprintf(text, sizeof text, format, args);
    memcpy(last_message, text, strlen(text) + 1);
    last_retry_ms = retry_ms;
}

ps_status ps_fail(ps_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(0, format, args);
    va_end(args);
    return code;
}

ps_status ps_fail_retry(ps_status code, int retry_ms, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(retry_ms, format, args);
    va_end(args);
    return code;
}

static void prepend(const char *format, va_list args, const char *rest)
{
    char text[PS_ERROR_MAX];
    int n = vsnprintf(text, sizeof text, format, args);
    if (n >= 0 && (size_t)n < sizeof text)
        (void)snprintf(text + n, sizeof text - (size_t)n, ": %s", rest);
    memcpy(last_message, text, strlen(text) + 1);
}

ps_status ps_wrap(ps_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    prepend(format, args, last_message);
    va_end(args);
    return code;
}

static ps_status code_of_errno(int error)
{
    switch (error) {
    case ENOENT:
        return PS_NOT_FOUND;
    case EEXIST:
        return PS_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
        return PS_NO_ACCESS;
    case ENOTEMPTY:
        return PS_FAILED_PRECONDITION;
    case ENOMEM:
        return PS_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
        return PS_NO_SPACE;
    case EAGAIN:
        return PS_AGAIN;
    case ETIMEDOUT:
        return PS_DEADLINE_EXCEEDED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRINUSE:
        return PS_UNAVAILABLE;
    case EPIPE:
        return PS_BROKEN_PIPE;
    default:
        return PS_IO;
    }
}

ps_status ps_fail_errno(int error, const char *format, ...)
{
    char reason[128];
    va_list args;
    va_start(args, format);
    prepend(format, args, strerror_r(error, reason, sizeof reason));
    va_end(args);
    last_retry_ms = 0;
    return code_of_errno(error);
}

const char *ps_error_message(void)
{
    return last_message;
}

int ps_error_retry_ms(void)
{
    return last_retry_ms;
}

void ps_error_save(ps_error *out, ps_status code)
{
    out->code = code;
    out->retry_ms = last_retry_ms;
    memcpy(out->message, last_message, strlen(last_message) + 1);
}

ps_status ps_error_raise(const ps_error *error)
{
    memmove(last_message, error->message, strlen(error->message) + 1);
    last_retry_ms = error->retry_ms;
    return error->code;
}

const char *ps_status_name(ps_status code)
{
    return code < PS_STATUS_COUNT ? table[code].name : "UNKNOWN";
}

const char *ps_status_text(ps_status code)
{
    return code < PS_STATUS_COUNT ? table[code].text : "unknown error";
}

int ps_status_grpc(ps_status code)
{
    return code < PS_STATUS_COUNT ? table[code].grpc : 2;
}

bool ps_status_retryable(ps_status code)
{
    return code < PS_STATUS_COUNT && table[code].retry;
}

ps_status ps_status_from_grpc(int code)
{
    /* the first 17 rows of the table stand in the order of gRPC's numbers */
    return code >= 0 && code <= 16 ? (ps_status)code : PS_UNKNOWN;
}
