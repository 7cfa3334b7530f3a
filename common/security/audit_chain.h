/* audit_chain: lines of an audit log, each of which has a number and the SHA-256 of the line
 * before:
 *
 *     {"time":…,"event":…,…,"seq":4712,"prev":"HEX of line 4711, without its newline"}
 *
 * so that a line cannot be changed, left out, moved or put in without all behind it; and with a
 * head that was kept elsewhere (number and SHA-256 of some line), none behind that one either. The
 * first line of all has 64 zeros; a new file goes on with the head of the one before. One thread at
 * a time (not asserted: plain data of whoever has it). */
#ifndef PS_SECURITY_AUDIT_CHAIN_H
#define PS_SECURITY_AUDIT_CHAIN_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/digest.h"

#include <stdbool.h>
#include <stdint.h>

enum { PS_AUDIT_LINE_MOST = 16384 }; /* bytes of one that is read */

/* A line: seq 0: there was none yet. */
typedef struct ps_audit_head {
    uint64_t seq;
    char sha256[PS_DIGEST_TEXT];
} ps_audit_head;

#define PS_AUDIT_HEAD_TEXT 96
void ps_audit_head_text(const ps_audit_head *head, char out[PS_AUDIT_HEAD_TEXT]); /* "4712:HEX" */
/* The reverse; PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_audit_head_parse(const char *text, ps_audit_head *out);

ps_audit_head ps_audit_head_none(void);
/* The head after this line, which has seq head->seq + 1; no newline. */
void ps_audit_head_advance(ps_audit_head *head, ps_slice line);

/* Its number and whom it follows; PS_NOT_FOUND: it is no line of a chain (cut, or of a psd of
 * before). */
PS_MUST_CHECK ps_status ps_audit_line_read(ps_slice line, uint64_t *seq, char prev[PS_DIGEST_TEXT]);

/* ---- reading whole files, in the order in which they were written ---- */

typedef struct ps_audit_check {
    ps_audit_head head;     /* of what was read */
    ps_audit_head before;   /* the line before it, as it says itself */
    uint64_t first;         /* number of the first line; 0: none yet */
    uint64_t lines, others; /* in the chain; that are none, before it began or cut */
    bool begun;
    const ps_audit_head *wanted; /* a head that was kept; NULL: none */
    bool met;                    /* it was met */
} ps_audit_check;

/* The next line. PS_CORRUPT: what is wrong with it. */
PS_MUST_CHECK ps_status ps_audit_check_line(ps_audit_check *check, ps_slice line);
/* There are no more. PS_CORRUPT: the wanted head was not met: the end was cut off. */
PS_MUST_CHECK ps_status ps_audit_check_end(const ps_audit_check *check);

#endif
