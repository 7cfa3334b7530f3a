/* clock: time behind a table, so that a test can run it. Any thread. */
#ifndef PS_BASE_CLOCK_H
#define PS_BASE_CLOCK_H

#include <stdint.h>

typedef struct ps_clock {
    uint64_t (*monotonic_ns)(void *state); /* never goes back; only differences mean anything */
    int64_t (*wall_ms)(void *state);       /* milliseconds since 1970-01-01 UTC */
    void *state;
} ps_clock;

/* The machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). */
extern const ps_clock ps_clock_system;

static inline uint64_t ps_clock_ns(const ps_clock *clock)
{
    return clock->monotonic_ns(clock->state);
}

static inline uint64_t ps_clock_ms(const ps_clock *clock)
{
    return clock->monotonic_ns(clock->state) / 1000000;
}

static inline int64_t ps_clock_wall_ms(const ps_clock *clock)
{
    return clock->wall_ms(clock->state);
}

enum { PS_CLOCK_TEXT = 40 };
/* When the year 9999 ends: what comes later has no text of RFC 3339. */
#define PS_CLOCK_TEXT_MOST_MS INT64_C(253402300799999)

/* wall_ms of 0 to PS_CLOCK_TEXT_MOST_MS in UTC, RFC 3339: "2026-01-31T12:00:00.123Z"; returns out.
 */
const char *ps_clock_text(int64_t wall_ms, char out[PS_CLOCK_TEXT]);

/* Virtual time for tests: starts at 0 and moves only when told. */
typedef struct ps_clock_virtual {
    uint64_t now_ns;
} ps_clock_virtual;
ps_clock ps_clock_virtual_table(ps_clock_virtual *state);

#endif
