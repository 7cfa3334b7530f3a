/* tls_expiry: says in the log, in time, that a certificate in use, or the CRL, is about to end:
 * from 14 days before on once a day, in the last day and afterwards every hour. What is in force
 * for a week or less, as CRLs and renewed certificates are, would so be told all its life: of that,
 * in the last quarter, and a day before at most. Not thread-safe (not asserted: it is in what a
 * loop has).
 */
#ifndef PS_TRANSPORT_TLS_TLS_EXPIRY_H
#define PS_TRANSPORT_TLS_TLS_EXPIRY_H

#include "common/transport/tls/tls_holder.h"

#include <stdbool.h>

enum { PS_TLS_EXPIRY_DAYS = 14, PS_TLS_EXPIRY_LOOK_MS = 10000 /* how often to look */ };

typedef struct ps_tls_expiry {
    struct {
        int64_t not_after; /* what was told, */
        int64_t next;      /* and when it is to be told again; seconds since 1970 */
    } own, ca, crl;
} ps_tls_expiry; /* zeroes: nothing is told */

/* Is it time to say that what is in force between these ends? Seconds since 1970. */
bool ps_tls_expiry_is_near(int64_t begins, int64_t ends, int64_t now);
/* now: seconds since 1970. Call it at the start, after a reload, and while the process runs. */
void ps_tls_expiry_look(ps_tls_expiry *expiry, ps_tls_holder *holder, int64_t now);

/* The same for a person: NULL, or a sentence about the end that is nearest. */
char *ps_tls_expiry_remark(const ps_tls_context *context, int64_t now);

#endif
