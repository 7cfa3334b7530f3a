/* A token bucket: BURST points at first and at most, REFILL a second. A stock client with keepalive
 * and bandwidth probing (some PINGs a second) stays far below. For resets that is 100 at first and
 * 10 a second: nghttp2's own limit for them takes effect only once its GOAWAY has left. Pure. */
#include "common/transport/call/floods.h"

#define BURST  10000.0
#define REFILL 1000.0
#define EARN   4.0

void ps_floods_init(ps_floods *floods, uint64_t now_ns)
{
    *floods = (ps_floods){.points = BURST, .at_ns = now_ns};
}

bool ps_floods_count(ps_floods *floods, ps_flood_kind kind, uint64_t now_ns)
{
    static const double cost[] = {
#define X(name, points) [PS_FLOOD_##name] = points,
        PS_FLOOD_TABLE(X)
#undef X
    };
    floods->points += (double)(now_ns - floods->at_ns) * 1e-9 * REFILL;
    floods->at_ns = now_ns;
    if (floods->points > BURST)
        floods->points = BURST;
    floods->points -= cost[kind];
    return floods->points >= 0;
}

void ps_floods_earn(ps_floods *floods)
{
    if (floods->points < BURST)
        floods->points += EARN;
}
