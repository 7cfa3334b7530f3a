/* job_view: a job as text and as JSON. Pure. */
#ifndef PS_SHOW_JOB_VIEW_H
#define PS_SHOW_JOB_VIEW_H

#include "client/show/table.h"
#include "psd/v1/jobs.pb-c.h"

#include <stdint.h>

const char *ps_job_state_name(int state); /* "running" */
ps_color ps_job_state_color(int state);
bool ps_job_has_ended(int state);
/* Seconds from its start to its end, or to now; negative when it has not started. */
double ps_job_seconds(const Psd__V1__Job *job, int64_t now_ms);
/* Share of its samples that is done, 0..1; negative while it is unknown. */
double ps_job_share(const Psd__V1__Job *job);
/* "epoch 3/10", "calibrating 2/12", "solving 5/48"; "": nothing is to be said. Returns out. */
enum { PS_JOB_STAGE = 48 };
const char *ps_job_stage(const Psd__V1__Progress *progress, char out[PS_JOB_STAGE]);

/* One line of a list; the headers are ps_job_headers. */
extern const char *const ps_job_headers[];
void ps_job_row(ps_table *table, const Psd__V1__Job *job, int64_t now_ms);
/* All that is known, as "label value" lines. */
void ps_job_fields(ps_table *table, const Psd__V1__Job *job, int64_t now_ms);
void ps_job_json(ps_json_writer *w, const Psd__V1__Job *job);

#endif
