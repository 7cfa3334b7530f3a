/* audit: who did, or was refused, what: an append-only file of JSON lines.
 *
 *     {"time":"2026-01-02T03:04:05.678Z","event":"call","address":"192.0.2.7:4711",
 *      "identity":"spiffe://lab/observer/eve","call":"/psd.v1.Jobs/Submit","outcome":"refused",
 *      "reason":"role observer may not call psd.v1.Jobs/Submit; allowed roles: submitter, admin"}
 *
 * on one line, with its number and the SHA-256 of the line before at its end (audit_chain.h),
 * written with one write(2). The chain goes on from the file's last line at the start, and into a
 * new file. Text comes from peers: it is escaped, bounded (PS_AUDIT_TEXT_MAX bytes a field) and
 * stripped of terminal controls. A source (an address without its port) that is refused more than
 * 20 times at once, or then more than once a second, is not written any more, but counted; the
 * count becomes a line
 * {"event":"suppressed","count":N} of its own, at most every 10 s. Of what is done in parts, as a
 * file that is read in windows, the first is a line; then one every 10 minutes while parts come.
 * Any thread.
 */
#ifndef PS_GUARD_AUDIT_H
#define PS_GUARD_AUDIT_H

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/security/audit_chain.h"
#include "common/security/identity.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_AUDIT_TEXT_MAX 512

typedef struct ps_audit ps_audit;

typedef enum ps_audit_outcome {
    PS_AUDIT_ALLOWED,
    PS_AUDIT_REFUSED,
    PS_AUDIT_FAILED, /* allowed, but it did not work */
} ps_audit_outcome;

/* What is NULL is left out of the line. */
typedef struct ps_audit_event {
    const char *event;   /* "handshake", "call", "start", "reload", … */
    const char *address; /* of the peer, "192.0.2.7:4711" */
    const ps_identity *identity;
    const char *call; /* "/psd.v1.Jobs/Submit" */
    ps_audit_outcome outcome;
    const char *reason; /* or what it was about: "job 7" */
    bool part;          /* of something: no line if the same one was written lately */
} ps_audit_event;

/* Opens or creates the file, 0600, for appending. The clock is borrowed. */
PS_MUST_CHECK ps_status ps_audit_open(const char *path, const ps_clock *clock, ps_audit **out);
/* Writes what was suppressed, then closes. NULL is fine; clears *audit. */
void ps_audit_close(ps_audit **audit);

/* Never fails for the caller, who cannot do anything about it: a line that cannot be written is an
 * error in the log (once until one can be written again) and is counted. audit NULL: nothing. */
void ps_audit_write(ps_audit *audit, const ps_audit_event *event);

/* After the file was moved away (logrotate): opens the name again. On failure the old one stays. */
PS_MUST_CHECK ps_status ps_audit_reopen(ps_audit *audit);
/* From a timer, every few seconds: writes a count of suppressed lines that is due. */
void ps_audit_tick(ps_audit *audit);

typedef struct ps_audit_stats {
    uint64_t written, suppressed, failed; /* lines since it was opened */
} ps_audit_stats;
void ps_audit_get_stats(ps_audit *audit, ps_audit_stats *out);
/* The last line that was written. */
ps_audit_head ps_audit_get_head(ps_audit *audit);

#endif
