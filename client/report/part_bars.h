/* part_bars: what parts of a model are worth, of a method part_shapley: of each its share beside
 * what is lost without it alone, as bars; the mean of all rows, then some rows. Pure. One thread
 * (not asserted: psctl has no other). */
#ifndef PS_REPORT_PART_BARS_H
#define PS_REPORT_PART_BARS_H

#include "client/report/report.h"

bool ps_part_bars_present(const ps_explain_view *view);
/* Of every such method of the job. What does not fit the room is left out, which is said. */
void ps_part_bars_html(ps_report *report, ps_buf *out);

#endif
