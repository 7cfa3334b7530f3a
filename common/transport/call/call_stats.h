/* call_stats: what a server counts of each of its methods: how many calls began, with which status
 * they ended, and how long they took, as a histogram. Any thread; each number by itself is right,
 * and two that belong together may be a call apart. Time is from the request's headers to the end
 * of the call (its status was sent, or it was given up), so a stream's is its whole life.
 */
#ifndef PS_TRANSPORT_CALL_CALL_STATS_H
#define PS_TRANSPORT_CALL_CALL_STATS_H

#include <stdatomic.h>
#include <stdint.h>

enum { PS_CALL_STATUSES = 17 /* of gRPC: 0 to 16 */, PS_CALL_BOUNDS = 16 };

/* The histogram's upper bounds in seconds, rising. */
extern const double ps_call_bounds[PS_CALL_BOUNDS];

typedef struct ps_call_stats {
    _Atomic uint64_t started;
    _Atomic uint64_t ended[PS_CALL_STATUSES];
    _Atomic uint64_t took[PS_CALL_BOUNDS + 1]; /* at [i]: up to bound i and above the one before;
                                                  at the last: above all */
    _Atomic uint64_t took_ns;                  /* all together */
} ps_call_stats;

void ps_call_stats_begin(ps_call_stats *stats);
/* grpc: the status of gRPC with which it ended. */
void ps_call_stats_end(ps_call_stats *stats, int grpc, uint64_t ns);

#endif
