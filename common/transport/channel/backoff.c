/* Pure arithmetic; cannot fail. */
#include "common/transport/channel/backoff.h"

#include "common/base/require.h"

void ps_backoff_init(ps_backoff *backoff, unsigned min_ms, unsigned max_ms, uint64_t seed)
{
    PS_REQUIRE(min_ms > 0 && min_ms <= max_ms);
    *backoff = (ps_backoff){.min_ms = min_ms, .max_ms = max_ms, .step_ms = min_ms};
    ps_rng_seed(&backoff->rng, seed);
}

unsigned ps_backoff_next(ps_backoff *backoff)
{
    unsigned step = backoff->step_ms;
    backoff->step_ms = step > backoff->max_ms / 2 ? backoff->max_ms : step * 2;
    return step - (unsigned)ps_rng_below(&backoff->rng, step / 2 + 1);
}

void ps_backoff_reset(ps_backoff *backoff)
{
    backoff->step_ms = backoff->min_ms;
}
