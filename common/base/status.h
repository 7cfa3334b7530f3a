/* status: the one way a function of psd says how it went.
 *
 * A function that can fail returns a ps_status; its data leaves through out-parameters, which are
 * left untouched on failure. PS_OK is zero. The code says what kind of failure it was; one line of
 * text for a person (what failed, on which file, job or tensor, what to do) is kept for the thread
 * that failed and read with ps_error_message() before the next failure on that thread.
 *
 *     if (len > max)
 *         return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: chunk of %zu bytes, at most %zu", ...);
 *     st = disk->open(disk->state, path, PS_DISK_READ, &file);
 *     if (st)
 *         return ps_wrap(st, "checkpoint %s", path);   // "checkpoint /x: open: permission denied"
 *
 * To carry an error to another thread or past other calls, copy it into a ps_error.
 */
#ifndef PS_BASE_STATUS_H
#define PS_BASE_STATUS_H

#include <stdbool.h>

/* name, gRPC status code (core/statuscodes of the gRPC documentation), retryable, text */
#define PS_STATUS_TABLE(X)                                  \
    X(OK, 0, false, "ok")                                   \
    X(CANCELLED, 1, false, "cancelled")                     \
    X(UNKNOWN, 2, false, "unknown error")                   \
    X(INVALID_ARGUMENT, 3, false, "invalid argument")       \
    X(DEADLINE_EXCEEDED, 4, true, "deadline exceeded")      \
    X(NOT_FOUND, 5, false, "not found")                     \
    X(ALREADY_EXISTS, 6, false, "already exists")           \
    X(PERMISSION_DENIED, 7, false, "permission denied")     \
    X(RESOURCE_EXHAUSTED, 8, true, "resource exhausted")    \
    X(FAILED_PRECONDITION, 9, false, "failed precondition") \
    X(ABORTED, 10, true, "aborted")                         \
    X(OUT_OF_RANGE, 11, false, "out of range")              \
    X(UNIMPLEMENTED, 12, false, "not implemented")          \
    X(INTERNAL, 13, false, "internal error")                \
    X(UNAVAILABLE, 14, true, "unavailable")                 \
    X(DATA_LOSS, 15, false, "data loss")                    \
    X(UNAUTHENTICATED, 16, false, "unauthenticated")        \
    X(NO_MEMORY, 8, true, "out of memory")                  \
    X(NO_SPACE, 8, true, "no space left")                   \
    X(IO, 13, false, "input/output error")                  \
    X(CORRUPT, 15, false, "corrupt data")                   \
    X(PROTOCOL, 13, false, "protocol error")                \
    X(NO_ACCESS, 7, false, "no access to a local file")     \
    X(BROKEN_PIPE, 13, false, "nobody reads the output")    \
    X(AGAIN, 14, true, "would block")                       \
    X(END, 11, false, "end of input")

typedef enum ps_status_code {
#define X(name, grpc, retry, text) PS_##name,
    PS_STATUS_TABLE(X)
#undef X
        PS_STATUS_COUNT
} ps_status_code;

/* Must be checked: declare functions as `PS_MUST_CHECK ps_status f(...)`. */
typedef ps_status_code ps_status;
#define PS_MUST_CHECK          __attribute__((warn_unused_result))
#define PS_PRINTF(text, first) __attribute__((format(printf, text, first)))

#define PS_ERROR_MAX 2048

/* A copy of a failure that outlives the call: all of it by value. */
typedef struct ps_error {
    ps_status code;
    int retry_ms; /* ps_error_retry_ms */
    char message[PS_ERROR_MAX];
} ps_error;

/* Sets this thread's message and returns code. Never allocates. Truncates at PS_ERROR_MAX. */
ps_status ps_fail(ps_status code, const char *format, ...) PS_PRINTF(2, 3);

/* The same, of what may work after so long; less than 0: it is of no use to try again by itself. */
ps_status ps_fail_retry(ps_status code, int retry_ms, const char *format, ...) PS_PRINTF(3, 4);

/* Puts "text: " before this thread's message and returns code; for the caller who knows more. */
ps_status ps_wrap(ps_status code, const char *format, ...) PS_PRINTF(2, 3);

/* From errno: the code that fits it (ENOSPC is PS_NO_SPACE, ENOENT is PS_NOT_FOUND, ...), and
 * "text: strerror" as the message. Of files: EACCES is PS_NO_ACCESS (PS_PERMISSION_DENIED is a
 * role's or a certificate's), EPIPE PS_BROKEN_PIPE. The transport has codes of its own. */
ps_status ps_fail_errno(int error, const char *format, ...) PS_PRINTF(2, 3);

/* This thread's last message; never NULL. Valid until the next ps_fail on this thread. */
const char *ps_error_message(void);

/* After how long this thread's last failure may be tried again; less than 0: not by itself; 0:
 * nothing is known. */
int ps_error_retry_ms(void);

/* Copies code and this thread's failure; restores them on (another) thread. */
void ps_error_save(ps_error *out, ps_status code);
ps_status ps_error_raise(const ps_error *error);

const char *ps_status_name(ps_status code); /* "NOT_FOUND" */
const char *ps_status_text(ps_status code); /* "not found" */
int ps_status_grpc(ps_status code);         /* 0..16 */
bool ps_status_retryable(ps_status code);
ps_status ps_status_from_grpc(int code); /* unknown numbers become PS_UNKNOWN */

#endif
