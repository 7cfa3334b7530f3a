/* backoff: how long to wait before the next attempt: doubling from min to max, each time a random
 * part of it ("full jitter" above half), so that clients do not come back all at once.
 */
#ifndef PS_TRANSPORT_CHANNEL_BACKOFF_H
#define PS_TRANSPORT_CHANNEL_BACKOFF_H

#include "common/base/rng.h"

typedef struct ps_backoff {
    unsigned min_ms, max_ms;
    unsigned step_ms; /* of the next attempt, before jitter */
    ps_rng rng;
} ps_backoff;

void ps_backoff_init(ps_backoff *backoff, unsigned min_ms, unsigned max_ms, uint64_t seed);
unsigned ps_backoff_next(ps_backoff *backoff); /* milliseconds, in [step/2, step] */
void ps_backoff_reset(ps_backoff *backoff);    /* after a success */

#endif
