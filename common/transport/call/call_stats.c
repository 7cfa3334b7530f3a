/* Cannot fail. Relaxed order: nobody concludes anything from one number about another. */
#include "common/transport/call/call_stats.h"

#include "common/base/require.h"

const double ps_call_bounds[PS_CALL_BOUNDS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

static void add(_Atomic uint64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void ps_call_stats_begin(ps_call_stats *stats)
{
    add(&stats->started, 1);
}

void ps_call_stats_end(ps_call_stats *stats, int grpc, uint64_t ns)
{
    PS_REQUIRE(grpc >= 0 && grpc < PS_CALL_STATUSES);
    unsigned at = 0;
    while (at < PS_CALL_BOUNDS && (double)ns * 1e-9 > ps_call_bounds[at])
        at++;
    add(&stats->ended[grpc], 1);
    add(&stats->took[at], 1);
    add(&stats->took_ns, ns);
}
