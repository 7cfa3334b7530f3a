/* plan_view: what a job of kind compress will do (common/compress/plan.h), as text and as JSON.
 * Pure. */
#ifndef PS_SHOW_PLAN_VIEW_H
#define PS_SHOW_PLAN_VIEW_H

#include "client/show/table.h"
#include "common/compress/plan.h"

/* A row for what is the same in every block; totals and warnings below. */
void ps_plan_text(ps_buf *out, const ps_style *style, const ps_job_spec *spec, const ps_plan *plan);
/* An object with every tensor. */
void ps_plan_json(ps_json_writer *w, const ps_job_spec *spec, const ps_plan *plan);

#endif
