/* influence_text: who helped and who hurt: of rows that were asked about the rows of training, or
 * the pushes, that lowered and raised their loss most, as text. Of a job with explain.influence;
 * its files may be any bytes. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_INFLUENCE_TEXT_H
#define PS_REPORT_INFLUENCE_TEXT_H

#include "client/show/explain_view.h"

/* A push, as the arrays of method recorded have it. */
typedef struct ps_influence_said {
    char worker[513];         /* PS_INFLUENCE_NAME_MAX, and its end */
    double epoch, begin, end; /* from 0; end 0: rows were not said */
} ps_influence_said;

/* false: there is no such push. */
bool ps_influence_push_said(const ps_explain_view *view, const ps_explanation_result *result,
                            double push, ps_influence_said *out);

/* Nothing where the job asked for none. Of the rows that the view shows, `top` of each side. */
void ps_influence_text(ps_buf *out, const ps_style *style, const ps_explain_view *view, size_t top);

#endif
