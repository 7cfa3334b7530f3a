/* renew_limit: how many certificates an identity may be given: PS_RENEWALS at once, and as many in
 * the time that one lives; one at a time. Any thread. */
#ifndef PS_GUARD_RENEW_LIMIT_H
#define PS_GUARD_RENEW_LIMIT_H

#include "common/base/clock.h"
#include "common/security/identity.h"

enum { PS_RENEWALS = 100 };

typedef struct ps_renew_limit ps_renew_limit;

/* life_ms: of a certificate; at least 1. The clock is borrowed. */
ps_renew_limit *ps_renew_limit_create(uint64_t life_ms, const ps_clock *clock);
void ps_renew_limit_free(ps_renew_limit **limit); /* none is under way; NULL is nothing */

/* PS_RESOURCE_EXHAUSTED with when to try again; otherwise ps_renew_limit_done follows. */
PS_MUST_CHECK ps_status ps_renew_limit_begin(ps_renew_limit *limit, const ps_identity *who);
void ps_renew_limit_done(ps_renew_limit *limit, const ps_identity *who);

#endif
