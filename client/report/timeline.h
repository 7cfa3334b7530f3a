/* timeline: the loss of a training over its updates, and between it and where it began bands: what
 * each part has added up to by then, below the beginning what lowered it, above what raised it. The
 * steps can be walked through, and chosen: a step has the same key in every timeline of a page.
 * Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_TIMELINE_H
#define PS_REPORT_TIMELINE_H

#include "client/report/training.h"

enum { PS_TIMELINE_STEPS = 64 }; /* more segments are drawn several at once */

/* Segments [first, end) as one step. */
typedef struct ps_timeline_step {
    size_t first, end;
} ps_timeline_step;

typedef struct ps_timeline {
    const ps_training *training; /* borrowed; it has segments */
    ps_timeline_step steps[PS_TIMELINE_STEPS];
    size_t n;
} ps_timeline;

ps_timeline ps_timeline_of(const ps_training *training);
/* The step that the segment is in, as the value of data-key. */
char *ps_timeline_key(const ps_timeline *timeline, size_t segment);

/* A figure, and folded behind it a table. stack NULL: the loss alone, with what each step did. */
void ps_timeline_html(ps_buf *out, const ps_timeline *timeline, const ps_stack *stack,
                      const char *title);

#endif
