/* human: numbers as people read them. Each writes into a small struct by value, so that a call can
 * stand inside a printf: ps_human_bytes(n).text. Pure; local time for ps_human_time. */
#ifndef PS_SHOW_HUMAN_H
#define PS_SHOW_HUMAN_H

#include <stddef.h>
#include <stdint.h>

typedef struct ps_human {
    char text[32];
} ps_human;

ps_human ps_human_bytes(double bytes);  /* "512 B", "1.2 GB": powers of 1000 */
ps_human ps_human_binary(double bytes); /* "1.2 GiB": powers of 1024 */
/* "200 GiB", "64 MB": exactly, in the largest unit of a configuration that allows that. */
ps_human ps_human_size(uint64_t bytes);
ps_human ps_human_count(double n);          /* "12", "1.2k", "34M": powers of 1000 */
ps_human ps_human_duration(double seconds); /* "0.4s", "42s", "3m 12s", "2h 05m", "3d 04h" */
/* A loss or another measure: "0.8875", "3.5e-05", "1.98e+27": four places where they say something.
 */
ps_human ps_human_value(double v);
/* "2026-01-31 12:00:00", of milliseconds since 1970; "-" for 0. */
ps_human ps_human_time(int64_t ms);
/* From one to the other, 0 if that is not later: a peer's times, which may be anything. */
double ps_seconds_between(int64_t from_ms, int64_t to_ms);
/* How long before now_ms: "12s ago"; "-" for 0. */
ps_human ps_human_ago(int64_t ms, int64_t now_ms);
/* How long after now, both in seconds since 1970: "89 days left", below two days "23h 59m left";
 * "expired" when that is over. */
ps_human ps_human_left(int64_t until, int64_t now);
/* "spiffe://lab/submitter/ann" as "ann", a part of it: the rest is the same in every line. */
const char *ps_human_holder(const char *identity);

#endif
