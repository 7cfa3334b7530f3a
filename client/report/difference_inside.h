/* difference_inside: of two models, how alike their layers see the same rows, and of which rows and
 * features the attributions changed: figures of the section Difference. Each puts nothing where the
 * job has not asked for it. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_DIFFERENCE_INSIDE_H
#define PS_REPORT_DIFFERENCE_INSIDE_H

#include "client/report/report.h"

void ps_difference_layers(ps_report *report, ps_buf *out);       /* representation_change */
void ps_difference_attributions(ps_report *report, ps_buf *out); /* attribution_change */

#endif
