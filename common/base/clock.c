#include "common/base/clock.h"

#include "common/base/require.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t system_monotonic(void *state)
{
    return read_ns(CLOCK_MONOTONIC);
}

static int64_t system_wall(void *state)
{
    return (int64_t)(read_ns(CLOCK_REALTIME) / 1000000);
}

const ps_clock ps_clock_system = {.monotonic_ns = system_monotonic, .wall_ms = system_wall};

const char *ps_clock_text(int64_t wall_ms, char out[PS_CLOCK_TEXT])
{
    PS_REQUIRE(wall_ms >= 0 && wall_ms <= PS_CLOCK_TEXT_MOST_MS);
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc = {0};
    (void)gmtime_r(&seconds, &utc);
    size_t n = strftime(out, PS_CLOCK_TEXT - 8, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out + n, PS_CLOCK_TEXT - n, ".%03uZ", (unsigned)(wall_ms % 1000));
    return out;
}

static uint64_t virtual_monotonic(void *state)
{
    return ((const ps_clock_virtual *)state)->now_ns;
}

static int64_t virtual_wall(void *state)
{
    return (int64_t)(((const ps_clock_virtual *)state)->now_ns / 1000000);
}

ps_clock ps_clock_virtual_table(ps_clock_virtual *state)
{
    return (ps_clock){.monotonic_ns = virtual_monotonic, .wall_ms = virtual_wall, .state = state};
}
