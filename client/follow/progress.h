/* progress: how a job that is followed looks: the bar on a terminal, the lines of a pipe, the log
 * lines and the last word. Everything here turns values into text and cannot fail; the screen
 * (screen.h) places it, follow.h feeds it. */
#ifndef PS_FOLLOW_PROGRESS_H
#define PS_FOLLOW_PROGRESS_H

#include "client/show/table.h"
#include "psd/v1/jobs.pb-c.h"

#include <stdint.h>

/* The bar: one or two lines, each ended by '\n' and at most style->width - 1 columns wide. What
 * does not fit is left out, the least important first. note (NULL: none) stands in place of the
 * numbers: "no connection: connection refused". */
void ps_progress_bar(ps_buf *out, const ps_style *style, const Psd__V1__Job *job, int64_t now_ms,
                     const char *note);
/* "epoch 3/10  27%  loss 0.3812 …": one line with everything, ended by '\n'. */
void ps_progress_line(ps_buf *out, const ps_style *style, const Psd__V1__Job *job, int64_t now_ms);
/* "12:00:01 worker-1: text", ended by '\n'; warnings and errors are coloured. */
void ps_progress_log(ps_buf *out, const ps_style *style, const Psd__V1__LogEvent *event);
/* What has become of it: "job 7 fashion-mlp is done after 3m 12s: test accuracy 0.8840, …". Why it
 * has failed or was cancelled is the verdict's to say (ps_follow_verdict). */
void ps_progress_result(ps_buf *out, const ps_style *style, const Psd__V1__Job *job,
                        int64_t now_ms);

#endif
