/* tls_renewal: when a certificate is to be renewed, and when to try again. Plain data of whoever
 * has it; times are milliseconds since 1970, by a wall clock that may be set. Pure. */
#ifndef PS_TRANSPORT_TLS_TLS_RENEWAL_H
#define PS_TRANSPORT_TLS_TLS_RENEWAL_H

#include "common/base/rng.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_tls_renewal {
    int64_t begin_ms, end_ms; /* of the certificate in force */
    int64_t due_ms;           /* the next attempt */
    uint64_t failures;        /* since the last one that went well */
    ps_rng rng;
} ps_tls_renewal;

void ps_tls_renewal_init(ps_tls_renewal *renewal, uint64_t seed);
/* A certificate is in force, from then on that we had it: half of what is left of its life, and up
 * to a tenth more, so that they do not all come at once. The same one again changes nothing. */
void ps_tls_renewal_has(ps_tls_renewal *renewal, int64_t begin_ms, int64_t end_ms);
/* An attempt failed: soon again at first, then more seldom, but several times before the end: from
 * a hundredth of its life on, doubled up to a twelfth (at least a quarter of a second, and at most
 * ten minutes). lasting: as long as somebody does not change something. */
void ps_tls_renewal_failed(ps_tls_renewal *renewal, int64_t now_ms, bool lasting);
/* How long to wait; 0: now. UINT64_MAX: it has ended, and there is nobody to ask any more. */
uint64_t ps_tls_renewal_wait(const ps_tls_renewal *renewal, int64_t now_ms);

/* The clock of who judges a certificate, as far as its holder knows it: what it said once, and how
 * long that is ago. A clock of ours that is wrong, or is set, makes no certificate old. */
typedef struct ps_tls_judge {
    int64_t said_ms, wall_ms; /* theirs, and ours then; said_ms 0: not known, ours is as good */
    uint64_t monotonic_ms;    /* then */
} ps_tls_judge;

/* What it says now. Where our two clocks have gone apart (one was set, the other stood still in a
 * machine that slept) more time has gone: to renew early costs little. */
int64_t ps_tls_judge_now(const ps_tls_judge *judge, int64_t wall_ms, uint64_t monotonic_ms);
/* By how much is ours ahead (behind: less than 0)? Something, if one that came right now, from
 * begin to end, seems not yet in force by it, or past half of its life; else 0. */
int64_t ps_tls_judge_off(const ps_tls_judge *judge, int64_t begin_ms, int64_t end_ms);

#endif
