/* audit_forward: lines of an audit log, given to the machine's own log as they are written.
 *
 *     syslog                   RFC 5424 to /dev/log
 *     syslog:/PATH             to another datagram socket
 *     syslog:ADDRESS:PORT      over UDP (RFC 5426)
 *     journald, journald:/PATH the journal's native protocol, /run/systemd/journal/socket
 *
 * MSG and MESSAGE are the line itself, so that what came there is a chain, too: journalctl -t
 * psd-audit -o cat | psctl audit verify -. In the journal PSD_AUDIT_SEQ, _EVENT, _OUTCOME,
 * _IDENTITY, _CALL and _ADDRESS are fields of their own.
 *
 * A thread sends them. Whoever gives one never waits: while nobody takes them, up to
 * PS_AUDIT_FORWARD_BYTES wait, and those beyond are lost, which is counted and said in the log once
 * until one goes again. Any thread. */
#ifndef PS_GUARD_AUDIT_FORWARD_H
#define PS_GUARD_AUDIT_FORWARD_H

#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { PS_AUDIT_FORWARD_BYTES = 4 << 20 };

typedef struct ps_audit_forward ps_audit_forward;

/* Is `to` one of these? PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_audit_forward_check(const char *to);
/* Starts the thread. That nobody listens there yet is no failure. */
PS_MUST_CHECK ps_status ps_audit_forward_new(const char *to, ps_audit_forward **out);
/* What waits is sent, if it is taken at once. NULL is nothing; clears *forward. */
void ps_audit_forward_free(ps_audit_forward **forward);

/* What is NULL is left out. */
typedef struct ps_audit_forwarded {
    ps_slice line; /* without its newline */
    uint64_t seq;
    const char *time; /* as in the line: RFC 3339 */
    const char *event;
    const char *outcome, *identity, *call, *address;
    bool warning; /* what was refused, or failed */
} ps_audit_forwarded;
/* NULL is nowhere. */
void ps_audit_forward_put(ps_audit_forward *forward, const ps_audit_forwarded *what);

/* Lines that were sent, and those that were lost. */
void ps_audit_forward_count(ps_audit_forward *forward, uint64_t *sent, uint64_t *lost);

#endif
