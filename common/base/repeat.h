/* repeat: the same line at every try is said at once, and then seldom, with how often it was.
 *
 *     if (st && ps_repeat_due(&job->trouble, now_ms, NULL))
 *         ps_log_error("sched", "not saved, trying again: %s%s", ps_error_message(),
 *                      ps_repeat_text(&job->trouble, text));
 *     if (!st && ps_repeat_over(&job->trouble))
 *         ps_log_notice("sched", "saved%s", ps_repeat_text(&job->trouble, text));
 *
 * One ps_repeat for each thing that is tried, zeroed; used by one thread at a time (not asserted:
 * plain data of whoever has it). */
#ifndef PS_BASE_REPEAT_H
#define PS_BASE_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_repeat {
    uint64_t times;   /* since it last went well, */
    uint64_t said;    /* of them were said */
    uint64_t next_ms; /* the next one is said then */
    uint32_t what;    /* a checksum of what it was about */
} ps_repeat;

/* Between two lines: 1 minute, 2, 4, … an hour. */
#define PS_REPEAT_FIRST_MS UINT64_C(60000)
#define PS_REPEAT_MOST_MS  UINT64_C(3600000)

/* It has failed, once more. Is that to be said? what: a failure of another text is a first one;
 * NULL: they are all the same. */
bool ps_repeat_due(ps_repeat *repeat, uint64_t now_ms, const char *what);
/* It went well. Was there a failure before (of which ps_repeat_text then tells the count)? */
bool ps_repeat_over(ps_repeat *repeat);

#define PS_REPEAT_TEXT 48
/* "" for the first time, or " (35 times so far)"; after ps_repeat_over " (after 35 failures)". */
const char *ps_repeat_text(const ps_repeat *repeat, char text[PS_REPEAT_TEXT]);

#endif
