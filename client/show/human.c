/* Rounding first, unit second: 999.96 kB must not become "1000.0 kB". Cannot fail. */
#include "client/show/human.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* value with a unit of step^k; units[0] is for less than step. */
static ps_human scaled(double value, double step, const char *const units[], size_t n)
{
    size_t k = 0;
    while (k + 1 < n && value >= step - 0.5)
        value /= step, k++;
    ps_human out;
    bool tenths = value < 99.95 && (k > 0 || (value < 9.95 && value != floor(value)));
    snprintf(out.text, sizeof out.text, "%.*f%s", tenths ? 1 : 0, value, units[k]);
    return out;
}

ps_human ps_human_bytes(double bytes)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB", " PB"};
    return scaled(bytes >= 0 ? bytes : 0, 1000, units, 6);
}

ps_human ps_human_binary(double bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
    return scaled(bytes >= 0 ? bytes : 0, 1024, units, 6);
}

ps_human ps_human_size(uint64_t bytes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } units[] = {{"TiB", UINT64_C(1) << 40},
                 {"GiB", 1 << 30},
                 {"MiB", 1 << 20},
                 {"KiB", 1 << 10},
                 {"TB", UINT64_C(1000000000000)},
                 {"GB", 1000000000},
                 {"MB", 1000000},
                 {"kB", 1000},
                 {"B", 1}};
    size_t best = sizeof units / sizeof *units - 1;
    for (size_t i = best; i-- > 0;)
        if (bytes % units[i].bytes == 0 && units[i].bytes > units[best].bytes)
            best = i;
    ps_human out;
    (void)snprintf(out.text, sizeof out.text, "%" PRIu64 " %s", bytes / units[best].bytes,
                   bytes ? units[best].text : "B");
    return out;
}

ps_human ps_human_count(double n)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    return scaled(n >= 0 ? n : 0, 1000, units, 5);
}

ps_human ps_human_duration(double seconds)
{
    ps_human out;
    if (!(seconds >= 0) || seconds > 1e10) {
        snprintf(out.text, sizeof out.text, "-");
        return out;
    }
    if (seconds < 9.95 && seconds != floor(seconds)) {
        snprintf(out.text, sizeof out.text, "%.1fs", seconds);
        return out;
    }
    unsigned long s = (unsigned long)(seconds + 0.5);
    if (s < 60)
        snprintf(out.text, sizeof out.text, "%lus", s);
    else if (s < 3600)
        snprintf(out.text, sizeof out.text, "%lum %02lus", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out.text, sizeof out.text, "%luh %02lum", s / 3600, s % 3600 / 60);
    else
        snprintf(out.text, sizeof out.text, "%lud %02luh", s / 86400, s % 86400 / 3600);
    return out;
}

ps_human ps_human_value(double v)
{
    ps_human out;
    double size = fabs(v);
    bool plain = size == 0 || (size >= 0.001 && size < 1e6);
    snprintf(out.text, sizeof out.text, plain ? "%.4f" : "%.3g", v);
    return out;
}

ps_human ps_human_time(int64_t ms)
{
    ps_human out = {"-"};
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (ms != 0 && localtime_r(&seconds, &tm))
        strftime(out.text, sizeof out.text, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

double ps_seconds_between(int64_t from_ms, int64_t to_ms)
{
    return to_ms > from_ms ? ((double)to_ms - (double)from_ms) / 1000 : 0;
}

ps_human ps_human_ago(int64_t ms, int64_t now_ms)
{
    ps_human out = {"-"};
    if (ms == 0)
        return out;
    double gone = floor(ps_seconds_between(ms, now_ms));
    snprintf(out.text, sizeof out.text, "%.26s ago", ps_human_duration(gone).text);
    return out;
}

ps_human ps_human_left(int64_t until, int64_t now)
{
    enum { DAY = 86400 };
    ps_human out = {"expired"};
    double left = (double)until - (double)now;
    if (left >= 2 * DAY)
        snprintf(out.text, sizeof out.text, "%.0f days left", floor(left / DAY));
    else if (left >= 0)
        snprintf(out.text, sizeof out.text, "%.25s left", ps_human_duration(left).text);
    return out;
}

const char *ps_human_holder(const char *identity)
{
    const char *slash = strrchr(identity, '/');
    return slash ? slash + 1 : identity;
}
