/* audit: who did, or was refused, what: an append-only file of JSON lines.
 *
 *     {"time":"2026-01-02T03:04:05.678Z","event":"call","address":"192.0.2.7:4711",
 *      "identity":"spiffe://lab/observer/eve","call":"/psd.v1.Jobs/Submit","outcome":"refused",
 *      "reason":"role observer may not call psd.v1.Jobs/Submit; allowed roles: submitter, admin"}
 *
 * on one line, with its number and the SHA-256 of the line before at its end (audit_chain.h),
 * written with one write(2). The chain goes on from the file's last line at the start, and into a
 * new file, which begins when one is full (audit_file.h). Text comes from peers: it is escaped,
 * bounded (PS_AUDIT_TEXT_MAX bytes a field) and
 * stripped of terminal controls. A source (an address without its port) that is refused more than
 * 20 times at once, or then more than once a second, is not written any more, but counted; the
 * count becomes a line
 * {"event":"suppressed","count":N} of its own, at most every 10 s; so does, as "lost", that of
 * lines that could not be written. Of what is done in parts, as a file that is read in windows, the
 * first is a line; then one every 10 minutes while parts come. Any thread.
 */
#ifndef PS_GUARD_AUDIT_H
#define PS_GUARD_AUDIT_H

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/security/audit_chain.h"
#include "common/security/identity.h"
#include "common/transport/tls/tls_holder.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_AUDIT_TEXT_MAX 512

typedef struct ps_audit ps_audit;

typedef enum ps_audit_outcome {
    PS_AUDIT_ALLOWED,
    PS_AUDIT_REFUSED,
    PS_AUDIT_FAILED, /* allowed, but it did not work */
    PS_AUDIT_BEGUN,  /* allowed, and about to be done; a line with its end follows */
} ps_audit_outcome;

/* What is NULL is left out of the line. */
typedef struct ps_audit_event {
    const char *event;   /* "handshake", "session" (cut), "call", "start", "reload", … */
    const char *address; /* of the peer, "192.0.2.7:4711" */
    const ps_identity *identity;
    const char *call; /* "/psd.v1.Jobs/Submit" */
    ps_audit_outcome outcome;
    const char *reason; /* or what it was about: "job 7" */
    bool part;          /* of something: no line if the same one was written lately */
} ps_audit_event;

typedef struct ps_audit_conf {
    const char *path;
    const ps_clock *clock; /* borrowed */
    uint64_t size;         /* bytes of a file, after which a new one begins; 0: never */
    unsigned keep;         /* full files that are kept; 0: all */
    bool refuse;           /* what must not be done unrecorded is refused when it is */
    ps_tls_holder *tls;  /* whose key signs anchors (audit_anchor.h), borrowed; NULL: no anchors */
    uint64_t anchor_ms;  /* between them, where there were lines; 0: only as ps_audit_anchor */
    const char *forward; /* where lines go, too (audit_forward.h); NULL or "": nowhere */
} ps_audit_conf;

/* Opens or creates the file, 0600, for appending. */
PS_MUST_CHECK ps_status ps_audit_open(const ps_audit_conf *conf, ps_audit **out);
/* Without room on the disk, `give_up` is asked to make some (false: there is none) before a line
 * of ps_audit_require is given up. Before there are threads. */
void ps_audit_set_make_room(ps_audit *audit, bool (*give_up)(void *user), void *user);
/* Writes what was suppressed, then closes. NULL is fine; clears *audit. */
void ps_audit_close(ps_audit **audit);

/* Never fails for the caller, who cannot do anything about it: a line that cannot be written is an
 * error in the log (once until one can be written again) and is counted. audit NULL: nothing. */
void ps_audit_write(ps_audit *audit, const ps_audit_event *event);
/* Likewise, before something that must not be done unrecorded (of keys, roles, exports and
 * deletions), whatever the source's count: with PS_OK the line is on the disk. PS_UNAVAILABLE: it
 * is not, and conf.refuse is set: do nothing. Waits for the disk: off the loops. */
PS_MUST_CHECK ps_status ps_audit_require(ps_audit *audit, const ps_audit_event *event);

/* Signs for all lines up to now, if there are any since the last anchor: at the start and the stop.
 * The log has the head then. Full files end with one by themselves. */
void ps_audit_anchor(ps_audit *audit);

/* After the file was moved away (logrotate): opens the name again. On failure the old one stays. */
PS_MUST_CHECK ps_status ps_audit_reopen(ps_audit *audit);
/* Every few seconds, off the loops: writes a count of suppressed lines and an anchor when they are
 * due, brings lines to the disk, and removes full files beyond conf.keep. One thread at a time (not
 * asserted: the daemon's one turn). */
void ps_audit_tick(ps_audit *audit);

typedef struct ps_audit_stats {
    uint64_t written, suppressed, failed; /* lines since it was opened */
    uint64_t anchored;                    /* number of the last line that is an anchor */
    uint64_t forwarded, forward_lost;     /* lines */
} ps_audit_stats;
void ps_audit_get_stats(ps_audit *audit, ps_audit_stats *out);
/* The last line that was written. */
ps_audit_head ps_audit_get_head(ps_audit *audit);

#endif
